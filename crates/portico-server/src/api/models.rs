//! What the API says, as types: the OpenAPI document is made from them.

use std::collections::{BTreeMap, BTreeSet};

use portico_control::{
    Operation,
    operation::{OperationError, StepReport},
};
use portico_host::clock::rfc3339;
use portico_package::{Release, Text, manifest::check::is_file_icon};
use portico_plan::{
    Inventory, Plan, Verb,
    effective::icon_url,
    inventory::{Installed, Origin, State},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// One installation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Installation {
    /// Package id.
    pub id: String,
    /// Name that people read.
    pub name: String,
    /// One line: what it is for.
    pub description: String,
    /// Emoji or URL.
    pub icon: Option<String>,
    /// Version that serves.
    pub version: String,
    /// `installed`, `registering`, `ready`, `degraded` or `disabled`.
    pub state: String,
    /// Why, when that is not plain.
    pub reason: Option<String>,
    /// `config`, `default` or `installed`: who owns it.
    pub origin: String,
    /// Where its pages live.
    pub path: String,
    /// Opens elsewhere.
    pub external: bool,
    /// Registry that signs it.
    pub registry: String,
    /// Key id of its publisher.
    pub publisher: String,
    /// What it may do.
    pub permissions: Vec<String>,
    /// Its configuration.
    #[schema(value_type = Object)]
    pub config: Value,
    /// Generation that last changed it.
    pub generation: u64,
    /// When that was, RFC 3339.
    pub changed_at: String,
    /// Newest version that its registry offers, when newer.
    pub latest: Option<String>,
    /// Versions kept for rollback, newest first.
    pub previous: Vec<String>,
    /// Size of its archive, bytes.
    pub size: u64,
}

/// What is installed.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstallationList {
    /// Generation of the answer.
    pub generation: u64,
    /// By name.
    pub installed: Vec<Installation>,
}

/// One package of the marketplace.
#[derive(Debug, Serialize, ToSchema)]
pub struct AvailableEntry {
    /// Package id.
    pub id: String,
    /// Name that people read.
    pub name: String,
    /// One line: what it is for.
    pub description: String,
    /// Emoji.
    pub icon: Option<String>,
    /// Newest version.
    pub version: String,
    /// Who made it, as it says itself.
    pub author: Option<String>,
    /// SPDX expression.
    pub license: Option<String>,
    /// Registry that signs it.
    pub registry: String,
    /// Key id of its publisher.
    pub publisher: String,
    /// Marketplace categories.
    pub categories: Vec<String>,
    /// Size of its archive, bytes.
    pub size: u64,
    /// `available`, `installed`, `update` or `disabled`.
    pub state: String,
    /// Version that serves here.
    pub installed_version: Option<String>,
}

/// How often a category occurs.
#[derive(Debug, Serialize, ToSchema)]
pub struct CategoryCount {
    /// Category.
    pub name: String,
    /// Packages in it.
    pub count: usize,
}

/// The catalogue, one page of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Available {
    /// Packages that match.
    pub available: Vec<AvailableEntry>,
    /// Ids of what is installed.
    pub installed: Vec<String>,
    /// Categories over all packages.
    pub categories: Vec<CategoryCount>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// Installed packages with a newer version.
    pub updates: usize,
    /// Registries that could not be read, with the reason.
    pub unreachable: Vec<UnreachableRegistry>,
}

/// A registry that could not be read.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnreachableRegistry {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// One version on offer.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionEntry {
    /// Version.
    pub version: String,
    /// Registry that signs it.
    pub registry: String,
    /// Size of the archive, bytes.
    pub size: u64,
    /// Digest of the archive.
    pub digest: String,
    /// Key id of the publisher.
    pub publisher: String,
    /// Whether it serves here.
    pub installed: bool,
}

/// One permission of a package, in words.
#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionEntry {
    /// As the manifest writes it.
    pub permission: String,
    /// In plain words.
    pub summary: String,
    /// `reads`, `changes`, `connects`, `stores`, `shows` or `manages`.
    pub group: String,
    /// Why, in the author's words.
    pub reason: Option<String>,
    /// Works without it.
    pub optional: bool,
    /// Whether an admin gave it.
    pub granted: bool,
}

/// A package that is needed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequirementEntry {
    /// Package id.
    pub id: String,
    /// Versions that will do.
    pub range: String,
    /// Version that serves here.
    pub installed_version: Option<String>,
}

/// What a package needs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequirementList {
    /// Versions of the portal.
    pub platform_version: Option<String>,
    /// Browser libraries.
    pub component_libraries: BTreeMap<String, String>,
    /// Other packages.
    pub microsites: Vec<RequirementEntry>,
}

/// One audit record.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its id; rises with time.
    pub id: String,
    /// When, RFC 3339.
    pub at: String,
    /// Who: `user:…`, `token:…`, `package:…`, `system`.
    pub actor: String,
    /// That one's name.
    pub name: String,
    /// What: `microsite.install`, `token.create`, …
    pub action: String,
    /// With what.
    pub subject: String,
    /// More.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// The request it came with.
    pub request_id: String,
}

/// Everything about one package.
#[derive(Debug, Serialize, ToSchema)]
pub struct MicrositeDetail {
    /// Package id.
    pub id: String,
    /// Name that people read.
    pub name: String,
    /// One line: what it is for.
    pub description: String,
    /// Emoji.
    pub icon: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// SPDX expression.
    pub license: Option<String>,
    /// Where to read more.
    pub homepage: Option<String>,
    /// Marketplace categories.
    pub categories: Vec<String>,
    /// Versions on offer, newest first.
    pub versions: Vec<VersionEntry>,
    /// The installation, when there is one.
    pub installed: Option<Installation>,
    /// What it asks for (the installed version, else the newest).
    pub permissions: Vec<PermissionEntry>,
    /// What it needs.
    pub requires: RequirementList,
    /// Installed packages that need it.
    pub dependents: Vec<String>,
    /// Its pages.
    pub routes: Vec<String>,
    /// What happened to it here, newest first.
    pub history: Vec<AuditEntry>,
}

/// A plan, and whether it can be carried out.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanAnswer {
    /// What would happen.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub plan: Plan,
    /// True when nothing stands in the way.
    pub executable: bool,
    /// The same in plain sentences.
    pub summary: Vec<String>,
}

/// What to plan.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlanBody {
    /// `install`, `upgrade`, `rollback`, `disable`, `enable` or `uninstall`.
    #[serde(default = "install_word")]
    pub verb: String,
    /// Which package.
    pub microsite_id: String,
    /// Version or range.
    #[serde(default)]
    pub version: Option<String>,
    /// Only from this registry.
    #[serde(default)]
    pub registry: Option<String>,
    /// Configuration.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    #[param(value_type = Option<Object>)]
    pub config: Option<Value>,
    /// Package that asks.
    #[serde(default)]
    pub requested_by: Option<String>,
}

fn install_word() -> String {
    "install".into()
}

/// What to plan, as a query.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// `install` (default), `upgrade`, `rollback`, `disable`, `enable` or `uninstall`.
    pub verb: Option<String>,
    /// Version or range.
    pub version: Option<String>,
    /// Only from this registry.
    pub registry: Option<String>,
}

/// What to install. Either `microsite_id`, or the requirement's `manifest` and `package_url`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallBody {
    /// Which package.
    #[serde(default)]
    pub microsite_id: Option<String>,
    /// Version or range; the newest when missing.
    #[serde(default)]
    pub version: Option<String>,
    /// Only from this registry.
    #[serde(default)]
    pub registry: Option<String>,
    /// Permissions that the caller grants.
    #[serde(default)]
    pub approve: Option<BTreeSet<String>>,
    /// Configuration.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub config: Option<Value>,
    /// `lock` of the plan that was looked at.
    #[serde(default)]
    pub lock: Option<String>,
    /// Generation that the caller decided on.
    #[serde(default)]
    pub generation: Option<u64>,
    /// Package that asks.
    #[serde(default)]
    pub requested_by: Option<String>,
    /// The requirement's form: a microsite manifest.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub manifest: Option<Value>,
    /// The requirement's form: a target that a trusted registry signs.
    #[serde(default)]
    pub package_url: Option<String>,
}

/// What to do with an installed package.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    /// Version or range.
    #[serde(default)]
    pub version: Option<String>,
    /// Permissions that the caller grants.
    #[serde(default)]
    pub approve: Option<BTreeSet<String>>,
    /// `lock` of the plan that was looked at.
    #[serde(default)]
    pub lock: Option<String>,
    /// Generation that the caller decided on.
    #[serde(default)]
    pub generation: Option<u64>,
    /// Configuration.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub config: Option<Value>,
    /// Package that asks.
    #[serde(default)]
    pub requested_by: Option<String>,
    /// With `disable`: cancel what runs at once (kill switch).
    #[serde(default)]
    pub kill: bool,
}

/// Done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    /// `installed`, `upgraded`, `rolled_back`, `disabled`, `enabled` or `uninstalled`.
    pub status: String,
    /// Package id.
    pub microsite_id: String,
    /// Version afterwards.
    pub version: String,
    /// Generation that it made.
    pub generation: Option<u64>,
    /// The operation that did it.
    pub operation_id: String,
}

/// One operation.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationAnswer {
    /// Its id.
    pub id: String,
    /// What it does.
    pub verb: String,
    /// To which package.
    pub microsite_id: String,
    /// Name that people read.
    pub name: String,
    /// Version afterwards.
    pub version: String,
    /// `queued`, `running`, `succeeded` or `failed`.
    pub state: String,
    /// Who approved.
    pub actor: String,
    /// That one's name.
    pub actor_name: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// When it last moved, RFC 3339.
    pub updated_at: String,
    /// How far, 0 to 100.
    pub percent: u32,
    /// How far each step got.
    #[schema(value_type = Vec<Object>)]
    pub steps: Vec<StepReport>,
    /// Why it failed.
    #[schema(value_type = Option<Object>)]
    pub error: Option<OperationError>,
    /// Generation that it made.
    pub generation: Option<u64>,
}

impl From<&Operation> for OperationAnswer {
    fn from(o: &Operation) -> Self {
        let change = o
            .body
            .plan
            .changes
            .iter()
            .find(|c| c.package == *o.package());
        Self {
            id: o.id.clone(),
            verb: o.verb().as_str().into(),
            microsite_id: o.package().to_string(),
            name: change.map_or_else(|| o.package().to_string(), |c| c.name.as_str().to_owned()),
            version: change.map(|c| c.version.to_string()).unwrap_or_default(),
            state: o.state.as_str().into(),
            actor: o.body.actor.clone(),
            actor_name: o.body.actor_name.clone(),
            created_at: rfc3339(o.created_at),
            updated_at: rfc3339(o.updated_at),
            percent: o.percent(),
            steps: o.steps.clone(),
            error: o.error.clone(),
            generation: o.generation,
        }
    }
}

/// The past participle of the API's `status`.
pub fn status_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Install => "installed",
        Verb::Upgrade => "upgraded",
        Verb::Rollback => "rolled_back",
        Verb::Disable => "disabled",
        Verb::Enable => "enabled",
        Verb::Uninstall => "uninstalled",
    }
}

/// Operations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationList {
    /// Newest first.
    pub operations: Vec<OperationAnswer>,
}

/// The word of a state.
pub fn state_word(state: State) -> &'static str {
    match state {
        State::Installed => "installed",
        State::Registering => "registering",
        State::Ready => "ready",
        State::Degraded => "degraded",
        State::Disabled => "disabled",
    }
}

fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Config => "config",
        Origin::Default => "default",
        Origin::Installed => "installed",
    }
}

/// The API's view of one installation; `latest` is the newest release of its registry.
pub fn installation(installed: &Installed, latest: Option<&Release>) -> Installation {
    let manifest = &installed.release.manifest;
    let text = |t: &Text| t.as_str().to_owned();
    Installation {
        id: manifest.id.to_string(),
        name: installed
            .overrides
            .name
            .clone()
            .unwrap_or_else(|| text(&manifest.name)),
        description: text(&manifest.description),
        icon: installed
            .overrides
            .icon
            .clone()
            .or_else(|| manifest.icon.clone()),
        version: manifest.version.to_string(),
        state: state_word(installed.state).into(),
        reason: installed.reason.clone(),
        origin: origin_word(installed.origin).into(),
        path: installed.mount.clone(),
        external: manifest.microsite_type == portico_package::manifest::MicrositeType::External,
        registry: installed.release.registry.clone(),
        publisher: installed.release.publisher.clone(),
        permissions: installed.grants.iter().map(ToString::to_string).collect(),
        config: installed.config.clone(),
        generation: installed.generation,
        changed_at: rfc3339(installed.changed_at),
        latest: latest
            .filter(|r| r.manifest.version > manifest.version)
            .map(|r| r.manifest.version.to_string()),
        previous: installed
            .previous
            .iter()
            .map(|r| r.manifest.version.to_string())
            .collect(),
        size: installed.release.size,
    }
}

/// The icon of an installed package: an emoji, or where its file is served.
pub fn icon_of(installed: &Installed) -> Option<String> {
    let manifest = &installed.release.manifest;
    let icon = installed
        .overrides
        .icon
        .as_ref()
        .or(manifest.icon.as_ref())?;
    Some(icon_url(manifest, icon, &installed.release.digest))
}

/// The icon of a package that may not be installed: files of an archive that was never fetched cannot be shown.
pub fn icon_before(release: &Release, inventory: &Inventory) -> Option<String> {
    if let Some(installed) = inventory.installed.get(&release.manifest.id) {
        return icon_of(installed);
    }
    release
        .manifest
        .icon
        .clone()
        .filter(|icon| !is_file_icon(icon))
}

/// Installed packages that need `id`.
pub fn dependents(inventory: &Inventory, id: &portico_package::PackageId) -> Vec<String> {
    inventory
        .installed
        .values()
        .filter(|i| i.release.manifest.requires.microsites.contains_key(id))
        .map(|i| i.release.manifest.id.to_string())
        .collect()
}
