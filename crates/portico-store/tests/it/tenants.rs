use portico_store::{Generation, Store, StoreError};

use crate::support::{NOW, other, store_test, tenant};

store_test! {
    async fn generations_only_rise_by_compare_and_set(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.generation_get(&t).await.unwrap(), 0);
        assert_eq!(tx.generation_advance(&t, 0, "op-1", NOW).await.unwrap(), 1);
        assert_eq!(tx.generation_advance(&t, 1, "op-2", NOW + 1).await.unwrap(), 2);
        for stale in [0, 1, 3] {
            let error = tx.generation_advance(&t, stale, "op-3", NOW).await.unwrap_err();
            assert!(matches!(error, StoreError::StaleGeneration { expected, current: 2 } if expected == stale), "{error:?}");
            assert_eq!((error.status(), error.code(), error.is_temporary()), (409, "stale-generation", false));
        }
        tx.commit().await.unwrap();
        let mut tx = store.read().await.unwrap();
        assert_eq!(tx.generation_get(&t).await.unwrap(), 2);
        assert_eq!(tx.generation_get(&other()).await.unwrap(), 0);
        let second = Generation { generation: 2, parent: 1, cause: "op-2".into(), created_at: NOW + 1 };
        let first = Generation { generation: 1, parent: 0, cause: "op-1".into(), created_at: NOW };
        assert_eq!(tx.generation_list(&t, 9).await.unwrap(), [second.clone(), first]);
        assert_eq!(tx.generation_list(&t, 1).await.unwrap(), [second]);
    }

    async fn a_host_leads_to_one_tenant(db: &Db) {
        let store = db.store().await;
        let hosts = |h: &[&str]| h.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>();
        let mut tx = store.begin().await.unwrap();
        tx.tenant_upsert(&other(), "Renamed", &hosts(&["b.example", "a.example"]), NOW + 5).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        let error = tx.tenant_upsert(&tenant(), "Default", &hosts(&["a.example"]), NOW).await.unwrap_err();
        assert!(matches!(&error, StoreError::Duplicate(what) if what.contains("a.example")), "{error:?}");
        drop(tx);

        let mut tx = store.begin().await.unwrap();
        tx.tenant_upsert(&other(), "Renamed", &hosts(&["b.example"]), NOW).await.unwrap();
        tx.tenant_upsert(&tenant(), "Default", &hosts(&["localhost", "a.example"]), NOW).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.read().await.unwrap();
        let listed = tx.tenant_list().await.unwrap();
        let shown: Vec<_> = listed.iter().map(|t| (t.id.as_str(), t.name.as_str(), t.hosts.join(" "), t.created_at)).collect();
        assert_eq!(
            shown,
            [("default", "Default", "a.example localhost".to_owned(), NOW), ("other", "Renamed", "b.example".to_owned(), NOW)]
        );
        assert_eq!(tx.tenant_get(&other()).await.unwrap().as_ref(), listed.get(1));
        assert_eq!(tx.tenant_get(&"nobody".parse().unwrap()).await.unwrap(), None);
    }

    async fn an_unknown_tenant_is_named(db: &Db) {
        let store = Store::open(&db.url).await.unwrap();
        let t = tenant();
        let mut tx = store.begin().await.unwrap();
        assert!(matches!(tx.generation_get(&t).await, Err(StoreError::UnknownTenant(_))));
        assert!(matches!(tx.inventory_load(&t).await, Err(StoreError::UnknownTenant(_))));
        assert!(matches!(tx.generation_advance(&t, 0, "x", NOW).await, Err(StoreError::UnknownTenant(_))));
        assert!(matches!(tx.event_append(&t, "x", &1.into(), 0, NOW).await, Err(StoreError::UnknownTenant(_))));
        assert!(matches!(tx.setting_set(&t, "x", &1.into(), NOW).await, Err(StoreError::NotFound(_))));
    }

    async fn the_clock_of_the_database_is_in_microseconds(db: &Db) {
        let store = db.store().await;
        let mut tx = store.read().await.unwrap();
        let (first, second) = (tx.db_now().await.unwrap(), tx.db_now().await.unwrap());
        // After 2026-01-01, before 2100, and going forward.
        assert!(first > 1_767_225_600_000_000 && second < 4_102_444_800_000_000, "{first} {second}");
        assert!(second >= first && second - first < 60_000_000, "{first} {second}");
    }
}
