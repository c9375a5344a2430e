//! Registries that the tenant trusts, and the floors of their metadata.

use std::collections::BTreeMap;

use portico_plan::TenantId;
use serde_json::Value;

use crate::{
    StoreError, Tx,
    codec::{from_json, json},
    dialect::{args, statements},
};

/// A trusted registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    /// Its name in this portal.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// `bundled`, `folder`, `http`: the registry client gives this its meaning.
    pub kind: String,
    /// Its pinned root of trust.
    pub root: Value,
    /// Keys of the publishers that are trusted in it.
    pub publisher_keys: Value,
    /// When it was added: microseconds since 1970, UTC.
    pub added_at: i64,
    /// By whom ([`portico_plan::access::Actor::label`]).
    pub added_by: String,
}

statements! {
    UPSERT = "INSERT INTO registries (tenant, name, url, kind, root, publisher_keys, added_at, added_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (tenant, name) DO UPDATE SET url = excluded.url, kind = excluded.kind, root = excluded.root,
            publisher_keys = excluded.publisher_keys, added_at = excluded.added_at, added_by = excluded.added_by";
    LIST = "SELECT name, url, kind, root, publisher_keys, added_at, added_by FROM registries WHERE tenant = $1 ORDER BY name";
    DELETE = "DELETE FROM registries WHERE tenant = $1 AND name = $2";
    METADATA_PUT = "INSERT INTO registry_metadata (tenant, registry, file, bytes, updated_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (tenant, registry, file) DO UPDATE SET bytes = excluded.bytes, updated_at = excluded.updated_at";
    METADATA_LIST = "SELECT file, bytes FROM registry_metadata WHERE tenant = $1 AND registry = $2 ORDER BY file";
    METADATA_DELETE = "DELETE FROM registry_metadata WHERE tenant = $1 AND registry = $2";
    METADATA_GET = "SELECT bytes FROM registry_metadata WHERE tenant = $1 AND registry = $2 AND file = $3";
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    url: String,
    kind: String,
    root: String,
    publisher_keys: String,
    added_at: i64,
    added_by: String,
}

impl Tx {
    /// Trusts a registry, or changes what is known of it.
    pub async fn registry_upsert(
        &mut self,
        t: &TenantId,
        registry: &Registry,
    ) -> Result<(), StoreError> {
        let (root, keys) = (
            json("a root", &registry.root)?,
            json("publisher keys", &registry.publisher_keys)?,
        );
        let row = args![
            t,
            &registry.name,
            &registry.url,
            &registry.kind,
            root,
            keys,
            registry.added_at,
            &registry.added_by,
        ];
        self.conn.execute(UPSERT, row).await.map(drop)
    }

    /// Every trusted registry, by name.
    pub async fn registry_list(&mut self, t: &TenantId) -> Result<Vec<Registry>, StoreError> {
        let rows: Vec<Row> = self.conn.all(LIST, args![t]).await?;
        rows.into_iter()
            .map(|row| {
                let what = format!("the registry `{}`", row.name);
                Ok(Registry {
                    root: from_json(&what, &row.root)?,
                    publisher_keys: from_json(&what, &row.publisher_keys)?,
                    name: row.name,
                    url: row.url,
                    kind: row.kind,
                    added_at: row.added_at,
                    added_by: row.added_by,
                })
            })
            .collect()
    }

    /// Trusts a registry no longer; answers whether it was trusted. The floors of its metadata stay.
    pub async fn registry_delete(&mut self, t: &TenantId, name: &str) -> Result<bool, StoreError> {
        Ok(self.conn.execute(DELETE, args![t, name]).await? > 0)
    }

    /// Remembers a metadata file as the newest one that was verified.
    pub async fn registry_metadata_put(
        &mut self,
        t: &TenantId,
        registry: &str,
        file: &str,
        bytes: &[u8],
        now: i64,
    ) -> Result<(), StoreError> {
        self.conn
            .execute(METADATA_PUT, args![t, registry, file, bytes, now])
            .await
            .map(drop)
    }

    /// The newest verified metadata file of this name.
    pub async fn registry_metadata_get(
        &mut self,
        t: &TenantId,
        registry: &str,
        file: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let row: Option<(Vec<u8>,)> = self
            .conn
            .optional(METADATA_GET, args![t, registry, file])
            .await?;
        Ok(row.map(|(bytes,)| bytes))
    }

    /// Every verified metadata file of a registry, by name.
    pub async fn registry_metadata_list(
        &mut self,
        t: &TenantId,
        registry: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> = self.conn.all(METADATA_LIST, args![t, registry]).await?;
        Ok(rows.into_iter().collect())
    }

    /// Forgets the floor of a registry, so that one with a new root of trust can take its name; answers how
    /// many files went.
    pub async fn registry_metadata_delete(
        &mut self,
        t: &TenantId,
        registry: &str,
    ) -> Result<u64, StoreError> {
        self.conn.execute(METADATA_DELETE, args![t, registry]).await
    }
}
