//! One record per attempt to connect, allowed or not.

use std::{net::IpAddr, time::Duration};

use portico_host::Timestamp;
use serde::Serialize;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer was read whole.
    Ok,
    /// A rule said no; nothing was sent.
    Refused,
    /// 404, 403 or 410.
    NotFound,
    /// More bytes than allowed.
    TooLarge,
    /// The network, TLS, a redirect or another status.
    Failed,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// When it began: microseconds since 1970, UTC.
    pub at: Timestamp,
    /// Who wanted it: `registry:official`.
    pub who: String,
    /// What was asked, without user information, query and fragment (they may hold secrets).
    pub url: String,
    /// Address that was connected to, once there was one.
    pub address: Option<IpAddr>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, when it was not [`Outcome::Ok`].
    pub reason: Option<String>,
    /// Bytes of the body that were read.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// Where attempts are written down. Called on the request's task: it must not block.
pub trait AuditSink: Send + Sync + 'static {
    /// Takes one attempt.
    fn record(&self, attempt: Attempt);
}

/// Writes attempts to the log and nowhere else.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingAudit;

impl AuditSink for TracingAudit {
    fn record(&self, a: Attempt) {
        let reason = a.reason.as_deref().unwrap_or_default();
        let address = a.address.map(|ip| ip.to_string()).unwrap_or_default();
        if a.outcome == Outcome::Refused {
            tracing::warn!(who = %a.who, url = %a.url, reason, "outbound connection refused");
        } else {
            tracing::debug!(
                who = %a.who, url = %a.url, address, outcome = ?a.outcome, bytes = a.bytes,
                took_ms = u64::try_from(a.took.as_millis()).unwrap_or(u64::MAX), reason,
                "outbound connection",
            );
        }
    }
}
