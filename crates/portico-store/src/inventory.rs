//! What is installed: loaded whole, saved by difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portico_package::{Digest, PackageId, Permission, Release};
use portico_plan::{Installed, Inventory, TenantId, inventory::Removed};

use crate::{
    StoreError, Tx,
    codec::{count, from_json, from_word, json, parsed, word},
    dialect::{args, statements},
};

/// One line of the grant ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// To which package.
    pub package: PackageId,
    /// What.
    pub permission: Permission,
    /// When: microseconds since 1970, UTC.
    pub granted_at: i64,
    /// By whom ([`portico_plan::access::Actor::label`]).
    pub granted_by: String,
    /// With which operation.
    pub granted_operation: String,
    /// How it ended; `None` while it holds.
    pub revoked: Option<Revoked>,
}

/// The end of a [`Grant`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When: microseconds since 1970, UTC.
    pub at: i64,
    /// By whom.
    pub by: String,
    /// With which operation.
    pub operation: String,
}

/// Who changes the inventory, for the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Who ([`portico_plan::access::Actor::label`]).
    pub actor: &'a str,
    /// With which operation.
    pub operation: &'a str,
    /// When: microseconds since 1970, UTC.
    pub now: i64,
}

statements! {
    INSTALLATIONS = "SELECT package, origin, state, reason, mount, config, overrides, generation, changed_at
        FROM installations WHERE tenant = $1 ORDER BY package";
    INSTALLATION_UPSERT = "INSERT INTO installations
            (tenant, package, origin, state, reason, mount, config, overrides, generation, changed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (tenant, package) DO UPDATE SET origin = excluded.origin, state = excluded.state,
            reason = excluded.reason, mount = excluded.mount, config = excluded.config,
            overrides = excluded.overrides, generation = excluded.generation, changed_at = excluded.changed_at";
    INSTALLATION_DELETE = "DELETE FROM installations WHERE tenant = $1 AND package = $2";
    RELEASES = "SELECT package, release FROM installation_releases WHERE tenant = $1 ORDER BY package, position";
    RELEASE_UPSERT = "INSERT INTO installation_releases (tenant, package, position, version, digest, release)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (tenant, package, position) DO UPDATE SET version = excluded.version,
            digest = excluded.digest, release = excluded.release";
    RELEASES_TRIM = "DELETE FROM installation_releases WHERE tenant = $1 AND package = $2 AND position >= $3";
    REMOVED = "SELECT package, name, version, mount, removed_by, removed_at
        FROM removed_packages WHERE tenant = $1 ORDER BY package";
    REMOVED_UPSERT = "INSERT INTO removed_packages (tenant, package, name, version, mount, removed_by, removed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (tenant, package) DO UPDATE SET name = excluded.name, version = excluded.version,
            mount = excluded.mount, removed_by = excluded.removed_by, removed_at = excluded.removed_at";
    REMOVED_DELETE = "DELETE FROM removed_packages WHERE tenant = $1 AND package = $2";
    GRANTS_CURRENT = "SELECT package, permission FROM grants WHERE tenant = $1 AND revoked_at IS NULL";
    GRANT_INSERT = "INSERT INTO grants (tenant, id, package, permission, granted_at, granted_by, granted_operation)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    GRANT_REVOKE = "UPDATE grants SET revoked_at = $4, revoked_by = $5, revoked_operation = $6
        WHERE tenant = $1 AND package = $2 AND permission = $3 AND revoked_at IS NULL";
    GRANTS = "SELECT package, permission, granted_at, granted_by, granted_operation, revoked_at, revoked_by, revoked_operation
        FROM grants WHERE tenant = $1 AND package = $2 ORDER BY granted_at, id";
    DIGESTS = "SELECT DISTINCT digest FROM installation_releases WHERE tenant = $1";
    DIGESTS_OF_ALL = "SELECT DISTINCT digest FROM installation_releases";
}

#[derive(sqlx::FromRow)]
struct InstallationRow {
    package: String,
    origin: String,
    state: String,
    reason: Option<String>,
    mount: String,
    config: String,
    overrides: String,
    generation: i64,
    changed_at: i64,
}

#[derive(sqlx::FromRow)]
struct RemovedRow {
    package: String,
    name: String,
    version: String,
    mount: String,
    removed_by: String,
    removed_at: i64,
}

#[derive(sqlx::FromRow)]
struct GrantRow {
    package: String,
    permission: String,
    granted_at: i64,
    granted_by: String,
    granted_operation: String,
    revoked_at: Option<i64>,
    revoked_by: Option<String>,
    revoked_operation: Option<String>,
}

impl Tx {
    /// What is observed of a tenant, at its current generation.
    pub async fn inventory_load(&mut self, t: &TenantId) -> Result<Inventory, StoreError> {
        // The generation first: if somebody activates between two statements (PostgreSQL, write transaction),
        // the compare-and-set that follows then fails instead of blessing a mixture.
        let generation = self.generation_get(t).await?;
        let mut releases = self.releases_by_package(t).await?;
        let mut grants = self.grants_by_package(t).await?;
        let mut installed = BTreeMap::new();
        for row in self
            .conn
            .all::<InstallationRow>(INSTALLATIONS, args![t])
            .await?
        {
            let what = format!("the installation of `{}`", row.package);
            let id: PackageId = parsed(&what, &row.package)?;
            let mut kept = releases.remove(&id).unwrap_or_default().into_iter();
            let release = kept
                .next()
                .ok_or_else(|| StoreError::corrupt(&what, "its release is missing"))?;
            let value = Installed {
                release,
                origin: from_word(&what, &row.origin)?,
                state: from_word(&what, &row.state)?,
                reason: row.reason,
                mount: row.mount,
                config: from_json(&what, &row.config)?,
                grants: grants.remove(&id).unwrap_or_default(),
                previous: kept.collect(),
                overrides: from_json(&what, &row.overrides)?,
                generation: count(&what, row.generation)?,
                changed_at: row.changed_at,
            };
            installed.insert(id, value);
        }
        Ok(Inventory {
            tenant: t.clone(),
            generation,
            installed,
            removed: self.removed_by_package(t).await?,
        })
    }

    /// Writes what differs between `before` (as loaded) and `after`, and records grants given and taken in the
    /// ledger. The generation is not touched: see [`Tx::generation_advance`].
    pub async fn inventory_save(
        &mut self,
        t: &TenantId,
        before: &Inventory,
        after: &Inventory,
        change: Change<'_>,
    ) -> Result<(), StoreError> {
        let none = BTreeSet::new();
        for (id, was) in &before.installed {
            if !after.installed.contains_key(id) {
                self.grants_save(t, id, &was.grants, &none, change).await?;
                self.conn.execute(INSTALLATION_DELETE, args![t, id]).await?;
            }
        }
        for (id, is) in &after.installed {
            let was = before.installed.get(id);
            if was == Some(is) {
                continue;
            }
            self.installation_save(t, id, was, is).await?;
            self.grants_save(
                t,
                id,
                was.map_or(&none, |was| &was.grants),
                &is.grants,
                change,
            )
            .await?;
        }
        for id in before
            .removed
            .keys()
            .filter(|id| !after.removed.contains_key(*id))
        {
            self.conn.execute(REMOVED_DELETE, args![t, id]).await?;
        }
        for (id, is) in after
            .removed
            .iter()
            .filter(|(id, is)| before.removed.get(*id) != Some(is))
        {
            let version = is.version.to_string();
            self.conn
                .execute(
                    REMOVED_UPSERT,
                    args![
                        t,
                        id,
                        &is.name,
                        version,
                        &is.mount,
                        &is.removed_by,
                        is.removed_at
                    ],
                )
                .await?;
        }
        Ok(())
    }

    /// Every grant that a package ever had, oldest first.
    pub async fn grant_list(
        &mut self,
        t: &TenantId,
        package: &PackageId,
    ) -> Result<Vec<Grant>, StoreError> {
        let rows: Vec<GrantRow> = self.conn.all(GRANTS, args![t, package]).await?;
        rows.into_iter()
            .map(|row| {
                let revoked = row.revoked_at.map(|at| Revoked {
                    at,
                    by: row.revoked_by.unwrap_or_default(),
                    operation: row.revoked_operation.unwrap_or_default(),
                });
                Ok(Grant {
                    package: parsed("a grant", &row.package)?,
                    permission: parsed("a grant", &row.permission)?,
                    granted_at: row.granted_at,
                    granted_by: row.granted_by,
                    granted_operation: row.granted_operation,
                    revoked,
                })
            })
            .collect()
    }

    /// Digests that must not be collected: of every release kept, and of operations that are not over.
    /// Of one tenant, or of all (blobs are stored once for all tenants).
    pub async fn blob_digests_in_use(
        &mut self,
        t: Option<&TenantId>,
    ) -> Result<BTreeSet<Digest>, StoreError> {
        let rows: Vec<(String,)> = match t {
            Some(t) => self.conn.all(DIGESTS, args![t]).await?,
            None => self.conn.all(DIGESTS_OF_ALL, args![]).await?,
        };
        let mut digests = self.operation_digests(t).await?;
        for (digest,) in rows {
            digests.insert(parsed("a kept release", &digest)?);
        }
        Ok(digests)
    }

    async fn releases_by_package(
        &mut self,
        t: &TenantId,
    ) -> Result<BTreeMap<PackageId, Vec<Arc<Release>>>, StoreError> {
        let mut releases: BTreeMap<PackageId, Vec<Arc<Release>>> = BTreeMap::new();
        for (package, release) in self
            .conn
            .all::<(String, String)>(RELEASES, args![t])
            .await?
        {
            let what = format!("a release of `{package}`");
            releases
                .entry(parsed(&what, &package)?)
                .or_default()
                .push(Arc::new(from_json(&what, &release)?));
        }
        Ok(releases)
    }

    async fn grants_by_package(
        &mut self,
        t: &TenantId,
    ) -> Result<BTreeMap<PackageId, BTreeSet<Permission>>, StoreError> {
        let mut grants: BTreeMap<PackageId, BTreeSet<Permission>> = BTreeMap::new();
        for (package, permission) in self
            .conn
            .all::<(String, String)>(GRANTS_CURRENT, args![t])
            .await?
        {
            grants
                .entry(parsed("a grant", &package)?)
                .or_default()
                .insert(parsed("a grant", &permission)?);
        }
        Ok(grants)
    }

    async fn removed_by_package(
        &mut self,
        t: &TenantId,
    ) -> Result<BTreeMap<PackageId, Removed>, StoreError> {
        let mut removed = BTreeMap::new();
        for row in self.conn.all::<RemovedRow>(REMOVED, args![t]).await? {
            let what = format!("what is left of `{}`", row.package);
            let value = Removed {
                name: row.name,
                version: parsed(&what, &row.version)?,
                mount: row.mount,
                removed_by: row.removed_by,
                removed_at: row.removed_at,
            };
            removed.insert(parsed(&what, &row.package)?, value);
        }
        Ok(removed)
    }

    async fn installation_save(
        &mut self,
        t: &TenantId,
        id: &PackageId,
        was: Option<&Installed>,
        is: &Installed,
    ) -> Result<(), StoreError> {
        let config = json("a configuration", &is.config)?;
        let overrides = json("overrides", &is.overrides)?;
        let row = args![
            t,
            id,
            word(is.origin)?,
            word(is.state)?,
            is.reason.as_deref(),
            &is.mount,
            config,
            overrides,
            is.generation,
            is.changed_at,
        ];
        self.conn.execute(INSTALLATION_UPSERT, row).await?;

        let had: Vec<&Arc<Release>> = was.into_iter().flat_map(releases).collect();
        let has: Vec<&Arc<Release>> = releases(is).collect();
        for (position, release) in has
            .iter()
            .enumerate()
            .filter(|(at, release)| had.get(*at) != Some(release))
        {
            let row = args![
                t,
                id,
                position as u64,
                release.manifest.version.to_string(),
                release.digest,
                json("a release", &***release)?,
            ];
            self.conn.execute(RELEASE_UPSERT, row).await?;
        }
        if had.len() > has.len() {
            self.conn
                .execute(RELEASES_TRIM, args![t, id, has.len() as u64])
                .await?;
        }
        Ok(())
    }

    async fn grants_save(
        &mut self,
        t: &TenantId,
        id: &PackageId,
        was: &BTreeSet<Permission>,
        is: &BTreeSet<Permission>,
        change: Change<'_>,
    ) -> Result<(), StoreError> {
        for permission in was.difference(is) {
            self.conn
                .execute(
                    GRANT_REVOKE,
                    args![
                        t,
                        id,
                        permission,
                        change.now,
                        change.actor,
                        change.operation
                    ],
                )
                .await?;
        }
        for permission in is.difference(was) {
            let row = args![
                t,
                crate::new_id(),
                id,
                permission,
                change.now,
                change.actor,
                change.operation
            ];
            self.conn.execute(GRANT_INSERT, row).await?;
        }
        Ok(())
    }
}

/// The release that serves, then those kept.
fn releases(installed: &Installed) -> impl Iterator<Item = &Arc<Release>> {
    std::iter::once(&installed.release).chain(&installed.previous)
}
