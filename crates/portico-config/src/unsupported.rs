//! Keys that are understood and whose feature is not in this build.

use portico_package::{Diagnostics, Severity, manifest::MicrositeType};

use crate::{AllowUnsigned, Config, Microsite};

/// Sources that mean the first-party set.
const FIRST_PARTY: &[&str] = &["schedulezero", "schedulezero-core"];

impl Config {
    /// Every key of the file that does nothing in this build, as warnings of the code `unsupported`
    /// in the order of the file. Whoever starts a portal or checks a file shows them.
    pub fn unsupported(&self) -> Diagnostics {
        let mut found = Vec::new();
        let mut add = |path: &str, message: String| {
            let positions = &self.positions;
            found.push(positions.diagnostic(Severity::Warning, path, "unsupported", message, None));
        };
        if let Some(platform) = &self.portal.base_platform
            && !FIRST_PARTY.contains(&platform.as_str())
        {
            let message = format!(
                "`portal.base_platform`: this build knows the platform `schedulezero`, not `{platform}`"
            );
            add("portal.base_platform", message);
        }
        for (i, microsite) in self.microsites.iter().flatten().enumerate() {
            microsite_keys(&format!("microsites[{i}]"), microsite, &mut add);
        }
        if self.dynamic_microsites.allow_unsigned != AllowUnsigned::No {
            add(
                "dynamic_microsites.allow_unsigned",
                "`dynamic_microsites.allow_unsigned`: this build takes no unsigned package even so"
                    .into(),
            );
        }
        if self.dynamic_microsites.auto_update {
            add(
                "dynamic_microsites.auto_update",
                "`dynamic_microsites.auto_update`: this build upgrades packages only when somebody asks for it".into(),
            );
        }
        if let Some(documentation) = &self.documentation {
            let key = if documentation.sites.is_empty() {
                "documentation.strategy"
            } else {
                "documentation.sites"
            };
            add(
                key,
                format!("`{key}`: this build has no documentation sites; they are not served"),
            );
        }
        if self.multi_tenant.enabled {
            add(
                "multi_tenant.enabled",
                "`multi_tenant.enabled`: this build has the one tenant `default`".into(),
            );
        }
        if self.billing.enabled {
            add(
                "billing.enabled",
                "`billing.enabled`: this build counts and bills nothing".into(),
            );
        }
        if self.modules.window_global.is_some() {
            add(
                "modules.window_global",
                "`modules.window_global`: this build runs no code of packages in the page".into(),
            );
        }
        found.sort_by_key(|d| (d.line, d.column));
        Diagnostics(found)
    }
}

fn microsite_keys(at: &str, microsite: &Microsite, add: &mut impl FnMut(&str, String)) {
    let id = &microsite.id;
    if let Some(kind @ (MicrositeType::Mkdocs | MicrositeType::Openapi)) = microsite.microsite_type
    {
        let message = format!(
            "`microsite_type: {}` of `{id}`: this build has no documentation sites; it is not served",
            kind.as_str()
        );
        add(&format!("{at}.microsite_type"), message);
    }
    if microsite.docs_source.is_some() {
        let message = format!("`docs_source` of `{id}`: this build builds no documentation");
        add(&format!("{at}.docs_source"), message);
    }
    if let Some(source) = &microsite.source
        && !FIRST_PARTY.contains(&source.as_str())
    {
        let message = format!(
            "`source: {source}` of `{id}`: packages come from registries; the source is not looked at"
        );
        add(&format!("{at}.source"), message);
    }
    if microsite.description.is_some() && !microsite.is_external() {
        let message =
            format!("`description` of `{id}`: this build shows the description of the package");
        add(&format!("{at}.description"), message);
    }
}
