//! What *should* happen.
//!
//! [`plan::plan`] takes what admins want and what is observed and makes an immutable [`Plan`];
//! [`snapshot`] compiles what is installed into the [`Snapshot`] that requests are routed by;
//! [`access::can`] is the one place that decides.
//!
//! Not here: doing it (`portico-control`), remembering it (`portico-store`). Pure functions: no I/O,
//! no clock, no randomness.

pub mod access;
pub mod effective;
pub mod inventory;
mod nearest;
pub mod plan;
pub mod refusal;
pub mod resolve;
pub mod routes;
pub mod snapshot;
pub mod tenant;
mod text;

pub use access::{Identity, can};
pub use inventory::{Installed, Inventory, Policy};
pub use plan::{Plan, Request, Verb};
pub use refusal::Refusal;
pub use snapshot::{Snapshot, TenantSnapshot};
pub use tenant::TenantId;
