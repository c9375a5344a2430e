//! Tenants and their generations.

use portico_plan::TenantId;

use crate::{
    StoreError, Tx,
    codec::{count, parsed},
    dialect::{args, statements},
};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// The name that people read.
    pub name: String,
    /// Hosts that lead to it, ascending.
    pub hosts: Vec<String>,
    /// Its current generation; 0 when nothing was ever activated.
    pub generation: u64,
    /// When it was made: microseconds since 1970, UTC.
    pub created_at: i64,
}

/// One step of a tenant's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub generation: u64,
    /// The one it was made from.
    pub parent: u64,
    /// What made it, such as an operation id.
    pub cause: String,
    /// When: microseconds since 1970, UTC.
    pub created_at: i64,
}

statements! {
    LIST = "SELECT tenant, name, generation, created_at FROM tenants ORDER BY tenant";
    GET = "SELECT tenant, name, generation, created_at FROM tenants WHERE tenant = $1";
    UPSERT = "INSERT INTO tenants (tenant, name, generation, event_seq, created_at) VALUES ($1, $2, 0, 0, $3)
        ON CONFLICT (tenant) DO UPDATE SET name = excluded.name";
    HOSTS = "SELECT host FROM tenant_hosts WHERE tenant = $1 ORDER BY host";
    HOST_INSERT = "INSERT INTO tenant_hosts (tenant, host) VALUES ($1, $2)";
    HOST_DELETE = "DELETE FROM tenant_hosts WHERE tenant = $1 AND host = $2";
    GENERATION = "SELECT generation FROM tenants WHERE tenant = $1";
    ADVANCE = "UPDATE tenants SET generation = generation + 1 WHERE tenant = $1 AND generation = $2 RETURNING generation";
    RECORD = "INSERT INTO generations (tenant, generation, parent, cause, created_at) VALUES ($1, $2, $3, $4, $5)";
    HISTORY = "SELECT generation, parent, cause, created_at FROM generations WHERE tenant = $1
        ORDER BY generation DESC LIMIT $2";
}

#[derive(sqlx::FromRow)]
struct TenantRow {
    tenant: String,
    name: String,
    generation: i64,
    created_at: i64,
}

#[derive(sqlx::FromRow)]
struct GenerationRow {
    generation: i64,
    parent: i64,
    cause: String,
    created_at: i64,
}

impl Tx {
    /// Every tenant, by id.
    pub async fn tenant_list(&mut self) -> Result<Vec<Tenant>, StoreError> {
        let mut tenants = Vec::new();
        for row in self.conn.all(LIST, args![]).await? {
            tenants.push(self.tenant_with_hosts(row).await?);
        }
        Ok(tenants)
    }

    /// One tenant.
    pub async fn tenant_get(&mut self, t: &TenantId) -> Result<Option<Tenant>, StoreError> {
        match self.conn.optional(GET, args![t]).await? {
            Some(row) => self.tenant_with_hosts(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Makes a tenant, or gives it another name and other hosts. A host that another tenant has is
    /// [`StoreError::Duplicate`].
    pub async fn tenant_upsert(
        &mut self,
        t: &TenantId,
        name: &str,
        hosts: &[String],
        now: i64,
    ) -> Result<(), StoreError> {
        self.conn.execute(UPSERT, args![t, name, now]).await?;
        let before = self.tenant_hosts(t).await?;
        for host in before.iter().filter(|host| !hosts.contains(host)) {
            self.conn.execute(HOST_DELETE, args![t, host]).await?;
        }
        for host in hosts.iter().filter(|host| !before.contains(host)) {
            self.conn
                .execute(HOST_INSERT, args![t, host])
                .await
                .map_err(|e| match e {
                    StoreError::Duplicate(_) => {
                        StoreError::Duplicate(format!("a tenant with the host `{host}`"))
                    }
                    other => other,
                })?;
        }
        Ok(())
    }

    /// The current generation.
    pub async fn generation_get(&mut self, t: &TenantId) -> Result<u64, StoreError> {
        let row: Option<(i64,)> = self.conn.optional(GENERATION, args![t]).await?;
        let (generation,) = row.ok_or_else(|| StoreError::UnknownTenant(t.clone()))?;
        count("a generation", generation)
    }

    /// Makes the next generation, if `parent` is still the current one: compare-and-set. Answers its number.
    ///
    /// # Errors
    /// [`StoreError::StaleGeneration`] when somebody else was faster.
    pub async fn generation_advance(
        &mut self,
        t: &TenantId,
        parent: u64,
        cause: &str,
        now: i64,
    ) -> Result<u64, StoreError> {
        let row: Option<(i64,)> = self.conn.optional(ADVANCE, args![t, parent]).await?;
        let Some((generation,)) = row else {
            return Err(StoreError::StaleGeneration {
                expected: parent,
                current: self.generation_get(t).await?,
            });
        };
        self.conn
            .execute(RECORD, args![t, generation, parent, cause, now])
            .await?;
        count("a generation", generation)
    }

    /// The newest `limit` generations, newest first.
    pub async fn generation_list(
        &mut self,
        t: &TenantId,
        limit: u32,
    ) -> Result<Vec<Generation>, StoreError> {
        let rows: Vec<GenerationRow> = self.conn.all(HISTORY, args![t, i64::from(limit)]).await?;
        rows.into_iter()
            .map(|row| {
                Ok(Generation {
                    generation: count("a generation", row.generation)?,
                    parent: count("a generation", row.parent)?,
                    cause: row.cause,
                    created_at: row.created_at,
                })
            })
            .collect()
    }

    async fn tenant_hosts(&mut self, t: &TenantId) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = self.conn.all(HOSTS, args![t]).await?;
        Ok(rows.into_iter().map(|(host,)| host).collect())
    }

    async fn tenant_with_hosts(&mut self, row: TenantRow) -> Result<Tenant, StoreError> {
        let id: TenantId = parsed("a tenant", &row.tenant)?;
        Ok(Tenant {
            hosts: self.tenant_hosts(&id).await?,
            id,
            name: row.name,
            generation: count("a generation", row.generation)?,
            created_at: row.created_at,
        })
    }
}
