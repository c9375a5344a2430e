//! Signing in and out, and who one is.

use std::sync::Arc;

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Caller, CallerBy, CoreState};
use crate::{
    portal::Core,
    problem::{Answer, Problem},
};

/// Name of the session cookie; with TLS behind the `__Host-` prefix, which pins it to this host.
pub const COOKIE: &str = "portico_session";

/// Who the caller is.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionAnswer {
    /// Whether somebody is signed in.
    pub signed_in: bool,
    /// `user:…`, `token:…` or `anonymous`.
    pub actor: String,
    /// Name that people read.
    pub name: String,
    /// What the caller may do.
    pub permissions: Vec<String>,
}

/// Who the caller is.
#[utoipa::path(get, path = "/api/portal/session", tag = "access", operation_id = "getSession",
    responses((status = 200, body = SessionAnswer)))]
pub(super) async fn session(caller: Caller) -> Json<SessionAnswer> {
    let identity = &caller.ctx.identity;
    Json(SessionAnswer {
        signed_in: identity.is_signed_in(),
        actor: identity.actor.label(),
        name: identity.name.clone(),
        permissions: identity.permissions.iter().cloned().collect(),
    })
}

/// `/auth/…`: pages and forms, not part of the API.
pub(super) fn router() -> Router<Arc<Core>> {
    Router::new()
        .route("/auth/sign-in", get(page).post(sign_in))
        .route("/auth/sign-out", post(sign_out))
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    next: String,
    token: Option<String>,
}

/// The sign-in page; with `?token=` (the printed link) it signs in at once.
async fn page(State(core): CoreState, caller: Caller, Query(query): Query<PageQuery>) -> Response {
    let next = own_path(&query.next);
    if let Some(token) = query.token {
        return enter(&core, &caller, &token, next).await;
    }
    if caller.ctx.identity.is_signed_in() {
        return redirect(next);
    }
    sign_in_form(&core, &caller, next, None)
}

#[derive(Deserialize)]
struct SignInForm {
    #[serde(default)]
    next: String,
    token: String,
}

async fn sign_in(State(core): CoreState, caller: Caller, Form(form): Form<SignInForm>) -> Response {
    enter(&core, &caller, form.token.trim(), own_path(&form.next)).await
}

async fn enter(core: &Arc<Core>, caller: &Caller, token: &str, next: &str) -> Response {
    if core.sign_in_limit.check_key(&caller.client).is_err() {
        let mut response = sign_in_form(
            core,
            caller,
            next,
            Some((
                StatusCode::TOO_MANY_REQUESTS,
                "Too many attempts from here. Wait a minute, then try again.",
            )),
        );
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        return response;
    }
    // People paste the whole link; the code is behind `token=`.
    let code = token.rsplit("token=").next().unwrap_or(token);
    match core.people.sign_in_by_link(caller.tenant(), code).await {
        Ok(Some(secret)) => {
            let detail = json!({ "from": caller.client.to_string() });
            if let Err(error) = core
                .control
                .audit(&caller.ctx, "session.start", "admin", detail)
                .await
            {
                tracing::warn!(%error, "the audit record of a sign-in was not written");
            }
            let mut response = redirect(next);
            set_cookie(
                &mut response,
                caller,
                &secret.clear,
                core.options.session_hours,
            );
            response
        }
        Ok(None) => sign_in_form(
            core,
            caller,
            next,
            Some((
                StatusCode::FORBIDDEN,
                "This link was used already or is too old. Make a new one with `portico token link` on the portal's machine.",
            )),
        ),
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn sign_out(State(core): CoreState, caller: Caller, headers: HeaderMap) -> Answer<Response> {
    if caller.by != CallerBy::Cookie {
        return Err(Problem::bad_request("only a session can be signed out"));
    }
    if let Some(secret) = cookie(&headers, caller.origin.starts_with("https:")) {
        core.people.sign_out(caller.tenant(), secret).await?;
        core.hubs.of(caller.tenant()).recheck();
    }
    let mut response = Json(json!({ "next": "/auth/sign-in" })).into_response();
    set_cookie(&mut response, &caller, "", 0);
    Ok(response)
}

fn sign_in_form(
    core: &Arc<Core>,
    caller: &Caller,
    next: &str,
    error: Option<(StatusCode, &str)>,
) -> Response {
    let nonce = crate::gateway_port::nonce();
    let html = core.shell.sign_in_page(&portico_web::SignIn {
        language: caller.ctx.languages.first().map_or("en", String::as_str),
        nonce: &nonce,
        next,
        error: error.map(|e| e.1),
    });
    let status = error.map_or(StatusCode::OK, |e| e.0);
    let mut response = (status, Html(html)).into_response();
    crate::gateway_port::document_headers(core, &mut response, &nonce, &caller.origin);
    response
}

fn redirect(to: &str) -> Response {
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (
        StatusCode::SEE_OTHER,
        [
            (header::LOCATION, location),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (
                header::REFERRER_POLICY,
                HeaderValue::from_static("no-referrer"),
            ),
        ],
    )
        .into_response()
}

/// Only paths of this portal; anything else (another host, `//host`, `/\host`) becomes `/`.
fn own_path(next: &str) -> &str {
    let fine = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && !next.contains(|c: char| c.is_control())
        && !next.starts_with("/auth/");
    if fine { next } else { "/" }
}

/// The session secret in the cookies of a request.
pub fn cookie(headers: &HeaderMap, tls: bool) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == cookie_name(tls))
        .map(|(_, value)| value)
}

fn cookie_name(tls: bool) -> &'static str {
    if tls {
        "__Host-portico_session"
    } else {
        COOKIE
    }
}

fn set_cookie(response: &mut Response, caller: &Caller, value: &str, hours: u32) {
    let tls = caller.origin.starts_with("https:");
    let secure = if tls { "; Secure" } else { "" };
    let age = u64::from(hours) * 3600;
    let cookie = format!(
        "{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}",
        cookie_name(tls)
    );
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_stays_on_this_portal() {
        for bad in [
            "",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/\r\nx",
            "/auth/sign-out",
        ] {
            assert_eq!(own_path(bad), "/", "{bad:?}");
        }
        for good in ["/dash", "/marketplace/p/x?tab=1#y"] {
            assert_eq!(own_path(good), good);
        }
    }

    #[test]
    fn a_plain_cookie_is_not_taken_under_tls() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_static("a=b; portico_session=one"),
        );
        assert_eq!(cookie(&headers, false), Some("one"));
        assert_eq!(cookie(&headers, true), None);
    }
}
