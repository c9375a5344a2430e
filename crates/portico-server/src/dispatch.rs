//! Data of package pages: the public API, called with what the package was granted.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use portico_host::{
    OpContext,
    capability::{CapabilityError, Dispatch},
};
use portico_package::PackageId;
use portico_plan::{Identity, can};
use serde_json::Value;

use crate::{
    api::{self, Caller, CallerBy},
    portal::Core,
};

/// Largest answer that a page takes in, bytes.
const LIMIT: usize = 4 * 1024 * 1024;

/// Calls the API router in-process. Used = asked ∧ granted ∧ what the person may: the call is made with
/// the intersection, and the handlers' own checks do the rest.
pub(crate) struct ApiDispatch {
    pub(crate) core: Weak<Core>,
}

#[async_trait]
impl Dispatch for ApiDispatch {
    async fn get(
        &self,
        ctx: &OpContext,
        package: &PackageId,
        path: &str,
    ) -> Result<Value, CapabilityError> {
        let core = self
            .core
            .upgrade()
            .ok_or_else(|| CapabilityError::Failed("the portal stops".into()))?;
        let tenant = core
            .tenant_snapshot(ctx.tenant())
            .map_err(|p| CapabilityError::Failed(p.detail))?;
        let view = tenant
            .packages
            .get(package)
            .ok_or_else(|| CapabilityError::NotFound(package.to_string()))?;
        let person = Arc::clone(&ctx.identity);
        let both: BTreeSet<String> = view
            .grants
            .iter()
            .map(|g| g.as_str().to_owned())
            .filter(|g| can(&person.permissions, g))
            .collect();
        let identity = Arc::new(Identity {
            permissions: Arc::new(both),
            ..Identity::clone(&person)
        });
        let ctx = ctx.child(identity).ok_or_else(|| {
            CapabilityError::Failed("too many calls between packages in one request".into())
        })?;
        let mut request = Request::get(path)
            .body(Body::empty())
            .map_err(|e| CapabilityError::Failed(format!("`{path}` is not a path: {e}")))?;
        request.extensions_mut().insert(Caller {
            ctx,
            csrf: Arc::from(""),
            by: CallerBy::Page,
            origin: Arc::from(""),
            client: std::net::IpAddr::from([127, 0, 0, 1]),
            person: Some(person),
        });
        // The API lives on the control runtime: its database connections do.
        let router = core.router().clone();
        let answer = core.on_control(async move {
            let response = api::call(&router, request).await;
            let status = response.status();
            (status, to_bytes(response.into_body(), LIMIT).await)
        });
        let (status, bytes) = answer
            .await
            .ok_or_else(|| CapabilityError::Failed("the portal stops".into()))?;
        let bytes = bytes.map_err(|_| {
            CapabilityError::Quota(format!("the answer of `{path}` is over {LIMIT} bytes"))
        })?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let text = |key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Err(match status.as_u16() {
            401 | 403 => CapabilityError::Denied(text("permission")),
            404 => CapabilityError::NotFound(text("detail")),
            _ => CapabilityError::Failed(text("detail")),
        })
    }
}
