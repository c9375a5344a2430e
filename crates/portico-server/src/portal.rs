//! The portal, put together.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{Router, body::Body, http::Response};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use portico_control::{Control, ControlError, ControlParts, configured::ConfiguredPackage};
use portico_gateway::{
    DataPlane, EventHubs, Gateway, GatewayConfig, GatewayParts, Live, Metrics, ServeConfig,
};
use portico_host::{
    BackendFactory, Clock, OpContext, Supervisor, SystemClock, Timestamp,
    fault::{AbortAt, Faults, NoFaults},
};
use portico_package::{Version, manifest::RuntimeKind};
use portico_plan::{Inventory, Policy, TenantId, TenantSnapshot};
use portico_store::{BlobStore, DatabaseUrl, Store, StoreError};
use tokio::runtime::Handle;

use crate::{
    api::{self, Caller},
    dispatch::ApiDispatch,
    gateway_port::{ServerPort, StoredEvents, see_other},
    options::Options,
    people::People,
    problem::{Answer, Problem},
    registries::Registries,
    reload::{self, Settings},
    stage::GatewayStage,
};

/// How long requests may take to end when the portal stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How long the start waits for registries when it needs them.
const REGISTRY_WAIT: Duration = Duration::from_secs(15);

/// How often registries are read again.
const REGISTRY_PERIOD: Duration = Duration::from_secs(15 * 60);

/// Versions of ScheduleZero that the portal stands in for: `base_platform: schedulezero`.
/// See docs/reference/configuration.md.
const PLATFORM_VERSIONS: [&str; 2] = ["1.5.0", "2.1.0"];

/// Why a portal does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error("the data folder {path} cannot be used: {reason}")]
    Data {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The control plane.
    #[error("{0}")]
    Control(#[from] ControlError),
    /// The listener.
    #[error("{0}")]
    Serve(#[from] portico_gateway::ServeError),
    /// Another process.
    #[error(
        "another portal uses the data folder {0}: stop it first, or name another folder with --data"
    )]
    Locked(String),
    /// TLS of outbound connections.
    #[error("outbound connections: {0}")]
    Egress(String),
    /// Metrics.
    #[error("metrics: {0}")]
    Metrics(String),
}

/// What every handler shares.
pub struct Core {
    /// Plans, operations, inventory.
    pub control: Control,
    /// Who may.
    pub people: Arc<People>,
    /// Where packages come from.
    pub registries: Arc<Registries>,
    /// What the configuration says, as it is now.
    pub settings: ArcSwap<Settings>,
    /// The configuration file as it is applied.
    pub config: ArcSwap<Option<portico_config::Config>>,
    /// Draws documents.
    pub shell: Arc<portico_web::WebShell>,
    /// What is routed.
    pub live: Arc<Live>,
    /// Who listens.
    pub hubs: Arc<EventHubs>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What the portal was started with.
    pub options: Options,
    /// When it was started.
    pub started_at: Timestamp,
    /// The tenant of a portal that has only one.
    pub default_tenant: TenantId,
    /// Sign-in attempts by address.
    pub sign_in_limit: DefaultKeyedRateLimiter<IpAddr>,
    /// Reports of browsers.
    pub csp_report_limit: DefaultDirectRateLimiter,
    /// Looks into the store for tokens that are not in memory.
    pub unknown_token_limit: DefaultDirectRateLimiter,
    router: OnceLock<Router>,
    control_runtime: Handle,
}

impl Core {
    /// What the tenant has.
    pub fn inventory(&self, tenant: &TenantId) -> Answer<Arc<Inventory>> {
        self.control
            .inventory(tenant)
            .ok_or_else(|| Problem::not_found("tenant", tenant.as_str()))
    }

    /// What is routed for the tenant.
    pub fn tenant_snapshot(&self, tenant: &TenantId) -> Answer<Arc<TenantSnapshot>> {
        self.live
            .snapshot()
            .tenant(tenant)
            .cloned()
            .ok_or_else(|| Problem::not_found("tenant", tenant.as_str()))
    }

    /// The API.
    pub(crate) fn router(&self) -> &Router {
        static NONE: OnceLock<Router> = OnceLock::new();
        self.router
            .get()
            .unwrap_or_else(|| NONE.get_or_init(Router::new))
    }

    /// Runs on the control runtime; `None` when it panicked or stops.
    pub(crate) async fn on_control<T, F>(&self, work: F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.control_runtime.spawn(work).await.ok()
    }

    /// The portal's own pages that need no API: `/` leads to the first page that the person may see.
    pub(crate) fn pages(&self, caller: &Caller, path: &str) -> Option<Response<Body>> {
        if path != "/" {
            return None;
        }
        if !caller.ctx.identity.is_signed_in() {
            return Some(see_other("/auth/sign-in"));
        }
        let tenant = self.tenant_snapshot(caller.tenant()).ok()?;
        let first = tenant
            .navigation
            .iter()
            .find(|e| !e.external && e.permission.as_deref().is_none_or(|p| caller.may(p)))
            .map_or("/auth/sign-in", |e| e.path.as_str());
        Some(see_other(first))
    }
}

/// A running portal.
pub struct Portal {
    core: Arc<Core>,
    data_plane: DataPlane,
    supervisor: Supervisor,
    url: String,
    link: Option<String>,
    _lock: std::fs::File,
}

impl Portal {
    /// Starts everything; ready when this returns. Must run on a multi-thread runtime, which becomes the
    /// control runtime; the data plane makes its own.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        Self::start_with(options, Arc::new(SystemClock), None).await
    }

    /// Like [`Portal::start`], with the time and the fault points of a test.
    pub async fn start_with(
        options: Options,
        clock: Arc<dyn Clock>,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<Self, StartError> {
        let lock = lock_data(&options.data)?;
        let tenant = TenantId::default_tenant();
        let supervisor = Supervisor::new("portal");
        let settings = Settings::from_config(options.config.as_ref());
        let store = open_store(&options).await?;
        let first_start =
            first_start(&store, &tenant, &settings.name, &options.hosts, clock.now()).await?;
        let blobs = BlobStore::open(options.data.join("blobs"))?;
        let live = Arc::new(Live::new());
        live.set_hosts(&tenant, &options.hosts);
        let hubs = Arc::new(EventHubs::new());
        let egress = portico_egress::Egress::new(
            portico_egress::EgressRules::default(),
            Arc::clone(&clock),
            Arc::new(portico_egress::TracingAudit),
        )
        .map_err(|e| StartError::Egress(e.to_string()))?;
        let egress = Arc::new(egress);
        let registries = Arc::new(
            Registries::open(
                &store,
                &tenant,
                &options,
                &settings,
                egress,
                Arc::clone(&clock),
            )
            .await?,
        );
        let stage = Arc::new(GatewayStage {
            live: Arc::clone(&live),
            hubs: Arc::clone(&hubs),
        });
        let faults = faults.unwrap_or_else(|| match &options.fault_abort {
            Some(point) => Arc::new(AbortAt(point.clone())),
            None => Arc::new(NoFaults),
        });
        let shell = Arc::new(portico_web::WebShell::new(settings.branding()));
        let factories: Vec<Arc<dyn BackendFactory>> = vec![
            Arc::new(shell.static_factory(Arc::clone(&clock))),
            Arc::new(portico_web::ExternalFactory),
        ];
        let control = Control::new(ControlParts {
            store: store.clone(),
            blobs,
            sources: Arc::clone(&registries) as _,
            stage,
            factories,
            clock: Arc::clone(&clock),
            faults,
            supervisor: supervisor.clone(),
        });
        let people =
            Arc::new(People::load(store.clone(), Arc::clone(&clock), options.session_hours).await?);
        let metrics = Arc::new(
            Metrics::new(prometheus::Registry::new())
                .map_err(|e| StartError::Metrics(e.to_string()))?,
        );
        control
            .boot(BTreeMap::from([(tenant.clone(), policy(&settings))]))
            .await?;
        resume_events(&store, &tenant, &hubs).await?;
        let core = Arc::new(Core {
            control: control.clone(),
            people: Arc::clone(&people),
            registries,
            settings: ArcSwap::from_pointee(settings),
            config: ArcSwap::from_pointee(options.config.clone()),
            shell: Arc::clone(&shell),
            live: Arc::clone(&live),
            hubs: Arc::clone(&hubs),
            metrics: Arc::clone(&metrics),
            started_at: clock.now(),
            clock,
            default_tenant: tenant.clone(),
            sign_in_limit: RateLimiter::keyed(per_minute(10)),
            csp_report_limit: RateLimiter::direct(per_minute(60)),
            unknown_token_limit: RateLimiter::direct(per_minute(60)),
            router: OnceLock::new(),
            control_runtime: Handle::current(),
            options,
        });
        let (router, _) = api::router(Arc::clone(&core));
        let _ = core.router.set(router);

        let wanted = core.settings.load().configured(first_start);
        if needs_registries(&store, &core, &wanted).await? {
            let read = core.registries.refresh_all();
            if tokio::time::timeout(REGISTRY_WAIT, read).await.is_err() {
                tracing::warn!(
                    "not every registry answered in time; the portal starts without them"
                );
            }
        }
        // What was approved before the last stop goes on, then what the configuration owns.
        control.settle().await?;
        let ctx = OpContext::system(tenant.clone(), "start", Duration::from_secs(300));
        let applied = control.apply_configured(&ctx, &wanted).await?;
        for (id, reason) in &applied.failed {
            tracing::error!(package = %id, reason, "a package of the configuration is not there; the portal goes on without it");
        }
        control.start();
        background(&core, &supervisor);

        let gateway = Gateway::new(GatewayParts {
            live,
            portal: Arc::new(ServerPort {
                core: Arc::downgrade(&core),
            }),
            shell: Arc::clone(&shell) as _,
            shell_files: shell,
            dispatch: Arc::new(ApiDispatch {
                core: Arc::downgrade(&core),
            }),
            events: hubs,
            event_source: Arc::new(StoredEvents {
                core: Arc::downgrade(&core),
            }),
            metrics,
            config: gateway_config(&core.options),
        });
        let data_plane = DataPlane::start(serve_config(&core.options), gateway)?;
        let url = public_url(&core.options, data_plane.addr());
        let link = sign_in_link(&core, &tenant, &url, first_start).await?;
        Ok(Self {
            core,
            data_plane,
            supervisor,
            url,
            link,
            _lock: lock,
        })
    }

    /// Where it serves: `scheme://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.data_plane.addr()
    }

    /// A one-time link for the administrator, when nobody could sign in otherwise.
    pub fn sign_in_link(&self) -> Option<&str> {
        self.link.as_deref()
    }

    /// What handlers share, for tests.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Serves until the process is told to stop; a hang-up makes it read its configuration again.
    pub async fn run_until_stopped(self) {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut terminate), Ok(mut hangup)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        ) else {
            tracing::error!("signals cannot be listened to; stopping");
            return self.stop().await;
        };
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => break,
                _ = terminate.recv() => break,
                _ = hangup.recv() => match reload::reload(&self.core, false).await {
                    Ok(done) => tracing::info!(changed = done.changed.len(), needs_restart = ?done.needs_restart, "configuration read again"),
                    Err(problem) => tracing::error!(error = %problem.detail, "the configuration was not read again; the old one stays"),
                },
            }
        }
        self.stop().await;
    }

    /// Stops: no new connections, requests end, then the reconciler between two steps, then the store.
    pub async fn stop(self) {
        let stopped = self.data_plane.stop().await;
        tracing::info!(cut = stopped.cut, "the data plane stopped");
        let left = self.supervisor.stop(DRAIN).await;
        if left > 0 {
            tracing::warn!(left, "tasks did not stop in time");
        }
        self.core.control.store().close().await;
    }
}

/// What the command line needs of a data folder without a running portal.
pub async fn offline_people(data: &Path, config: Option<&Path>) -> Result<People, StartError> {
    let mut options = Options {
        data: data.to_owned(),
        ..Options::default()
    };
    if let Some(path) = config {
        let name = path.display().to_string();
        let source = std::fs::read_to_string(path).map_err(|e| StartError::Data {
            path: name.clone(),
            reason: e.to_string(),
        })?;
        let (model, diagnostics) = portico_config::read(&name, &source);
        if diagnostics.has_errors() {
            return Err(StartError::Data {
                path: name,
                reason: diagnostics.to_string(),
            });
        }
        options.database_url = model
            .and_then(|m| m.server.database_url)
            .map(|u| u.expose().to_owned());
    }
    std::fs::create_dir_all(&options.data).map_err(|e| StartError::Data {
        path: data.display().to_string(),
        reason: e.to_string(),
    })?;
    let store = open_store(&options).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    first_start(
        &store,
        &TenantId::default_tenant(),
        "Portico",
        &[],
        clock.now(),
    )
    .await?;
    Ok(People::load(store, clock, options.session_hours).await?)
}

async fn open_store(options: &Options) -> Result<Store, StoreError> {
    let url = match &options.database_url {
        Some(url) => url.parse::<DatabaseUrl>()?,
        None => DatabaseUrl::sqlite(options.data.join("portico.db")),
    };
    Store::open(&url).await
}

/// Makes the tenant when it is not there; answers whether nothing was ever installed.
async fn first_start(
    store: &Store,
    tenant: &TenantId,
    name: &str,
    hosts: &[String],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let known = tx.tenant_get(tenant).await?;
    if known
        .as_ref()
        .is_none_or(|t| t.name != name || t.hosts != hosts)
    {
        tx.tenant_upsert(tenant, name, hosts, now).await?;
    }
    let generation = tx.generation_get(tenant).await?;
    tx.commit().await?;
    Ok(generation == 0)
}

/// One portal per data folder: two would write the same files.
fn lock_data(data: &Path) -> Result<std::fs::File, StartError> {
    let failed = |e: std::io::Error| StartError::Data {
        path: data.display().to_string(),
        reason: e.to_string(),
    };
    std::fs::create_dir_all(data).map_err(failed)?;
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data.join("portal.lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StartError::Locked(data.display().to_string()))
        }
        Err(std::fs::TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// Browsers that were connected before a restart ask for what they missed.
async fn resume_events(
    store: &Store,
    tenant: &TenantId,
    hubs: &EventHubs,
) -> Result<(), StoreError> {
    let mut tx = store.read().await?;
    let head = tx.event_last_seq(tenant).await?;
    let generation = tx.generation_get(tenant).await?;
    hubs.of(tenant).resume(head, generation);
    Ok(())
}

fn background(core: &Arc<Core>, supervisor: &Supervisor) {
    let (registries, stop) = (Arc::clone(&core.registries), supervisor.token().clone());
    supervisor.spawn("registries", async move {
        loop {
            registries.refresh_all().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REGISTRY_PERIOD) => {}
            }
        }
    });
}

/// Whether something is to be fetched before the portal serves: the work of an operation that was
/// interrupted, or a package of the configuration that no registry read so far has.
async fn needs_registries(
    store: &Store,
    core: &Core,
    wanted: &[ConfiguredPackage],
) -> Result<bool, StartError> {
    let mut tx = store.read().await?;
    let interrupted = !tx.operation_pending(&core.default_tenant).await?.is_empty();
    let missing = |one: &ConfiguredPackage| core.registries.newest(&one.id).is_none();
    Ok(interrupted || wanted.iter().any(missing))
}

async fn sign_in_link(
    core: &Core,
    tenant: &TenantId,
    url: &str,
    first_start: bool,
) -> Result<Option<String>, StartError> {
    let (admin, made) = core.people.ensure_admin(tenant).await?;
    if !(made || first_start || !core.people.anybody(tenant)) {
        return Ok(None);
    }
    let secret = core.people.make_link(tenant, &admin.id).await?;
    Ok(Some(format!("{url}/auth/sign-in?token={}", secret.clear)))
}

fn per_minute(n: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN))
}

/// What operators want and this build can do.
pub(crate) fn policy(settings: &Settings) -> Policy {
    let version = |text: &str| Version::parse(text).ok();
    Policy {
        platform_versions: std::iter::once(env!("CARGO_PKG_VERSION"))
            .chain(PLATFORM_VERSIONS)
            .filter_map(version)
            .chain(settings.base_version.clone())
            .collect(),
        component_libraries: portico_web::component_libraries()
            .iter()
            .filter_map(|(name, text)| Some(((*name).to_owned(), version(text)?)))
            .collect(),
        runtimes: BTreeSet::from([RuntimeKind::Static, RuntimeKind::External]),
        dynamic: settings.dynamic,
        max_microsites: settings.max_microsites,
        max_storage: settings.max_storage,
        static_routes: settings.static_routes(),
    }
}

fn gateway_config(options: &Options) -> GatewayConfig {
    GatewayConfig {
        trusted_proxies: options.trusted_proxies.clone(),
        public_url: options.public_url.clone(),
        ..GatewayConfig::default()
    }
}

fn serve_config(options: &Options) -> ServeConfig {
    ServeConfig {
        threads: options.threads,
        tls: options.tls.clone(),
        drain: DRAIN,
        ..ServeConfig::new(options.listen)
    }
}

fn public_url(options: &Options, addr: SocketAddr) -> String {
    if let Some(url) = &options.public_url {
        return url.clone();
    }
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let host = match addr.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    format!("{scheme}://{host}:{}", addr.port())
}
