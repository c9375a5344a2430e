//! What requests are routed by: immutable, swapped whole.

mod compile;
mod lookup;

use std::{collections::BTreeSet, sync::Arc};

use portico_package::{
    Digest, Manifest, PackageId, Permission, Text, Version,
    manifest::{Page, RuntimeKind},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    TenantId,
    inventory::{Origin, Overrides, State},
};

pub use lookup::Lookup;

/// Every tenant's routes. Cloning shares everything; replacing one tenant costs the same however many there are.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    tenants: imbl::HashMap<TenantId, Arc<TenantSnapshot>>,
    hosts: imbl::HashMap<Arc<str>, TenantId>,
}

/// One tenant's routes, packages and navigation at one generation.
#[derive(Clone, Debug)]
pub struct TenantSnapshot {
    /// Whose.
    pub tenant: TenantId,
    /// Only rises.
    pub generation: u64,
    /// Who answers, by mount path (`/logstream`; the empty text is the root).
    mounts: imbl::HashMap<Arc<str>, Mount>,
    /// How many mounts have how many segments; the most is how many prefixes a lookup has to try.
    levels: imbl::OrdMap<usize, usize>,
    /// What is gone and may still answer at its path.
    gone: imbl::OrdMap<PackageId, (Arc<str>, Arc<Removal>)>,
    /// Installed packages by id.
    pub packages: imbl::OrdMap<PackageId, Arc<PackageView>>,
    /// Navigation of everybody, in order; filter by permission when shown.
    pub navigation: Arc<[Arc<NavigationEntry>]>,
}

/// A path and who answers there.
#[derive(Clone, Debug)]
pub struct Mount {
    /// `/logstream`.
    pub path: Arc<str>,
    /// Who answers.
    pub owner: MountOwner,
    /// Who would answer here too, were the owner not there; empty nearly always.
    others: Vec<PackageId>,
}

/// Who answers at a mount.
#[derive(Clone, Debug)]
pub enum MountOwner {
    /// A package, whatever its state.
    Package(Arc<PackageView>),
    /// Nobody any more.
    Removed(Arc<Removal>),
}

/// A package that was here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Which.
    pub package: PackageId,
    /// Its name.
    pub name: String,
    /// Who removed it.
    pub by: String,
    /// When: microseconds since 1970, UTC.
    pub at: i64,
}

/// What the data plane knows of one installed package.
#[derive(Debug)]
pub struct PackageView {
    /// Which.
    pub id: PackageId,
    /// Version that serves.
    pub version: Version,
    /// Archive that serves; back ends and assets are found by it.
    pub digest: Digest,
    /// Name that people read (English, or the configuration's).
    pub name: String,
    /// Icon: an emoji, or `/assets/<digest>/<file>`.
    pub icon: Option<String>,
    /// Where its pages live; for a link, the URL.
    pub mount: Arc<str>,
    /// Who runs it.
    pub runtime: RuntimeKind,
    /// State; only `Ready` and `Degraded` serve.
    pub state: State,
    /// Why, when it does not serve.
    pub reason: Option<String>,
    /// When that began: microseconds since 1970, UTC.
    pub changed_at: i64,
    /// What it may do.
    pub grants: Arc<BTreeSet<Permission>>,
    /// Its configuration.
    pub config: Arc<Value>,
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// Who owns the installation.
    pub origin: Origin,
    /// What the configuration says differently from the manifest.
    pub overrides: Overrides,
    /// Generation that last changed it.
    pub generation: u64,
    /// Its pages by path, GET and POST.
    pages: matchit::Router<Vec<Arc<Page>>>,
    /// Its part of the navigation; empty while it does not serve.
    navigation: Vec<Arc<NavigationEntry>>,
}

/// One navigation entry as the shell draws it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NavigationEntry {
    /// Stable key: `<package>` or `<package>:<path>`.
    pub id: String,
    /// Whose.
    pub microsite_id: PackageId,
    /// What people read, in English.
    pub name: String,
    /// The same in other languages, where the manifest has them; see [`NavigationEntry::name_in`].
    #[serde(skip)]
    pub names: Option<Text>,
    /// Emoji or URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Absolute path, or a URL for external links.
    pub path: String,
    /// `core`, `installed`, `docs` or `admin`.
    pub section: String,
    /// Lower comes first.
    pub order: i32,
    /// Opens elsewhere.
    pub external: bool,
    /// What a person needs to see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
}

impl NavigationEntry {
    /// What people read in a language, without a copy.
    pub fn name_in(&self, language: &str) -> &str {
        self.names
            .as_ref()
            .map_or(&self.name, |names| names.in_language(language))
    }
}

impl PackageView {
    /// Name that people read in a language: the configuration's, else the manifest's.
    pub fn name_in(&self, language: &str) -> &str {
        match self.overrides.name {
            Some(_) => &self.name,
            None => self.manifest.name.in_language(language),
        }
    }

    /// Whether requests reach its pages.
    pub fn serves(&self) -> bool {
        matches!(self.state, State::Ready | State::Degraded)
    }
}

impl Snapshot {
    /// The tenant that a `Host` header belongs to: a listed host, else the only (or default) tenant.
    pub fn tenant_of_host(&self, host: &str) -> Option<&Arc<TenantSnapshot>> {
        let name = host_name(host);
        let listed = match self.hosts.get(name) {
            None if name.bytes().any(|b| b.is_ascii_uppercase()) => {
                self.hosts.get(name.to_ascii_lowercase().as_str())
            }
            found => found,
        };
        if let Some(tenant) = listed.and_then(|t| self.tenants.get(t)) {
            return Some(tenant);
        }
        if self.tenants.len() == 1 {
            return self.tenants.values().next();
        }
        self.tenants.get(&TenantId::default_tenant())
    }

    /// One tenant.
    pub fn tenant(&self, tenant: &TenantId) -> Option<&Arc<TenantSnapshot>> {
        self.tenants.get(tenant)
    }

    /// Every tenant, in no order.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<TenantSnapshot>> {
        self.tenants.values()
    }

    /// A snapshot in which `tenant` is replaced; refuses an older generation by returning `None`.
    pub fn with_tenant(&self, tenant: Arc<TenantSnapshot>) -> Option<Self> {
        if self
            .tenants
            .get(&tenant.tenant)
            .is_some_and(|now| now.generation > tenant.generation)
        {
            return None;
        }
        let mut next = self.clone();
        next.tenants.insert(tenant.tenant.clone(), tenant);
        Some(next)
    }

    /// A snapshot in which `hosts` (lower case, without port) lead to `tenant`, and no other host does.
    pub fn with_hosts(&self, tenant: &TenantId, hosts: &[String]) -> Self {
        let mut next = self.clone();
        next.hosts.retain(|_, owner| owner != tenant);
        for host in hosts {
            next.hosts.insert(host.as_str().into(), tenant.clone());
        }
        next
    }
}

/// A `Host` header without its port; an IPv6 address keeps its brackets.
fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}
