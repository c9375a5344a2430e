//! What a request carries.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use portico_plan::{Identity, TenantId};
use tokio_util::sync::CancellationToken;

/// How many packages may call each other in a chain.
pub const MAX_HOPS: u8 = 8;

/// The operation context: tenant, actor, deadline, hop count and trace of one request. A call from one
/// package to another inherits it through [`OpContext::child`], so A→B→A ends instead of hanging.
#[derive(Clone, Debug)]
pub struct OpContext {
    /// Who asks, in whose portal.
    pub identity: Arc<Identity>,
    /// `x-request-id`: 32 hexadecimal digits, also the trace id.
    pub request_id: Arc<str>,
    /// When it must be over.
    pub deadline: Instant,
    /// Calls between packages so far.
    pub hops: u8,
    /// Cancelled when the portal stops, the client leaves or a kill switch fires.
    pub cancel: CancellationToken,
    /// Languages of the person, best first: `["de", "en"]`.
    pub languages: Arc<[String]>,
}

impl OpContext {
    /// A context for work of the portal itself.
    pub fn system(tenant: TenantId, request_id: impl Into<Arc<str>>, within: Duration) -> Self {
        Self {
            identity: Arc::new(Identity::system(tenant)),
            request_id: request_id.into(),
            deadline: Instant::now() + within,
            hops: 0,
            cancel: CancellationToken::new(),
            languages: Arc::from(["en".to_owned()]),
        }
    }

    /// Whose portal.
    pub fn tenant(&self) -> &TenantId {
        &self.identity.tenant
    }

    /// The context of a call that this one makes; `None` when the chain is too long.
    pub fn child(&self, identity: Arc<Identity>) -> Option<Self> {
        (self.hops < MAX_HOPS).then(|| Self {
            identity,
            hops: self.hops + 1,
            cancel: self.cancel.child_token(),
            ..self.clone()
        })
    }

    /// What is left of the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
