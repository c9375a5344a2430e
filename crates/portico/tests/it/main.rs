//! The binary, as people and scripts run it.

#![expect(clippy::unwrap_used, reason = "what cannot be had is a failed test")]

#[path = "../../../portico-store/tests/it/cluster.rs"]
mod cluster;
mod crash;
mod faults;
mod process;
