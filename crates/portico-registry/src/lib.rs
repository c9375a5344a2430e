//! Where packages come from.
//!
//! A registry is a TUF repository of plain static files: [`repository`] makes and changes one,
//! [`client`] reads one and believes nothing that its pinned root does not vouch for. The packages
//! inside the binary ([`bundled`]) and the examples ([`examples`]) look the same from outside.
//! [`catalogue`] is the index over all of them that plans and the marketplace read; for one package id
//! the first registry that has it is the only one that counts.
//!
//! Not here: what an archive is (`portico-package`), whether something should be installed
//! (`portico-plan`), opening connections (`portico-egress`).

pub mod bundled;
pub mod catalogue;
pub mod client;
mod embedded;
pub mod error;
pub mod examples;
mod files;
pub mod floor;
pub mod foreign;
pub mod keys;
pub mod listing;
pub mod repository;
mod transport;
mod tuf;

pub use catalogue::{CatalogueHandle, Index, RegistryStatus, Search, SearchPage};
pub use client::Registry;
pub use error::RegistryError;
pub use floor::{FolderFloor, MemoryFloor, MetadataFloor};
pub use keys::RepositoryKeys;
pub use listing::Listing;
pub use repository::{Expiry, Published, Replace, Repository, RepositoryError};
