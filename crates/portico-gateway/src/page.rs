//! Pages of packages: identity → permission → data → back end → frame.

use std::{
    future::Future, panic::AssertUnwindSafe, pin::pin, sync::Arc, task::Poll, time::Instant,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portico_host::{
    Backend, BackendError, OpContext, PageRequest, PageResponse,
    shell::{Content, ShellRequest},
};
use portico_package::manifest::{Intent, Method as PageMethod, Page};
use portico_plan::{
    TenantSnapshot,
    access::{Actor, can},
    snapshot::{Lookup, PackageView, Removal},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    body::Body,
    conditions::{Accepts, text, wanted_languages, wants_json},
    encode,
    gateway::{Gateway, Settings, not_allowed},
    headers, intent,
    live::Running,
    origin::{Arrival, REQUEST_ID, is_same_origin},
    page_data,
    ports::Session,
    problem::Problem,
    random,
};

/// Largest form, bytes.
const MAX_FORM: usize = 64 << 10;

/// Answers for a path that is not the portal's own.
pub(crate) async fn answer(
    gateway: &Gateway,
    settings: &Settings,
    arrival: &Arrival,
    path: &str,
    parts: Parts,
    body: axum::body::Body,
) -> Response<Body> {
    let method = match parts.method {
        Method::GET | Method::HEAD => PageMethod::Get,
        Method::POST => PageMethod::Post,
        _ => return not_allowed(&arrival.request_id, "GET, HEAD, POST"),
    };
    let found = gateway
        .live()
        .lookup(&arrival.tenant, method, path, |routes, lookup, running| {
            (Arc::clone(routes), Found::new(lookup, running))
        });
    let Some((routes, found)) = found else {
        // The tenant went away between two looks at the snapshot.
        return Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            "no portal answers here",
        )
        .of(&arrival.request_id)
        .response();
    };
    let session = gateway.portal().identify(&parts, &arrival.tenant);
    let mut languages = wanted_languages(&parts.headers);
    let language = gateway.shell().language(&languages);
    // The portal's own choice comes first, so that a page is in one language with its frame.
    languages.retain(|tag| tag != language);
    languages.insert(0, language.to_owned());
    let visit = Visit {
        gateway,
        arrival,
        path,
        routes: &routes,
        session: &session,
        parts: &parts,
        language,
        languages: languages.into(),
        nonce: random::hex32(),
    };
    if !session.identity.is_signed_in() && !matches!(found, Found::Nothing) {
        return visit.sign_in();
    }
    match found {
        Found::Page(page) => match visit.page(settings, &page, body).await {
            Ok(response) => response,
            Err(early) => *early,
        },
        Found::NoSuchPage {
            method_not_allowed: true,
        } => visit.not_allowed(method),
        Found::NoSuchPage {
            method_not_allowed: false,
        }
        | Found::Nothing => visit.notice(
            StatusCode::NOT_FOUND,
            "not-found",
            Content::NotFound,
            "there is nothing here",
        ),
        Found::Off(package) => visit.off(&package),
        Found::Gone(removal) => {
            let detail = format!("`{}` was removed by {}", removal.name, removal.by);
            visit.notice(
                StatusCode::GONE,
                "microsite-removed",
                Content::Removed(&removal),
                &detail,
            )
        }
    }
}

/// What a lookup found, kept beyond the snapshot.
enum Found {
    Page(Box<FoundPage>),
    NoSuchPage { method_not_allowed: bool },
    Off(Arc<PackageView>),
    Gone(Arc<Removal>),
    Nothing,
}

struct FoundPage {
    package: Arc<PackageView>,
    page: Arc<Page>,
    params: Vec<(String, String)>,
    /// Cancelled by the kill switch.
    cancel: CancellationToken,
    backend: Option<Arc<dyn Backend>>,
}

impl Found {
    fn new(lookup: Lookup<'_>, running: Option<Running<'_>>) -> Self {
        match lookup {
            Lookup::Page {
                package,
                page,
                params,
            } => Self::Page(Box::new(FoundPage {
                package: Arc::clone(package),
                page,
                params,
                cancel: running
                    .as_ref()
                    .map(|r| r.switch.child_token())
                    .unwrap_or_default(),
                backend: running.and_then(|r| r.backend),
            })),
            Lookup::NoSuchPage {
                method_not_allowed, ..
            } => Self::NoSuchPage { method_not_allowed },
            Lookup::Off { package } => Self::Off(Arc::clone(package)),
            Lookup::Gone { removal } => Self::Gone(Arc::clone(removal)),
            Lookup::Nothing => Self::Nothing,
        }
    }
}

/// One request for something inside the frame.
struct Visit<'a> {
    gateway: &'a Gateway,
    arrival: &'a Arrival,
    path: &'a str,
    routes: &'a TenantSnapshot,
    session: &'a Session,
    parts: &'a Parts,
    language: &'static str,
    languages: Arc<[String]>,
    nonce: Arc<str>,
}

/// The answer that ends the way early.
type Early = Box<Response<Body>>;

impl Visit<'_> {
    async fn page(
        &self,
        settings: &Settings,
        found: &FoundPage,
        body: axum::body::Body,
    ) -> Result<Response<Body>, Early> {
        let FoundPage {
            package,
            page,
            cancel,
            ..
        } = found;
        if let Some(permission) = &page.permission
            && !can(&self.session.identity.permissions, permission.as_str())
        {
            return Err(self.forbidden(permission.as_str()).into());
        }
        let query = match page.method {
            PageMethod::Get => {
                page_data::fields(self.parts.uri.query().unwrap_or_default().as_bytes())
            }
            PageMethod::Post => self.form(body).await?,
        };
        let asked = match (page.method, page.intent) {
            (PageMethod::Post, Some(intent)) => {
                Some((intent, self.intent(intent, package, &query)?))
            }
            (PageMethod::Post, None) => return Err(self.not_allowed(PageMethod::Post).into()),
            (PageMethod::Get, _) => None,
        };
        if cancel.is_cancelled() {
            return Err(self.off(package).into());
        }
        let Some(backend) = &found.backend else {
            tracing::error!(package = %package.id, digest = %package.digest, "no back end was started for what is routed to");
            return Err(self.off(package).into());
        };

        // Cancelled when this answer is given up, and when it is given.
        let _over = cancel.clone().drop_guard();
        let ctx = OpContext {
            identity: Arc::clone(&self.session.identity),
            request_id: Arc::clone(&self.arrival.request_id),
            deadline: Instant::now() + settings.page_deadline,
            hops: 0,
            cancel: cancel.clone(),
            languages: Arc::clone(&self.languages),
        };
        let work = self.work(&ctx, &**backend, found, query, asked.as_ref());
        let outcome = guarded(&ctx, work).await;
        let metrics = self.gateway.metrics().package(&package.id);
        match outcome {
            Ok((answer, title)) => {
                metrics.ok.inc();
                Ok(self.show(found, &answer, &title, asked))
            }
            Err(Stopped::Killed) => {
                metrics.cancelled.inc();
                Err(self.off(package).into())
            }
            Err(stopped) => {
                metrics.failed.inc();
                Err(self.failed(package, &stopped).into())
            }
        }
    }

    async fn work(
        &self,
        ctx: &OpContext,
        backend: &dyn Backend,
        found: &FoundPage,
        query: Vec<(String, String)>,
        asked: Option<&(Intent, Value)>,
    ) -> Result<(PageResponse, String), BackendError> {
        let FoundPage {
            package,
            page,
            params,
            ..
        } = found;
        let data = if page.data.is_empty() {
            Vec::new()
        } else {
            join_all(page.data.iter().map(|(name, template)| async {
                let value = match page_data::fill(template, params, &query) {
                    Some(path) => {
                        match self.gateway.dispatch().get(ctx, &package.id, &path).await {
                            Ok(value) => value,
                            Err(refused) => page_data::refusal(&refused),
                        }
                    }
                    None => page_data::error("not-found", 404, "a part of the path is missing"),
                };
                (name.clone(), value)
            }))
            .await
        };
        let title = match &page.title {
            Some(title) => title.in_language(ctx.languages.first().map_or("en", String::as_str)),
            None => package.name_in(self.language),
        };
        let title = page_data::title(title, &data, params);
        let request = PageRequest {
            package: Arc::clone(package),
            page: Arc::clone(page),
            params: params.clone(),
            query,
            nonce: Arc::clone(&self.nonce),
            data,
            generation: self.routes.generation,
        };
        let mut answer = backend.page(ctx, request).await?;
        if asked.is_none() {
            // Only a POST with the person's own click behind it may ask the shell for something.
            answer.intent = None;
        }
        Ok((answer, title))
    }

    /// The fields of a form that a page of this portal sent.
    async fn form(&self, body: axum::body::Body) -> Result<Vec<(String, String)>, Early> {
        // Scripts with a token send no cookie that another site could ride on.
        let rides_on_cookie = !matches!(self.session.identity.actor, Actor::Token(_));
        if rides_on_cookie && !is_same_origin(&self.parts.headers, &self.arrival.origin) {
            return Err(self.refused(
                StatusCode::FORBIDDEN,
                "cross-origin",
                "this form was not sent by a page of the portal: open the page again and repeat",
            ).into());
        }
        let content_type = text(&self.parts.headers, &header::CONTENT_TYPE);
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(self
                .refused(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported-media-type",
                    "send the form as application/x-www-form-urlencoded",
                )
                .into());
        }
        match Limited::new(body, MAX_FORM).collect().await {
            Ok(body) => Ok(page_data::fields(&body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(self
                .refused(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "form-too-large",
                    "a form may have at most 64 KiB",
                )
                .into()),
            Err(_) => Err(self
                .refused(
                    StatusCode::BAD_REQUEST,
                    "bad-request",
                    "the form did not arrive whole",
                )
                .into()),
        }
    }

    fn intent(
        &self,
        intent: Intent,
        package: &PackageView,
        fields: &[(String, String)],
    ) -> Result<Value, Early> {
        match intent::allowed(intent, package, &self.session.identity) {
            Ok(()) => {}
            Err(intent::Refused::Person) => {
                return Err(self.forbidden(intent::permission(intent)).into());
            }
            Err(intent::Refused::Package) => {
                let detail = format!(
                    "`{}` was not granted `{}`, so it cannot ask for this",
                    package.name,
                    intent::permission(intent)
                );
                return Err(self
                    .refused(StatusCode::FORBIDDEN, "package-permission-missing", &detail)
                    .into());
            }
        }
        intent::request(intent, &package.id, fields).map_err(|detail| {
            self.refused(StatusCode::UNPROCESSABLE_ENTITY, "invalid-form", &detail)
                .into()
        })
    }

    fn show(
        &self,
        found: &FoundPage,
        answer: &PageResponse,
        title: &str,
        asked: Option<(Intent, Value)>,
    ) -> Response<Body> {
        let title = answer.title.as_deref().unwrap_or(title);
        let title = if title.trim().is_empty() {
            found.package.name_in(self.language)
        } else {
            title
        };
        let status = StatusCode::from_u16(answer.status)
            .ok()
            .filter(|status| !status.is_informational())
            .unwrap_or(StatusCode::OK);
        let trigger = asked
            .as_ref()
            .filter(|_| self.is_htmx())
            .and_then(|(_, request)| intent::trigger(request));
        let mut response = if found.page.fragment && self.wants_fragment() {
            self.html(status, answer.html.as_bytes())
        } else {
            let content = Content::Package {
                package: &found.package,
                title,
                html: &answer.html,
                intent: asked.as_ref().map(|(intent, request)| (*intent, request)),
            };
            self.framed(status, content)
        };
        if let Some(trigger) = trigger {
            response.headers_mut().insert(headers::HX_TRIGGER, trigger);
        }
        response
    }

    fn framed(&self, status: StatusCode, content: Content<'_>) -> Response<Body> {
        let document = self.gateway.shell().document(
            ShellRequest {
                tenant: self.routes,
                identity: &self.session.identity,
                csrf: &self.session.csrf,
                nonce: &self.nonce,
                origin: &self.arrival.origin,
                path: self.path,
                request_id: &self.arrival.request_id,
                language: self.language,
                partial: self.is_htmx() && !self.parts.headers.contains_key(headers::HX_HISTORY),
            },
            content,
        );
        self.html(status, document.as_bytes())
    }

    /// HTML with everything that belongs to it. Compressed when the browser can read that and it is worth it.
    fn html(&self, status: StatusCode, html: &[u8]) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        let into = response.headers_mut();
        *into = headers::DOCUMENT.clone();
        for policy in self
            .gateway
            .shell()
            .content_security_policies(&self.nonce, &self.arrival.origin)
        {
            match HeaderValue::try_from(policy) {
                Ok(policy) => {
                    into.append(header::CONTENT_SECURITY_POLICY, policy);
                }
                Err(_) => {
                    tracing::error!(request_id = %self.arrival.request_id, "a content security policy is no header value");
                    into.append(
                        header::CONTENT_SECURITY_POLICY,
                        HeaderValue::from_static("default-src 'none'"),
                    );
                }
            }
        }
        if let Ok(id) = HeaderValue::from_str(&self.arrival.request_id) {
            into.insert(REQUEST_ID, id);
        }
        let worth_it =
            html.len() > encode::WORTH_COMPRESSING && Accepts::of(&self.parts.headers).gzip;
        let packed = if worth_it { encode::gzip(html) } else { None };
        let body = match packed {
            Some(packed) => {
                into.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                packed
            }
            None => Bytes::copy_from_slice(html),
        };
        if self.parts.method == Method::HEAD {
            into.insert(header::CONTENT_LENGTH, body.len().into());
        } else {
            *response.body_mut() = body.into();
        }
        response
    }

    /// An answer that is no page of a package: in the frame for people, a problem for programs.
    fn notice(
        &self,
        status: StatusCode,
        code: &str,
        content: Content<'_>,
        detail: &str,
    ) -> Response<Body> {
        if wants_json(&self.parts.headers) {
            Problem::new(status, code, detail)
                .of(&self.arrival.request_id)
                .response()
        } else {
            self.framed(status, content)
        }
    }

    fn refused(&self, status: StatusCode, code: &str, detail: &str) -> Response<Body> {
        let content = Content::Failed {
            status: status.as_u16(),
            package: None,
            message: detail,
        };
        self.notice(status, code, content, detail)
    }

    fn forbidden(&self, permission: &str) -> Response<Body> {
        if wants_json(&self.parts.headers) {
            let detail =
                format!("this needs the permission `{permission}`: ask an administrator for it");
            return Problem::new(StatusCode::FORBIDDEN, "permission-missing", &detail)
                .with("permission", permission)
                .of(&self.arrival.request_id)
                .response();
        }
        self.framed(StatusCode::FORBIDDEN, Content::Forbidden(permission))
    }

    fn off(&self, package: &PackageView) -> Response<Body> {
        let detail = match &package.reason {
            Some(reason) => format!("`{}` does not serve now: {reason}", package.name),
            None => format!("`{}` does not serve now", package.name),
        };
        let mut response = self.notice(
            StatusCode::SERVICE_UNAVAILABLE,
            "microsite-off",
            Content::Off(package),
            &detail,
        );
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        response
    }

    fn failed(&self, package: &PackageView, stopped: &Stopped) -> Response<Body> {
        let (status, detail) = match stopped {
            Stopped::Late => (
                StatusCode::GATEWAY_TIMEOUT,
                "the page took too long and was stopped".to_owned(),
            ),
            Stopped::Panicked => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page failed".to_owned(),
            ),
            Stopped::Failed(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            Stopped::Killed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the page was switched off".to_owned(),
            ),
        };
        tracing::warn!(
            package = %package.id,
            request_id = %self.arrival.request_id,
            path = self.path,
            error = detail,
            "a page failed"
        );
        let content = Content::Failed {
            status: status.as_u16(),
            package: Some(package),
            message: &detail,
        };
        self.notice(status, "page-failed", content, &detail)
    }

    fn not_allowed(&self, tried: PageMethod) -> Response<Body> {
        let allow = match tried {
            PageMethod::Get => "POST",
            PageMethod::Post => "GET, HEAD",
        };
        let detail = format!("this page can be asked with {allow}");
        let mut response = self.refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            &detail,
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static(allow));
        response
    }

    /// Browsers are sent to sign in and come back here; programs are told.
    fn sign_in(&self) -> Response<Body> {
        let detail = "sign in, or send an API token as `Authorization: Bearer …`";
        let problem = || {
            Problem::new(StatusCode::UNAUTHORIZED, "sign-in-required", detail)
                .of(&self.arrival.request_id)
        };
        let reads = matches!(self.parts.method, Method::GET | Method::HEAD);
        if self.is_htmx() {
            // A redirect would be followed by the script and land inside the page.
            let back = text(&self.parts.headers, &headers::HX_CURRENT_URL);
            let back = back
                .strip_prefix(&*self.arrival.origin)
                .filter(|p| p.starts_with('/'))
                .unwrap_or("/");
            return match sign_in_url(back) {
                Some(url) => problem().response_with(&[(headers::HX_REDIRECT, url)]),
                None => problem().response(),
            };
        }
        if !reads || wants_json(&self.parts.headers) {
            return problem().response();
        }
        let here = self.parts.uri.path_and_query().map_or("/", |p| p.as_str());
        let Some(url) = sign_in_url(here) else {
            return problem().response();
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let into = response.headers_mut();
        into.insert(header::LOCATION, url);
        into.insert(header::CACHE_CONTROL, headers::NO_STORE);
        into.insert(header::VARY, HeaderValue::from_static("Accept, HX-Request"));
        if let Ok(id) = HeaderValue::from_str(&self.arrival.request_id) {
            into.insert(REQUEST_ID, id);
        }
        response
    }

    fn is_htmx(&self) -> bool {
        text(&self.parts.headers, &headers::HX_REQUEST) == "true"
    }

    /// htmx says `full` when it will pick the main part out of a whole page.
    fn wants_fragment(&self) -> bool {
        self.is_htmx()
            && text(&self.parts.headers, &headers::HX_REQUEST_TYPE) != "full"
            && !self.parts.headers.contains_key(headers::HX_HISTORY)
    }
}

fn sign_in_url(next: &str) -> Option<HeaderValue> {
    const NEXT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    HeaderValue::try_from(format!(
        "/auth/sign-in?next={}",
        utf8_percent_encode(next, NEXT)
    ))
    .ok()
}

/// Why a page gave no answer.
#[derive(Debug)]
enum Stopped {
    Killed,
    Late,
    Panicked,
    Failed(BackendError),
}

/// Runs the work of a page until it is done, killed, late or broken. What is done at once, as most pages
/// are, costs neither a timer nor a place in the list of who waits for the kill switch.
async fn guarded<T>(
    ctx: &OpContext,
    work: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, Stopped> {
    let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
    let first = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
    let outcome = match first {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(Stopped::Killed),
            outcome = &mut work => outcome,
            () = tokio::time::sleep_until(ctx.deadline.into()) => return Err(Stopped::Late),
        },
    };
    match outcome {
        // What was made before the switch was thrown is not shown after it.
        Ok(_) if ctx.cancel.is_cancelled() => Err(Stopped::Killed),
        Ok(Ok(done)) => Ok(done),
        Ok(Err(BackendError::Cancelled(_))) if ctx.remaining().is_zero() => Err(Stopped::Late),
        Ok(Err(error)) => Err(Stopped::Failed(error)),
        Err(_) => Err(Stopped::Panicked),
    }
}
