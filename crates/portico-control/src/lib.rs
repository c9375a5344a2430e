//! The control plane: moves what is observed towards what was approved.
//!
//! [`Control`] is the façade: it plans, takes approvals as [`operation::Operation`]s, and runs one
//! [reconciler](reconcile) per process that carries them out: fetch, verify, stage, start, probe,
//! **activate** (one transaction, the only visible step), retire. Every step treats "already done" as
//! success and is recomputed from what is observed, so a crash anywhere is followed by the same loop.
//!
//! Not here: deciding what a plan contains (`portico-plan`), SQL (`portico-store`), serving
//! (`portico-gateway`, reached through [`stage::Stage`]).

pub mod boot;
pub mod configured;
mod control;
pub mod error;
pub mod operation;
mod reconcile;
mod retire;
mod rows;
pub mod sources;
pub mod stage;

pub use control::{Control, ControlParts, GRANTS_APPROVE, Submission};
pub use error::ControlError;
pub use operation::Operation;
pub use sources::Sources;
pub use stage::Stage;
