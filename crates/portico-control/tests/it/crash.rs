//! A crash at every step of every verb, and at every pair of steps: afterwards a whole version serves, the loop
//! converges, and nothing is left over.

use std::sync::Arc;

use portico_control::{ControlError, Submission, operation::OperationState};
use portico_host::fault::NoFaults;
use portico_plan::Verb;

use crate::world::{Script, Shelf, World, ask, ctx, tenant, version};

/// One verb, from a prepared start.
struct Case {
    name: &'static str,
    before: World,
    ask: fn() -> Submission,
    /// What serves before and after.
    from: &'static str,
    to: &'static str,
    events: usize,
}

async fn prepared(steps: &[Submission]) -> World {
    let world = World::new(Shelf::standard());
    let running = world.start(Arc::new(NoFaults)).await;
    for step in steps {
        let done = running.run(step.clone()).await.unwrap();
        assert_eq!(done.state, OperationState::Succeeded, "{:?}", done.error);
    }
    running.close().await;
    world
}

async fn cases() -> Vec<Case> {
    let install = || version(ask(Verb::Install, "app"), "1.0.0");
    let upgrade = || version(ask(Verb::Upgrade, "app"), "2.0.0");
    let one = "app 1.0.0 ready, base 1.0.0 ready";
    let two = "app 2.0.0 ready, base 1.0.0 ready";
    let off = "app 1.0.0 disabled, base 1.0.0 ready";
    vec![
        Case {
            name: "install",
            before: prepared(&[]).await,
            ask: install,
            from: "",
            to: one,
            events: 2,
        },
        Case {
            name: "upgrade",
            before: prepared(&[install()]).await,
            ask: upgrade,
            from: one,
            to: two,
            events: 1,
        },
        Case {
            name: "rollback",
            before: prepared(&[install(), upgrade()]).await,
            ask: || ask(Verb::Rollback, "app"),
            from: two,
            to: one,
            events: 1,
        },
        Case {
            name: "disable",
            before: prepared(&[install()]).await,
            ask: || ask(Verb::Disable, "app"),
            from: one,
            to: off,
            events: 1,
        },
        Case {
            name: "enable",
            before: prepared(&[install(), ask(Verb::Disable, "app")]).await,
            ask: || ask(Verb::Enable, "app"),
            from: off,
            to: one,
            events: 1,
        },
        Case {
            name: "uninstall",
            before: prepared(&[install()]).await,
            ask: || ask(Verb::Uninstall, "app"),
            from: one,
            to: "base 1.0.0 ready",
            events: 1,
        },
    ]
}

/// The points that a run without crash passes.
async fn points(case: &Case) -> Vec<String> {
    let script = Arc::new(Script::default());
    let world = case.before.fork();
    let running = world.start(script.clone()).await;
    let done = running.run((case.ask)()).await.unwrap();
    assert_eq!(
        done.state,
        OperationState::Succeeded,
        "{}: {:?}",
        case.name,
        done.error
    );
    assert_eq!(running.shown(), case.to, "{}", case.name);
    running.close().await;
    let passed = script.passed.lock().unwrap();
    passed.clone()
}

/// Crashes at `first`, and when the work is taken up again at `second`; then lets it end.
async fn crash(case: &Case, first: usize, second: Option<usize>) {
    let at = format!("{} crashed at {first} and {second:?}", case.name);
    let world = case.before.fork();
    let mut seen_before = 0;
    {
        let running = world.start(Script::stopping_at(first)).await;
        seen_before += events(&running).await;
        let outcome = running.run((case.ask)()).await;
        assert!(
            matches!(outcome, Err(ControlError::Stopped(_))),
            "{at}: {outcome:?}"
        );
        running.close().await;
    }
    if let Some(second) = second {
        let script = Script::stopping_at(second);
        let running = world.start(script.clone()).await;
        whole(case, &running.shown(), &at);
        let outcome = running.control.settle().await;
        assert_eq!(outcome.is_err(), script.has_stopped(), "{at}: {outcome:?}");
        running.close().await;
    }
    let running = world.start(Arc::new(NoFaults)).await;
    whole(case, &running.shown(), &at);
    running.control.settle().await.unwrap();
    assert_eq!(running.shown(), case.to, "{at}");
    let operations = running.control.operations(&tenant(), 1).await.unwrap();
    assert_eq!(
        operations[0].state,
        OperationState::Succeeded,
        "{at}: {:?}",
        operations[0].error
    );
    assert_eq!(
        events(&running).await - seen_before,
        case.events,
        "{at}: each event exactly once"
    );
    running.close().await;
    // One more start sweeps what the crash left.
    let running = world.start(Arc::new(NoFaults)).await;
    let mut tx = running.store.read().await.unwrap();
    let in_use = tx.blob_digests_in_use(None).await.unwrap();
    drop(tx);
    assert_eq!(
        running.archives().await,
        in_use,
        "{at}: archives left over or lost"
    );
    running.close().await;
}

async fn events(running: &crate::world::Running) -> usize {
    let mut tx = running.store.read().await.unwrap();
    tx.events_after(&tenant(), 0, 1000).await.unwrap().len()
}

/// After a crash what was before or what comes after serves, never something between.
fn whole(case: &Case, shown: &str, at: &str) {
    assert!(
        shown == case.from || shown == case.to,
        "{at}: serves `{shown}`"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_every_step_of_every_verb() {
    for case in cases().await {
        let points = points(&case).await;
        assert!(points.len() >= 5, "{}: {points:?}", case.name);
        for first in 0..points.len() {
            crash(&case, first, None).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_every_pair_of_steps() {
    for case in cases().await {
        let points = points(&case).await;
        for first in 0..points.len() {
            for second in 0..points.len() {
                crash(&case, first, Some(second)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_crash_between_intent_and_a_changed_mind() {
    // Approved, crashed, and meanwhile somebody removed what it was about: it parks instead of doing harm.
    let world = prepared(&[version(ask(Verb::Install, "app"), "1.0.0")]).await;
    let running = world.start(Script::stopping_at(0)).await;
    let upgrade = running
        .control
        .submit(&ctx(), version(ask(Verb::Upgrade, "app"), "2.0.0"))
        .await
        .unwrap();
    assert!(running.control.settle().await.is_err());
    running
        .control
        .submit(&ctx(), ask(Verb::Uninstall, "app"))
        .await
        .unwrap();
    running.close().await;
    let running = world.start(Arc::new(NoFaults)).await;
    running.control.settle().await.unwrap();
    let upgrade = running
        .control
        .operation(&tenant(), &upgrade.id)
        .await
        .unwrap();
    assert_eq!(
        upgrade.state,
        OperationState::Succeeded,
        "what was approved first is done first"
    );
    assert_eq!(running.shown(), "app 2.0.0 ready, base 1.0.0 ready");
    let removal = running
        .control
        .operations(&tenant(), 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        removal.state,
        OperationState::Failed,
        "what was approved for 1.0.0 is not done to 2.0.0"
    );
    assert_eq!(removal.error.unwrap().code, "plan-changed");
}
