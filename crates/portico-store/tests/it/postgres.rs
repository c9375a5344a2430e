//! PostgreSQL for the tests of the store: one cluster per test binary, one database per test.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

pub(crate) use crate::cluster::Cluster;

/// Whether the PostgreSQL half of the tests is switched off.
pub(crate) fn is_off() -> bool {
    std::env::var_os("PORTICO_TEST_POSTGRES").is_some_and(|value| value == "off")
}

/// The server that all tests of this binary share.
pub(crate) fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

/// Makes an empty database; answers its address.
pub(crate) async fn database(cluster: &Cluster) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&cluster.url("postgres"))
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut admin)
        .await
        .unwrap();
    admin.close().await.unwrap();
    cluster.url(&name)
}
