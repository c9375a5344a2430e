//! What the portal *remembers*: control tables on SQLite and PostgreSQL behind one API, and blobs.
//!
//! [`Store`] opens the database and begins transactions; the methods of [`Tx`] are everything that can be
//! remembered, each with the tenant as its first argument. [`BlobStore`] holds archives by digest.
//!
//! This is the only crate that knows the portal's SQL, and `dialect` the only module that knows that there
//! are two databases.

pub mod audit;
pub mod blobs;
mod codec;
mod dialect;
pub mod error;
pub mod events;
pub mod inventory;
pub mod operations;
pub mod people;
pub mod registries;
mod schema;
mod settings;
mod store;
pub mod tenants;
mod url;

pub use audit::{AuditEntry, AuditRow};
pub use blobs::{BlobInfo, BlobStore, Swept};
pub use dialect::Dialect;
pub use error::StoreError;
pub use events::Event;
pub use inventory::{Change, Grant, Revoked};
pub use operations::{Cursor, Inserted, Operation, OperationState, Progress};
pub use people::{Session, SignInLink, Token, User};
pub use registries::Registry;
pub use schema::SCHEMA_VERSION;
pub use store::{Store, Tx};
pub use tenants::{Generation, Tenant};
pub use url::DatabaseUrl;

/// A new id: rises with time, 36 characters.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Every statement of this build with its name, for [`Store::check_statements`].
fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        tenants::STATEMENTS,
        inventory::STATEMENTS,
        operations::STATEMENTS,
        events::STATEMENTS,
        audit::STATEMENTS,
        people::STATEMENTS,
        registries::STATEMENTS,
        settings::STATEMENTS,
        schema::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests {
    /// Nobody can forget the tenant in a new statement.
    #[test]
    fn every_statement_is_about_one_tenant() {
        // The list of tenants, blobs (stored once for all), and the schema's own records.
        let of_all = [
            "tenants::LIST",
            "DIGESTS_OF_ALL",
            "PLANS_OF_ALL",
            "schema::APPLIED",
            "schema::RECORD",
        ];
        let mut exceptions = 0;
        for (name, sql) in super::statements() {
            if of_all.iter().any(|of_all| name.ends_with(of_all)) {
                exceptions += 1;
                continue;
            }
            let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
            let written = sql.contains("(tenant,") && sql.contains("VALUES ($1,");
            assert!(
                sql.contains("WHERE tenant = $1") || written,
                "{name} does not say whose: {sql}"
            );
        }
        assert_eq!(
            exceptions,
            of_all.len(),
            "an exception that no statement needs any more"
        );
    }
}
