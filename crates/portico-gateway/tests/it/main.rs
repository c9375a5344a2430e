//! The gateway with everything around it faked.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests start tasks, and connect to the servers that they have started"
)]

mod assets;
mod events;
mod intents;
mod kill;
mod pages;
mod plain;
mod portal;
mod routing;
mod serving;
mod tls;
