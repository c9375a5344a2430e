//! The one model that every authoring format becomes.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use indexmap::IndexMap;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{PackageId, Permission, Text, VersionRange};

/// The `format_version` of the normalised JSON that this build writes.
pub const FORMAT_VERSION: u32 = 1;

/// Sections of the navigation.
pub const SECTIONS: &[&str] = &["core", "installed", "docs", "admin"];

/// `order` of a navigation entry that does not say.
pub const DEFAULT_ORDER: i32 = 100;

/// What a package is and asks for. Its serde form is the normalised JSON that is signed and served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the normalised form, [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The package's name in code, URLs and dependencies.
    pub id: PackageId,
    /// The package's one version.
    pub version: Version,
    /// The name that people read.
    pub name: Text,
    /// One line: what it is for.
    #[serde(default)]
    pub description: Text,
    /// Who made it, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// An emoji, or a file of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Where to read more: an `https` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Marketplace categories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// How its pages are made.
    #[serde(rename = "type")]
    pub microsite_type: MicrositeType,
    /// Who runs its back end.
    pub runtime: Runtime,
    /// Where its pages live (`/logstream`); for `external` a URL. Without one: `/plugins/<id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What it needs.
    #[serde(default)]
    pub requires: Requires,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<PermissionRequest>,
    /// Where things are inside the package.
    #[serde(default)]
    pub files: Files,
    /// JSON Schema (2020-12) of its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_schema: Option<Value>,
    /// What it adds to the portal.
    #[serde(default)]
    pub contributes: Contributes,
}

impl Manifest {
    /// The pages, with the default filled in: `/` drawn from `index.html`.
    pub fn effective_pages(&self) -> Cow<'_, [Page]> {
        if self.contributes.pages.is_empty() && self.microsite_type == MicrositeType::Htmx {
            Cow::Owned(vec![Page::index()])
        } else {
            Cow::Borrowed(&self.contributes.pages)
        }
    }

    /// The navigation, with the default filled in: one entry for `/` with the package's name and
    /// icon. For an `external` package the entry's path is `/` and stands for the package's URL.
    pub fn effective_navigation(&self) -> Cow<'_, [NavigationItem]> {
        if self.contributes.navigation.is_empty() {
            Cow::Owned(vec![NavigationItem {
                title: self.name.clone(),
                path: "/".into(),
                icon: self.icon.clone(),
                section: None,
                order: DEFAULT_ORDER,
                permission: None,
            }])
        } else {
            Cow::Borrowed(&self.contributes.navigation)
        }
    }

    /// Where its pages live when nobody says otherwise: its `path`, else `/plugins/<id>`.
    /// For `external` the URL.
    pub fn default_mount(&self) -> String {
        self.path
            .clone()
            .unwrap_or_else(|| format!("/plugins/{}", self.id))
    }

    /// What it needs from the portal beyond static pages. Whoever plans compares this with what
    /// the build can do, and names the rest instead of installing half a package.
    pub fn declared_features(&self) -> Vec<Feature> {
        let mut out = Vec::new();
        if self.files.migrations.is_some() {
            out.push(Feature::Migrations);
        }
        if self.files.handlers.is_some() {
            out.push(Feature::Handlers);
        }
        if !matches!(
            self.runtime.kind,
            RuntimeKind::Static | RuntimeKind::External
        ) {
            out.push(Feature::Runtime(self.runtime.kind));
        }
        if matches!(
            self.microsite_type,
            MicrositeType::Mkdocs | MicrositeType::Openapi
        ) {
            out.push(Feature::Documentation(self.microsite_type));
        }
        out
    }

    /// The permissions without which it does not work.
    pub fn required_permissions(&self) -> impl Iterator<Item = &Permission> {
        self.permissions
            .iter()
            .filter(|p| !p.optional)
            .map(|p| &p.permission)
    }
}

/// Something that a package needs and not every build can do. Its text names it in a sentence:
/// "ships database migrations".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// `files.migrations`.
    Migrations,
    /// `files.handlers`.
    Handlers,
    /// A back end other than `static`.
    Runtime(RuntimeKind),
    /// `type: mkdocs` or `type: openapi`.
    Documentation(MicrositeType),
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Migrations => f.write_str("ships database migrations"),
            Self::Handlers => f.write_str("ships job handlers"),
            Self::Runtime(kind) => write!(f, "needs a back end of kind `{}`", kind.as_str()),
            Self::Documentation(kind) => {
                write!(f, "is a documentation site of type `{}`", kind.as_str())
            }
        }
    }
}

/// `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MicrositeType {
    /// Pages of HTML with htmx.
    Htmx,
    /// A documentation site made from Markdown.
    Mkdocs,
    /// An OpenAPI document shown as documentation.
    Openapi,
    /// A link to somewhere else.
    External,
}

impl MicrositeType {
    /// Every type with its word.
    pub const ALL: [(&'static str, Self); 4] = [
        ("htmx", Self::Htmx),
        ("mkdocs", Self::Mkdocs),
        ("openapi", Self::Openapi),
        ("external", Self::External),
    ];

    /// The word in manifests and configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Htmx => "htmx",
            Self::Mkdocs => "mkdocs",
            Self::Openapi => "openapi",
            Self::External => "external",
        }
    }
}

/// `runtime:`; without one a package is static.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// Who runs the back end.
    pub kind: RuntimeKind,
}

/// `runtime.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// The portal: templates and files of the package.
    Static,
    /// The portal: a WASI HTTP component.
    Wasm,
    /// A supervised child process.
    Process,
    /// Somebody else; it registers itself.
    Service,
    /// Nobody: a link.
    External,
}

impl RuntimeKind {
    /// Every kind with its word.
    pub const ALL: [(&'static str, Self); 5] = [
        ("static", Self::Static),
        ("wasm", Self::Wasm),
        ("process", Self::Process),
        ("service", Self::Service),
        ("external", Self::External),
    ];

    /// The word in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Wasm => "wasm",
            Self::Process => "process",
            Self::Service => "service",
            Self::External => "external",
        }
    }
}

/// `requires:`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Requires {
    /// Versions of the portal that will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<VersionRange>,
    /// Browser libraries of the portal, by name (`htmx`, `web-components`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub component_libraries: BTreeMap<String, VersionRange>,
    /// Other packages.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub microsites: BTreeMap<PackageId, VersionRange>,
}

/// One entry of `permissions:`: a bare permission, or one with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionRequest {
    /// What is asked for.
    pub permission: Permission,
    /// Why, in the author's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// Whether the package works without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// `files:`: folders inside the package, each with a trailing `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// Code of job handlers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handlers: Option<String>,
    /// Templates of pages; `templates/` when the manifest does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<String>,
    /// Files served as they are; `static/` when the manifest does not say.
    #[serde(rename = "static", skip_serializing_if = "Option::is_none")]
    pub static_: Option<String>,
    /// Database migrations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrations: Option<String>,
}

impl Files {
    /// The folder of templates, with its trailing `/`.
    pub fn templates(&self) -> &str {
        self.templates.as_deref().unwrap_or("templates/")
    }

    /// The folder of static files, with its trailing `/`.
    pub fn static_files(&self) -> &str {
        self.static_.as_deref().unwrap_or("static/")
    }
}

/// `contributes:`: what the portal knows without running code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contributes {
    /// Pages under the package's path. Without any: `/` drawn from `index.html`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<Page>,
    /// Navigation entries. Without any: one for `/` with the package's name and icon.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub navigation: Vec<NavigationItem>,
}

/// One page (or fragment of a page) of a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Below the package's path: `/`, `/search`, `/p/{id}`.
    pub path: String,
    /// `GET` (default) or `POST`; a `POST` page needs an intent.
    #[serde(default, skip_serializing_if = "Method::is_get")]
    pub method: Method,
    /// File below the templates folder.
    pub template: String,
    /// Browser title and heading; the package's name when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// True when the template answers htmx requests on its own, without the frame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fragment: bool,
    /// What a person needs to see it; without one, any signed-in person may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// Template variable → public API path (`GET`) that fills it. `{q}` is a query parameter of the page,
    /// `{id}` a path parameter, each percent-encoded. Only API paths that the package's grants allow answer.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub data: IndexMap<String, String>,
    /// What a `POST` asks the shell to do, with the form's fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
}

impl Page {
    /// The page of a package that declares none.
    pub fn index() -> Self {
        Self {
            path: "/".into(),
            method: Method::Get,
            template: "index.html".into(),
            title: None,
            fragment: false,
            permission: None,
            data: IndexMap::new(),
            intent: None,
        }
    }
}

/// HTTP methods of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// Reads.
    #[default]
    #[serde(rename = "GET")]
    Get,
    /// Asks for something through an [`Intent`].
    #[serde(rename = "POST")]
    Post,
}

impl Method {
    fn is_get(&self) -> bool {
        *self == Self::Get
    }
}

/// Something a package may ask the shell to do. The shell shows the plan and asks the person; the
/// package needs `microsite:uninstall` for removal and `microsite:install` for everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Intent {
    /// Install what the form's `microsite_id` (and `version`) names.
    #[serde(rename = "microsite:install")]
    Install,
    /// Upgrade it.
    #[serde(rename = "microsite:upgrade")]
    Upgrade,
    /// Go back to the version before, or to `version`.
    #[serde(rename = "microsite:rollback")]
    Rollback,
    /// Switch it off.
    #[serde(rename = "microsite:disable")]
    Disable,
    /// Switch it on.
    #[serde(rename = "microsite:enable")]
    Enable,
    /// Remove it.
    #[serde(rename = "microsite:uninstall")]
    Uninstall,
}

impl Intent {
    /// Every intent with its word.
    pub const ALL: [(&'static str, Self); 6] = [
        ("microsite:install", Self::Install),
        ("microsite:upgrade", Self::Upgrade),
        ("microsite:rollback", Self::Rollback),
        ("microsite:disable", Self::Disable),
        ("microsite:enable", Self::Enable),
        ("microsite:uninstall", Self::Uninstall),
    ];

    /// The verb of the plan that it asks for.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Uninstall => "uninstall",
        }
    }

    /// The permission that a package needs to ask for it.
    pub fn permission(self) -> &'static str {
        match self {
            Self::Uninstall => "microsite:uninstall",
            _ => "microsite:install",
        }
    }
}

/// One navigation entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NavigationItem {
    /// What people read.
    pub title: Text,
    /// Page it opens, below the package's path.
    pub path: String,
    /// An emoji or a file of the package; the package's icon when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// `core`, `installed`, `docs` or `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Lower comes first; default 100.
    #[serde(default = "default_order")]
    pub order: i32,
    /// What a person needs to see it; the page's when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
}

fn default_order() -> i32 {
    DEFAULT_ORDER
}
