//! One request: what it is for, and who answers.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts,
};
use http_body::Body as _;
use http_body_util::BodyExt;
use portico_host::{asset::ShellFiles, capability::Dispatch, shell::Shell};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    assets::{ServedFile, ShellCache},
    body::Body,
    conditions::Accepts,
    encode,
    events::{self, EventHubs, EventSource},
    live::Live,
    metrics::{Held, Kind, Metrics},
    normalize::normalize,
    origin::{Arrival, Cidr, ConnInfo, REQUEST_ID, Trust, strip_forwarding},
    page,
    ports::Portal,
    problem::Problem,
};

/// What can be configured, and changed while the portal runs.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Proxies whose `x-forwarded-*` and `x-request-id` are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// `server.public_url`; its scheme holds for requests to its host.
    pub public_url: Option<String>,
    /// How long a page may take.
    pub page_deadline: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            public_url: None,
            page_deadline: Duration::from_secs(5),
        }
    }
}

/// What a gateway is made of.
pub struct GatewayParts {
    /// What is served.
    pub live: Arc<Live>,
    /// The portal behind it.
    pub portal: Arc<dyn Portal>,
    /// Draws the frame.
    pub shell: Arc<dyn Shell>,
    /// Files of the frame.
    pub shell_files: Arc<dyn ShellFiles>,
    /// Answers what pages ask of the portal's API.
    pub dispatch: Arc<dyn Dispatch>,
    /// What happens.
    pub events: Arc<EventHubs>,
    /// Where older events are read from.
    pub event_source: Arc<dyn EventSource>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// What can be configured.
    pub config: GatewayConfig,
}

/// Answers requests. Shared by every thread of the data plane.
pub struct Gateway {
    live: Arc<Live>,
    portal: Arc<dyn Portal>,
    shell: Arc<dyn Shell>,
    shell_files: ShellCache,
    dispatch: Arc<dyn Dispatch>,
    events: Arc<EventHubs>,
    event_source: Arc<dyn EventSource>,
    metrics: Arc<Metrics>,
    settings: ArcSwap<Settings>,
    streams_stop: CancellationToken,
    streams: TaskTracker,
}

#[derive(Debug)]
pub(crate) struct Settings {
    trust: Trust,
    pub(crate) page_deadline: Duration,
}

impl From<GatewayConfig> for Settings {
    fn from(config: GatewayConfig) -> Self {
        let public_origin = config.public_url.and_then(|url| {
            let (scheme, rest) = url.split_once("://")?;
            let authority = rest.split(['/', '?', '#']).next()?;
            Some(
                format!("{scheme}://{authority}")
                    .to_ascii_lowercase()
                    .into(),
            )
        });
        Self {
            trust: Trust {
                proxies: config.trusted_proxies,
                public_origin,
            },
            page_deadline: config.page_deadline,
        }
    }
}

/// Where requests are logged, at level debug. Files are not: they are counted.
const ACCESS: &str = "portico::access";

/// Bodies up to this size are compressed when the portal's own answers are passed on, bytes.
const LARGEST_COMPRESSED: u64 = 4 << 20;

impl Gateway {
    /// Puts the parts together.
    pub fn new(parts: GatewayParts) -> Arc<Self> {
        Arc::new(Self {
            live: parts.live,
            portal: parts.portal,
            shell: parts.shell,
            shell_files: ShellCache::new(parts.shell_files),
            dispatch: parts.dispatch,
            events: parts.events,
            event_source: parts.event_source,
            metrics: parts.metrics,
            settings: ArcSwap::from_pointee(parts.config.into()),
            streams_stop: CancellationToken::new(),
            streams: TaskTracker::new(),
        })
    }

    /// Takes another configuration; requests in flight keep theirs.
    pub fn reconfigure(&self, config: GatewayConfig) {
        self.settings.store(Arc::new(config.into()));
    }

    /// Ends every event stream: they would keep their connections open for ever.
    pub fn stop_streams(&self) {
        self.streams_stop.cancel();
        self.streams.close();
    }

    /// Answers a request that came in on `conn`.
    pub fn handle<B>(self: &Arc<Self>, request: Request<B>, conn: ConnInfo) -> Handling
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if let Some(response) = self.file(&request) {
            let is_refused = response.status().is_client_error();
            let kind = if is_refused {
                Kind::Refused
            } else {
                Kind::Asset
            };
            self.metrics.count_only(kind, response.status().as_u16());
            return Handling(State::Done(Some(response)));
        }
        let began = Instant::now();
        let gateway = Arc::clone(self);
        let log = tracing::enabled!(target: ACCESS, tracing::Level::DEBUG)
            .then(|| (request.method().clone(), request.uri().path().to_owned()));
        let request = request.map(|body| {
            if body.is_end_stream() {
                axum::body::Body::empty()
            } else {
                axum::body::Body::new(body)
            }
        });
        Handling(State::Running(Box::pin(async move {
            let held = Held::new(&gateway.metrics.in_flight);
            let (kind, response) = gateway.answer(request, conn).await;
            drop(held);
            gateway
                .metrics
                .count(kind, response.status().as_u16(), began.elapsed());
            if let Some((method, path)) = log {
                let request_id = crate::conditions::text(response.headers(), &REQUEST_ID);
                let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                let status = response.status().as_u16();
                tracing::debug!(target: ACCESS, %method, path, status, micros, request_id, client = %conn.peer);
            }
            response
        })))
    }

    /// Files answer at once: nothing about them depends on who asks, or on the tenant.
    fn file<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let path = request.uri().path();
        let rest = match path.strip_prefix("/assets/") {
            Some(rest) => Some(rest),
            None if path.starts_with("/theme/") => None,
            None => return None,
        };
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let serve = |path: &str, rest: Option<&str>| {
            if let Some((digest, file)) = rest.and_then(|rest| rest.split_once('/'))
                && digest.len() == 64
            {
                let assets = self.live.assets();
                let (_, files) = assets.get(digest)?;
                return Some(files.get(file)?.answer(request.method(), request.headers()));
            }
            Some(
                self.shell_files
                    .get(path)?
                    .answer(request.method(), request.headers()),
            )
        };
        if reads && let Some(response) = serve(path, rest) {
            return Some(response);
        }
        match normalize(path) {
            Err(bad) => {
                Some(Problem::new(StatusCode::BAD_REQUEST, "bad-path", &bad.to_string()).response())
            }
            // A theme that is no file of the shell may still be the portal's.
            Ok(_) if rest.is_none() => None,
            Ok(_) if !reads => Some(not_allowed("", "GET, HEAD")),
            Ok(decoded) => serve(&decoded, decoded.strip_prefix("/assets/")).or_else(|| {
                Some(
                    Problem::new(StatusCode::NOT_FOUND, "not-found", "there is no such file")
                        .response(),
                )
            }),
        }
    }

    /// A file by exactly this path, handed to `send`; its answer is counted. Other spellings of the path, and
    /// whatever is to be said when there is no such file, are [`Gateway::handle`]'s.
    pub(crate) fn exact_file<T>(
        &self,
        path: &str,
        send: impl FnOnce(&ServedFile) -> T,
    ) -> Option<T> {
        let of_package = path
            .strip_prefix("/assets/")
            .and_then(|rest| rest.split_once('/'))
            .filter(|(digest, _)| digest.len() == 64);
        let sent = match of_package {
            Some((digest, file)) => {
                let assets = self.live.assets();
                send(assets.get(digest)?.1.get(file)?)
            }
            None => send(&*self.shell_files.get(path)?),
        };
        self.metrics.count_only(Kind::Asset, 200);
        Some(sent)
    }

    async fn answer(
        &self,
        request: Request<axum::body::Body>,
        conn: ConnInfo,
    ) -> (Kind, Response<Body>) {
        let (mut parts, body) = request.into_parts();
        let path = match normalize(parts.uri.path()) {
            Ok(path) => path.into_owned(),
            Err(bad) => {
                let detail = bad.to_string();
                return (
                    Kind::Refused,
                    Problem::new(StatusCode::BAD_REQUEST, "bad-path", &detail).response(),
                );
            }
        };
        if matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics") {
            // Asked for by address, by what knows no host of any tenant.
            strip_forwarding(&mut parts.headers);
            if path == "/metrics" {
                for routes in self.live.snapshot().tenants() {
                    self.metrics
                        .set_generation(routes.tenant.as_str(), routes.generation);
                }
            }
            let response = self.portal.control(Request::from_parts(parts, body)).await;
            return (Kind::Control, response.map(Body::stream));
        }
        let settings = self.settings.load_full();
        let Ok(told) = settings.trust.read(conn, &parts.uri, &parts.headers) else {
            let detail = "the request names no host, or one that is none";
            return (
                Kind::Refused,
                Problem::new(StatusCode::BAD_REQUEST, "bad-host", detail).response(),
            );
        };
        strip_forwarding(&mut parts.headers);
        let Some(tenant) = self
            .live
            .snapshot()
            .tenant_of_host(&told.host)
            .map(|t| t.tenant.clone())
        else {
            let detail = format!("no portal answers at the host `{}`", told.host);
            let problem = Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown-host", &detail);
            return (Kind::Refused, problem.of(&told.request_id).response());
        };
        let arrival = Arrival {
            tenant,
            request_id: told.request_id,
            client: told.client,
            origin: told.origin,
            secure: told.secure,
        };
        parts.extensions.insert(arrival.clone());

        if path == "/api/portal/events" {
            return (Kind::Events, events::serve(self, &arrival, parts).await);
        }
        if is_control(&path) {
            return (Kind::Control, self.control(&arrival, parts, body).await);
        }
        (
            Kind::Page,
            page::answer(self, &settings, &arrival, &path, parts, body).await,
        )
    }

    /// Hands a request to the portal and finishes its answer.
    async fn control(
        &self,
        arrival: &Arrival,
        mut parts: Parts,
        body: axum::body::Body,
    ) -> Response<Body> {
        let accepts = Accepts::of(&parts.headers);
        let id = HeaderValue::from_str(&arrival.request_id).ok();
        if let Some(id) = &id {
            parts.headers.insert(REQUEST_ID, id.clone());
        }
        let mut response = self.portal.control(Request::from_parts(parts, body)).await;
        if let Some(id) = id
            && !response.headers().contains_key(REQUEST_ID)
        {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if accepts.gzip && is_worth_compressing(&response) {
            compress(response).await
        } else {
            response.map(Body::stream)
        }
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    pub(crate) fn portal(&self) -> &Arc<dyn Portal> {
        &self.portal
    }

    pub(crate) fn shell(&self) -> &dyn Shell {
        &*self.shell
    }

    pub(crate) fn dispatch(&self) -> &dyn Dispatch {
        &*self.dispatch
    }

    /// What happens, by tenant.
    pub fn events(&self) -> &EventHubs {
        &self.events
    }

    pub(crate) fn event_source(&self) -> &dyn EventSource {
        &*self.event_source
    }

    /// Where it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn streams_stop(&self) -> &CancellationToken {
        &self.streams_stop
    }

    /// Every open event stream holds a token of this.
    pub(crate) fn streams(&self) -> &TaskTracker {
        &self.streams
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

/// The portal's own paths. `/plugins/…` is where packages without a path of their own live.
fn is_control(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    let first = path[1..].split('/').next().unwrap_or_default();
    matches!(
        first,
        "api"
            | "auth"
            | "csp"
            | "theme"
            | "activity"
            | "settings"
            | "favicon.ico"
            | "robots.txt"
            | ".well-known"
    )
}

pub(crate) fn not_allowed(request_id: &str, allow: &'static str) -> Response<Body> {
    let detail = format!("this can be asked with {allow}");
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        &detail,
    )
    .of(request_id)
    .response_with(&[(header::ALLOW, HeaderValue::from_static(allow))])
}

fn is_worth_compressing(response: &Response<axum::body::Body>) -> bool {
    let headers = response.headers();
    let size = response.body().size_hint().exact();
    let content_type = crate::conditions::text(headers, &header::CONTENT_TYPE);
    size.is_some_and(|size| (encode::WORTH_COMPRESSING as u64..=LARGEST_COMPRESSED).contains(&size))
        && !headers.contains_key(header::CONTENT_ENCODING)
        && [
            "text/",
            "application/json",
            "application/problem+json",
            "image/svg+xml",
        ]
        .iter()
        .any(|kind| content_type.starts_with(kind))
}

async fn compress(response: Response<axum::body::Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let Ok(body) = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
    else {
        head.status = StatusCode::INTERNAL_SERVER_ERROR;
        head.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(head, Body::empty());
    };
    head.headers
        .append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let body = match encode::gzip(&body) {
        Some(packed) => {
            head.headers
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            head.headers.remove(header::CONTENT_LENGTH);
            weaken(&mut head.headers, header::ETAG);
            packed
        }
        None => body,
    };
    Response::from_parts(head, body.into())
}

/// A strong tag promises the same bytes, which compression breaks.
fn weaken(headers: &mut http::HeaderMap, name: HeaderName) {
    if let Some(tag) = headers.get(&name).and_then(|tag| tag.to_str().ok())
        && !tag.starts_with("W/")
        && let Ok(weak) = HeaderValue::try_from(format!("W/{tag}"))
    {
        headers.insert(name, weak);
    }
}

/// The answer to one request, on its way. Files are there at once, without a task or an allocation.
pub struct Handling(State);

enum State {
    Done(Option<Response<Body>>),
    Running(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Future for Handling {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Done(response) => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            State::Running(running) => running.as_mut().poll(cx).map(Ok),
        }
    }
}

impl std::fmt::Debug for Handling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handling").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portal_paths() {
        for (path, own) in [
            ("/", true),
            ("/api", true),
            ("/api/portal/config", true),
            ("/auth/sign-in", true),
            ("/settings/", true),
            ("/apix", false),
            ("/plugins/x", false),
            ("/logstream/api", false),
        ] {
            assert_eq!(is_control(path), own, "{path}");
        }
    }
}
