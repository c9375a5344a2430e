//! A whole portal, seen from outside.

#![expect(clippy::unwrap_used, reason = "what cannot be had is a failed test")]
#![expect(
    clippy::disallowed_methods,
    reason = "load runs beside the test and ends with it"
)]

mod cycles;
mod spine;
mod sweep;
