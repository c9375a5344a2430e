use portico_store::Registry;
use serde_json::json;

use crate::support::{NOW, other, store_test, tenant};

fn registry(name: &str) -> Registry {
    Registry {
        name: name.into(),
        url: "https://packages.example/".into(),
        kind: "http".into(),
        root: json!({"signed": {"version": 1}, "signatures": []}),
        publisher_keys: json!(["0f0f"]),
        added_at: NOW,
        added_by: "user:ada".into(),
    }
}

store_test! {
    async fn trusted_registries_are_kept_per_tenant(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let mut tx = store.begin().await.unwrap();
        tx.registry_upsert(&t, &registry("main")).await.unwrap();
        tx.registry_upsert(&t, &registry("Another")).await.unwrap();
        let moved = Registry { url: "file:///srv/packages".into(), kind: "folder".into(), added_by: "system".into(), ..registry("main") };
        tx.registry_upsert(&t, &moved).await.unwrap();
        assert_eq!(tx.registry_list(&t).await.unwrap(), [registry("Another"), moved]);
        assert_eq!(tx.registry_list(&other()).await.unwrap(), []);
        assert!(!tx.registry_delete(&other(), "main").await.unwrap());
        assert!(tx.registry_delete(&t, "main").await.unwrap());
        assert!(!tx.registry_delete(&t, "main").await.unwrap());
    }

    async fn removing_a_registry_does_not_lower_its_floor(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let bytes: Vec<u8> = (0..=255).collect();
        let mut tx = store.begin().await.unwrap();
        tx.registry_upsert(&t, &registry("main")).await.unwrap();
        tx.registry_metadata_put(&t, "main", "timestamp.json", b"7", NOW).await.unwrap();
        tx.registry_metadata_put(&t, "main", "timestamp.json", &bytes, NOW + 1).await.unwrap();
        tx.registry_delete(&t, "main").await.unwrap();
        assert_eq!(tx.registry_metadata_get(&t, "main", "timestamp.json").await.unwrap(), Some(bytes));
        assert_eq!(tx.registry_metadata_get(&t, "main", "root.json").await.unwrap(), None);
        assert_eq!(tx.registry_metadata_get(&other(), "main", "timestamp.json").await.unwrap(), None);

        tx.registry_metadata_put(&t, "main", "root_history/1.root.json", b"1", NOW).await.unwrap();
        tx.registry_metadata_put(&t, "another", "timestamp.json", b"9", NOW).await.unwrap();
        let names = tx.registry_metadata_list(&t, "main").await.unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!(names, ["root_history/1.root.json", "timestamp.json"]);
        assert_eq!(tx.registry_metadata_delete(&other(), "main").await.unwrap(), 0);
        assert_eq!(tx.registry_metadata_delete(&t, "main").await.unwrap(), 2);
        assert!(tx.registry_metadata_list(&t, "main").await.unwrap().is_empty());
        assert_eq!(tx.registry_metadata_get(&t, "another", "timestamp.json").await.unwrap(), Some(b"9".into()));
    }

    async fn settings_hold_any_json(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let mut tx = store.begin().await.unwrap();
        for value in [json!(null), json!({"a": ["ü", "\u{0}", 1.5]}), json!("text")] {
            tx.setting_set(&t, "s", &value, NOW).await.unwrap();
            assert_eq!(tx.setting_get(&t, "s").await.unwrap(), Some(value));
        }
        assert_eq!(tx.setting_get(&t, "other").await.unwrap(), None);
        assert_eq!(tx.setting_get(&other(), "s").await.unwrap(), None);
    }
}
