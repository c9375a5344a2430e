//! Opening the store, and transactions.

use std::{fs, io, path::Path, time::Duration};

use crate::{
    DatabaseUrl, Dialect, StoreError,
    dialect::{Conn, Pools, args},
    schema,
    url::Place,
};

/// How long [`Store::healthy`] waits.
const HEALTHY_WITHIN: Duration = Duration::from_secs(2);

/// What the portal remembers. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
}

/// A transaction: everything or nothing. Dropping it rolls back. After an error it is spent: drop it.
///
/// Its methods take the tenant first and are named after what they are about: `operation_get`.
pub struct Tx {
    pub(crate) conn: Conn,
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when a newer portal wrote it; [`StoreError::Unavailable`] when it does not answer.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        if let Place::Sqlite(path) = &url.0 {
            make_private(path)
                .map_err(|e| StoreError::io(&format!("the database {}", path.display()), &e))?;
        }
        let pools = Pools::open(&url.0).await?;
        let store = Self { pools };
        if let Err(error) = schema::migrate(&store).await {
            store.close().await;
            return Err(error);
        }
        Ok(store)
    }

    /// Begins a transaction that may write. On SQLite there is one at a time: keep it short, never wait for
    /// the network inside, and never begin a second one while holding the first.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx {
            conn: self.pools.begin().await?,
        })
    }

    /// Begins a transaction that reads one moment's state and cannot write. It holds up nobody.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        Ok(Tx {
            conn: self.pools.read().await?,
        })
    }

    /// Whether the database answers, within two seconds.
    pub async fn healthy(&self) -> Result<(), StoreError> {
        let ask = async {
            let mut tx = self.read().await?;
            tx.conn
                .optional::<(i64,)>(schema::NEWEST, args![])
                .await
                .map(drop)
        };
        tokio::time::timeout(HEALTHY_WITHIN, ask)
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Unavailable(
                    "no answer within two seconds".into(),
                ))
            })
    }

    /// Lets the database prepare every statement of this build; answers how many there are. For `portico doctor`.
    pub async fn check_statements(&self) -> Result<usize, StoreError> {
        let mut count = 0;
        for (name, sql) in crate::statements() {
            self.pools
                .prepare(sql)
                .await
                .map_err(|e| StoreError::Statement(format!("{name}: {e}")))?;
            count += 1;
        }
        Ok(count)
    }

    /// Waits for transactions to end and closes the connections.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.pools.dialect()
    }
}

impl Tx {
    /// Makes it so. When this fails with [`StoreError::Unavailable`], it may have happened or not: read again.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.conn.commit().await
    }

    /// Microseconds since 1970 by the clock of the database, which all portals share.
    pub async fn db_now(&mut self) -> Result<i64, StoreError> {
        self.conn.now().await
    }
}

/// Makes the file and its folder, if they are missing, for nobody else to read. SQLite gives the files that it
/// puts beside it the same permissions.
fn make_private(file: &Path) -> io::Result<()> {
    let (mut folder, mut options) = (fs::DirBuilder::new(), fs::OpenOptions::new());
    folder.recursive(true);
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folder.mode(0o700);
        options.mode(0o600);
    }
    if let Some(parent) = file.parent().filter(|parent| *parent != Path::new("")) {
        folder.create(parent)?;
    }
    match options.open(file) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_says_so_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(folder.path().join("portico.db")))
            .await
            .unwrap();
        let t = portico_plan::TenantId::default_tenant();
        let mut tx = store.begin().await.unwrap();
        tx.tenant_upsert(&t, "Default", &[], 1).await.unwrap();
        tx.setting_set(&t, "s", &"before".into(), 1).await.unwrap();
        tx.commit().await.unwrap();

        // SQLite answers the same when this ceiling is reached as when the disk is full.
        let mut tx = store.begin().await.unwrap();
        tx.conn
            .batch("PRAGMA max_page_count = 1".to_owned())
            .await
            .unwrap();
        tx.setting_set(&t, "s", &"after".into(), 2).await.unwrap();
        let error = tx
            .setting_set(&t, "large", &"x".repeat(1 << 20).into(), 2)
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::DiskFull { .. }) && error.status() == 507,
            "{error:?}"
        );
        drop(tx);

        // The portal goes on as soon as there is room again (a new connection has no such ceiling).
        let mut tx = store.begin().await.unwrap();
        assert_eq!(
            tx.setting_get(&t, "s").await.unwrap(),
            Some("before".into())
        );
        tx.setting_set(&t, "large", &"x".repeat(1 << 20).into(), 2)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}
