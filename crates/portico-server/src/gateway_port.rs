//! How the data plane reaches the rest: who somebody is (in memory), and the control runtime.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts,
    },
    response::IntoResponse,
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use portico_gateway::{Arrival, Event, EventSource, Portal, Session};
use portico_host::{OpContext, shell::Shell};
use portico_plan::TenantId;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, Caller, CallerBy, auth},
    portal::Core,
    problem::Problem,
};

/// Longest that a request of the API may take.
const API_DEADLINE: Duration = Duration::from_secs(90);

/// The portal behind the data plane.
pub(crate) struct ServerPort {
    pub(crate) core: Weak<Core>,
}

impl ServerPort {
    /// The session of a request, and how it is known.
    fn session(
        core: &Core,
        headers: &HeaderMap,
        tenant: &TenantId,
        secure: bool,
    ) -> (Session, CallerBy) {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.strip_prefix("Bearer "));
        if let Some(token) = bearer {
            if let Some(session) = core.people.find(tenant, token.trim(), true) {
                return (session, CallerBy::Bearer);
            }
            return (Session::anonymous(tenant.clone()), CallerBy::Nothing);
        }
        if let Some(secret) = auth::cookie(headers, secure)
            && let Some(session) = core.people.find(tenant, secret, false)
        {
            return (session, CallerBy::Cookie);
        }
        (Session::anonymous(tenant.clone()), CallerBy::Nothing)
    }
}

/// The language that the portal chose for the person, then what else they want.
fn languages(core: &Core, headers: &HeaderMap) -> Arc<[String]> {
    let mut wanted = portico_gateway::wanted_languages(headers);
    let language = core.shell.language(&wanted);
    wanted.retain(|tag| tag != language);
    wanted.insert(0, language.to_owned());
    wanted.into()
}

#[async_trait]
impl Portal for ServerPort {
    fn identify(&self, parts: &Parts, tenant: &TenantId) -> Session {
        let Some(core) = self.core.upgrade() else {
            return Session::anonymous(tenant.clone());
        };
        let secure = parts.extensions.get::<Arrival>().is_some_and(|a| a.secure);
        Self::session(&core, &parts.headers, tenant, secure).0
    }

    async fn control(&self, mut request: Request<Body>) -> Response<Body> {
        let Some(core) = self.core.upgrade() else {
            return Problem::new(503, "stopping", "the portal stops; try again in a moment")
                .into_response();
        };
        let arrival = request.extensions().get::<Arrival>().cloned();
        let tenant = arrival
            .as_ref()
            .map_or_else(|| core.default_tenant.clone(), |a| a.tenant.clone());
        let secure = arrival.as_ref().is_some_and(|a| a.secure);
        let (mut session, mut by) = Self::session(&core, request.headers(), &tenant, secure);
        // A token that the command line made beside us is in the store and not yet in memory.
        if by == CallerBy::Nothing
            && request.headers().contains_key(header::AUTHORIZATION)
            && core.unknown_token_limit.check().is_ok()
        {
            let people = Arc::clone(&core.people);
            let reloaded = core.on_control(async move { people.reload().await }).await;
            if let Some(Err(error)) = reloaded {
                tracing::warn!(%error, "sessions and tokens could not be read again");
            }
            (session, by) = Self::session(&core, request.headers(), &tenant, secure);
        }
        let caller = Caller {
            ctx: OpContext {
                identity: session.identity,
                request_id: arrival
                    .as_ref()
                    .map_or_else(|| Arc::from(""), |a| Arc::clone(&a.request_id)),
                deadline: Instant::now() + API_DEADLINE,
                hops: 0,
                cancel: CancellationToken::new(),
                languages: languages(&core, request.headers()),
            },
            csrf: session.csrf,
            by,
            origin: arrival
                .as_ref()
                .map_or_else(|| Arc::from(""), |a| Arc::clone(&a.origin)),
            client: arrival
                .as_ref()
                .map_or(std::net::IpAddr::from([127, 0, 0, 1]), |a| a.client),
            person: None,
        };
        if let Some(response) = core.pages(&caller, request.uri().path()) {
            return response;
        }
        request.extensions_mut().insert(caller);
        let router = core.router().clone();
        let answer = core
            .on_control(async move { api::call(&router, request).await })
            .await;
        answer.unwrap_or_else(|| {
            Problem::new(
                500,
                "internal",
                "the request ended in an error of the portal; its id finds it in the log",
            )
            .into_response()
        })
    }
}

/// Events that are no longer in memory, from the store.
pub(crate) struct StoredEvents {
    pub(crate) core: Weak<Core>,
}

/// Most events that are replayed to a browser that was away; beyond that it reads everything anew.
const REPLAY: u32 = 5000;

#[async_trait]
impl EventSource for StoredEvents {
    async fn after(&self, tenant: &TenantId, seq: u64) -> Option<Vec<Event>> {
        let core = self.core.upgrade()?;
        let (reading, tenant) = (Arc::clone(&core), tenant.clone());
        let rows = core
            .on_control(async move {
                let mut tx = reading.control.store().read().await?;
                tx.events_after(&tenant, seq, REPLAY).await
            })
            .await?
            .inspect_err(|error| tracing::warn!(%error, "missed events could not be read"))
            .ok()?;
        // A gap at the front means that older ones were forgotten.
        if rows.len() == REPLAY as usize || rows.first().is_some_and(|r| r.seq != seq + 1) {
            return None;
        }
        Some(
            rows.into_iter()
                .map(|row| {
                    let mut body = row.body;
                    body["seq"] = serde_json::json!(row.seq);
                    Event {
                        seq: Some(row.seq),
                        json: body.to_string(),
                    }
                })
                .collect(),
        )
    }
}

/// A fresh nonce: 128 random bits.
pub fn nonce() -> String {
    let mut bytes = [0; 16];
    // Without randomness a page without scripts is safer than one with a nonce that can be guessed.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        return String::new();
    }
    STANDARD_NO_PAD.encode(bytes)
}

/// Headers that every document carries.
pub fn document_headers(core: &Core, response: &mut Response<Body>, nonce: &str, origin: &str) {
    let headers = response.headers_mut();
    for policy in core.shell.content_security_policies(nonce, origin) {
        if let Ok(value) = HeaderValue::from_str(&policy) {
            headers.append(header::CONTENT_SECURITY_POLICY, value);
        }
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
        (header::VARY, "HX-Request, Accept-Language, Cookie"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// A redirect that no cache keeps.
pub(crate) fn see_other(to: &str) -> Response<Body> {
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (
        StatusCode::SEE_OTHER,
        [
            (header::LOCATION, location),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
    )
        .into_response()
}
