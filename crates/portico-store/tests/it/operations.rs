use std::collections::BTreeSet;

use portico_package::Digest;
use portico_store::{
    Change, Cursor, Inserted, Operation, OperationState, Progress, Store, StoreError,
};
use serde_json::json;

use crate::support::{NOW, installed, operation, other, release, store_test, tenant};

async fn insert(store: &Store, op: &Operation) -> Result<Inserted, StoreError> {
    let mut tx = store.begin().await.unwrap();
    let inserted = tx.operation_insert(&tenant(), op).await?;
    tx.commit().await.unwrap();
    Ok(inserted)
}

fn keyed(id: &str, key: &str) -> Operation {
    Operation {
        idempotency_key: Some(key.into()),
        ..operation(id, NOW)
    }
}

store_test! {
    async fn an_operation_reads_back_as_it_was_written(db: &Db) {
        let store = db.store().await;
        let full = Operation {
            error: Some(json!({"code": "bad-signature", "message": "…", "step": "verify"})),
            generation: Some(4),
            updated_at: NOW + 9,
            state: OperationState::Failed,
            ..keyed("op-1", "k")
        };
        assert_eq!(insert(&store, &full).await.unwrap(), Inserted::New);
        let plain = operation("op-2", NOW);
        insert(&store, &plain).await.unwrap();
        let mut tx = store.read().await.unwrap();
        assert_eq!(tx.operation_get(&tenant(), "op-1").await.unwrap(), Some(full.clone()));
        assert_eq!(tx.operation_get(&tenant(), "op-2").await.unwrap(), Some(plain));
        assert_eq!(tx.operation_get(&other(), "op-1").await.unwrap(), None);
        assert_eq!(tx.operation_by_key(&tenant(), "user:ada", "k").await.unwrap(), Some(full));
        assert_eq!(tx.operation_by_key(&tenant(), "user:bob", "k").await.unwrap(), None);
        assert_eq!(tx.operation_by_key(&other(), "user:ada", "k").await.unwrap(), None);
    }

    async fn the_same_request_under_the_same_key_is_the_same_operation(db: &Db) {
        let store = db.store().await;
        let first = keyed("op-1", "once");
        assert_eq!(insert(&store, &first).await.unwrap(), Inserted::New);
        let repeat = Operation { created_at: NOW + 50, ..keyed("op-2", "once") };
        assert_eq!(insert(&store, &repeat).await.unwrap(), Inserted::Existing(Box::new(first)));

        let different = Operation { request_digest: Digest::of(b"uninstall"), ..keyed("op-3", "once") };
        let error = insert(&store, &different).await.unwrap_err();
        assert!(matches!(&error, StoreError::IdempotencyMismatch { key } if key == "once"), "{error:?}");
        assert_eq!(error.status(), 422);

        let of_another = Operation { actor: "user:bob".into(), ..keyed("op-4", "once") };
        assert_eq!(insert(&store, &of_another).await.unwrap(), Inserted::New);
        // Without a key nothing is a repeat.
        assert_eq!(insert(&store, &operation("op-5", NOW)).await.unwrap(), Inserted::New);
        assert_eq!(insert(&store, &operation("op-6", NOW)).await.unwrap(), Inserted::New);
        let error = insert(&store, &operation("op-6", NOW)).await.unwrap_err();
        assert!(matches!(error, StoreError::Duplicate(_)), "{error:?}");
    }

    async fn progress_is_recorded_and_pending_ones_come_oldest_first(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        for (id, at) in [("b", NOW + 1), ("a", NOW + 2), ("c", NOW), ("d", NOW)] {
            insert(&store, &operation(id, at)).await.unwrap();
        }
        let mut tx = store.begin().await.unwrap();
        let steps = json!([{"step": "resolve", "state": "done"}]);
        let progress = |state| Progress { state, steps: &steps, error: None, generation: None };
        tx.operation_update(&t, "b", progress(OperationState::Running), NOW + 10).await.unwrap();
        tx.operation_update(&t, "c", Progress { generation: Some(3), ..progress(OperationState::Succeeded) }, NOW + 11).await.unwrap();
        let error = json!({"code": "unreachable"});
        tx.operation_update(&t, "d", Progress { error: Some(&error), ..progress(OperationState::Failed) }, NOW + 12).await.unwrap();
        let missing = tx.operation_update(&t, "x", progress(OperationState::Failed), NOW).await.unwrap_err();
        assert!(matches!(missing, StoreError::NotFound(_)), "{missing:?}");
        let elsewhere = tx.operation_update(&other(), "b", progress(OperationState::Failed), NOW).await.unwrap_err();
        assert!(matches!(elsewhere, StoreError::NotFound(_)), "{elsewhere:?}");
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        let pending = tx.operation_pending(&t).await.unwrap();
        assert_eq!(pending.iter().map(|o| o.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!((pending[0].state, pending[0].updated_at), (OperationState::Running, NOW + 10));
        assert_eq!(tx.operation_get(&t, "c").await.unwrap().unwrap().generation, Some(3));
        assert_eq!(tx.operation_get(&t, "d").await.unwrap().unwrap().error, Some(error));
        assert_eq!(tx.operation_count_failed(&t, NOW).await.unwrap(), 1);
        assert_eq!(tx.operation_count_failed(&t, NOW + 1).await.unwrap(), 0);
        // Trying again clears the error.
        tx.operation_update(&t, "d", progress(OperationState::Queued), NOW + 13).await.unwrap();
        let retried = tx.operation_get(&t, "d").await.unwrap().unwrap();
        assert_eq!((retried.error, retried.steps), (None, steps.clone()));
    }

    async fn a_list_is_read_page_by_page(db: &Db) {
        let store = db.store().await;
        for i in 0..23 {
            insert(&store, &operation(&format!("op-{:02}", (i * 7) % 23), NOW + i64::from(i / 3))).await.unwrap();
        }
        let mut tx = store.read().await.unwrap();
        let all = tx.operation_list(&tenant(), None, 100).await.unwrap();
        assert!(all.is_sorted_by(|a, b| (a.created_at, &a.id) > (b.created_at, &b.id)));
        let mut paged: Vec<Operation> = Vec::new();
        // Bounded: a page that begins again must fail, not fill the memory.
        while paged.len() < 100 {
            let cursor = paged.last().map(|o| Cursor { at: o.created_at, id: o.id.clone() });
            let page = tx.operation_list(&tenant(), cursor.as_ref(), 5).await.unwrap();
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged.len(), 23);
        assert_eq!(paged, all);
        assert_eq!(tx.operation_list(&other(), None, 5).await.unwrap(), []);
    }

    async fn digests_in_use_are_those_kept_and_those_under_way(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let mut tx = store.begin().await.unwrap();
        let before = tx.inventory_load(&t).await.unwrap();
        let mut after = before.clone();
        let mut dash = installed(release("sz_dash", "2.0.0"), &[]);
        dash.previous = vec![release("sz_dash", "1.0.0")];
        after.installed.insert("sz_dash".parse().unwrap(), dash);
        tx.inventory_save(&t, &before, &after, Change { actor: "system", operation: "op", now: NOW }).await.unwrap();
        tx.operation_insert(&t, &operation("running", NOW)).await.unwrap();
        let kept = BTreeSet::from([release("sz_dash", "2.0.0").digest, release("sz_dash", "1.0.0").digest]);
        let mut all = kept.clone();
        all.extend([Digest::of(b"new"), Digest::of(b"needed")]);
        assert_eq!(tx.blob_digests_in_use(Some(&t)).await.unwrap(), all);
        assert_eq!(tx.blob_digests_in_use(None).await.unwrap(), all);
        assert_eq!(tx.blob_digests_in_use(Some(&other())).await.unwrap(), BTreeSet::new());
        let over = Progress { state: OperationState::Failed, steps: &json!([]), error: None, generation: None };
        tx.operation_update(&t, "running", over, NOW).await.unwrap();
        assert_eq!(tx.blob_digests_in_use(None).await.unwrap(), kept);
    }

    async fn a_zero_byte_is_refused_before_the_database_sees_it(db: &Db) {
        let store = db.store().await;
        let mut tx = store.begin().await.unwrap();
        let error = tx.operation_get(&tenant(), "a\0b").await.unwrap_err();
        assert!(matches!(error, StoreError::InvalidText(_)) && error.status() == 400, "{error:?}");
        // The transaction is still good.
        assert_eq!(tx.generation_get(&tenant()).await.unwrap(), 0);
    }
}
