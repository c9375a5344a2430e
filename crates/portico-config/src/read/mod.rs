//! Reads `portal_config.yaml`.

mod dynamic;
mod microsites;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use portico_package::{
    Diagnostics, Severity, Version,
    manifest::check::is_url,
    yaml::{Field, Fields, Reader},
};

use self::{
    dynamic::dynamic_microsites,
    microsites::{documentation, microsites},
    server::server,
};
use crate::{
    Billing, Branding, Config, Modules, MultiTenant, Portal, PortalType, Positions, TenantIsolation,
};

/// Reads a configuration. It is `None` when there is an error among the findings; warnings alone
/// do not refuse it. `file_name` is what the findings call the file. An empty file is the default.
pub fn read(file_name: &str, text: &str) -> (Option<Config>, Diagnostics) {
    let (config, findings, _) = read_with_keys(file_name, text);
    (config, findings)
}

/// Keys by the path of their mapping.
pub(crate) type Keys = BTreeMap<String, BTreeSet<&'static str>>;

/// As [`read`], with the keys that were asked for.
pub(crate) fn read_with_keys(file_name: &str, text: &str) -> (Option<Config>, Diagnostics, Keys) {
    let reader = Reader::new(file_name);
    let mut config = document(&reader, text);
    let keys = reader.known_keys();
    let (mut findings, places) = reader.into_parts();
    if let Some(config) = &mut config {
        config.positions = Positions {
            file: file_name.into(),
            places,
        };
        findings.0.extend(config.unsigned_findings().0);
        findings.0.sort_by_key(|d| (d.line, d.column));
    }
    (config.filter(|_| !findings.has_errors()), findings, keys)
}

fn document(reader: &Reader, text: &str) -> Option<Config> {
    let Some(node) = reader.parse(text) else {
        return if reader.has_errors() {
            None
        } else {
            Some(Config::default())
        };
    };
    let root = reader.root(&node);
    if node.kind() == "nothing" {
        return Some(Config::default());
    }
    let top = root.map()?;
    let config = Config {
        portal: section(&top, "portal", portal),
        branding: section(&top, "branding", branding),
        microsites: top.get("microsites").map(|f| microsites(reader, &f)),
        dynamic_microsites: section(&top, "dynamic_microsites", dynamic_microsites),
        documentation: top.get("documentation").and_then(|f| documentation(&f)),
        multi_tenant: section(&top, "multi_tenant", multi_tenant),
        billing: section(&top, "billing", billing),
        modules: section(&top, "modules", modules),
        server: section(&top, "server", server),
        positions: Positions::default(),
    };
    top.finish();
    Some(config)
}

/// Reads a section that is a mapping; without it the default.
fn section<T: Default>(
    top: &Fields<'_>,
    key: &'static str,
    read: impl FnOnce(&Fields<'_>) -> T,
) -> T {
    let Some(fields) = top.get(key).and_then(|f| f.map()) else {
        return T::default();
    };
    let value = read(&fields);
    fields.finish();
    value
}

fn portal(f: &Fields<'_>) -> Portal {
    let default = Portal::default();
    let types = [
        ("core", PortalType::Core),
        ("custom", PortalType::Custom),
        ("saas", PortalType::Saas),
    ];
    Portal {
        name: f
            .get("name")
            .and_then(|f| line(&f, 100))
            .unwrap_or(default.name),
        version: f.get("version").and_then(|f| line(&f, 64)),
        base_platform: f.get("base_platform").and_then(|f| line(&f, 64)),
        base_version: f.get("base_version").and_then(|f| full_version(&f)),
        language: f
            .get("language")
            .and_then(|f| f.choice(&[("en", "en"), ("de", "de")]).map(str::to_owned)),
        portal_type: f
            .get("type")
            .and_then(|f| f.choice(&types))
            .unwrap_or_default(),
    }
}

/// A text of one line that people will read.
fn line(field: &Field<'_>, most: usize) -> Option<String> {
    let text = field.string()?;
    if text.trim().is_empty() || text.chars().any(char::is_control) || text.chars().count() > most {
        let message = format!(
            "`{}` should be one line of 1 to {most} characters",
            field.path
        );
        field.error("invalid-value", message, None);
        return None;
    }
    Some(text)
}

fn full_version(field: &Field<'_>) -> Option<Version> {
    let text = field.string()?;
    Version::parse(&text)
        .map_err(|_| {
            let message = format!("`{text}` is not a version of the form major.minor.patch");
            field.error(
                "invalid-value",
                message,
                Some("write one such as `1.5.0`".into()),
            );
        })
        .ok()
}

fn branding(f: &Fields<'_>) -> Branding {
    Branding {
        logo: f.get("logo").and_then(|f| image(&f)),
        favicon: f.get("favicon").and_then(|f| image(&f)),
        primary_color: primary_color(f),
        company_name: f.get("company_name").and_then(|f| line(&f, 100)),
    }
}

/// A path of the portal or an `https` URL.
fn image(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let path = text.starts_with('/')
        && !text.starts_with("//")
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'));
    if path || is_url(&text, &["https"]) {
        return Some(text);
    }
    let message = format!(
        "`{}` is neither a path such as `/static/logo.png` nor an `https` URL",
        field.path
    );
    field.error("invalid-value", message, None);
    None
}

fn primary_color(f: &Fields<'_>) -> Option<String> {
    const KEY: &str = "primary_color";
    let hint = || Some("write `\"#2E7D32\"`, with quotes".into());
    let Some(field) = f.get(KEY) else {
        if f.has(KEY) {
            let message = "`branding.primary_color` is empty: `#` begins a comment".into();
            f.report_key(Severity::Error, KEY, "invalid-value", message, hint());
        }
        return None;
    };
    let text = field.string()?.to_ascii_lowercase();
    let digits = text.strip_prefix('#').unwrap_or("");
    if matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(text);
    }
    field.error("invalid-value", format!("`{text}` is not a colour"), hint());
    None
}

fn multi_tenant(f: &Fields<'_>) -> MultiTenant {
    let isolations = [
        ("database", TenantIsolation::Database),
        ("schema", TenantIsolation::Schema),
        ("kubernetes", TenantIsolation::Kubernetes),
    ];
    MultiTenant {
        enabled: f.bool("enabled").unwrap_or(false),
        tenant_isolation: f
            .get("tenant_isolation")
            .and_then(|f| f.choice(&isolations)),
    }
}

fn billing(f: &Fields<'_>) -> Billing {
    Billing {
        enabled: f.bool("enabled").unwrap_or(false),
        provider: f.get("provider").and_then(|f| line(&f, 64)),
        usage_metrics: f
            .get("usage_metrics")
            .and_then(|f| f.strings())
            .unwrap_or_default(),
    }
}

fn modules(f: &Fields<'_>) -> Modules {
    let window_global = f.get("window_global").and_then(|field| {
        let name = field.string()?;
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'))
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
        if !good {
            field.error(
                "invalid-value",
                format!("`{name}` is not a name in JavaScript"),
                None,
            );
        }
        good.then_some(name)
    });
    Modules { window_global }
}
