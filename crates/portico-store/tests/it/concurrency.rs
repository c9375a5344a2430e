use std::collections::BTreeSet;

use portico_package::Digest;
use portico_store::{Dialect, Inserted, Operation, SignInLink, Store, StoreError};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{NOW, operation, store_test, tenant, user};

/// Runs `tasks` of them at once; answers what each answered.
async fn at_once<T, F>(store: &Store, tasks: usize, work: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut set = JoinSet::new();
    for n in 0..tasks {
        set.spawn(work(store.clone(), n));
    }
    set.join_all().await
}

/// Activates the next generation and says so, again and again until nobody else was faster. Answers how
/// often somebody was.
async fn activate(store: &Store, task: usize, round: usize) -> usize {
    let t = tenant();
    let mut lost = 0;
    loop {
        let parent = store
            .read()
            .await
            .unwrap()
            .generation_get(&t)
            .await
            .unwrap();
        let mut tx = store.begin().await.unwrap();
        // The event first: a loser must not leave it behind.
        tx.event_append(
            &t,
            "microsite:installed",
            &json!({"task": task, "round": round}),
            parent + 1,
            NOW,
        )
        .await
        .unwrap();
        match tx
            .generation_advance(&t, parent, &format!("{task}/{round}"), NOW)
            .await
        {
            Ok(generation) => {
                assert_eq!(generation, parent + 1);
                tx.commit().await.unwrap();
                return lost;
            }
            Err(StoreError::StaleGeneration { .. }) => lost += 1,
            Err(other) => panic!("{other}"),
        }
    }
}

store_test! {
    async fn two_hundred_activations_race_and_none_is_lost_or_doubled(db: &Db) {
        const TASKS: usize = 8;
        const ROUNDS: usize = 25;
        let store = db.store().await;
        let t = tenant();
        let lost = at_once(&store, TASKS, |store, task| async move {
            let mut lost = 0;
            for round in 0..ROUNDS {
                lost += activate(&store, task, round).await;
            }
            lost
        })
        .await;
        assert!(lost.iter().sum::<usize>() > 0, "nobody raced: this test shows nothing");

        let mut tx = store.read().await.unwrap();
        let all = (TASKS * ROUNDS) as u64;
        assert_eq!(tx.generation_get(&t).await.unwrap(), all);
        let events = tx.events_after(&t, 0, 1000).await.unwrap();
        // Numbers without gaps, generations in the same order, each task's each round once.
        assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), (1..=all).collect::<Vec<_>>());
        assert_eq!(events.iter().map(|e| e.generation).collect::<Vec<_>>(), (1..=all).collect::<Vec<_>>());
        let causes: BTreeSet<String> = events.iter().map(|e| format!("{}/{}", e.body["task"], e.body["round"])).collect();
        assert_eq!(causes.len(), TASKS * ROUNDS);
        let history = tx.generation_list(&t, 1000).await.unwrap();
        assert!(history.iter().all(|g| g.parent + 1 == g.generation));
        assert_eq!(history.iter().map(|g| g.cause.clone()).collect::<BTreeSet<_>>(), causes);
    }

    /// Two portals, or a portal and `portico token`: each reads before it writes, and waits for its turn
    /// instead of failing.
    async fn two_portals_share_a_database(db: &Db) {
        const ROUNDS: u64 = 20;
        let stores = [db.store().await, Store::open(&db.url).await.unwrap()];
        let mut set = JoinSet::new();
        for (n, store) in stores.into_iter().enumerate() {
            set.spawn(async move {
                for _ in 0..ROUNDS {
                    loop {
                        let mut tx = store.begin().await.unwrap();
                        let parent = tx.generation_get(&tenant()).await.unwrap();
                        match tx.generation_advance(&tenant(), parent, &format!("portal {n}"), NOW).await {
                            Ok(_) => break tx.commit().await.unwrap(),
                            Err(StoreError::StaleGeneration { .. }) if store.dialect() == Dialect::Postgres => {}
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                }
                store
            });
        }
        let stores = set.join_all().await;
        assert_eq!(stores[0].read().await.unwrap().generation_get(&tenant()).await.unwrap(), 2 * ROUNDS);
    }

    async fn one_request_sent_eight_times_at_once_is_one_operation(db: &Db) {
        let store = db.store().await;
        let outcomes = at_once(&store, 8, |store, n| async move {
            let op = Operation { idempotency_key: Some("once".into()), ..operation(&format!("op-{n}"), NOW) };
            let mut tx = store.begin().await.unwrap();
            let inserted = tx.operation_insert(&tenant(), &op).await.unwrap();
            tx.commit().await.unwrap();
            match inserted {
                Inserted::New => (true, op.id),
                Inserted::Existing(existing) => (false, existing.id),
            }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|(new, _)| *new).count(), 1);
        assert_eq!(outcomes.iter().map(|(_, id)| id).collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(store.read().await.unwrap().operation_list(&tenant(), None, 10).await.unwrap().len(), 1);
    }

    async fn a_sign_in_link_used_eight_times_at_once_signs_in_once(db: &Db) {
        let store = db.store().await;
        let hash = Digest::of(b"link");
        let mut tx = store.begin().await.unwrap();
        tx.user_insert(&tenant(), &user("1", "ada")).await.unwrap();
        let link = SignInLink { hash, user_id: "1".into(), created_at: NOW, expires_at: NOW + 10 };
        tx.sign_in_link_insert(&tenant(), &link).await.unwrap();
        tx.commit().await.unwrap();
        let taken = at_once(&store, 8, |store, _| async move {
            let mut tx = store.begin().await.unwrap();
            let taken = tx.sign_in_link_take(&tenant(), &Digest::of(b"link"), NOW).await.unwrap();
            tx.commit().await.unwrap();
            taken
        })
        .await;
        assert_eq!(taken.iter().flatten().count(), 1);
    }

    async fn a_reader_sees_one_moment(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.generation_get(&t).await.unwrap(), 0);
        let mut writer = store.begin().await.unwrap();
        writer.generation_advance(&t, 0, "op", NOW).await.unwrap();
        writer.event_append(&t, "x", &json!({}), 1, NOW).await.unwrap();
        // Not before it is committed, and not in a moment that began before.
        assert_eq!(store.read().await.unwrap().generation_get(&t).await.unwrap(), 0);
        writer.commit().await.unwrap();
        assert_eq!(reader.generation_get(&t).await.unwrap(), 0);
        assert_eq!(reader.events_after(&t, 0, 10).await.unwrap(), []);
        drop(reader);
        assert_eq!(store.read().await.unwrap().generation_get(&t).await.unwrap(), 1);
    }

    async fn a_dropped_transaction_leaves_nothing(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let mut tx = store.begin().await.unwrap();
        tx.generation_advance(&t, 0, "op", NOW).await.unwrap();
        tx.user_insert(&t, &user("1", "ada")).await.unwrap();
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.generation_get(&t).await.unwrap(), 0);
        assert_eq!(tx.user_list(&t).await.unwrap(), []);
    }
}
