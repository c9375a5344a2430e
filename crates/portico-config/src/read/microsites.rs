//! `microsites:` and `documentation:`.

use portico_package::{
    PackageId, Permission, Severity, VersionRange,
    manifest::{MicrositeType, check::is_url, check::mount_path},
    yaml::{Field, Fields, Place, Reader},
};

use super::line;
use crate::{Documentation, DocumentationSite, Microsite, Strategy};

pub(super) fn microsites(reader: &Reader, field: &Field<'_>) -> Vec<Microsite> {
    let mut out: Vec<Microsite> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    for item in field.list().unwrap_or_default() {
        let Some(microsite) = microsite(&item) else {
            continue;
        };
        let clash = |message: String| {
            reader.report(
                Severity::Error,
                &item.place(),
                "duplicate-entry",
                message,
                None,
            );
        };
        for (earlier, place) in out.iter().zip(&places) {
            if earlier.id == microsite.id {
                let line = place.at.line;
                clash(format!(
                    "`{}` is listed a second time; the first is on line {line}",
                    earlier.id
                ));
            } else if earlier.path.is_some() && earlier.path == microsite.path {
                let path = microsite.path.as_deref().unwrap_or_default();
                clash(format!(
                    "`{}` and `{}` (line {}) both want `{path}`",
                    microsite.id, earlier.id, place.at.line
                ));
            }
        }
        out.push(microsite);
        places.push(item.place());
    }
    out
}

fn microsite(item: &Field<'_>) -> Option<Microsite> {
    if !item.is_map() {
        return item.parse::<PackageId>().map(Microsite::new);
    }
    let f = item.map()?;
    let id = f.require("id").and_then(|f| f.parse::<PackageId>());
    let microsite_type = f
        .get("microsite_type")
        .and_then(|f| f.choice(&MicrositeType::ALL));
    let path = f
        .get("path")
        .and_then(|f| place_to_live(&f, microsite_type));
    if microsite_type == Some(MicrositeType::External) && !f.has("path") {
        let message = format!(
            "`{}.path` is missing: an external microsite is a link",
            item.path
        );
        item.error(
            "missing-key",
            message,
            Some("write `path: https://…`".into()),
        );
    }
    let read = Microsite {
        id: id.clone().or_else(|| "_".parse().ok())?,
        name: f.get("name").and_then(|f| line(&f, 100)),
        path,
        icon: f.get("icon").and_then(|f| line(&f, 200)),
        enabled: f.bool("enabled").unwrap_or(true),
        microsite_type,
        capabilities: f.get("capabilities").map(|f| permissions(&f)),
        source: f.get("source").and_then(|f| line(&f, 500)),
        docs_source: f.get("docs_source").and_then(|f| line(&f, 500)),
        description: f.get("description").and_then(|f| line(&f, 1000)),
        nav_order: f.get("nav_order").and_then(|f| order(&f)),
        version: f.get("version").and_then(|f| f.parse::<VersionRange>()),
        registry: f.get("registry").and_then(|f| line(&f, 100)),
        config: f.get("config").and_then(|f| f.map().and_then(|_| f.json())),
    };
    f.finish();
    id.map(|_| read)
}

pub(super) fn place_to_live(
    field: &Field<'_>,
    microsite_type: Option<MicrositeType>,
) -> Option<String> {
    let text = field.string()?;
    if microsite_type == Some(MicrositeType::External) {
        if is_url(&text, &["http", "https"]) {
            return Some(text);
        }
        let message = format!("the path `{text}` of an external microsite is no URL");
        field.error("invalid-value", message, Some("write `https://…`".into()));
    } else if is_url(&text, &["http", "https"]) {
        let hint = Some("add `microsite_type: external`".into());
        field.error("invalid-value", format!("the path `{text}` is a URL"), hint);
    } else {
        match mount_path(&text) {
            Ok(()) => return Some(text),
            Err(why) => field.error("invalid-value", format!("the path `{text}` {why}"), None),
        }
    }
    None
}

fn permissions(field: &Field<'_>) -> Vec<Permission> {
    field
        .list()
        .unwrap_or_default()
        .iter()
        .filter_map(|f| f.parse())
        .collect()
}

pub(super) fn order(field: &Field<'_>) -> Option<i32> {
    field
        .integer(-1_000_000..=1_000_000)
        .and_then(|order| i32::try_from(order).ok())
}

pub(super) fn documentation(field: &Field<'_>) -> Option<Documentation> {
    let f = field.map()?;
    let strategies = [
        ("unified", Strategy::Unified),
        ("separate", Strategy::Separate),
        ("modular", Strategy::Modular),
        ("external", Strategy::External),
    ];
    let strategy = f
        .get("strategy")
        .and_then(|f| f.choice(&strategies))
        .unwrap_or_default();
    let items = f.get("sites").and_then(|f| f.list()).unwrap_or_default();
    let mut sites: Vec<DocumentationSite> = Vec::new();
    for item in items {
        let Some(site) = documentation_site(&item) else {
            continue;
        };
        if sites.iter().any(|earlier| earlier.id == site.id) {
            item.error(
                "duplicate-entry",
                format!("`{}` is listed a second time", site.id),
                None,
            );
        }
        sites.push(site);
    }
    f.finish();
    Some(Documentation { strategy, sites })
}

fn documentation_site(item: &Field<'_>) -> Option<DocumentationSite> {
    let mut site = DocumentationSite {
        id: "_".parse().ok()?,
        name: None,
        icon: None,
        path: None,
        microsite_type: None,
        source: None,
        enabled: true,
        nav_order: None,
        description: None,
    };
    if !item.is_map() {
        site.id = item.parse()?;
        return Some(site);
    }
    let f = item.map()?;
    let id = f.require("id").and_then(|f| f.parse::<PackageId>());
    site.microsite_type =
        either(&f, "microsite_type", "type").and_then(|f| f.choice(&MicrositeType::ALL));
    site.name = f.get("name").and_then(|f| line(&f, 100));
    site.icon = f.get("icon").and_then(|f| line(&f, 200));
    site.path = f
        .get("path")
        .and_then(|f| place_to_live(&f, site.microsite_type));
    site.source = either(&f, "source", "docs_source").and_then(|f| line(&f, 500));
    site.enabled = f.bool("enabled").unwrap_or(true);
    site.nav_order = either(&f, "nav_order", "priority").and_then(|f| order(&f));
    site.description = f.get("description").and_then(|f| line(&f, 1000));
    f.finish();
    site.id = id?;
    Some(site)
}

/// One of two keys that mean the same.
fn either<'a>(f: &Fields<'a>, key: &'static str, other: &'static str) -> Option<Field<'a>> {
    let (first, second) = (f.get(key), f.get(other));
    if first.is_some() && second.is_some() {
        let message = format!("`{key}` and `{other}` mean the same");
        f.report_key(
            Severity::Error,
            other,
            "duplicate-key",
            message,
            Some(format!("keep `{key}`")),
        );
    }
    first.or(second)
}
