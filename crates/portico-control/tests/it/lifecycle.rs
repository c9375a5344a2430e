//! What is refused, what is repeated, what is killed midway.

use std::{collections::BTreeSet, sync::Arc};

use portico_control::{ControlError, operation::OperationState};
use portico_host::fault::NoFaults;
use portico_package::Digest;
use portico_plan::Verb;

use crate::world::{Shelf, World, ask, ctx, id, tenant, version};

#[tokio::test]
async fn an_unapproved_permission_changes_nothing() {
    let world = World::new(Shelf::standard());
    let running = world.start(Arc::new(NoFaults)).await;
    let mut submission = version(ask(Verb::Install, "app"), "2.0.0");
    submission.approve = BTreeSet::new();
    let error = running.run(submission).await.unwrap_err();
    assert_eq!(
        (error.code(), error.status()),
        ("permission-not-approved", 403)
    );
    assert!(
        running
            .control
            .operations(&tenant(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(running.shown(), "");
}

#[tokio::test]
async fn a_lock_that_no_longer_fits_asks_again() {
    let world = World::new(Shelf::standard());
    let running = world.start(Arc::new(NoFaults)).await;
    let looked_at = running
        .control
        .plan(
            &tenant(),
            &version(ask(Verb::Install, "app"), "1.0.0").request,
        )
        .unwrap();
    let mut submission = version(ask(Verb::Install, "app"), "2.0.0");
    submission.lock = Some(looked_at.lock);
    let error = running.run(submission).await.unwrap_err();
    assert_eq!(error.code(), "plan-changed");
}

#[tokio::test]
async fn a_stale_generation_is_refused() {
    let world = World::new(Shelf::standard());
    let running = world.start(Arc::new(NoFaults)).await;
    running.run(ask(Verb::Install, "base")).await.unwrap();
    let mut submission = ask(Verb::Uninstall, "base");
    submission.generation = Some(0);
    let error = running.run(submission).await.unwrap_err();
    assert!(
        matches!(
            error,
            ControlError::StaleGeneration {
                expected: 0,
                current: 1
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_operation() {
    let world = World::new(Shelf::standard());
    let running = world.start(Arc::new(NoFaults)).await;
    let mut submission = ask(Verb::Install, "base");
    submission.idempotency = Some(("once".into(), Digest::of(b"a")));
    let first = running.run(submission.clone()).await.unwrap();
    let again = running.run(submission.clone()).await.unwrap();
    assert_eq!(first.id, again.id);
    submission.idempotency = Some(("once".into(), Digest::of(b"b")));
    let error = running.run(submission).await.unwrap_err();
    assert_eq!(
        (error.code(), error.status()),
        ("idempotency-mismatch", 422)
    );
}

#[tokio::test]
async fn a_tampered_archive_fails_before_anything_shows() {
    let mut shelf = Shelf::standard();
    shelf.tamper("base");
    let world = World::new(shelf);
    let running = world.start(Arc::new(NoFaults)).await;
    let failed = running.run(ask(Verb::Install, "app")).await.unwrap();
    assert_eq!(failed.state, OperationState::Failed);
    let error = failed.error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.step.as_str()),
        ("target-mismatch", "fetch")
    );
    assert_eq!(running.shown(), "");
    assert_eq!(failed.generation, None);
}

#[tokio::test]
async fn an_unreachable_registry_fails_and_a_retry_succeeds() {
    let world = World::new(Shelf::standard());
    let running = world.start(Arc::new(NoFaults)).await;
    *world.shelf.unreachable.lock().unwrap() = true;
    let failed = running.run(ask(Verb::Install, "base")).await.unwrap();
    assert_eq!(failed.error.as_ref().unwrap().code, "registry-unreachable");
    *world.shelf.unreachable.lock().unwrap() = false;
    let again = running.control.retry(&ctx(), &failed.id).await.unwrap();
    running.control.settle().await.unwrap();
    let again = running
        .control
        .operation(&tenant(), &again.id)
        .await
        .unwrap();
    assert_eq!(again.state, OperationState::Succeeded, "{:?}", again.error);
    assert_eq!(running.shown(), "base 1.0.0 ready");
}

#[tokio::test]
async fn a_kill_switch_midway_wins() {
    let world = World::new(Shelf::standard());
    let running = world.start(Arc::new(NoFaults)).await;
    running
        .run(version(ask(Verb::Install, "app"), "1.0.0"))
        .await
        .unwrap();
    let state = async |id: &str| running.control.operation(&tenant(), id).await.unwrap();
    // An upgrade is approved and under way when somebody pulls the switch.
    let upgrade = version(ask(Verb::Upgrade, "app"), "2.0.0");
    let before = running
        .control
        .submit(&ctx(), upgrade.clone())
        .await
        .unwrap();
    let mut kill = ask(Verb::Disable, "app");
    kill.kill = true;
    let kill = running.control.submit(&ctx(), kill).await.unwrap();
    assert_eq!(
        running.stage.0.lock().unwrap().killed,
        vec![id("app")],
        "what runs is cancelled before anything else happens"
    );
    // And another one is approved by somebody who did not see it yet.
    let after = running.control.submit(&ctx(), upgrade).await.unwrap();
    running.control.settle().await.unwrap();
    assert_eq!(state(&kill.id).await.state, OperationState::Succeeded);
    for upgrade in [before, after] {
        let upgrade = state(&upgrade.id).await;
        assert_eq!(upgrade.state, OperationState::Failed);
        assert_eq!(upgrade.error.unwrap().code, "cancelled");
        assert_eq!(upgrade.generation, None);
    }
    assert_eq!(running.shown(), "app 1.0.0 disabled, base 1.0.0 ready");
}

#[tokio::test]
async fn a_hundred_cycles_leave_nothing() {
    let world = World::new(Shelf::standard());
    let running = world.start(Arc::new(NoFaults)).await;
    for _ in 0..100 {
        for submission in [
            version(ask(Verb::Install, "app"), "1.0.0"),
            version(ask(Verb::Upgrade, "app"), "2.0.0"),
            ask(Verb::Rollback, "app"),
            ask(Verb::Uninstall, "app"),
        ] {
            let done = running.run(submission).await.unwrap();
            assert_eq!(done.state, OperationState::Succeeded, "{:?}", done.error);
        }
    }
    let (backends, generation) = {
        let told = running.stage.0.lock().unwrap();
        (
            told.backends.len(),
            told.snapshots.last().unwrap().generation,
        )
    };
    assert_eq!(backends, 1, "only `base` still has a back end");
    // The first cycle installs `base` too; every verb is one generation.
    assert_eq!(generation, 400);
    running.close().await;
    let running = world.start(Arc::new(NoFaults)).await;
    assert_eq!(
        running.archives().await.len(),
        1,
        "only the archive of `base` is kept"
    );
}
