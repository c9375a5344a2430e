//! The trusted registries: what the operator configured, what admins added, and the two that come along.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use bytes::Bytes;
use portico_control::{ControlError, Sources};
use portico_egress::Egress;
use portico_host::{Clock, Fetch, clock::rfc3339};
use portico_package::{PackageId, Release, signature::PublicKey};
use portico_plan::{TenantId, inventory::Catalogue};
use portico_registry::{
    CatalogueHandle, FolderFloor, MetadataFloor, Registry, RegistryError, Search,
    client::check_root, examples::ensure_example_registry,
};
use portico_store::{Store, StoreError};
use serde_json::Value;

use crate::{
    api::registries::RegistryEntry,
    links::{Links, WithLinks},
    options::Options,
    problem::{Answer, Problem},
    reload::{CONFIGURATION, Settings},
};

/// Names that come along and cannot be given to others.
const BUILT_IN: [&str; 2] = ["bundled", "examples"];

/// Every trusted registry and the index over them.
pub struct Registries {
    handle: CatalogueHandle,
    store: Store,
    fetch: Arc<dyn Fetch>,
    egress: Arc<Egress>,
    floor: Arc<dyn MetadataFloor>,
    clock: Arc<dyn Clock>,
    /// Registries of the configuration that have no pinned root yet.
    untrusted: arc_swap::ArcSwap<Vec<(String, String)>>,
    example: Option<Arc<Registry>>,
    links: arc_swap::ArcSwap<Links>,
}

/// One page of the catalogue.
pub struct Found {
    /// Newest release of each package.
    pub releases: Vec<Arc<Release>>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

impl Registries {
    /// Opens what is trusted and reads what needs no network.
    pub(crate) async fn open(
        store: &Store,
        tenant: &TenantId,
        options: &Options,
        settings: &Settings,
        egress: Arc<Egress>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let folder = options.data.join("registries");
        let example = if options.examples {
            open_example(options, &egress, &folder, clock.now())
        } else {
            None
        };
        let this = Self {
            handle: CatalogueHandle::new(Vec::new()),
            store: store.clone(),
            fetch: Arc::clone(&egress) as Arc<dyn Fetch>,
            egress,
            floor: Arc::new(FolderFloor::new(folder.join("seen"))),
            clock,
            untrusted: arc_swap::ArcSwap::default(),
            example,
            links: arc_swap::ArcSwap::default(),
        };
        this.reopen(tenant, settings).await?;
        let now = this.clock.now();
        for name in BUILT_IN {
            if this.handle.registry(name).is_ok()
                && let Err(error) = this.handle.refresh_one(name, now).await
            {
                tracing::error!(registry = name, %error, "a registry that comes along cannot be read");
            }
        }
        Ok(this)
    }

    /// Makes the list again: bundled first, then the configuration's order, then what admins added.
    pub(crate) async fn reopen(
        &self,
        tenant: &TenantId,
        settings: &Settings,
    ) -> Result<(), StoreError> {
        let mut tx = self.store.read().await?;
        let stored = tx.registry_list(tenant).await?;
        drop(tx);
        let known = self.handle.registries();
        let mut registries = vec![
            known
                .iter()
                .find(|r| r.is_bundled())
                .cloned()
                .unwrap_or_else(|| Arc::new(Registry::bundled())),
        ];
        registries.extend(self.example.clone());
        let mut untrusted = Vec::new();
        let mut named = BTreeSet::new();
        for (name, url) in &settings.registries {
            named.insert(name.clone());
            match stored.iter().find(|r| r.name == *name || r.url == *url) {
                Some(row) => registries.extend(self.one(&known, name, url, &row.root)),
                None => untrusted.push((name.clone(), url.clone())),
            }
        }
        for row in stored.iter().filter(|r| !named.contains(&r.name)) {
            registries.extend(self.one(&known, &row.name, &row.url, &row.root));
        }
        for (name, url) in &untrusted {
            tracing::warn!(registry = %name, %url, "the configuration names a registry whose root is not pinned; trust it with `portico trust add {name} {url} --root root.json`");
        }
        self.untrusted.store(Arc::new(untrusted));
        self.links.store(Arc::new(Links::make(&settings.links)));
        self.handle.set_registries(registries);
        Ok(())
    }

    fn one(
        &self,
        known: &[Arc<Registry>],
        name: &str,
        url: &str,
        root: &Value,
    ) -> Option<Arc<Registry>> {
        if let Some(same) = known
            .iter()
            .find(|r| r.name() == name && r.location() == url)
        {
            return Some(Arc::clone(same));
        }
        self.egress.allow_url(url);
        let root = serde_json::to_vec(root).unwrap_or_default();
        match Registry::open(
            name,
            url,
            &root,
            Arc::clone(&self.floor),
            Arc::clone(&self.fetch),
        ) {
            Ok(registry) => Some(Arc::new(registry)),
            Err(error) => {
                tracing::error!(registry = name, url, %error, "a trusted registry cannot be opened; the portal goes on without it");
                None
            }
        }
    }

    /// Trusts a registry whose root the admin brought, and reads it at once: what cannot be read is not trusted.
    pub async fn trust(
        &self,
        tenant: &TenantId,
        name: &str,
        url: &str,
        root: &Value,
        by: &str,
    ) -> Answer<RegistryEntry> {
        let fine = (1..=64).contains(&name.len())
            && name.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.')
            });
        if !fine {
            return Err(Problem::bad_request(format!(
                "`{name}` is not a name for a registry: use 1 to 64 of a-z, 0-9, `-`, `_`, `.`"
            )));
        }
        if self.handle.registry(name).is_ok() {
            return Err(Problem::new(
                409,
                "already-trusted",
                format!(
                    "a registry is called `{name}` already: remove it first, or use another name"
                ),
            ));
        }
        let bytes = serde_json::to_vec(root).unwrap_or_default();
        let summary = check_root(name, &bytes).map_err(|e| problem(&e))?;
        self.egress.allow_url(url);
        let registry = Registry::open(
            name,
            url,
            &bytes,
            Arc::clone(&self.floor),
            Arc::clone(&self.fetch),
        )
        .map_err(|e| problem(&e))?;
        registry
            .refresh(self.clock.now())
            .await
            .map_err(|e| problem(&e))?;
        let row = portico_store::Registry {
            name: name.to_owned(),
            url: url.to_owned(),
            kind: kind_of(url).to_owned(),
            root: root.clone(),
            publisher_keys: Value::Array(Vec::new()),
            added_at: self.clock.now(),
            added_by: by.to_owned(),
        };
        let mut tx = self.store.begin().await?;
        tx.registry_upsert(tenant, &row).await?;
        tx.commit().await?;
        let mut registries = self.handle.registries();
        registries.push(Arc::new(registry));
        self.handle.set_registries(registries);
        self.handle
            .refresh_one(name, self.clock.now())
            .await
            .map_err(|e| problem(&e))?;
        self.entries()
            .into_iter()
            .find(|e| e.name == name)
            .map(|e| RegistryEntry {
                root: summary.digest.to_string(),
                ..e
            })
            .ok_or_else(|| Problem::not_found("registry", name))
    }

    /// Trusts a registry no more.
    pub async fn distrust(&self, tenant: &TenantId, name: &str) -> Answer<()> {
        if BUILT_IN.contains(&name) {
            return Err(Problem::new(
                409,
                "built-in",
                format!("`{name}` comes with the portal and cannot be removed"),
            ));
        }
        let mut tx = self.store.begin().await?;
        if !tx.registry_delete(tenant, name).await? {
            return Err(Problem::not_found("registry", name));
        }
        tx.commit().await?;
        if let Ok(registry) = self.handle.registry(name)
            && let Err(error) = registry.forget().await
        {
            tracing::warn!(registry = name, %error, "what was seen of a registry was not forgotten");
        }
        let registries = self
            .handle
            .registries()
            .into_iter()
            .filter(|r| r.name() != name)
            .collect();
        self.handle.set_registries(registries);
        Ok(())
    }

    /// Reads every registry now.
    pub async fn refresh_all(&self) {
        let index = self.handle.refresh_all(self.clock.now()).await;
        for status in index.statuses() {
            if let Some(error) = &status.error {
                tracing::warn!(registry = %status.name, code = error.code, error = %error.message, "a registry could not be read; what it offered before stays as long as it may be believed");
            }
        }
    }

    /// Every registry, in order.
    pub fn entries(&self) -> Vec<RegistryEntry> {
        let mut entries: Vec<RegistryEntry> = self
            .handle
            .index()
            .statuses()
            .iter()
            .map(|s| RegistryEntry {
                name: s.name.clone(),
                url: if s.bundled {
                    String::new()
                } else {
                    s.location.clone()
                },
                kind: if s.bundled {
                    "bundled"
                } else {
                    kind_of(&s.location)
                }
                .into(),
                root: String::new(),
                releases: s.versions,
                refreshed_at: s.refreshed_at.map(rfc3339),
                error: s.error.as_ref().map(|e| e.message.clone()),
            })
            .collect();
        entries.extend(
            self.untrusted
                .load()
                .iter()
                .map(|(name, url)| RegistryEntry {
                    name: name.clone(),
                    url: url.clone(),
                    kind: kind_of(url).into(),
                    root: String::new(),
                    releases: 0,
                    refreshed_at: None,
                    error: Some(format!(
                        "its root is not pinned: `portico trust add {name} {url} --root root.json`"
                    )),
                }),
        );
        entries
    }

    /// Registries that could not be read, with the reason.
    pub fn unreachable(&self) -> Vec<(String, String)> {
        self.entries()
            .into_iter()
            .filter_map(|e| Some((e.name, e.error?)))
            .collect()
    }

    /// Finds packages.
    pub fn search(
        &self,
        q: &str,
        category: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Found {
        let page = self.handle.index().search(&Search {
            q: q.to_owned(),
            category: category.map(str::to_owned),
            cursor: cursor.and_then(|c| c.parse().ok()).unwrap_or(0),
            limit,
        });
        Found {
            releases: page.hits.into_iter().map(|h| h.release).collect(),
            next: page.next.map(|n| n.to_string()),
        }
    }

    /// Categories with how often they occur.
    pub fn categories(&self) -> Vec<(String, usize)> {
        self.handle
            .index()
            .categories()
            .into_iter()
            .map(|c| (c.name, c.count))
            .collect()
    }

    /// Newest release of a package.
    pub fn newest(&self, id: &PackageId) -> Option<Arc<Release>> {
        self.handle.index().newest(id).cloned()
    }

    /// Every version of a package, newest first.
    pub fn releases(&self, id: &PackageId) -> Vec<Arc<Release>> {
        self.handle.index().versions(id).to_vec()
    }

    /// The release that a `package_url` of the requirement names.
    pub fn by_package_url(&self, url: &str) -> Option<Arc<Release>> {
        let index = self.handle.index();
        let statuses = index.statuses().to_vec();
        index
            .ids()
            .iter()
            .flat_map(|id| index.versions(id).to_vec())
            .find(|release| {
                statuses
                    .iter()
                    .filter(|s| s.name == release.registry)
                    .any(|s| {
                        let base = s.location.trim_end_matches('/');
                        let target = release.target.trim_start_matches('/');
                        [
                            format!("{base}/{target}"),
                            format!("{base}/targets/{target}"),
                            format!("{}:{target}", s.name),
                        ]
                        .iter()
                        .any(|form| form == url)
                    })
            })
    }
}

#[async_trait]
impl Sources for Registries {
    fn catalogue(&self) -> Arc<dyn Catalogue + Send + Sync> {
        let links = self.links.load_full();
        if links.is_empty() {
            self.handle.index()
        } else {
            Arc::new(WithLinks {
                index: self.handle.index(),
                links,
            })
        }
    }

    async fn fetch(&self, release: &Release) -> Result<Bytes, ControlError> {
        if let Some(archive) = self.links.load().archive(&release.digest) {
            return Ok(archive);
        }
        self.handle
            .fetch(release)
            .await
            .map_err(|e| ControlError::step(e.code(), e.to_string()))
    }

    fn publisher_keys(&self, registry: &str) -> Vec<PublicKey> {
        if registry == CONFIGURATION {
            return Links::publisher().into_iter().collect();
        }
        self.handle.publisher_keys(registry)
    }
}

/// The registry of examples, made and signed here at the first start.
fn open_example(
    options: &Options,
    egress: &Arc<Egress>,
    folder: &std::path::Path,
    now: i64,
) -> Option<Arc<Registry>> {
    let made = ensure_example_registry(&options.data, now, &SystemRandom::new());
    let opened = made.map_err(|e| e.to_string()).and_then(|example| {
        let floor: Arc<dyn MetadataFloor> =
            Arc::new(FolderFloor::new(PathBuf::from(folder).join("seen")));
        let location = example.folder.display().to_string();
        Registry::open(
            "examples",
            &location,
            &example.root,
            floor,
            Arc::clone(egress) as Arc<dyn Fetch>,
        )
        .map_err(|e| e.to_string())
    });
    match opened {
        Ok(registry) => Some(Arc::new(registry)),
        Err(error) => {
            tracing::warn!(
                error,
                "the registry of examples could not be made; the portal goes on without it"
            );
            None
        }
    }
}

fn kind_of(url: &str) -> &'static str {
    if url.starts_with("http://") || url.starts_with("https://") {
        "http"
    } else {
        "folder"
    }
}

fn problem(error: &RegistryError) -> Problem {
    Problem::new(
        if error.is_transient() { 502 } else { 400 },
        error.code(),
        error.to_string(),
    )
}
