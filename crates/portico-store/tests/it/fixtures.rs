//! Databases that earlier releases wrote (see `tests/fixtures/README.md`).

use std::fs;

use portico_package::{Digest, PackageId};
use portico_store::{
    AuditRow, Change, DatabaseUrl, Dialect, Operation, Registry, SCHEMA_VERSION, Session,
    SignInLink, Store, Token,
};
use serde_json::json;

use crate::{
    schema::Raw,
    support::{NOW, installed, operation, other, release, store_test, tenant, user},
};

fn fixture(schema: u64, dialect: Dialect) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let path = format!("{folder}/schema-{schema}.{}.sql", dialect.as_str());
    fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{path}: {e}; every schema version needs its fixture"))
}

store_test! {
    async fn what_every_earlier_schema_held_is_still_there(db: &Db) {
        for schema in 1..=SCHEMA_VERSION {
            let db = db.another().await;
            Raw::open(&db).await.run(&fixture(schema, db.dialect())).await;
            let store = Store::open(&db.url).await.unwrap();
            check_contents(&store).await;
        }
    }
}

/// What [`fill`] wrote, as far as every later schema must still know it.
async fn check_contents(store: &Store) {
    let t = tenant();
    let mut tx = store.begin().await.unwrap();
    let tenants: Vec<_> = tx
        .tenant_list()
        .await
        .unwrap()
        .into_iter()
        .map(|t| (t.id.to_string(), t.generation))
        .collect();
    assert_eq!(
        tenants,
        [("default".to_owned(), 2), ("other".to_owned(), 0)]
    );
    let inventory = tx.inventory_load(&t).await.unwrap();
    let dash = &inventory.installed["sz_dash"];
    assert_eq!(dash.release.manifest.version.to_string(), "1.1.0");
    assert_eq!(dash.previous.len(), 1);
    assert_eq!(dash.previous[0].digest, release("sz_dash", "1.0.0").digest);
    assert_eq!(dash.config, json!({"days": 7}));
    assert_eq!(
        dash.grants.iter().map(|g| g.as_str()).collect::<Vec<_>>(),
        ["api:logs:read"]
    );
    assert_eq!(inventory.removed["old_reports"].name, "Old reports");
    assert_eq!(
        tx.grant_list(&t, &"sz_dash".parse().unwrap())
            .await
            .unwrap()
            .len(),
        2
    );
    let waiting = tx.operation_pending(&t).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(
        waiting[0].plan["changes"][0]["digest"],
        Digest::of(b"new").to_string()
    );
    assert_eq!(
        tx.operation_get(&t, "done")
            .await
            .unwrap()
            .unwrap()
            .generation,
        Some(2)
    );
    assert_eq!(tx.events_after(&t, 0, 10).await.unwrap().len(), 2);
    assert_eq!(
        tx.audit_list(&t, Some("sz_dash"), None, 10)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        tx.user_by_name(&t, "ada").await.unwrap().unwrap().roles,
        ["admin", "viewer"]
    );
    assert_eq!(
        tx.session_list_live(&t, NOW).await.unwrap()[0].hash,
        Digest::of(b"session")
    );
    assert!(
        tx.token_by_hash(&t, &Digest::of(b"token"))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        tx.sign_in_link_take(&t, &Digest::of(b"link"), NOW)
            .await
            .unwrap()
            .as_deref(),
        Some("user-1")
    );
    assert_eq!(tx.registry_list(&t).await.unwrap()[0].name, "main");
    assert_eq!(
        tx.registry_metadata_get(&t, "main", "timestamp.json")
            .await
            .unwrap(),
        Some(b"{\"v\":7}\x00\xff".to_vec())
    );
    assert_eq!(
        tx.setting_get(&t, "theme").await.unwrap(),
        Some(json!({"dark": true}))
    );
    // And it goes on from there.
    assert_eq!(tx.generation_advance(&t, 2, "next", NOW).await.unwrap(), 3);
    assert_eq!(
        tx.event_append(&t, "x", &json!({}), 3, NOW).await.unwrap(),
        3
    );
}

/// Fills the empty database that `PORTICO_FIXTURE` names, with something in every table.
#[tokio::test]
#[ignore = "makes a new fixture; see tests/fixtures/README.md"]
async fn fill() {
    let url = std::env::var_os("PORTICO_FIXTURE").unwrap();
    let url: DatabaseUrl = url.to_str().unwrap().parse().unwrap();
    let store = Store::open(&url).await.unwrap();
    let t = tenant();
    let mut tx = store.begin().await.unwrap();
    tx.tenant_upsert(&t, "Default", &["localhost".into()], NOW)
        .await
        .unwrap();
    tx.tenant_upsert(&other(), "Other", &[], NOW).await.unwrap();
    let empty = tx.inventory_load(&t).await.unwrap();
    let dash: PackageId = "sz_dash".parse().unwrap();
    let mut first = empty.clone();
    first.installed.insert(
        dash.clone(),
        installed(
            release("sz_dash", "1.0.0"),
            &["api:logs:read", "http:outbound"],
        ),
    );
    let mut second = first.clone();
    let mut upgraded = installed(release("sz_dash", "1.1.0"), &["api:logs:read"]);
    upgraded.previous = vec![release("sz_dash", "1.0.0")];
    second.installed.insert(dash, upgraded);
    let gone = portico_plan::inventory::Removed {
        name: "Old reports".into(),
        version: "0.9.0".parse().unwrap(),
        mount: "/reports".into(),
        removed_by: "user:ada".into(),
        removed_at: NOW,
    };
    second.removed.insert("old_reports".parse().unwrap(), gone);
    for (parent, before, after) in [(0, &empty, &first), (1, &first, &second)] {
        let change = Change {
            actor: "user:ada",
            operation: "done",
            now: NOW,
        };
        tx.inventory_save(&t, before, after, change).await.unwrap();
        tx.generation_advance(&t, parent, "done", NOW)
            .await
            .unwrap();
        let body = json!({"type": "microsite:installed", "microsite_id": "sz_dash"});
        tx.event_append(&t, "microsite:installed", &body, parent + 1, NOW)
            .await
            .unwrap();
    }
    tx.operation_insert(&t, &operation("waiting", NOW))
        .await
        .unwrap();
    let done = Operation {
        state: portico_store::OperationState::Succeeded,
        generation: Some(2),
        idempotency_key: Some("key".into()),
        ..operation("done", NOW)
    };
    tx.operation_insert(&t, &done).await.unwrap();
    let audit = AuditRow {
        actor: "user:ada".into(),
        action: "install".into(),
        subject: "sz_dash".into(),
        detail: json!({"version": "1.1.0"}),
        request_id: "r".into(),
        at: NOW,
    };
    tx.audit_append(&t, &audit).await.unwrap();
    tx.user_insert(&t, &user("user-1", "ada")).await.unwrap();
    let session = Session {
        hash: Digest::of(b"session"),
        user_id: "user-1".into(),
        csrf: "csrf".into(),
        created_at: NOW,
        last_seen_at: NOW,
        expires_at: NOW + 1,
    };
    tx.session_insert(&t, &session).await.unwrap();
    let token = Token {
        id: "token-1".into(),
        hash: Digest::of(b"token"),
        name: "CI".into(),
        scopes: vec!["*".into()],
        created_by: "user:ada".into(),
        created_at: NOW,
        expires_at: None,
        last_used_at: None,
    };
    tx.token_insert(&t, &token).await.unwrap();
    let link = SignInLink {
        hash: Digest::of(b"link"),
        user_id: "user-1".into(),
        created_at: NOW,
        expires_at: NOW + 1,
    };
    tx.sign_in_link_insert(&t, &link).await.unwrap();
    let registry = Registry {
        name: "main".into(),
        url: "https://packages.example/".into(),
        kind: "http".into(),
        root: json!({"signed": {"version": 1}}),
        publisher_keys: json!([]),
        added_at: NOW,
        added_by: "user:ada".into(),
    };
    tx.registry_upsert(&t, &registry).await.unwrap();
    tx.registry_metadata_put(&t, "main", "timestamp.json", b"{\"v\":7}\x00\xff", NOW)
        .await
        .unwrap();
    tx.setting_set(&t, "theme", &json!({"dark": true}), NOW)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    store.close().await;
}
