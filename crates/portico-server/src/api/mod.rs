//! The HTTP API: thin handlers over the control plane. Everything here runs on the control runtime.

pub mod audit;
pub mod auth;
pub mod config;
pub mod events;
pub mod health;
pub mod lifecycle;
pub mod microsites;
pub mod models;
pub mod operations;
pub mod registries;
pub mod tokens;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use portico_host::OpContext;
use portico_plan::{TenantId, can};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    portal::Core,
    problem::{Answer, Problem},
};

/// Who asks and within what: put into every request by the gateway side, so that handlers cannot forget it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The operation context.
    pub ctx: OpContext,
    /// Token that unsafe requests with a cookie must repeat; empty for bearer tokens.
    pub csrf: Arc<str>,
    /// How the caller is known.
    pub by: CallerBy,
    /// `scheme://host[:port]` as the browser sees it.
    pub origin: Arc<str>,
    /// Address of the client, behind trusted proxies the one they name.
    pub client: std::net::IpAddr,
    /// For the data of a page: what the person may, who could approve what the package only shows.
    pub person: Option<Arc<portico_plan::Identity>>,
}

/// How a caller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerBy {
    /// Not at all.
    Nothing,
    /// A session cookie: unsafe requests need the CSRF token.
    Cookie,
    /// `Authorization: Bearer`.
    Bearer,
    /// The portal itself, for the data of a package's page.
    Page,
}

impl Caller {
    /// Whose portal.
    pub fn tenant(&self) -> &TenantId {
        self.ctx.tenant()
    }

    /// Refuses callers without `permission`. The one check of every handler.
    pub fn need(&self, permission: &str) -> Answer<()> {
        if !self.ctx.identity.is_signed_in() {
            return Err(Problem::unauthorized());
        }
        if can(&self.ctx.identity.permissions, permission) {
            Ok(())
        } else {
            Err(Problem::forbidden(permission))
        }
    }

    /// Whether the person behind the caller could grant anything: plans are shown to that person.
    pub fn may_grant(&self) -> bool {
        let person = self.person.as_ref().unwrap_or(&self.ctx.identity);
        can(&person.permissions, portico_control::GRANTS_APPROVE)
    }

    /// Whether the caller has `permission`.
    pub fn may(&self, permission: &str) -> bool {
        can(&self.ctx.identity.permissions, permission)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::new(
                500,
                "internal",
                "the request came without its context; report this",
            )
        })?;
        // Before the body is looked at: strangers learn nothing about what an endpoint takes.
        let path = parts.uri.path();
        let private = path.starts_with("/api/portal/") && path != "/api/portal/session";
        if private && !caller.ctx.identity.is_signed_in() {
            return Err(Problem::unauthorized());
        }
        Ok(caller)
    }
}

/// A JSON body whose errors are problems.
pub struct JsonBody<T>(pub T);

impl<T, S> axum::extract::FromRequest<S> for JsonBody<T>
where
    T: serde::de::DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => {
                let status = rejection.status().as_u16();
                Err(Problem::new(status, "invalid-body", rejection.body_text()))
            }
        }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Portico",
        description = "The API of a portal that is extended while it runs. Errors are RFC 9457 problems with stable codes.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "microsites", description = "What is installed, what could be, and the six verbs"),
        (name = "operations", description = "Approved plans on their way"),
        (name = "portal", description = "Configuration, events, health"),
        (name = "access", description = "Sessions and API tokens"),
        (name = "registries", description = "Where packages come from"),
    ),
    components(schemas(Problem))
)]
struct Document;

/// Every endpoint, with what the OpenAPI document says of it.
fn endpoints() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(microsites::list))
        .routes(routes!(microsites::available))
        .routes(routes!(microsites::detail, lifecycle::uninstall))
        .routes(routes!(lifecycle::preview))
        .routes(routes!(lifecycle::plan))
        .routes(routes!(lifecycle::install))
        .routes(routes!(lifecycle::upgrade))
        .routes(routes!(lifecycle::rollback))
        .routes(routes!(lifecycle::disable))
        .routes(routes!(lifecycle::enable))
        .routes(routes!(operations::list))
        .routes(routes!(operations::get))
        .routes(routes!(operations::retry))
        .routes(routes!(events::stream))
        .routes(routes!(config::get))
        .routes(routes!(config::reload))
        .routes(routes!(health::summary))
        .routes(routes!(audit::list))
        .routes(routes!(registries::list, registries::add))
        .routes(routes!(registries::remove))
        .routes(routes!(registries::refresh))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(auth::session))
}

/// The router and its OpenAPI document; made from the same list, so they cannot differ.
pub fn router(core: Arc<Core>) -> (Router, utoipa::openapi::OpenApi) {
    let (router, mut document) = endpoints().split_for_parts();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let json: Arc<str> = document.to_json().unwrap_or_default().into();
    let router = router
        .route(
            "/api/openapi.json",
            axum::routing::get(move || {
                let json = Arc::clone(&json);
                async move {
                    (
                        [(header::CONTENT_TYPE, "application/json")],
                        json.to_string(),
                    )
                }
            }),
        )
        .merge(auth::router())
        .merge(health::router())
        .fallback(|request: Request| async move {
            Problem::new(
                404,
                "no-such-endpoint",
                format!(
                    "there is no `{}` here; see /api/openapi.json",
                    request.uri().path()
                ),
            )
        })
        .layer(middleware::from_fn(guard))
        .with_state(core);
    (router, document)
}

/// Unsafe requests with a cookie must come from our own pages and repeat the session's token, which
/// neither other sites nor package fragments can read. Works with and without TLS.
async fn guard(request: Request, next: Next) -> Response {
    if let Some(caller) = request.extensions().get::<Caller>()
        && !matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        )
        && matches!(caller.by, CallerBy::Cookie | CallerBy::Nothing)
        && let Err(problem) = check_csrf(caller, request.headers())
    {
        let id = Arc::clone(&caller.ctx.request_id);
        return named(problem.into_response(), Some(id)).await;
    }
    let id = request
        .extensions()
        .get::<Caller>()
        .map(|c| Arc::clone(&c.ctx.request_id));
    named(next.run(request).await, id).await
}

/// Problems carry the id of their request, so that a person can quote it and an operator find it.
async fn named(response: Response, id: Option<Arc<str>>) -> Response {
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes() == b"application/problem+json");
    let Some(id) = id.filter(|id| is_problem && !id.is_empty()) else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, PROBLEM_LIMIT).await else {
        return Problem::new(500, "internal", "the answer was too long").into_response();
    };
    let named = serde_json::from_slice::<serde_json::Value>(&bytes)
        .ok()
        .and_then(|mut value| {
            value["instance"] = serde_json::Value::String(id.to_string());
            serde_json::to_vec(&value).ok()
        });
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(named.unwrap_or_else(|| bytes.to_vec())))
}

/// Largest problem, bytes: plans are part of some.
const PROBLEM_LIMIT: usize = 8 * 1024 * 1024;

fn check_csrf(caller: &Caller, headers: &HeaderMap) -> Answer<()> {
    use subtle::ConstantTimeEq;
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let foreign = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) if site != "same-origin" => Some(site.to_owned()),
        (_, Some(origin)) if origin != &*caller.origin => Some(origin.to_owned()),
        _ => None,
    };
    if let Some(from) = foreign {
        return Err(Problem::new(
            403,
            "cross-site-request",
            format!(
                "this request came from another site (`{from}`), not from {}",
                caller.origin
            ),
        ));
    }
    if caller.by == CallerBy::Nothing {
        // Nobody is signed in: nothing to forge but the sign-in itself, which the origin check covers.
        return Ok(());
    }
    let sent = text("x-portico-csrf").unwrap_or_default();
    if bool::from(sent.as_bytes().ct_eq(caller.csrf.as_bytes())) && !caller.csrf.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(
            403,
            "csrf",
            "requests that change something must carry the session's token in `x-portico-csrf`; reload the page and try again",
        ))
    }
}

/// Runs the API for one request whose [`Caller`] is in its extensions.
pub async fn call(router: &Router, request: axum::http::Request<Body>) -> Response {
    use tower::ServiceExt;
    match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// State of every handler.
pub type CoreState = State<Arc<Core>>;

#[cfg(test)]
mod tests {
    use super::*;

    /// Path templates of the document that can be read.
    fn readable() -> Vec<Vec<String>> {
        let (_, document) = endpoints().split_for_parts();
        let json: serde_json::Value = serde_json::from_str(&document.to_json().unwrap()).unwrap();
        let paths = json["paths"].as_object().unwrap();
        paths
            .iter()
            .filter(|(_, methods)| methods.get("get").is_some())
            .map(|(path, _)| path.split('/').map(str::to_owned).collect())
            .collect()
    }

    /// Whether `path` (its query left out, `{…}` standing for anything) is one of `known`.
    fn is_public(known: &[Vec<String>], path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        let asked: Vec<&str> = path.split('/').collect();
        known.iter().any(|template| {
            template.len() == asked.len()
                && template
                    .iter()
                    .zip(&asked)
                    .all(|(t, a)| t == a || t.starts_with('{') && a.starts_with('{'))
        })
    }

    #[test]
    fn first_party_packages_use_only_the_public_api() {
        let known = readable();
        let listing = portico_registry::bundled::listing().unwrap();
        let mut asked = 0;
        for release in &listing.releases {
            for page in release.manifest.effective_pages().iter() {
                for path in page.data.values() {
                    assert!(
                        is_public(&known, path),
                        "{} reads {path}, which is not in the OpenAPI",
                        release.manifest.id
                    );
                    asked += 1;
                }
            }
        }
        assert!(
            asked >= 5,
            "the dash and the marketplace read something: {asked}"
        );
        assert!(
            !is_public(&known, "/api/portal/private"),
            "the check can fail"
        );
        assert!(
            !is_public(&known, "/api/portal/microsites/install"),
            "what cannot be read is not data"
        );
    }
}
