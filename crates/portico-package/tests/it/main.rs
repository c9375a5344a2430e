//! The crate as others use it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]

mod archives;
mod fixtures;
mod hostile;
mod smoke;
mod support;
