//! The control plane against a real store and real archives, with the rest faked.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod crash;
mod lifecycle;
mod world;
