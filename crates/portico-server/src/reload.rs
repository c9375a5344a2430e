//! What the configuration says, as the portal uses it, and reading it again while the portal runs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use portico_config::{Applies, Config, Microsite, PortalType};
use portico_control::configured::ConfiguredPackage;
use portico_gateway::Event;
use portico_host::OpContext;
use portico_package::{PackageId, Version, manifest::MicrositeType};
use portico_plan::inventory::{Origin, Overrides};
use portico_web::{Branding, Language};
use serde_json::json;

use crate::{
    api::config::Reloaded,
    portal::{Core, policy},
    problem::{Answer, Problem},
};

/// Name of the registry that stands for links of the configuration.
pub(crate) const CONFIGURATION: &str = "configuration";

/// The default set of a portal without a `microsites:` list.
const DEFAULT_SET: [&str; 2] = ["sz_dash", "sz_marketplace"];

/// What can change while the portal runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `portal.name`.
    pub name: String,
    /// `portal.version`.
    pub version: String,
    /// `portal.language`.
    pub language: Language,
    /// `portal.type`.
    pub portal_type: String,
    /// `portal.base_version`.
    pub base_version: Option<Version>,
    /// `branding:`.
    pub branding: BrandingSettings,
    /// `dynamic_microsites.enabled`.
    pub dynamic: bool,
    /// `max_microsites_per_tenant`.
    pub max_microsites: Option<u64>,
    /// `max_storage_per_tenant`, bytes.
    pub max_storage: Option<u64>,
    /// Name and URL of each registry of the file, in order.
    pub registries: Vec<(String, String)>,
    /// Links of the file.
    pub links: Vec<Link>,
    /// `microsites:`; `None` when the file has no such list.
    pub microsites: Option<Vec<ConfiguredPackage>>,
}

/// A link of the configuration: `microsite_type: external`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: PackageId,
    /// Name that people read.
    pub name: String,
    /// Where it leads.
    pub url: String,
    /// One line.
    pub description: String,
}

/// Documentation sites are reported as unsupported and not looked for in registries.
fn is_served(microsite: &Microsite) -> bool {
    !matches!(
        microsite.microsite_type,
        Some(MicrositeType::Mkdocs | MicrositeType::Openapi)
    )
}

fn configured(microsite: &Microsite) -> ConfiguredPackage {
    ConfiguredPackage {
        id: microsite.id.clone(),
        mount: microsite.path.clone(),
        enabled: microsite.enabled,
        overrides: Overrides {
            name: microsite.name.clone(),
            icon: microsite.icon.clone(),
            order: microsite.nav_order,
        },
        origin: Origin::Config,
        capabilities: microsite
            .capabilities
            .as_ref()
            .map(|list| list.iter().cloned().collect()),
        version: microsite.version.clone(),
        registry: if microsite.is_external() {
            Some(CONFIGURATION.into())
        } else {
            microsite.registry.clone()
        },
        config: microsite.config.clone(),
    }
}

/// `branding:`.
#[derive(Clone, Debug, Default)]
pub struct BrandingSettings {
    /// URL of the logo.
    pub logo: Option<String>,
    /// URL of the icon.
    pub favicon: Option<String>,
    /// CSS colour.
    pub primary_color: Option<String>,
    /// Company.
    pub company_name: Option<String>,
}

impl Settings {
    /// What the file says; defaults without one.
    pub fn from_config(config: Option<&Config>) -> Self {
        let mut settings = Self {
            name: "Portico".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            language: Language::default(),
            portal_type: "core".into(),
            base_version: None,
            branding: BrandingSettings::default(),
            dynamic: true,
            max_microsites: None,
            max_storage: None,
            registries: Vec::new(),
            links: Vec::new(),
            microsites: None,
        };
        let Some(config) = config else {
            return settings;
        };
        let portal = &config.portal;
        settings.name.clone_from(&portal.name);
        if let Some(version) = &portal.version {
            settings.version.clone_from(version);
        }
        settings.language = portal
            .language
            .as_deref()
            .and_then(Language::of_tag)
            .unwrap_or_default();
        settings.portal_type = match portal.portal_type {
            PortalType::Core => "core",
            PortalType::Custom => "custom",
            PortalType::Saas => "saas",
        }
        .into();
        settings.base_version.clone_from(&portal.base_version);
        settings.branding = BrandingSettings {
            logo: config.branding.logo.clone(),
            favicon: config.branding.favicon.clone(),
            primary_color: config.branding.primary_color.clone(),
            company_name: config.branding.company_name.clone(),
        };
        let dynamic = &config.dynamic_microsites;
        settings.dynamic = dynamic.enabled;
        settings.max_microsites = dynamic.max_microsites_per_tenant;
        settings.max_storage = dynamic.max_storage_per_tenant;
        settings.registries = dynamic
            .registries
            .iter()
            .map(|r| (r.name.clone(), r.url.clone()))
            .collect();
        settings.links = config
            .microsites
            .iter()
            .flatten()
            .filter(|m| m.is_external())
            .map(|m| Link {
                id: m.id.clone(),
                name: m.name.clone().unwrap_or_else(|| m.id.to_string()),
                url: m.path.clone().unwrap_or_default(),
                description: m.description.clone().unwrap_or_default(),
            })
            .collect();
        settings.microsites = config.microsites.as_ref().map(|list| {
            list.iter()
                .filter(|m| is_served(m))
                .map(configured)
                .collect()
        });
        settings
    }

    /// What the shell needs of it.
    pub fn branding(&self) -> Branding {
        Branding {
            name: self.name.clone(),
            company_name: self.branding.company_name.clone(),
            logo: self.branding.logo.clone(),
            favicon: self.branding.favicon.clone(),
            primary_color: self.branding.primary_color.clone(),
            language: self.language,
        }
    }

    /// The packages that the configuration owns. Without a list: the default set, at the first start only.
    pub fn configured(&self, first_start: bool) -> Vec<ConfiguredPackage> {
        match &self.microsites {
            Some(list) => list.clone(),
            None if first_start => DEFAULT_SET
                .iter()
                .filter_map(|id| id.parse().ok())
                .map(|id| ConfiguredPackage {
                    id,
                    mount: None,
                    enabled: true,
                    overrides: Overrides::default(),
                    origin: Origin::Default,
                    capabilities: None,
                    version: None,
                    registry: None,
                    config: None,
                })
                .collect(),
            None => Vec::new(),
        }
    }

    /// Paths that the file gives to packages, so that nobody else takes them.
    pub fn static_routes(&self) -> BTreeMap<String, PackageId> {
        self.microsites
            .iter()
            .flatten()
            .filter(|m| m.enabled)
            .filter_map(|m| {
                Some((
                    m.mount.clone().filter(|p| p.starts_with('/'))?,
                    m.id.clone(),
                ))
            })
            .collect()
    }
}

/// Reads the file again, applies what can be applied, and answers the difference.
pub(crate) async fn reload(core: &Arc<Core>, dry_run: bool) -> Answer<Reloaded> {
    let Some(path) = &core.options.config_file else {
        return Err(Problem::new(
            409,
            "no-configuration",
            "this portal was started without a configuration file",
        ));
    };
    let name = path.display().to_string();
    let source = std::fs::read_to_string(path)
        .map_err(|e| Problem::new(422, "configuration-unreadable", format!("{name}: {e}")))?;
    let (config, diagnostics) = portico_config::read(&name, &source);
    let config = match config {
        Some(config) if !diagnostics.has_errors() => config,
        _ => {
            return Err(
                Problem::new(422, "configuration-invalid", diagnostics.to_string())
                    .with("errors", &diagnostics),
            );
        }
    };
    let running = core.config.load_full();
    let before = running.as_ref().clone().unwrap_or_default();
    let changes = portico_config::diff(&before, &config).map_err(|e| {
        Problem::new(
            500,
            "internal",
            format!("the difference cannot be shown: {e}"),
        )
    })?;
    let (live, restart): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .partition(|c| c.applies == Applies::Live);
    let mut answer = Reloaded {
        changed: live.iter().chain(&restart).map(|c| json!(c)).collect(),
        needs_restart: restart.iter().map(|c| c.path.clone()).collect(),
        packages: Vec::new(),
        failed: Vec::new(),
        unsupported: config
            .unsupported()
            .0
            .iter()
            .map(ToString::to_string)
            .collect(),
    };
    if dry_run {
        return Ok(answer);
    }
    let settings = Settings::from_config(Some(&config));
    let tenant = core.default_tenant.clone();
    core.control.set_policy(&tenant, policy(&settings));
    core.registries.reopen(&tenant, &settings).await?;
    core.shell.set_branding(settings.branding());
    let wanted = settings.configured(false);
    core.settings.store(Arc::new(settings));
    core.config.store(Arc::new(Some(config)));
    let ctx = OpContext::system(tenant.clone(), "reload", Duration::from_secs(300));
    let applied = core.control.apply_configured(&ctx, &wanted).await?;
    answer.packages = applied.changed.iter().map(ToString::to_string).collect();
    answer.failed = applied
        .failed
        .iter()
        .map(|(id, reason)| json!({ "id": id, "reason": reason }))
        .collect();
    core.control
        .audit(
            &ctx,
            "config.reload",
            &name,
            json!({ "changed": answer.changed, "packages": answer.packages }),
        )
        .await?;
    let event = json!({ "type": "config:reloaded", "generation": core.tenant_snapshot(&tenant)?.generation });
    core.hubs.of(&tenant).publish(
        &Event {
            seq: None,
            json: event.to_string(),
        },
        0,
    );
    Ok(answer)
}
