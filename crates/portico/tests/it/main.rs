//! The binary, as people and scripts run it.

#![expect(clippy::unwrap_used, reason = "what cannot be had is a failed test")]

mod crash;
mod process;
