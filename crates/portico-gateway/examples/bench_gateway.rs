//! A gateway with nothing behind it, to measure what it costs by itself.
//!
//! `bench_gateway [ADDRESS] [THREADS]` prints the addresses of a 3 KiB file, a 48 KiB file and a page of
//! 2 KiB (cookie `who=admin`), and serves until it is killed.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use axum::body::Body;
use http::{Request, Response, header, request::Parts};
use portico_gateway::{
    DataPlane, Event, EventHubs, EventSource, Gateway, GatewayConfig, GatewayParts, Live, Metrics,
    Portal, ServeConfig, Session,
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
    inventory::{Installed, Origin, State},
};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments
        .next()
        .as_deref()
        .unwrap_or("127.0.0.1:0")
        .parse()?;
    let threads: Option<NonZeroUsize> = arguments.next().map(|n| n.parse()).transpose()?;

    let digest = Digest::of(b"bench");
    let tenant = TenantId::default_tenant();
    let live = Arc::new(Live::new());
    live.put_assets(digest, &assets());
    live.put_backend(digest, Arc::new(OnePage(paragraphs(2 << 10))));
    live.publish(Arc::new(TenantSnapshot::compile(&inventory(
        &tenant, digest,
    )?)))?;

    let someone = Session {
        identity: Arc::new(Identity::system(tenant)),
        csrf: "0123456789abcdef0123456789abcdef".into(),
    };
    let nothing = Arc::new(Nothing(someone));
    let gateway = Gateway::new(GatewayParts {
        live,
        portal: nothing.clone(),
        shell: nothing.clone(),
        shell_files: nothing.clone(),
        dispatch: nothing.clone(),
        events: Arc::new(EventHubs::new()),
        event_source: nothing,
        metrics: Arc::new(Metrics::new(prometheus::Registry::new())?),
        config: GatewayConfig::default(),
    });
    let plane = DataPlane::start(
        ServeConfig {
            threads,
            ..ServeConfig::new(listen)
        },
        gateway,
    )?;
    let (addr, hex) = (plane.addr(), digest.hex());
    #[expect(clippy::print_stdout, reason = "what the harness reads")]
    {
        println!("http://{addr}/assets/{hex}/page.html");
        println!("http://{addr}/assets/{hex}/app.js");
        println!("http://{addr}/bench");
    }
    loop {
        std::thread::park();
    }
}

fn paragraphs(bytes: usize) -> String {
    let mut text = "<p>What is measured is what it costs to send this.</p>\n".repeat(bytes / 50);
    text.truncate(bytes);
    text
}

fn assets() -> AssetSet {
    let asset = |bytes, content_type: &'static str| Asset {
        bytes: paragraphs(bytes).into(),
        gzip: None,
        brotli: None,
        content_type,
        etag: "\"0123456789abcdef\"".into(),
    };
    AssetSet::from([
        (
            "page.html".to_owned(),
            asset(3 << 10, "text/html; charset=utf-8"),
        ),
        (
            "app.js".to_owned(),
            asset(48 << 10, "text/javascript; charset=utf-8"),
        ),
    ])
}

fn inventory(tenant: &TenantId, digest: Digest) -> Result<Inventory, Failure> {
    let manifest: Manifest = serde_json::from_value(json!({
        "format_version": 1, "id": "bench", "version": "1.0.0", "name": "Bench", "type": "htmx",
        "runtime": {"kind": "static"},
    }))?;
    let installed = Installed {
        release: Arc::new(Release {
            registry: "bench".into(),
            target: String::new(),
            digest,
            size: 0,
            unpacked_size: 0,
            publisher: String::new(),
            manifest,
        }),
        origin: Origin::Installed,
        state: State::Ready,
        reason: None,
        mount: "/bench".into(),
        config: Value::Null,
        grants: Default::default(),
        previous: Vec::new(),
        overrides: Default::default(),
        generation: 1,
        changed_at: 0,
    };
    Ok(Inventory {
        tenant: tenant.clone(),
        generation: 1,
        installed: BTreeMap::from([("bench".parse()?, installed)]),
        removed: BTreeMap::new(),
    })
}

struct OnePage(String);

#[async_trait]
impl Backend for OnePage {
    async fn page(&self, _: &OpContext, _: PageRequest) -> Result<PageResponse, BackendError> {
        Ok(PageResponse {
            status: 200,
            html: self.0.clone(),
            title: None,
            intent: None,
        })
    }
}

/// Everything else: there, and empty.
struct Nothing(Session);

#[async_trait]
impl Portal for Nothing {
    fn identify(&self, parts: &Parts, tenant: &TenantId) -> Session {
        if parts.headers.contains_key(header::COOKIE) {
            self.0.clone()
        } else {
            Session::anonymous(tenant.clone())
        }
    }

    async fn control(&self, _: Request<Body>) -> Response<Body> {
        Response::new(Body::from("ok\n"))
    }
}

impl Shell for Nothing {
    fn language(&self, _wanted: &[String]) -> &'static str {
        "en"
    }

    fn document(&self, request: ShellRequest<'_>, content: Content<'_>) -> String {
        match content {
            Content::Package { title, html, .. } => {
                format!(
                    "<!doctype html><title>{title}</title><main data-nonce=\"{}\">{html}</main>",
                    request.nonce
                )
            }
            other => format!("<!doctype html><pre>{other:?}</pre>"),
        }
    }

    fn content_security_policies(&self, nonce: &str, origin: &str) -> [String; 2] {
        [
            format!(
                "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self'"
            ),
            format!("script-src {origin}/assets/"),
        ]
    }
}

impl ShellFiles for Nothing {
    fn get(&self, _: &str) -> Option<Arc<Asset>> {
        None
    }
}

#[async_trait]
impl Dispatch for Nothing {
    async fn get(
        &self,
        _: &OpContext,
        _: &PackageId,
        path: &str,
    ) -> Result<Value, CapabilityError> {
        Err(CapabilityError::NotFound(path.to_owned()))
    }
}

#[async_trait]
impl EventSource for Nothing {
    async fn after(&self, _: &TenantId, _: u64) -> Option<Vec<Event>> {
        None
    }
}
