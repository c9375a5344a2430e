//! Outbound reads, behind a port so that nothing outside `portico-egress` opens a connection.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// Why nothing came back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// The address may not be reached.
    #[error("{url}: refused: {reason}")]
    Refused {
        /// What was asked.
        url: String,
        /// Which rule.
        reason: String,
    },
    /// 404, 403 or 410.
    #[error("{url}: not found")]
    NotFound {
        /// What was asked.
        url: String,
    },
    /// More bytes than allowed.
    #[error("{url}: more than {limit} bytes")]
    TooLarge {
        /// What was asked.
        url: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// Anything else: the network, the other side.
    #[error("{url}: {reason}")]
    Failed {
        /// What was asked.
        url: String,
        /// What happened.
        reason: String,
    },
}

/// Reads from elsewhere.
#[async_trait]
pub trait Fetch: Send + Sync + 'static {
    /// `GET url`, at most `limit` bytes, within `timeout`. `who` names the reader in the audit (`registry:official`).
    async fn get(
        &self,
        who: &str,
        url: &str,
        limit: u64,
        timeout: Duration,
    ) -> Result<Bytes, FetchError>;
}
