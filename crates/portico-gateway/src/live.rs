//! What is served right now.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use portico_host::{Backend, asset::AssetSet};
use portico_package::{Digest, PackageId, manifest::Method};
use portico_plan::{Snapshot, TenantId, TenantSnapshot, snapshot::Lookup};
use tokio_util::sync::CancellationToken;

use crate::assets::ServedSet;

/// Routes, started back ends and prepared files. Readers take no lock and see each part whole; a
/// request that has begun keeps what it started with.
#[derive(Default)]
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
    backends: ArcSwap<imbl::HashMap<Digest, Arc<dyn Backend>>>,
    /// By the digest as it stands in URLs.
    assets: ArcSwap<Files>,
    switches: ArcSwap<Switches>,
    /// Held while something is changed, never while a request is answered.
    change: Mutex<Killed>,
}

/// Files of archives by the hexadecimal digits of their digests.
pub(crate) type Files = imbl::HashMap<Box<str>, (Digest, Arc<ServedSet>)>;

type Switches = imbl::HashMap<TenantId, imbl::HashMap<PackageId, CancellationToken>>;
/// What runs the pages of a package.
pub(crate) struct Running<'a> {
    /// Its kill switch in this tenant.
    pub(crate) switch: &'a CancellationToken,
    /// Missing when it was never started.
    pub(crate) backend: Option<Arc<dyn Backend>>,
}

type Killed = HashSet<(TenantId, PackageId)>;

/// The snapshot is older than what is served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("generation {offered} of tenant {tenant} is older than {serving}, which is served")]
pub struct StaleGeneration {
    /// Whose.
    pub tenant: TenantId,
    /// The generation that was to be published.
    pub offered: u64,
    /// The generation that is served.
    pub serving: u64,
}

impl Live {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Swaps one tenant's routes; refuses what is older. Requests in flight finish on what they
    /// started with. A package that no longer serves needs its kill bit no more: the routes say it now.
    pub fn publish(&self, tenant: Arc<TenantSnapshot>) -> Result<(), StaleGeneration> {
        let mut killed = self.change();
        let current = self.snapshot.load();
        let Some(next) = current.with_tenant(Arc::clone(&tenant)) else {
            return Err(StaleGeneration {
                serving: self.generation(&tenant.tenant),
                offered: tenant.generation,
                tenant: tenant.tenant.clone(),
            });
        };
        self.snapshot.store(Arc::new(next));
        let over: Vec<_> = killed
            .iter()
            .filter(|(t, package)| *t == tenant.tenant && !serves(&tenant, package))
            .cloned()
            .collect();
        for key in over {
            self.replace_switch(&key.0, &key.1);
            killed.remove(&key);
        }
        Ok(())
    }

    /// Makes `hosts` (lower case, without port) lead to `tenant`.
    pub fn set_hosts(&self, tenant: &TenantId, hosts: &[String]) {
        let _change = self.change();
        let next = self.snapshot.load().with_hosts(tenant, hosts);
        self.snapshot.store(Arc::new(next));
    }

    /// The routes that are served.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The generation of a tenant that is served; 0 for none.
    pub fn generation(&self, tenant: &TenantId) -> u64 {
        self.snapshot
            .load()
            .tenant(tenant)
            .map_or(0, |t| t.generation)
    }

    /// Adds a started back end. Invisible until a snapshot routes to its digest.
    pub fn put_backend(&self, digest: Digest, backend: Arc<dyn Backend>) {
        let _change = self.change();
        self.backends
            .store(Arc::new(self.backends.load().update(digest, backend)));
    }

    /// Whether a back end of this archive was started.
    pub fn has_backend(&self, digest: &Digest) -> bool {
        self.backends.load().contains_key(digest)
    }

    /// Adds the files of an archive, prepared for serving under `/assets/<digest>/`.
    pub fn put_assets(&self, digest: Digest, assets: &AssetSet) {
        let served = Arc::new(ServedSet::of_package(assets));
        let _change = self.change();
        self.assets.store(Arc::new(
            self.assets
                .load()
                .update(digest.hex().into(), (digest, served)),
        ));
    }

    /// The files of every archive.
    pub(crate) fn assets(&self) -> Guard<Arc<Files>> {
        self.assets.load()
    }

    /// Drops back ends that `in_use` denies. Requests that run on them end undisturbed. Answers how many.
    pub fn retire_backends(&self, in_use: &dyn Fn(&Digest) -> bool) -> usize {
        let _change = self.change();
        let before = self.backends.load();
        let mut after = imbl::HashMap::clone(&before);
        after.retain(|digest, _| in_use(digest));
        let retired = before.len() - after.len();
        self.backends.store(Arc::new(after));
        retired
    }

    /// Drops files that `in_use` denies. Tabs on an older generation still ask for theirs, so keep those
    /// longer than their back ends. Answers how many archives lost theirs.
    pub fn retire_assets(&self, in_use: &dyn Fn(&Digest) -> bool) -> usize {
        let _change = self.change();
        let before = self.assets.load();
        let mut after = Files::clone(&before);
        after.retain(|_, (digest, _)| in_use(digest));
        let retired = before.len() - after.len();
        self.assets.store(Arc::new(after));
        retired
    }

    /// The kill switch: cancels what runs of a package in a tenant, at once. While the routes still lead
    /// to it, new requests are refused too, until routes are published in which it does not serve.
    pub fn kill(&self, tenant: &TenantId, package: &PackageId) {
        let mut killed = self.change();
        let snapshot = self.snapshot.load();
        let routed = snapshot.tenant(tenant).is_some_and(|t| serves(t, package));
        if let Some(token) = self
            .switches
            .load()
            .get(tenant)
            .and_then(|of| of.get(package))
        {
            token.cancel();
        } else if routed {
            let token = self.replace_switch(tenant, package);
            token.cancel();
        }
        if routed {
            killed.insert((tenant.clone(), package.clone()));
        } else {
            self.replace_switch(tenant, package);
        }
    }

    /// Finds what answers and hands it to `found`, with what is needed to run it when it is a page.
    ///
    /// Each part is read without a lock, so the order matters. The switch is read before the routes: whoever
    /// sees routes from before a kill also sees the switch that is thrown. The back end is read after them;
    /// when it is gone because other routes were published meanwhile, those are followed.
    pub(crate) fn lookup<T>(
        &self,
        tenant: &TenantId,
        method: Method,
        path: &str,
        mut found: impl FnMut(&Arc<TenantSnapshot>, Lookup<'_>, Option<Running<'_>>) -> T,
    ) -> Option<T> {
        loop {
            let switches = self.switches.load();
            let snapshot = self.snapshot.load();
            let routes = snapshot.tenant(tenant)?;
            let lookup = routes.lookup(method, path);
            let Lookup::Page { package, .. } = &lookup else {
                return Some(found(routes, lookup, None));
            };
            let Some(switch) = switches.get(tenant).and_then(|of| of.get(&package.id)) else {
                self.add_switch(tenant, &package.id);
                continue;
            };
            let backend = self.backends.load().get(&package.digest).cloned();
            if backend.is_none() && !Arc::ptr_eq(&snapshot, &self.snapshot.load()) {
                continue;
            }
            return Some(found(routes, lookup, Some(Running { switch, backend })));
        }
    }

    /// Before the first request to a package ever.
    fn add_switch(&self, tenant: &TenantId, package: &PackageId) {
        let _change = self.change();
        let switches = self.switches.load();
        if switches
            .get(tenant)
            .is_none_or(|of| !of.contains_key(package))
        {
            self.replace_switch(tenant, package);
        }
    }

    /// Gives a package a fresh switch; who holds the old one is not told.
    fn replace_switch(&self, tenant: &TenantId, package: &PackageId) -> CancellationToken {
        let token = CancellationToken::new();
        let mut switches = Switches::clone(&self.switches.load());
        switches
            .entry(tenant.clone())
            .or_default()
            .insert(package.clone(), token.clone());
        self.switches.store(Arc::new(switches));
        token
    }

    fn change(&self) -> MutexGuard<'_, Killed> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serves(tenant: &TenantSnapshot, package: &PackageId) -> bool {
    tenant
        .packages
        .get(package)
        .is_some_and(|view| view.serves())
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("backends", &self.backends.load().len())
            .field("assets", &self.assets.load().len())
            .finish_non_exhaustive()
    }
}
