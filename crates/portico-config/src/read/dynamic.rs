//! `dynamic_microsites:`.

use portico_package::{
    Severity,
    manifest::check::is_url,
    permission::parse_size,
    yaml::{Field, Fields},
};
use url::Url;

use super::line;
use crate::{AllowUnsigned, DEFAULT_REGISTRY, DynamicMicrosites, Registry, UnsignedException};

pub(super) fn dynamic_microsites(f: &Fields<'_>) -> DynamicMicrosites {
    let mut registries: Vec<Registry> = f
        .get("registries")
        .and_then(|f| f.list())
        .unwrap_or_default()
        .iter()
        .filter_map(registry)
        .collect();
    for (i, registry) in registries.iter().enumerate() {
        if registries[..i]
            .iter()
            .any(|earlier| earlier.name == registry.name)
        {
            let message = format!("two registries have the name `{}`", registry.name);
            f.report_key(
                Severity::Error,
                "registries",
                "duplicate-entry",
                message,
                None,
            );
        }
    }
    let (new, old) = (f.get("registry_url"), f.get("microsite_registry"));
    if new.is_some() && old.is_some() {
        let message = "`microsite_registry` is the old name of `registry_url`, and both stand here";
        let hint = Some("keep `registry_url`".into());
        f.report_key(
            Severity::Error,
            "microsite_registry",
            "duplicate-key",
            message.into(),
            hint,
        );
    }
    if let Some(url) = new.or(old).and_then(|f| registry_url(&f))
        && !registries.iter().any(|r| r.url == url)
    {
        registries.insert(
            0,
            Registry {
                name: DEFAULT_REGISTRY.into(),
                url,
            },
        );
    }
    DynamicMicrosites {
        enabled: f.bool("enabled").unwrap_or(true),
        registries,
        allow_unsigned: f
            .get("allow_unsigned")
            .map(|f| allow_unsigned(&f))
            .unwrap_or_default(),
        auto_update: f.bool("auto_update").unwrap_or(false),
        max_microsites_per_tenant: f
            .get("max_microsites_per_tenant")
            .and_then(|f| f.integer(0..=1_000_000))
            .and_then(|n| u64::try_from(n).ok()),
        max_storage_per_tenant: f.get("max_storage_per_tenant").and_then(|f| size(&f)),
    }
}

fn registry(item: &Field<'_>) -> Option<Registry> {
    let f = item.map()?;
    let url = f.require("url").and_then(|f| registry_url(&f));
    let name = f.require("name").and_then(|f| line(&f, 100));
    f.finish();
    Some(Registry {
        name: name?,
        url: url?,
    })
}

/// A URL or a folder.
fn registry_url(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let folder = !text.contains("://") && !text.trim().is_empty();
    let file = Url::parse(&text).is_ok_and(|url| url.scheme() == "file");
    if folder || file || is_url(&text, &["https", "http"]) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    let hint = Some("write `https://…`, `file:///…` or a folder".into());
    field.error(
        "invalid-value",
        format!("`{text}` is not the address of a registry"),
        hint,
    );
    None
}

fn allow_unsigned(field: &Field<'_>) -> AllowUnsigned {
    if !field.is_list() {
        return match field.bool() {
            Some(true) => AllowUnsigned::Everything,
            _ => AllowUnsigned::No,
        };
    }
    let exceptions = field
        .list()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|item| {
            let f = item.map()?;
            let package = f.require("package").and_then(|f| f.parse());
            let until = f.require("until").and_then(|f| day(&f));
            f.finish();
            Some(UnsignedException {
                package: package?,
                until: until?,
            })
        });
    match exceptions.collect::<Vec<_>>() {
        none if none.is_empty() => AllowUnsigned::No,
        some => AllowUnsigned::Only(some),
    }
}

fn day(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str, length: usize| {
        let digits = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if digits {
            text.parse::<u32>().ok()
        } else {
            None
        }
    };
    let good = match parts.as_slice() {
        [year, month, day] => {
            number(year, 4).is_some()
                && number(month, 2).is_some_and(|m| (1..=12).contains(&m))
                && number(day, 2).is_some_and(|d| (1..=31).contains(&d))
        }
        _ => false,
    };
    if good {
        return Some(text);
    }
    field.error(
        "invalid-value",
        format!("`{text}` is not a day"),
        Some("write YYYY-MM-DD".into()),
    );
    None
}

fn size(field: &Field<'_>) -> Option<u64> {
    let text = field.string()?;
    let bytes = parse_size(&text);
    if bytes.is_none() {
        let hint = Some("write one such as `10GB` or `512 MiB`".into());
        field.error("invalid-value", format!("`{text}` is not a size"), hint);
    }
    bytes
}
