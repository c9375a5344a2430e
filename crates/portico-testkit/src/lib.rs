//! Development only: packages, registries and clients for tests of a whole portal.
//!
//! A [`Package`] is built in a test, a [`TestRegistry`] offers it, a [`Client`] asks. Things here panic
//! instead of answering errors, because a test that cannot be set up has failed.

#![expect(clippy::panic, reason = "what cannot be set up is a failed test")]

mod client;
mod package;
mod portal;
mod registry;

pub use client::{Answer, Client, Connection, Events};
pub use package::{Package, key};
pub use portal::{Stopped, TestPortal};
pub use registry::TestRegistry;

/// A temporary folder.
///
/// # Panics
/// If there is no place for one.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"))
}
