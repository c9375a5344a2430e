use std::collections::BTreeMap;

use portico_store::{DatabaseUrl, Dialect, SCHEMA_VERSION, Store, StoreError};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tokio::task::JoinSet;

use crate::support::{Db, NOW, store_test, tenant};

/// A connection beside the store, to look at the database and to break it.
pub(crate) enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Raw {
    pub(crate) async fn open(db: &Db) -> Self {
        match db.url.file() {
            Some(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder).unwrap();
                }
                let options = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    // A dump fills tables before those that they refer to.
                    .foreign_keys(false);
                Self::Sqlite(SqliteConnection::connect_with(&options).await.unwrap())
            }
            None => Self::Postgres(PgConnection::connect(db.secret_url()).await.unwrap()),
        }
    }

    pub(crate) async fn run(&mut self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(c) => sql.execute(c).await.map(drop),
            Self::Postgres(c) => sql.execute(c).await.map(drop),
        }
        .unwrap();
    }

    async fn rows(&mut self, sql: &'static str) -> Vec<(String, String)> {
        match self {
            Self::Sqlite(c) => sqlx::query_as(sql).fetch_all(c).await,
            Self::Postgres(c) => sqlx::query_as(sql).fetch_all(c).await,
        }
        .unwrap()
    }
}

/// First column of the primary key of every table; empty when there is no primary key.
async fn first_key_columns(db: &Db) -> BTreeMap<String, String> {
    let sql = match db.dialect() {
        Dialect::Sqlite => {
            "SELECT m.name, COALESCE((SELECT name FROM pragma_table_info(m.name) WHERE pk = 1), '')
             FROM sqlite_schema m WHERE m.type = 'table'"
        }
        Dialect::Postgres => {
            "SELECT c.relname::text, COALESCE(a.attname::text, '') FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
             LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
             WHERE c.relkind = 'r'"
        }
    };
    Raw::open(db).await.rows(sql).await.into_iter().collect()
}

store_test! {
    async fn every_statement_fits_the_schema(db: &Db) {
        let store = db.store().await;
        assert!(store.check_statements().await.unwrap() > 60);
        store.healthy().await.unwrap();
        assert_eq!(store.dialect(), db.dialect());
    }

    async fn a_statement_that_does_not_fit_is_found(db: &Db) {
        let store = db.store().await;
        Raw::open(db).await.run("ALTER TABLE settings DROP COLUMN updated_at").await;
        let error = store.check_statements().await.unwrap_err();
        assert!(error.to_string().contains("settings::SET"), "{error}");
    }

    /// Nobody can forget the tenant in a new table.
    async fn the_key_of_every_table_starts_with_the_tenant(db: &Db) {
        db.store().await;
        let mut tables = first_key_columns(db).await;
        assert_eq!(tables.remove("schema_version").as_deref(), Some("version"));
        assert!(tables.len() > 15 && tables.contains_key("sessions"), "{tables:?}");
        let wrong: Vec<_> = tables.iter().filter(|(_, column)| *column != "tenant").collect();
        assert!(wrong.is_empty(), "tables whose primary key does not start with the tenant: {wrong:?}");
    }

    async fn opening_again_changes_nothing(db: &Db) {
        let first = db.store().await;
        let mut tx = first.begin().await.unwrap();
        tx.generation_advance(&tenant(), 0, "op", NOW).await.unwrap();
        tx.commit().await.unwrap();
        first.close().await;
        assert!(matches!(first.read().await.err(), Some(StoreError::Unavailable(_))));
        let again = Store::open(&db.url).await.unwrap();
        assert_eq!(again.read().await.unwrap().generation_get(&tenant()).await.unwrap(), 1);
    }

    async fn portals_that_start_together_migrate_once(db: &Db) {
        let mut set = JoinSet::new();
        for _ in 0..6 {
            let url = db.url.clone();
            set.spawn(async move { Store::open(&url).await.map(|store| store.dialect()) });
        }
        for outcome in set.join_all().await {
            assert_eq!(outcome.unwrap(), db.dialect());
        }
        let versions = Raw::open(db).await.rows("SELECT CAST(version AS TEXT), applied_by FROM schema_version").await;
        assert_eq!(versions.len() as u64, SCHEMA_VERSION);
    }

    async fn a_newer_schema_is_refused_with_a_sentence(db: &Db) {
        db.store().await.close().await;
        let newer = SCHEMA_VERSION + 3;
        Raw::open(db).await.run(&format!("INSERT INTO schema_version VALUES ({newer}, {newer}, 'c', 0, '9.1.0')")).await;
        let error = Store::open(&db.url).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "this database has schema {newer}, written by portico 9.1.0; this build knows schema {SCHEMA_VERSION} and the \
                 database asks for at least {newer}. Start the newer portico, or restore a backup from before the upgrade"
            )
        );
    }

    async fn a_newer_schema_that_still_lets_this_build_in_opens(db: &Db) {
        db.store().await.close().await;
        let newer = SCHEMA_VERSION + 1;
        let mut raw = Raw::open(db).await;
        raw.run(&format!("INSERT INTO schema_version VALUES ({newer}, {SCHEMA_VERSION}, 'c', 0, '9.1.0')")).await;
        raw.run("ALTER TABLE tenants ADD COLUMN later TEXT").await;
        let store = Store::open(&db.url).await.unwrap();
        assert!(store.read().await.unwrap().tenant_get(&tenant()).await.unwrap().is_some());
    }

    async fn a_schema_made_from_another_text_is_refused(db: &Db) {
        db.store().await.close().await;
        Raw::open(db).await.run("UPDATE schema_version SET checksum = 'other'").await;
        let error = Store::open(&db.url).await.err().unwrap();
        assert!(matches!(&error, StoreError::Corrupt { what, .. } if what == "schema 1 of the database"), "{error}");
    }
}

#[tokio::test]
async fn a_failed_migration_leaves_an_empty_database() {
    // A table that is in the way makes the migration fail in the middle.
    let db = Db::sqlite();
    let mut raw = Raw::open(&db).await;
    raw.run("CREATE TABLE users (id TEXT)").await;
    assert!(matches!(
        Store::open(&db.url).await.err(),
        Some(StoreError::Statement(_))
    ));
    let tables = raw
        .rows("SELECT name, type FROM sqlite_schema WHERE type = 'table'")
        .await;
    assert_eq!(tables, [("users".to_owned(), "table".to_owned())]);
    raw.run("DROP TABLE users").await;
    Store::open(&db.url).await.unwrap();
}

#[tokio::test]
async fn addresses_that_lead_nowhere_are_temporary() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let below_a_file = DatabaseUrl::sqlite(file.join("portico.db"));
    let nobody_listens: DatabaseUrl = "postgres://portico@127.0.0.1:1/portal".parse().unwrap();
    for url in [below_a_file, nobody_listens] {
        let error = Store::open(&url).await.err().unwrap();
        assert!(
            error.is_temporary() && error.status() == 503,
            "{url}: {error:?}"
        );
    }
}
