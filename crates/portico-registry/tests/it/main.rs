//! Registries made, read, attacked and looked through.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: what cannot go on has failed"
)]

mod attacks;
mod bundle;
mod confusion;
mod containers;
mod crash;
mod fixture;
mod offline;
mod over_http;
mod publishing;
mod reading;
mod searching;
