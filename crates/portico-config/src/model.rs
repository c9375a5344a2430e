//! What a configuration says.

use std::{collections::BTreeMap, path::PathBuf};

use portico_package::{
    Diagnostics, PackageId, Permission, Severity, Version, VersionRange, manifest::MicrositeType,
};
use serde::Serialize;

use crate::{Cidr, DatabaseUrl, Listen, Positions};

/// One configuration, with every default filled in. Its serde form is the normalised JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Config {
    /// Who the portal is.
    pub portal: Portal,
    /// How it looks.
    pub branding: Branding,
    /// Packages that the configuration owns. `None` when the key is missing: then the default set
    /// is installed. An empty list installs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsites: Option<Vec<Microsite>>,
    /// What people may install.
    pub dynamic_microsites: DynamicMicrosites,
    /// Documentation sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documentation: Option<Documentation>,
    /// More than one tenant.
    pub multi_tenant: MultiTenant,
    /// Usage-based billing.
    pub billing: Billing,
    /// Code of packages in the page.
    pub modules: Modules,
    /// How the portal runs.
    pub server: Server,
    /// Where everything stands in the file.
    #[serde(skip)]
    pub positions: Positions,
}

/// `portal:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Portal {
    /// Name in the title and the header.
    pub name: String,
    /// The operator's own version of this portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Platform that it is built on; `schedulezero` names the first-party set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_platform: Option<String>,
    /// Version of that platform which packages may rely on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_version: Option<Version>,
    /// Language of people who ask for none that the portal speaks: `en` or `de`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What kind of portal it is.
    #[serde(rename = "type")]
    pub portal_type: PortalType,
}

impl Default for Portal {
    fn default() -> Self {
        Self {
            name: "Portico".into(),
            version: None,
            base_platform: None,
            base_version: None,
            language: None,
            portal_type: PortalType::Core,
        }
    }
}

/// `portal.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PortalType {
    /// The platform itself.
    #[default]
    Core,
    /// Somebody's own build of it.
    Custom,
    /// Run for customers.
    Saas,
}

impl PortalType {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Custom => "custom",
            Self::Saas => "saas",
        }
    }
}

/// `branding:`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Branding {
    /// Path or URL of the logo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// Path or URL of the icon in the browser's tab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub favicon: Option<String>,
    /// `#RGB` or `#RRGGBB`, lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_color: Option<String>,
    /// Who runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_name: Option<String>,
}

/// One entry of `microsites:`; `- sz_dash` is short for `- id: sz_dash`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Microsite {
    /// Which package.
    pub id: PackageId,
    /// Another name than the manifest's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another path than the manifest's; for `external` the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Another icon than the manifest's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Switched off when false.
    pub enabled: bool,
    /// What it is; needed for `external`, which has no package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsite_type: Option<MicrositeType>,
    /// Permissions that the operator grants it. `None` when the key is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Permission>>,
    /// Set or folder that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Folder of its documentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs_source: Option<String>,
    /// Another description than the manifest's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Place in the navigation, lower first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nav_order: Option<i32>,
    /// Versions that will do; the newest when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionRange>,
    /// Only from this registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Settings for its `config_schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
}

impl Microsite {
    /// What `- <id>` says.
    pub fn new(id: PackageId) -> Self {
        Self {
            id,
            name: None,
            path: None,
            icon: None,
            enabled: true,
            microsite_type: None,
            capabilities: None,
            source: None,
            docs_source: None,
            description: None,
            nav_order: None,
            version: None,
            registry: None,
            config: None,
        }
    }

    /// Whether it is a link to somewhere else rather than a package.
    pub fn is_external(&self) -> bool {
        self.microsite_type == Some(MicrositeType::External)
    }
}

/// `dynamic_microsites:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DynamicMicrosites {
    /// Whether people may install anything at all; true when the file does not say.
    pub enabled: bool,
    /// Where packages come from besides the bundled registry. `registry_url` (or its old name
    /// `microsite_registry`) is the one named [`DEFAULT_REGISTRY`].
    pub registries: Vec<Registry>,
    /// Whether packages without a trusted signature are taken.
    pub allow_unsigned: AllowUnsigned,
    /// Whether packages are upgraded without being asked.
    pub auto_update: bool,
    /// Most packages that people may install in one tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_microsites_per_tenant: Option<u64>,
    /// Most bytes that they may take together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_storage_per_tenant: Option<u64>,
}

/// Name of the registry that `registry_url` names.
pub const DEFAULT_REGISTRY: &str = "default";

impl Default for DynamicMicrosites {
    fn default() -> Self {
        Self {
            enabled: true,
            registries: Vec::new(),
            allow_unsigned: AllowUnsigned::No,
            auto_update: false,
            max_microsites_per_tenant: None,
            max_storage_per_tenant: None,
        }
    }
}

/// One entry of `dynamic_microsites.registries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Registry {
    /// Name in the portal.
    pub name: String,
    /// `https://…`, `http://…`, `file:///…`, or a folder.
    pub url: String,
}

/// `dynamic_microsites.allow_unsigned`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AllowUnsigned {
    /// `false`.
    #[default]
    #[serde(serialize_with = "as_false")]
    No,
    /// `true`: every package, only where nobody but this machine can reach the portal.
    #[serde(serialize_with = "as_true")]
    Everything,
    /// These packages, each until a day.
    Only(Vec<UnsignedException>),
}

fn as_false<S: serde::Serializer>(s: S) -> Result<S::Ok, S::Error> {
    s.serialize_bool(false)
}

fn as_true<S: serde::Serializer>(s: S) -> Result<S::Ok, S::Error> {
    s.serialize_bool(true)
}

/// A package that may be unsigned for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnsignedException {
    /// Which.
    pub package: PackageId,
    /// Last day, `YYYY-MM-DD`, UTC.
    pub until: String,
}

/// `documentation:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Documentation {
    /// How sites hang together.
    pub strategy: Strategy,
    /// The sites.
    pub sites: Vec<DocumentationSite>,
}

/// `documentation.strategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// One site with everything.
    #[default]
    Unified,
    /// Several sites with one search.
    Separate,
    /// Several sites, chosen one by one.
    Modular,
    /// Sites elsewhere, linked.
    External,
}

/// One entry of `documentation.sites`; `[product, api]` names sites by id alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DocumentationSite {
    /// Its id.
    pub id: PackageId,
    /// What people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// An emoji.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Where it lives, or the URL of an external one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `microsite_type`, or `type` as the requirement also writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsite_type: Option<MicrositeType>,
    /// `source`, or `docs_source` as the requirement also writes it: a folder or file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Switched off when false.
    pub enabled: bool,
    /// Place in the navigation: `nav_order`, or `priority` as the requirement also writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nav_order: Option<i32>,
    /// One line: what it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// `multi_tenant:`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MultiTenant {
    /// Whether there is more than the tenant `default`.
    pub enabled: bool,
    /// How the data of tenants is kept apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_isolation: Option<TenantIsolation>,
}

/// `multi_tenant.tenant_isolation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantIsolation {
    /// A database for each.
    Database,
    /// A schema for each.
    Schema,
    /// A release in Kubernetes for each.
    Kubernetes,
}

/// `billing:`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Billing {
    /// Whether usage is billed.
    pub enabled: bool,
    /// Who sends the bills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What is counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usage_metrics: Vec<String>,
}

/// `modules:`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Modules {
    /// Another name for `window.Portico`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_global: Option<String>,
}

/// `server:`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Server {
    /// Address and port; port 0 takes a free one.
    pub listen: Listen,
    /// TLS with certificate files; without, plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// URL under which people reach the portal, without a slash at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Where everything is kept that the portal remembers.
    pub data_folder: PathBuf,
    /// SQLite in the data folder when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<DatabaseUrl>,
    /// Host name → tenant. Hosts that are not listed belong to `default`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, String>,
    /// Hours after which a session ends without use.
    pub session_hours: u32,
    /// What is written to standard error.
    pub log: Log,
}

/// `server.listen` when the file does not say.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
/// `server.data_folder` when the file does not say.
pub const DEFAULT_DATA_FOLDER: &str = "portico-data";
/// `server.session_hours` when the file does not say.
pub const DEFAULT_SESSION_HOURS: u32 = 12;

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            tls: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            data_folder: DEFAULT_DATA_FOLDER.into(),
            database_url: None,
            hosts: BTreeMap::new(),
            session_hours: DEFAULT_SESSION_HOURS,
            log: Log::default(),
        }
    }
}

/// `server.tls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// PEM file: the certificate and what stands between it and the root.
    pub certificate: PathBuf,
    /// PEM file: the private key.
    pub key: PathBuf,
}

/// `server.log`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// What is worth a line.
    pub level: LogLevel,
}

/// `server.log.format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// `server.log.level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what may fail soon.
    Warn,
    /// And what happened.
    #[default]
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// The word in the file, which is also the directive of the filter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Config {
    /// The normalised form, for `portico config show` and the API. Passwords are not in it.
    ///
    /// # Errors
    /// When a path is not UTF-8; paths of a file always are.
    pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    /// What is dangerous about `allow_unsigned` together with where the portal listens. [`read`](crate::read)
    /// asks this; ask again after the command line changed `server.listen`.
    pub fn unsigned_findings(&self) -> Diagnostics {
        const PATH: &str = "dynamic_microsites.allow_unsigned";
        let finding = |severity, message: String, hint: Option<String>| {
            Diagnostics(vec![
                self.positions
                    .diagnostic(severity, PATH, "unsigned", message, hint),
            ])
        };
        match &self.dynamic_microsites.allow_unsigned {
            AllowUnsigned::No => Diagnostics::default(),
            AllowUnsigned::Everything if !self.server.listen.is_loopback() => finding(
                Severity::Error,
                format!(
                    "unsigned packages cannot be allowed for everybody who reaches {}",
                    self.server.listen
                ),
                Some(
                    "name each package with a last day: `- {package: …, until: YYYY-MM-DD}`".into(),
                ),
            ),
            AllowUnsigned::Everything => finding(
                Severity::Warning,
                "`allow_unsigned` IS ON: anybody who can change a package on its way may run it here"
                    .into(),
                None,
            ),
            AllowUnsigned::Only(exceptions) => {
                let names: Vec<String> = exceptions
                    .iter()
                    .map(|e| format!("`{}` until {}", e.package, e.until))
                    .collect();
                let names = names.join(", ");
                finding(
                    Severity::Warning,
                    format!("`allow_unsigned` IS ON: nobody vouches for {names}"),
                    None,
                )
            }
        }
    }
}
