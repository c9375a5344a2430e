//! A fresh database of each kind, and sample values.

use std::{collections::BTreeSet, sync::Arc};

use portico_package::{Digest, Manifest, Release};
use portico_plan::{
    Installed, TenantId, Verb,
    inventory::{Origin, Overrides, State},
};
use portico_store::{DatabaseUrl, Dialect, Operation, OperationState, Store, User};
use serde_json::json;

use crate::postgres;

/// An empty database.
pub(crate) struct Db {
    pub(crate) url: DatabaseUrl,
    /// The same as text; a [`DatabaseUrl`] does not give its password away.
    text: String,
    _folder: Option<tempfile::TempDir>,
}

impl Db {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::sqlite(folder.path().join("data/portico.db"));
        Self {
            text: url.to_string(),
            url,
            _folder: Some(folder),
        }
    }

    /// `None` when that half is switched off.
    pub(crate) async fn postgres() -> Option<Self> {
        if postgres::is_off() {
            return None;
        }
        let text = postgres::database(postgres::shared()).await;
        Some(Self {
            url: text.parse().unwrap(),
            text,
            _folder: None,
        })
    }

    /// Another empty database of the same kind.
    pub(crate) async fn another(&self) -> Self {
        match self.dialect() {
            Dialect::Sqlite => Self::sqlite(),
            Dialect::Postgres => Self::postgres().await.unwrap(),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        if self.url.file().is_some() {
            Dialect::Sqlite
        } else {
            Dialect::Postgres
        }
    }

    pub(crate) fn secret_url(&self) -> &str {
        &self.text
    }

    /// The store on it, with the tenants `default` and `other`.
    pub(crate) async fn store(&self) -> Store {
        let store = Store::open(&self.url).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.tenant_upsert(&tenant(), "Default", &["localhost".into()], NOW)
            .await
            .unwrap();
        tx.tenant_upsert(&other(), "Other", &[], NOW).await.unwrap();
        tx.commit().await.unwrap();
        store
    }
}

/// Makes each function two tests: one with an empty SQLite database, one with an empty PostgreSQL database.
macro_rules! store_test {
    ($($(#[$attribute:meta])* async fn $name:ident($db:ident: &Db) $body:block)+) => { $(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, reason = "not every body uses what stands around it")]
            use super::*;

            async fn check($db: &crate::support::Db) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(&crate::support::Db::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(db) = crate::support::Db::postgres().await {
                    check(&db).await;
                }
            }
        }
    )+ };
}
pub(crate) use store_test;

/// A moment in 2026, microseconds.
pub(crate) const NOW: i64 = 1_795_000_000_000_000;

pub(crate) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub(crate) fn other() -> TenantId {
    "other".parse().unwrap()
}

pub(crate) fn release(id: &str, version: &str) -> Arc<Release> {
    let manifest: Manifest = serde_json::from_value(json!({
        "format_version": 1,
        "id": id,
        "version": version,
        "name": {"en": "Log stream", "de": "Protokoll »Strom«"},
        "type": "htmx",
        "runtime": {"kind": "static"},
        "permissions": [{"permission": "api:logs:read", "reason": "To show them"}],
        "config_schema": {"type": "object", "properties": {"days": {"type": "integer", "default": 7}}},
    }))
    .unwrap();
    Arc::new(Release {
        registry: "bundled".into(),
        target: format!("packages/{id}/{id}-{version}.portico"),
        digest: Digest::of(format!("{id} {version}").as_bytes()),
        size: 4096,
        unpacked_size: 16384,
        publisher: "0f".repeat(32),
        manifest,
    })
}

pub(crate) fn installed(release: Arc<Release>, grants: &[&str]) -> Installed {
    Installed {
        mount: format!("/{}", release.manifest.id),
        release,
        origin: Origin::Installed,
        state: State::Ready,
        reason: None,
        config: json!({"days": 7}),
        grants: grants.iter().map(|g| g.parse().unwrap()).collect(),
        previous: Vec::new(),
        overrides: Overrides::default(),
        generation: 1,
        changed_at: NOW,
    }
}

pub(crate) fn operation(id: &str, created_at: i64) -> Operation {
    Operation {
        id: id.into(),
        actor: "user:ada".into(),
        idempotency_key: None,
        request_digest: Digest::of(b"install logstream_analytics"),
        request_id: "0af7651916cd43dd8448eb211c80319c".into(),
        verb: Verb::Install,
        package: "logstream_analytics".parse().unwrap(),
        name: "Log stream".into(),
        state: OperationState::Queued,
        plan: json!({"changes": [{"digest": Digest::of(b"new").to_string()}, {"digest": Digest::of(b"needed").to_string()}]}),
        approved: BTreeSet::from(["api:logs:read".parse().unwrap()]),
        steps: json!([{"step": "resolve", "state": "pending"}]),
        error: None,
        generation: None,
        created_at,
        updated_at: created_at,
    }
}

pub(crate) fn user(id: &str, name: &str) -> User {
    User {
        id: id.into(),
        name: name.into(),
        roles: vec!["admin".into(), "viewer".into()],
        disabled: false,
        created_at: NOW,
        updated_at: NOW,
    }
}
