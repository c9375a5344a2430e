//! Outbound connections that a package, a tenant or a registry can influence.
//!
//! [`Egress`] is the only thing in the portal that opens a connection to an address somebody else
//! chose. One function does it: parse the URL, resolve the name once, check *every* address
//! ([`address`]), connect to a checked address (never to the name again), verify TLS against the
//! name, read at most so many bytes in so much time, follow nothing, and leave one [`Attempt`]
//! behind. Names that the operator wrote down may point into private networks; nothing else may.
//!
//! Not here: what the bytes mean. A registry's answers are verified by `portico-registry`.

pub mod address;
pub mod audit;
mod connect;
pub mod egress;
pub mod resolve;
pub mod rules;

pub use audit::{Attempt, AuditSink, Outcome, TracingAudit};
pub use egress::{Egress, EgressError};
pub use resolve::{Resolve, SystemResolver};
pub use rules::EgressRules;
