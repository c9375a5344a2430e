//! What the operator allows beyond the open internet.

use std::num::NonZeroU32;

use rustls_pki_types::CertificateDer;

/// What may be reached, and how often.
#[derive(Clone, Debug)]
pub struct EgressRules {
    /// Names (or literal addresses) that may stand for addresses inside. A port of `None` is any port.
    pub allow_private_hosts: Vec<(String, Option<u16>)>,
    /// Allows every name to stand for a loopback address: development and tests only.
    pub allow_loopback: bool,
    /// Attempts per minute for one reader and one host.
    pub per_minute: NonZeroU32,
    /// Certificate authorities beside the public ones, DER.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl Default for EgressRules {
    fn default() -> Self {
        Self {
            allow_private_hosts: Vec::new(),
            allow_loopback: false,
            // A refresh of a registry is five reads and an installation one per package; a portal that
            // mirrors a large registry stays far below this, a loop does not.
            per_minute: NonZeroU32::new(600).unwrap_or(NonZeroU32::MIN),
            extra_roots: Vec::new(),
        }
    }
}

/// How a host is compared: lower case, without brackets and without the root dot.
pub(crate) fn normalise_host(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.')
        .to_ascii_lowercase()
}
