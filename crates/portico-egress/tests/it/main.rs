//! Everything that must be refused, and what must work.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: what cannot go on has failed"
)]

mod attacks;
mod server;
mod transfer;
