//! What is observed, and what admins and operators want.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portico_package::{Digest, PackageId, Permission, Release, Version, manifest::RuntimeKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::TenantId;

/// What is observed of one tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Whose.
    pub tenant: TenantId,
    /// The generation that this is.
    pub generation: u64,
    /// By package, what is installed.
    pub installed: BTreeMap<PackageId, Installed>,
    /// What was installed once and is gone, for the page that says so.
    pub removed: BTreeMap<PackageId, Removed>,
}

/// One installation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// The release that serves.
    pub release: Arc<Release>,
    /// Who owns it.
    pub origin: Origin,
    /// Its lifecycle state.
    pub state: State,
    /// Why it is in this state, when that is not plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where its pages live: `/logstream`; for a link, the URL.
    pub mount: String,
    /// Validated configuration with defaults filled in.
    pub config: Value,
    /// What an admin gave.
    pub grants: BTreeSet<Permission>,
    /// Releases that served before, newest first, kept for rollback.
    pub previous: Vec<Arc<Release>>,
    /// Overrides of the configuration file (name, icon, order, enabled).
    #[serde(default)]
    pub overrides: Overrides,
    /// Generation that last changed it.
    pub generation: u64,
    /// When it was last changed: microseconds since 1970, UTC.
    pub changed_at: i64,
}

/// What a configuration says differently from the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another icon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Another place in the navigation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<i32>,
}

/// What is left of an uninstalled package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its name.
    pub name: String,
    /// Version that served last.
    pub version: Version,
    /// Where its pages lived.
    pub mount: String,
    /// Who removed it.
    pub removed_by: String,
    /// When: microseconds since 1970, UTC.
    pub removed_at: i64,
}

/// Who owns an installation. What the configuration owns, people cannot change, and the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A `microsites:` entry of the configuration file.
    Config,
    /// The default set of a portal without configuration.
    Default,
    /// Somebody installed it.
    Installed,
}

/// Lifecycle state of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There, not yet started.
    Installed,
    /// Its back end has to report first.
    Registering,
    /// Serves.
    Ready,
    /// Serves, with something wrong.
    Degraded,
    /// Switched off.
    Disabled,
}

/// What admins and operators want, and what this build can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The portal's own version, and every older platform version that it satisfies
    /// (`base_platform: schedulezero`): a range is met when any of them matches.
    pub platform_versions: Vec<Version>,
    /// Browser libraries of the shell, by name, with their versions.
    pub component_libraries: BTreeMap<String, Version>,
    /// Back ends that this build can run.
    pub runtimes: BTreeSet<RuntimeKind>,
    /// `dynamic_microsites.enabled`.
    pub dynamic: bool,
    /// `max_microsites_per_tenant`; counts what people installed.
    pub max_microsites: Option<u64>,
    /// `max_storage_per_tenant`, bytes.
    pub max_storage: Option<u64>,
    /// Paths that the configuration gives to packages that may not be installed yet, with the owner's id.
    pub static_routes: BTreeMap<String, PackageId>,
}

/// Where releases are looked up. The order of `versions` does not matter.
pub trait Catalogue {
    /// Every release of `id` that a trusted registry signs.
    fn releases(&self, id: &PackageId) -> Vec<Arc<Release>>;
    /// Every package id there is, for "did you mean".
    fn ids(&self) -> Vec<PackageId>;
    /// The release whose archive has this digest.
    fn by_digest(&self, digest: &Digest) -> Option<Arc<Release>>;
}
