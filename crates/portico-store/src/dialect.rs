//! The only place that knows that there are two databases.
//!
//! Everything else writes one SQL text: `$1` placeholders; TEXT, BIGINT, BOOLEAN and bytes; upserts,
//! `RETURNING` and compare-and-set; no `now()`, no JSON operators, no `SELECT … FOR UPDATE`.

use std::{str::FromStr, time::Duration};

use portico_package::{Digest, PackageId, Permission};
use portico_plan::TenantId;
use sqlx::{
    AssertSqlSafe, Connection, FromRow, PgPool, Postgres, Sqlite, SqlitePool, Transaction,
    error::DatabaseError,
    postgres::{PgConnectOptions, PgDatabaseError, PgPoolOptions, PgRow},
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
    },
};

use crate::{StoreError, url::Place};

/// How long to wait for a turn as the one writer of SQLite.
const TURN: Duration = Duration::from_secs(10);
/// How long to wait for a connection to PostgreSQL, which is also how long a request hangs while it is gone.
const CONNECT: Duration = Duration::from_secs(5);
/// How long SQLite waits for a lock that another process holds, such as `portico token`.
const BUSY: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL, and reading connections to SQLite.
const READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 8;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Dialect {
    /// Lower-case word for logs and `/health`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// A migration with its tokens replaced.
    pub(crate) fn expand(self, sql: &str) -> String {
        let tokens = match self {
            Self::Sqlite => [("{key}", "TEXT"), ("{blob}", "BLOB")],
            // Bytewise, so that both databases sort and compare alike whatever the locale.
            Self::Postgres => [("{key}", "TEXT COLLATE \"C\""), ("{blob}", "BYTEA")],
        };
        tokens.iter().fold(sql.to_owned(), |sql, (token, with)| {
            sql.replace(token, with)
        })
    }

    fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000000 AS BIGINT)",
            Self::Postgres => {
                "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
            }
        }
    }
}

/// One value of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Text(Option<String>),
    Int(Option<i64>),
    Bool(bool),
    Bytes(Vec<u8>),
}

macro_rules! text_args {
    ($($from:ty),+) => { $(
        impl From<$from> for Arg {
            fn from(value: $from) -> Self {
                Self::Text(Some(value.to_string()))
            }
        }
    )+ };
}
text_args!(
    &str,
    &String,
    &TenantId,
    &PackageId,
    &Permission,
    &Digest,
    Digest
);

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Arg {
    fn from(value: u64) -> Self {
        Self::Int(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<Option<u64>> for Arg {
    fn from(value: Option<u64>) -> Self {
        Self::Int(value.map(|v| i64::try_from(v).unwrap_or(i64::MAX)))
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&[u8]> for Arg {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

/// The values of one statement, in the order of its placeholders.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::dialect::Arg::from($value)),*] };
}
pub(crate) use args;

/// Names the statements of a module, and lists them so that a test can prepare each one.
macro_rules! statements {
    ($($name:ident = $sql:literal;)+) => {
        $(const $name: &str = $sql;)+
        /// Every statement of this module, with its name.
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $sql)),+];
    };
}
pub(crate) use statements;

/// PostgreSQL cannot hold a zero byte in a text; so neither database is asked to.
fn check(args: &[Arg]) -> Result<(), StoreError> {
    let bad = args.iter().find_map(|arg| match arg {
        Arg::Text(Some(text)) if text.contains('\0') => Some(text),
        _ => None,
    });
    bad.map_or(Ok(()), |text| Err(StoreError::InvalidText(text.clone())))
}

/// Something that a row of either database becomes.
pub(crate) trait Record:
    Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>
{
}
impl<T> Record for T where
    T: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>
{
}

/// The connections.
#[derive(Clone)]
pub(crate) enum Pools {
    /// One writer, so that writers queue here and not in SQLite; readers beside it.
    Sqlite {
        write: SqlitePool,
        read: SqlitePool,
    },
    Postgres(PgPool),
}

/// An open transaction.
pub(crate) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Runs `$body` on whichever connection it is, with `$query` made by `$make` and its values bound.
macro_rules! on {
    ($conn:expr, $args:expr, $make:expr, $query:ident, $c:ident => $body:expr) => {{
        check(&$args)?;
        match $conn {
            Conn::Sqlite(t) => {
                let $c = &mut **t;
                let $query = bind!($make, $args);
                $body
            }
            Conn::Postgres(t) => {
                let $c = &mut **t;
                let $query = bind!($make, $args);
                $body
            }
        }
    }};
}
macro_rules! bind {
    ($make:expr, $args:expr) => {
        $args.into_iter().fold($make, |query, arg| match arg {
            Arg::Text(v) => query.bind(v),
            Arg::Int(v) => query.bind(v),
            Arg::Bool(v) => query.bind(v),
            Arg::Bytes(v) => query.bind(v),
        })
    };
}

impl Pools {
    pub(crate) async fn open(place: &Place) -> Result<Self, StoreError> {
        match place {
            Place::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    // What was answered has happened, also after a power cut.
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(BUSY);
                let pool = |connections| {
                    SqlitePoolOptions::new()
                        .max_connections(connections)
                        .acquire_timeout(TURN)
                        .idle_timeout(None)
                        .max_lifetime(None)
                        // Some errors (disk full, I/O) make SQLite roll back by itself. The roll-back that
                        // follows then fails, and the connection would stay in its transaction for good.
                        .before_acquire(|connection, _| {
                            Box::pin(async move {
                                // Behind any roll-back that is still queued.
                                connection.ping().await?;
                                Ok(!connection.is_in_transaction())
                            })
                        })
                        .test_before_acquire(false)
                };
                // The writer first: it makes the file and switches it to WAL.
                let write = pool(1).connect_with(options.clone()).await?;
                let read = pool(READERS)
                    .connect_with(options.pragma("query_only", "ON"))
                    .await?;
                Ok(Self::Sqlite { write, read })
            }
            Place::Postgres(url) => {
                let options = PgConnectOptions::from_str(url)?.application_name("portico");
                let pool = PgPoolOptions::new()
                    .max_connections(POSTGRES_CONNECTIONS)
                    .acquire_timeout(CONNECT)
                    .after_connect(|connection, _| {
                        Box::pin(async move {
                            // SET rather than start-up options, which some connection poolers refuse.
                            sqlx::raw_sql(
                                "SET statement_timeout = '30s'; SET lock_timeout = '10s'",
                            )
                            .execute(connection)
                            .await?;
                            Ok(())
                        })
                    })
                    .connect_with(options)
                    .await?;
                Ok(Self::Postgres(pool))
            }
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(crate) async fn begin(&self) -> Result<Conn, StoreError> {
        Ok(match self {
            // Takes the write lock at once: an upgrade from read to write in the middle could fail.
            Self::Sqlite { write, .. } => Conn::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Conn::Postgres(pool.begin().await?),
        })
    }

    pub(crate) async fn read(&self) -> Result<Conn, StoreError> {
        Ok(match self {
            Self::Sqlite { read, .. } => Conn::Sqlite(read.begin().await?),
            Self::Postgres(pool) => Conn::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        })
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { write, read } => {
                read.close().await;
                // Last, so that it can fold the write-ahead log into the file.
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// Asks the database to prepare `sql` without running it.
    pub(crate) async fn prepare(&self, sql: &'static str) -> Result<(), StoreError> {
        use sqlx::{Executor, SqlSafeStr};
        match self {
            Self::Sqlite { read, .. } => (&mut *read.acquire().await?)
                .prepare(sql.into_sql_str())
                .await
                .map(drop)?,
            Self::Postgres(pool) => (&mut *pool.acquire().await?)
                .prepare(sql.into_sql_str())
                .await
                .map(drop)?,
        }
        Ok(())
    }
}

impl Conn {
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(t) => t.commit().await?,
            Self::Postgres(t) => t.commit().await?,
        }
        Ok(())
    }

    /// Runs a statement; answers how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<u64, StoreError> {
        Ok(on!(self, args, sqlx::query(sql), query, c => query.execute(c).await?.rows_affected()))
    }

    /// Every row.
    pub(crate) async fn all<T: Record>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, StoreError> {
        Ok(on!(self, args, sqlx::query_as::<_, T>(sql), query, c => query.fetch_all(c).await?))
    }

    /// The row, if there is one.
    pub(crate) async fn optional<T: Record>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Option<T>, StoreError> {
        Ok(on!(self, args, sqlx::query_as::<_, T>(sql), query, c => query.fetch_optional(c).await?))
    }

    /// Runs a text of several statements.
    pub(crate) async fn batch(&mut self, sql: String) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(t) => sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut **t)
                .await
                .map(drop)?,
            Self::Postgres(t) => sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut **t)
                .await
                .map(drop)?,
        }
        Ok(())
    }

    /// Microseconds since 1970 by the clock of the database.
    pub(crate) async fn now(&mut self) -> Result<i64, StoreError> {
        let sql = match self {
            Self::Sqlite(_) => Dialect::Sqlite.now(),
            Self::Postgres(_) => Dialect::Postgres.now(),
        };
        Ok(self
            .optional::<(i64,)>(sql, args![])
            .await?
            .map_or(0, |(now,)| now))
    }

    /// Keeps other portals from migrating the same database until this transaction ends.
    pub(crate) async fn lock_schema(&mut self) -> Result<(), StoreError> {
        match self {
            // `BEGIN IMMEDIATE` did.
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => {
                self.batch("SELECT pg_advisory_xact_lock(5793420166021)".to_owned())
                    .await
            }
        }
    }
}

/// An error that the database itself answered.
pub(crate) fn database_error(error: &dyn DatabaseError) -> StoreError {
    let text = error.message().to_owned();
    if let Some(pg) = error.try_downcast_ref::<PgDatabaseError>() {
        return postgres_error(pg.code(), text);
    }
    let code = error
        .code()
        .and_then(|code| code.parse::<u32>().ok())
        .unwrap_or(0);
    sqlite_error(code, text)
}

/// <https://www.sqlite.org/rescode.html>; the low byte is the primary code.
fn sqlite_error(code: u32, text: String) -> StoreError {
    match (code & 0xff, code) {
        (5 | 6, _) => StoreError::Busy(text),
        (13, _) => StoreError::DiskFull {
            what: "the database".into(),
        },
        (11 | 26, _) => StoreError::corrupt("the database file", text),
        // Read-only, I/O, cannot open, out of memory, interrupted.
        (7..=10 | 14, _) => StoreError::Unavailable(text),
        (_, 1555 | 2067) => StoreError::Duplicate(text),
        (_, 787) => StoreError::NotFound(format!("record that this one belongs to ({text})")),
        _ => StoreError::Statement(text),
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn postgres_error(code: &str, text: String) -> StoreError {
    match code {
        "53100" => StoreError::DiskFull {
            what: "the database".into(),
        },
        // Serialisation failure, deadlock, lock not available, statement timeout.
        "40001" | "40P01" | "55P03" | "57014" => StoreError::Busy(text),
        "XX001" | "XX002" => StoreError::corrupt("the database", text),
        "23505" => StoreError::Duplicate(text),
        "23503" => StoreError::NotFound(format!("record that this one belongs to ({text})")),
        // Connection, sign-in, resources, shut-down, file system; then: read-only (a standby), no such database,
        // a role that may not create tables.
        _ if ["08", "28", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            StoreError::Unavailable(text)
        }
        "25006" | "3D000" | "42501" => StoreError::Unavailable(text),
        _ => StoreError::Statement(format!("{text} ({code})")),
    }
}
