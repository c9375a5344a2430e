//! The ports everybody meets at.
//!
//! A back end of any kind is reached through [`Backend`]; what a request carries from the door to the
//! last call is an [`OpContext`]; time comes from a [`Clock`]; every task belongs to a [`Supervisor`].
//! Traits and small types only: the implementations live behind them in other crates.

pub mod asset;
pub mod backend;
pub mod capability;
pub mod clock;
pub mod context;
pub mod fault;
pub mod fetch;
pub mod shell;
pub mod supervisor;

pub use asset::{Asset, AssetSet, ShellFiles};
pub use backend::{
    Backend, BackendError, BackendFactory, Body, PageRequest, PageResponse, StagedPackage,
};
pub use clock::{Clock, SystemClock, Timestamp};
pub use context::OpContext;
pub use fetch::{Fetch, FetchError};
pub use supervisor::Supervisor;
