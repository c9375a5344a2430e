//! Every test of the store, on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod blobs;
mod cluster;
mod concurrency;
mod events;
mod failures;
mod fixtures;
mod inventory;
mod operations;
mod people;
mod postgres;
mod registries;
mod schema;
mod support;
mod tenants;
