use std::{sync::atomic::Ordering, time::Duration};

use portico_plan::inventory::State;

use portico_package::Digest;

use crate::portal::{World, routes, routes_to, routes_without_shop, shop, tenant, world};

/// Starts a page that would take an hour.
async fn start_slow(world: &World) -> impl Future<Output = u16> {
    let gateway = world.gateway.clone();
    let request = http::Request::get("/shop/slow")
        .header("host", "portal.example")
        .header("cookie", "who=admin")
        .body(http_body_util::Empty::new())
        .unwrap();
    let running = tokio::task::spawn(async move {
        gateway
            .handle(request, crate::portal::LOCAL)
            .await
            .unwrap()
            .status()
            .as_u16()
    });
    let started = world.backend.started.load(Ordering::SeqCst);
    while world.backend.started.load(Ordering::SeqCst) == started {
        tokio::task::yield_now().await;
    }
    async move {
        tokio::time::timeout(Duration::from_secs(5), running)
            .await
            .expect("still runs")
            .unwrap()
    }
}

#[tokio::test]
async fn works_midway_and_until_the_routes_say_it() {
    let world = world();
    let running = start_slow(&world).await;
    world.live.kill(&tenant(), &shop());
    assert_eq!(running.await, 503);
    assert_eq!(world.backend.cancelled.load(Ordering::SeqCst), 1);
    assert_eq!(
        world.get("/shop").await.status,
        503,
        "routes still lead there"
    );

    world.live.publish(routes(2, State::Ready)).unwrap();
    assert_eq!(
        world.get("/shop").await.status,
        503,
        "another change does not bring it back"
    );
    world.live.publish(routes(3, State::Disabled)).unwrap();
    world.live.publish(routes(4, State::Ready)).unwrap();
    assert_eq!(world.get("/shop").await.status, 200, "switched on again");
}

#[tokio::test]
async fn after_the_routes_have_changed_only_what_runs_is_cancelled() {
    let world = world();
    let running = start_slow(&world).await;
    world.live.publish(routes(2, State::Disabled)).unwrap();
    world.live.kill(&tenant(), &shop());
    assert_eq!(running.await, 503);
    world.live.publish(routes(3, State::Ready)).unwrap();
    assert_eq!(world.get("/shop").await.status, 200);

    let running = start_slow(&world).await;
    world.live.publish(routes_without_shop(4)).unwrap();
    world.live.kill(&tenant(), &shop());
    assert_eq!(running.await, 503, "removed packages can be cancelled too");
}

#[tokio::test]
async fn before_the_first_request() {
    let world = world();
    world.live.kill(&tenant(), &shop());
    assert_eq!(world.get("/shop").await.status, 503);
    assert_eq!(world.backend.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_change_of_routes_disturbs_nothing_that_runs() {
    let world = world();
    let running = start_slow(&world).await;
    world.live.publish(routes_without_shop(2)).unwrap();
    world.live.retire_backends(&|_| false);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(world.backend.cancelled.load(Ordering::SeqCst), 0);
    drop(running);
}

#[tokio::test]
async fn work_ends_when_the_client_leaves() {
    let world = world();
    let request = http::Request::get("/shop/slow")
        .header("host", "portal.example")
        .header("cookie", "who=admin")
        .body(http_body_util::Empty::new())
        .unwrap();
    let handling = world.gateway.handle(request, crate::portal::LOCAL);
    let gave_up = tokio::time::timeout(Duration::from_millis(20), handling).await;
    assert!(gave_up.is_err());
    assert_eq!(world.backend.cancelled.load(Ordering::SeqCst), 1);
}

/// Upgrades as fast as they go, each taking away the back end before it.
#[tokio::test]
async fn upgrades_under_load_fail_nobody() {
    const UPGRADES: u64 = 400;
    let world = world();
    let (live, backend) = (world.live.clone(), world.backend.clone());
    let upgrades = std::thread::spawn(move || {
        for generation in 2..UPGRADES {
            let digest = Digest::of(&generation.to_le_bytes());
            live.put_backend(digest, backend.clone());
            live.publish(routes_to(generation, State::Ready, digest))
                .unwrap();
            live.retire_backends(&|other| *other == digest);
        }
    });
    let mut answers = 0;
    while !upgrades.is_finished() {
        let answer = world.get("/shop").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answers += 1;
    }
    upgrades.join().unwrap();
    assert!(answers > 10, "{answers} requests are no load");
}
