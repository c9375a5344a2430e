//! A portal whose parts outside the gateway are made of cardboard.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts,
};
use http_body_util::{BodyExt, Full};
use portico_gateway::{
    Arrival, ConnInfo, Event, EventHubs, EventSource, Gateway, GatewayConfig, GatewayParts, Live,
    Metrics, Portal, Session,
};
use portico_host::{
    Backend, BackendError, OpContext, PageRequest, PageResponse,
    asset::{Asset, AssetSet, ShellFiles},
    capability::{CapabilityError, Dispatch},
    shell::{Content, Shell, ShellRequest},
};
use portico_package::{Digest, Manifest, PackageId, Release};
use portico_plan::{
    Identity, Inventory, TenantId, TenantSnapshot,
    access::Actor,
    inventory::{Installed, Origin, Removed, State},
};
use serde_json::{Value, json};

/// Everything a test may look at or turn.
pub(crate) struct World {
    pub(crate) live: Arc<Live>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) events: Arc<EventHubs>,
    pub(crate) backend: Arc<FakeBackend>,
    pub(crate) portal: Arc<FakePortal>,
    pub(crate) dispatch: Arc<FakeDispatch>,
    pub(crate) history: Arc<FakeHistory>,
}

pub(crate) fn digest() -> Digest {
    Digest::of(b"the archive of shop")
}

pub(crate) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub(crate) fn shop() -> PackageId {
    "shop".parse().unwrap()
}

pub(crate) fn world() -> World {
    world_with(GatewayConfig::default())
}

pub(crate) fn world_with(config: GatewayConfig) -> World {
    let live = Arc::new(Live::new());
    let backend = Arc::new(FakeBackend::default());
    live.put_backend(digest(), Arc::clone(&backend) as Arc<dyn Backend>);
    live.put_assets(digest(), &assets());
    live.publish(routes(1, State::Ready)).unwrap();
    let events = Arc::new(EventHubs::new());
    let portal = Arc::new(FakePortal::default());
    let dispatch = Arc::new(FakeDispatch::default());
    let history = Arc::new(FakeHistory::default());
    let gateway = Gateway::new(GatewayParts {
        live: Arc::clone(&live),
        portal: Arc::clone(&portal) as Arc<dyn Portal>,
        shell: Arc::new(FakeShell),
        shell_files: Arc::new(FakeShellFiles),
        dispatch: Arc::clone(&dispatch) as Arc<dyn Dispatch>,
        events: Arc::clone(&events),
        event_source: Arc::clone(&history) as Arc<dyn EventSource>,
        metrics: Arc::new(Metrics::new(prometheus::Registry::new()).unwrap()),
        config,
    });
    World {
        live,
        gateway,
        events,
        backend,
        portal,
        dispatch,
        history,
    }
}

/// Routes of one tenant: `shop` in `state`, `resting` switched off, `gone` removed.
pub(crate) fn routes(generation: u64, state: State) -> Arc<TenantSnapshot> {
    routes_to(generation, state, digest())
}

/// The same, with `shop` from another archive.
pub(crate) fn routes_to(generation: u64, state: State, digest: Digest) -> Arc<TenantSnapshot> {
    let mut inventory = Inventory {
        tenant: tenant(),
        generation,
        installed: BTreeMap::new(),
        removed: BTreeMap::new(),
    };
    inventory
        .installed
        .insert(shop(), installed(shop_manifest(), "/shop", state, digest));
    let resting = json!({
        "format_version": 1, "id": "resting", "version": "1.0.0", "name": "Resting", "type": "htmx",
        "runtime": {"kind": "static"},
    });
    inventory.installed.insert(
        "resting".parse().unwrap(),
        installed(resting, "/resting", State::Disabled, digest),
    );
    inventory.removed.insert(
        "gone".parse().unwrap(),
        Removed {
            name: "Gone".into(),
            version: "1.0.0".parse().unwrap(),
            mount: "/gone".into(),
            removed_by: "Ada".into(),
            removed_at: 0,
        },
    );
    Arc::new(TenantSnapshot::compile(&inventory))
}

/// Routes from which `shop` is gone.
pub(crate) fn routes_without_shop(generation: u64) -> Arc<TenantSnapshot> {
    let inventory = Inventory {
        tenant: tenant(),
        generation,
        installed: BTreeMap::new(),
        removed: BTreeMap::new(),
    };
    Arc::new(TenantSnapshot::compile(&inventory))
}

fn shop_manifest() -> Value {
    let page = |path: &str, template: &str| json!({"path": path, "template": template});
    let intent = |path: &str, intent: &str| json!({"path": path, "template": "echo.html", "method": "POST", "intent": intent, "fragment": true});
    json!({
        "format_version": 1, "id": "shop", "version": "1.2.3", "name": "Shop", "type": "htmx",
        "runtime": {"kind": "static"},
        "contributes": {"pages": [
            page("/", "plain.html"),
            page("/items/{id}", "echo.html"),
            page("/big", "big.html"),
            page("/slow", "slow.html"),
            page("/panic", "panic.html"),
            page("/fuel", "fuel.html"),
            page("/status", "status.html"),
            {"path": "/part", "template": "plain.html", "fragment": true},
            {"path": "/secret", "template": "plain.html", "permission": "shop:secret"},
            {"path": "/data/{id}", "template": "echo.html", "title": "{item.name} of {id}", "data": {
                "item": "/api/portal/microsites/{id}?q={q}&gone={missing}",
                "denied": "/api/denied",
            }},
            {"path": "/both", "template": "echo.html", "data": {"a": "/api/meet", "b": "/api/meet"}},
            intent("/install", "microsite:install"),
            intent("/remove", "microsite:uninstall"),
            intent("/off", "microsite:disable"),
        ]},
    })
}

fn installed(manifest: Value, mount: &str, state: State, digest: Digest) -> Installed {
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    Installed {
        release: Arc::new(Release {
            registry: "test".into(),
            target: String::new(),
            digest,
            size: 1,
            unpacked_size: 1,
            publisher: String::new(),
            manifest,
        }),
        origin: Origin::Installed,
        state,
        reason: None,
        mount: mount.into(),
        config: json!({}),
        grants: BTreeSet::from(["microsite:install".parse().unwrap()]),
        previous: Vec::new(),
        overrides: Default::default(),
        generation: 1,
        changed_at: 0,
    }
}

fn assets() -> AssetSet {
    let asset = |bytes: &'static [u8], content_type| Asset {
        bytes: Bytes::from_static(bytes),
        gzip: None,
        brotli: None,
        content_type,
        etag: "\"tag\"".into(),
    };
    let compressed = Asset {
        gzip: Some(Bytes::from_static(b"gz")),
        brotli: Some(Bytes::from_static(b"br")),
        ..asset(b"body{}body{}", "text/css; charset=utf-8")
    };
    AssetSet::from([
        ("style.css".to_owned(), compressed),
        (
            "page.html".to_owned(),
            asset(b"<script>alert(1)</script>", "text/html; charset=utf-8"),
        ),
        (
            "with space.txt".to_owned(),
            asset(b"x", "text/plain; charset=utf-8"),
        ),
        ("large.bin".to_owned(), asset(&[7; 16 << 20], "image/png")),
    ])
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

pub(crate) const LOCAL: ConnInfo = ConnInfo {
    peer: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)),
    tls: false,
};

impl World {
    /// A request with `headers` from nobody.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::new(Full::new(Bytes::from(body.to_owned())));
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = path.parse().unwrap();
        request
            .headers_mut()
            .insert(header::HOST, HeaderValue::from_static("portal.example"));
        for (name, value) in headers {
            request.headers_mut().insert(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::try_from(*value).unwrap(),
            );
        }
        let response = self.gateway.handle(request, LOCAL).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// GET by the administrator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("cookie", "who=admin")], "").await
    }

    /// GET by the administrator with more headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let headers: Vec<_> = [("cookie", "who=admin")]
            .iter()
            .chain(headers)
            .copied()
            .collect();
        self.send("GET", path, &headers, "").await
    }
}

/// Believes the cookie `who`: `admin` may everything, `member:<a>,<b>` may those. Tokens are people too.
#[derive(Default)]
pub(crate) struct FakePortal {
    pub(crate) everybody_out: AtomicBool,
    pub(crate) seen: Mutex<Vec<(String, HeaderMap, Option<Arrival>)>>,
}

#[async_trait]
impl Portal for FakePortal {
    fn identify(&self, parts: &Parts, tenant: &TenantId) -> Session {
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
        };
        let cookie = text(header::COOKIE).strip_prefix("who=");
        let token = text(header::AUTHORIZATION).strip_prefix("Bearer ");
        let Some(who) = cookie
            .or(token)
            .filter(|_| !self.everybody_out.load(Ordering::SeqCst))
        else {
            return Session::anonymous(tenant.clone());
        };
        let (name, permissions) = who
            .split_once(':')
            .unwrap_or((who, if who == "admin" { "*" } else { "" }));
        Session {
            identity: Arc::new(Identity {
                tenant: tenant.clone(),
                actor: if cookie.is_some() {
                    Actor::User(name.into())
                } else {
                    Actor::Token(name.into())
                },
                name: name.into(),
                permissions: Arc::new(
                    permissions
                        .split(',')
                        .filter(|p| !p.is_empty())
                        .map(str::to_owned)
                        .collect(),
                ),
            }),
            csrf: "csrf-token".into(),
        }
    }

    async fn control(&self, request: Request<AxumBody>) -> Response<AxumBody> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path().to_owned();
        let arrival = parts.extensions.get::<Arrival>().cloned();
        self.seen
            .lock()
            .unwrap()
            .push((path.clone(), parts.headers, arrival));
        let text = match path.as_str() {
            "/api/large" => "{\"a\":".to_owned() + &"1".repeat(5000) + "}",
            _ => format!("control {} {path} {}", parts.method, body.len()),
        };
        let mut response = Response::new(AxumBody::from(text));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response
            .headers_mut()
            .insert(header::ETAG, HeaderValue::from_static("\"c\""));
        response
    }
}

/// Draws what it was told.
struct FakeShell;

impl Shell for FakeShell {
    fn language(&self, wanted: &[String]) -> &'static str {
        if wanted.iter().any(|tag| tag.starts_with("de")) {
            "de"
        } else {
            "en"
        }
    }

    fn document(&self, request: ShellRequest<'_>, content: Content<'_>) -> String {
        let content = match content {
            Content::Package {
                package,
                title,
                html,
                intent,
            } => {
                let intent = intent.map(|(_, v)| v.to_string()).unwrap_or_default();
                format!(
                    "package {} title={title:?} intent={intent}\n{html}",
                    package.id
                )
            }
            Content::Removed(removal) => format!("removed {} by {}", removal.package, removal.by),
            Content::Off(package) => format!("off {}", package.id),
            Content::NotFound => "not found".into(),
            Content::Forbidden(permission) => format!("forbidden {permission}"),
            Content::Failed {
                status,
                package,
                message,
            } => {
                format!(
                    "failed {status} {:?} {message}",
                    package.map(|p| p.id.as_str())
                )
            }
        };
        let kind = if request.partial {
            "partial"
        } else {
            "document"
        };
        format!(
            "<{kind} csrf={:?} path={:?} user={:?}>{content}",
            request.csrf, request.path, request.identity.name
        )
    }

    fn content_security_policies(&self, nonce: &str, origin: &str) -> [String; 2] {
        [
            format!("script-src 'nonce-{nonce}'"),
            format!("script-src {origin}/assets/"),
        ]
    }
}

struct FakeShellFiles;

impl ShellFiles for FakeShellFiles {
    fn get(&self, path: &str) -> Option<Arc<Asset>> {
        let known = matches!(path, "/assets/shell/0a-shell.js" | "/theme/0a.css");
        known.then(|| {
            Arc::new(Asset {
                bytes: Bytes::from_static(b"shell"),
                gzip: None,
                brotli: None,
                content_type: "text/javascript",
                etag: "\"shell\"".into(),
            })
        })
    }
}

/// Answers by the name of the template.
#[derive(Default)]
pub(crate) struct FakeBackend {
    pub(crate) started: AtomicUsize,
    pub(crate) cancelled: Arc<AtomicUsize>,
}

/// Counts when it is dropped before it was disarmed.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Backend for FakeBackend {
    async fn page(
        &self,
        ctx: &OpContext,
        request: PageRequest,
    ) -> Result<PageResponse, BackendError> {
        self.started.fetch_add(1, Ordering::SeqCst);
        let page = |status, html: String| PageResponse {
            status,
            html,
            title: None,
            intent: None,
        };
        match request.page.template.as_str() {
            "plain.html" => Ok(page(200, format!("<p>plain for {}</p>", ctx.identity.name))),
            "echo.html" => Ok(page(
                200,
                json!({
                    "params": request.params, "query": request.query, "nonce": &*request.nonce,
                    "data": request.data, "languages": &*ctx.languages, "request_id": &*ctx.request_id,
                })
                .to_string(),
            )),
            "big.html" => Ok(page(200, "<p>big</p>".repeat(500))),
            "status.html" => Ok(page(404, "<p>no such thing</p>".into())),
            "slow.html" => {
                let dropped = Dropped(Arc::clone(&self.cancelled));
                tokio::time::sleep(Duration::from_secs(3600)).await;
                drop(dropped);
                Ok(page(200, String::new()))
            }
            "fuel.html" => Err(BackendError::Fuel { limit: 5, detail: "fuel.html:3".into() }),
            _ => panic!("as asked"),
        }
    }
}

#[derive(Default)]
pub(crate) struct FakeDispatch {
    pub(crate) paths: Mutex<Vec<String>>,
    here: AtomicUsize,
}

#[async_trait]
impl Dispatch for FakeDispatch {
    async fn get(
        &self,
        _: &OpContext,
        package: &PackageId,
        path: &str,
    ) -> Result<Value, CapabilityError> {
        assert_eq!(*package, shop());
        self.paths.lock().unwrap().push(path.to_owned());
        match path {
            "/api/denied" => Err(CapabilityError::Denied("api:things:read".into())),
            "/api/meet" => {
                // Ends only when two calls are under way at once.
                self.here.fetch_add(1, Ordering::SeqCst);
                while self.here.load(Ordering::SeqCst) < 2 {
                    tokio::task::yield_now().await;
                }
                Ok(json!("met"))
            }
            _ => Ok(json!({"name": "Logs & more"})),
        }
    }
}

/// What the store would answer.
#[derive(Default)]
pub(crate) struct FakeHistory(pub(crate) Mutex<Option<Vec<Event>>>);

#[async_trait]
impl EventSource for FakeHistory {
    async fn after(&self, _: &TenantId, seq: u64) -> Option<Vec<Event>> {
        let events = self.0.lock().unwrap().clone()?;
        Some(events.into_iter().filter(|e| e.seq > Some(seq)).collect())
    }
}
