//! What the gateway asks of the rest of the portal.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response, request::Parts};
use portico_plan::{Identity, TenantId};

/// Somebody, as a session or a token says.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who.
    pub identity: Arc<Identity>,
    /// Token that the shell's own requests carry; empty for nobody signed in and for API tokens.
    pub csrf: Arc<str>,
}

impl Session {
    /// Nobody.
    pub fn anonymous(tenant: TenantId) -> Self {
        Self {
            identity: Arc::new(Identity::anonymous(tenant)),
            csrf: Arc::from(""),
        }
    }
}

/// The portal behind the data plane.
#[async_trait]
pub trait Portal: Send + Sync + 'static {
    /// Who sends this request. In memory, without I/O: it is on the request path. The
    /// [`Arrival`](crate::Arrival) of the request is among its extensions.
    fn identify(&self, parts: &Parts, tenant: &TenantId) -> Session;

    /// Answers what is the portal's own: API, sign-in, settings, probes. Runs elsewhere than on the
    /// data plane. The [`Arrival`](crate::Arrival) is among the extensions of the request, except for
    /// `/healthz`, `/readyz` and `/metrics`, which belong to no tenant.
    async fn control(&self, request: Request<axum::body::Body>) -> Response<axum::body::Body>;
}
