//! When the database is not well.

use std::{fs, time::Instant};

use portico_store::{Store, StoreError};
use serde_json::json;

use crate::{
    postgres::{self, Cluster},
    schema::Raw,
    support::{Db, NOW, store_test, tenant},
};

store_test! {
    async fn a_reading_transaction_cannot_write(db: &Db) {
        let store = db.store().await;
        let mut tx = store.read().await.unwrap();
        assert!(tx.setting_set(&tenant(), "s", &json!(1), NOW).await.is_err());
        drop(tx);
        assert_eq!(store.read().await.unwrap().setting_get(&tenant(), "s").await.unwrap(), None);
    }

    async fn a_row_that_cannot_be_read_is_named(db: &Db) {
        let store = db.store().await;
        let mut tx = store.begin().await.unwrap();
        tx.setting_set(&tenant(), "shell", &json!({"a": 1}), NOW).await.unwrap();
        tx.commit().await.unwrap();
        Raw::open(db).await.run("UPDATE settings SET value = '{\"a\":'").await;
        let error = store.read().await.unwrap().setting_get(&tenant(), "shell").await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { what, .. } if what == "the setting `shell`"), "{error}");
        assert_eq!((error.status(), error.is_temporary()), (500, false));
    }

    async fn a_broken_pool_of_one_writer_recovers(db: &Db) {
        // Cancelled in the middle, again and again: the connection comes back clean.
        let store = db.store().await;
        for _ in 0..20 {
            let work = async {
                let mut tx = store.begin().await.unwrap();
                tx.setting_set(&tenant(), "s", &json!("never"), NOW).await.unwrap();
                std::future::pending::<()>().await;
            };
            let _ = tokio::time::timeout(std::time::Duration::from_millis(3), work).await;
        }
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.setting_get(&tenant(), "s").await.unwrap(), None);
        tx.setting_set(&tenant(), "s", &json!("now"), NOW).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    let db = Db::sqlite();
    let path = db.url.file().unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(
        path,
        "This is not a database, but long enough to be one. ".repeat(100),
    )
    .unwrap();
    let error = Store::open(&db.url).await.err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_else_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let db = Db::sqlite();
    let _store = db.store().await;
    let path = db.url.file().unwrap();
    for file in fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", file.path().display());
    }
    assert_eq!(
        fs::metadata(path.parent().unwrap())
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
}

#[tokio::test]
async fn pages_that_were_overwritten_are_corrupt() {
    let db = Db::sqlite();
    let store = db.store().await;
    store.close().await;
    let path = db.url.file().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(path, bytes).unwrap();
    let outcome = match Store::open(&db.url).await {
        Err(error) => Some(error),
        Ok(store) => store.read().await.unwrap().tenant_list().await.err(),
    };
    assert!(
        matches!(outcome, Some(StoreError::Corrupt { .. })),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_and_comes_back_is_unavailable_and_then_available() {
    if postgres::is_off() {
        return;
    }
    let mut cluster = Cluster::start();
    let url = postgres::database(&cluster).await.parse().unwrap();
    let store = Store::open(&url).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.tenant_upsert(&tenant(), "Default", &[], NOW)
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let mut open = store.begin().await.unwrap();
    open.generation_advance(&tenant(), 0, "lost", NOW)
        .await
        .unwrap();
    cluster.stop();
    let error = match open.event_append(&tenant(), "x", &json!({}), 1, NOW).await {
        Ok(_) => open.commit().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(error.is_temporary() && error.status() == 503, "{error:?}");
    let since = Instant::now();
    let error = store.healthy().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(
        since.elapsed().as_secs() < 4,
        "healthy took {:?}",
        since.elapsed()
    );

    cluster.start_again();
    store.healthy().await.unwrap();
    assert_eq!(
        store
            .read()
            .await
            .unwrap()
            .generation_get(&tenant())
            .await
            .unwrap(),
        0
    );
}
