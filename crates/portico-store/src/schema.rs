//! The portal's own schema: numbered migrations, forward only, each in one transaction with its record.

use portico_package::Digest;

use crate::{
    Dialect, Store, StoreError,
    dialect::{Conn, args},
};

struct Migration {
    version: u64,
    /// Oldest schema version whose builds can still work with the database afterwards. A migration that only
    /// adds keeps it at the previous minor version's schema, so that going back one release works.
    min_reader: u64,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    min_reader: 1,
    sql: include_str!("../migrations/0001_control.sql"),
}];

/// Newest schema version of this build.
pub const SCHEMA_VERSION: u64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (
    version BIGINT NOT NULL PRIMARY KEY, min_reader BIGINT NOT NULL, checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL, applied_by TEXT NOT NULL)";

/// The newest migration of a database.
pub(crate) const NEWEST: &str = "SELECT version FROM schema_version ORDER BY version DESC LIMIT 1";

crate::dialect::statements! {
    APPLIED = "SELECT version, min_reader, checksum, applied_by FROM schema_version ORDER BY version";
    RECORD = "INSERT INTO schema_version (version, min_reader, checksum, applied_at, applied_by) VALUES ($1, $2, $3, $4, $5)";
}

#[derive(sqlx::FromRow)]
struct Applied {
    version: i64,
    min_reader: i64,
    checksum: String,
    applied_by: String,
}

/// Brings the schema up to date, or says why this build must not touch the database.
pub(crate) async fn migrate(store: &Store) -> Result<(), StoreError> {
    loop {
        let mut tx = store.begin().await?;
        tx.conn.lock_schema().await?;
        let Some(next) = next(&mut tx.conn).await? else {
            return tx.commit().await;
        };
        let now = tx.db_now().await?;
        tx.conn.batch(store.dialect().expand(next.sql)).await?;
        tx.conn
            .execute(
                RECORD,
                args![
                    next.version,
                    next.min_reader,
                    checksum(next.sql),
                    now,
                    env!("CARGO_PKG_VERSION")
                ],
            )
            .await?;
        tx.commit().await?;
        tracing::info!(
            schema = next.version,
            dialect = Dialect::as_str(store.dialect()),
            "the database schema was brought up to date"
        );
    }
}

/// The first migration that is missing.
async fn next(conn: &mut Conn) -> Result<Option<&'static Migration>, StoreError> {
    conn.batch(TABLE.to_owned()).await?;
    let applied: Vec<Applied> = conn.all(APPLIED, args![]).await?;
    if let Some(newest) = applied.last()
        && newest.min_reader.cast_unsigned() > SCHEMA_VERSION
    {
        return Err(StoreError::NewerSchema {
            found: newest.version.cast_unsigned(),
            min_reader: newest.min_reader.cast_unsigned(),
            supported: SCHEMA_VERSION,
            written_by: newest.applied_by.clone(),
        });
    }
    for migration in MIGRATIONS {
        match applied
            .iter()
            .find(|row| row.version.cast_unsigned() == migration.version)
        {
            None => return Ok(Some(migration)),
            Some(row) if row.checksum != checksum(migration.sql) => {
                return Err(StoreError::corrupt(
                    format!("schema {} of the database", migration.version),
                    format!(
                        "portico {} made it from another text than this build knows",
                        row.applied_by
                    ),
                ));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

fn checksum(sql: &str) -> String {
    Digest::of(sql.as_bytes()).hex()
}
