//! What can go wrong with memory, sorted by what the caller does about it.

use std::{io, path::PathBuf};

use portico_package::Digest;
use portico_plan::TenantId;

/// Why the store did not do what was asked. After an error a transaction is spent: drop it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database or the disk does not answer now and may again later: 503 with `Retry-After`.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Somebody else was faster and the database gave up one of both; trying again will do.
    #[error("the store was busy with another change: {0}")]
    Busy(String),
    /// No room. Nothing was changed.
    #[error(
        "no space left while writing {what}; nothing was changed. Free some space on that disk and try again"
    )]
    DiskFull {
        /// What was being written.
        what: String,
    },
    /// What is remembered cannot be read back.
    #[error("{what} is damaged: {reason}. Restore it from a backup")]
    Corrupt {
        /// Which record or file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A blob is not what its name says.
    #[error("the blob {} is damaged: its content has the digest {found}. Remove the file; it is fetched again when it is needed", path.display())]
    CorruptBlob {
        /// The file.
        path: PathBuf,
        /// The digest that it should have.
        expected: Digest,
        /// The digest that it has.
        found: Digest,
    },
    /// No such blob.
    #[error("there is no blob {0}")]
    NoBlob(Digest),
    /// The plan was made from another generation than the one that is current.
    #[error(
        "made for generation {expected}, but generation {current} is current; make the plan again"
    )]
    StaleGeneration {
        /// The generation that the caller started from.
        expected: u64,
        /// The generation that there is.
        current: u64,
    },
    /// An idempotency key was used again for something else.
    #[error(
        "the idempotency key `{key}` was used for another request; use a new key for a new request"
    )]
    IdempotencyMismatch {
        /// The key.
        key: String,
    },
    /// A newer build wrote this database in a way that this build cannot read.
    #[error(
        "this database has schema {found}, written by portico {written_by}; this build knows schema {supported} and the \
         database asks for at least {min_reader}. Start the newer portico, or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// Schema of the database.
        found: u64,
        /// Oldest schema whose builds may still use it.
        min_reader: u64,
        /// Newest schema of this build.
        supported: u64,
        /// Version of the build that wrote it.
        written_by: String,
    },
    /// A zero byte, which no text may hold.
    #[error("{0:?} holds a zero byte, which no name, id or text may")]
    InvalidText(String),
    /// No such tenant.
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    /// What the caller wanted to change is not there.
    #[error("there is no {0}")]
    NotFound(String),
    /// A name that has to be unique is taken.
    #[error("{0} exists already")]
    Duplicate(String),
    /// Not a database address.
    #[error(
        "`{url}` is not a database address: {reason}. Write `sqlite://path/to/portico.db` or `postgres://user@host/database`"
    )]
    InvalidUrl {
        /// What was written, without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A mistake in this build.
    #[error("the database refused a statement of this build: {0}. Please report this")]
    Statement(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing anything: answer 503.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Busy(_) | Self::DiskFull { .. }
        )
    }

    /// Stable code of the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "store-unavailable",
            Self::Busy(_) => "store-busy",
            Self::DiskFull { .. } => "disk-full",
            Self::Corrupt { .. } => "store-corrupt",
            Self::CorruptBlob { .. } => "blob-corrupt",
            Self::NoBlob(_) => "blob-missing",
            Self::StaleGeneration { .. } => "stale-generation",
            Self::IdempotencyMismatch { .. } => "idempotency-mismatch",
            Self::NewerSchema { .. } => "newer-schema",
            Self::InvalidText(_) => "invalid-text",
            Self::UnknownTenant(_) => "unknown-tenant",
            Self::NotFound(_) => "not-found",
            Self::Duplicate(_) => "already-exists",
            Self::InvalidUrl { .. } => "invalid-database-url",
            Self::Statement(_) => "internal",
        }
    }

    /// HTTP status of the API. 503 goes with `Retry-After`.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unavailable(_) | Self::Busy(_) => 503,
            Self::DiskFull { .. } => 507,
            Self::StaleGeneration { .. } | Self::Duplicate(_) => 409,
            Self::IdempotencyMismatch { .. } | Self::InvalidUrl { .. } => 422,
            Self::InvalidText(_) => 400,
            Self::UnknownTenant(_) | Self::NotFound(_) => 404,
            Self::Corrupt { .. }
            | Self::CorruptBlob { .. }
            | Self::NoBlob(_)
            | Self::NewerSchema { .. }
            | Self::Statement(_) => 500,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Corrupt {
            what: what.into(),
            reason: reason.to_string(),
        }
    }

    /// An error of the file system while writing or reading `what`.
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull {
                what: what.to_owned(),
            },
            _ => Self::Unavailable(format!("{what}: {error}")),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(e) => crate::dialect::database_error(e.as_ref()),
            E::Io(e) => Self::io("the database", &e),
            E::PoolTimedOut => {
                Self::Unavailable("no connection to the database became free in time".into())
            }
            E::PoolClosed => Self::Unavailable("the portal is stopping".into()),
            E::WorkerCrashed | E::BeginFailed | E::Tls(_) | E::Protocol(_) => {
                Self::Unavailable(error.to_string())
            }
            E::ColumnDecode { .. } | E::Decode(_) => Self::corrupt("a row of the database", error),
            other => Self::Statement(other.to_string()),
        }
    }
}
