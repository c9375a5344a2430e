//! Reads `microsite_manifest.yaml`.

use std::{collections::BTreeMap, str::FromStr};

use indexmap::IndexMap;
use semver::Version;

use super::{
    Contributes, DEFAULT_ORDER, FILE_NAME, FORMAT_VERSION, Fault, Files, Intent, Manifest, Method,
    MicrositeType, NavigationItem, Page, PermissionRequest, Requires, Runtime, RuntimeKind, check,
};
use crate::{
    Diagnostics, PackageId, Permission, Severity, Text, VersionRange,
    yaml::{Field, Fields, Reader},
};

/// Versions of the author's format that are read.
const MANIFEST_VERSIONS: &[&str] = &["1.0", "1"];

/// Where the sections of the model stand in the file: below `microsite:`, some also at the top.
const PREFIXES: &[&str] = &["microsite.", ""];

/// Reads a manifest. It is `None` when there is an error among the findings; warnings alone do
/// not refuse it. `file_name` is what the findings call the file.
pub fn from_yaml(file_name: &str, text: &str) -> (Option<Manifest>, Diagnostics) {
    let reader = Reader::new(file_name);
    let manifest = read(&reader, text);
    finish(reader, manifest)
}

/// Reads the manifest of a folder (paths inside the package → content) and checks that the files
/// bear out what it says.
pub fn from_files(files: &BTreeMap<String, Vec<u8>>) -> (Option<Manifest>, Diagnostics) {
    let reader = Reader::new(FILE_NAME);
    let Some(text) = files.get(FILE_NAME) else {
        let place = reader.place("", &[""]);
        let message = format!("there is no `{FILE_NAME}` at the top of the package");
        let near = files.keys().find(|name| name.ends_with(FILE_NAME));
        let hint = near.map(|near| format!("there is `{near}`; pack its folder instead"));
        reader.report(Severity::Error, &place, "missing-file", message, hint);
        return finish(reader, None);
    };
    let Ok(text) = std::str::from_utf8(text) else {
        let place = reader.place("", &[""]);
        reader.report(
            Severity::Error,
            &place,
            "syntax",
            "the file is not UTF-8".into(),
            None,
        );
        return finish(reader, None);
    };
    let manifest = read(&reader, text);
    if let Some(manifest) = &manifest {
        report(
            &reader,
            check::check_files(manifest, files.keys().map(String::as_str)),
        );
        empty_folders(&reader, manifest, files);
    }
    finish(reader, manifest)
}

fn finish(reader: Reader, manifest: Option<Manifest>) -> (Option<Manifest>, Diagnostics) {
    let manifest = manifest.filter(|_| !reader.has_errors());
    (manifest, reader.into_diagnostics())
}

/// Reads as much as there is; what is missing gets a stand-in, so that every rule is checked.
pub(super) fn read(reader: &Reader, text: &str) -> Option<Manifest> {
    let Some(document) = reader.parse(text) else {
        if !reader.has_errors() {
            let place = reader.place("", &[""]);
            reader.report(
                Severity::Error,
                &place,
                "missing-key",
                "the file is empty".into(),
                None,
            );
        }
        return None;
    };
    let top = reader.root(&document).map()?;
    if let Some(version) = top.require("manifest_version")
        && let Some(text) = version.string()
        && !MANIFEST_VERSIONS.contains(&text.as_str())
    {
        let message = format!("this build does not know manifests of version `{text}`");
        version.error("unknown-value", message, Some("write `\"1.0\"`".into()));
    }
    // What a registry adds around a manifest in the requirement's install request.
    for added in ["signature", "package_url"] {
        let _ = top.get(added);
    }
    let inner = top.require("microsite").and_then(|m| m.map());
    let Some(inner) = inner else {
        top.finish();
        return None;
    };
    let manifest = microsite(&top, &inner);
    inner.finish();
    top.finish();
    report(reader, check::check(&manifest));
    Some(manifest)
}

fn report(reader: &Reader, faults: Vec<Fault>) {
    for fault in faults {
        let place = reader.place(&fault.path, PREFIXES);
        reader.report(
            Severity::Error,
            &place,
            fault.code,
            fault.message,
            fault.hint,
        );
    }
}

fn empty_folders(reader: &Reader, manifest: &Manifest, files: &BTreeMap<String, Vec<u8>>) {
    let declared = [
        ("handlers", &manifest.files.handlers),
        ("templates", &manifest.files.templates),
        ("static", &manifest.files.static_),
        ("migrations", &manifest.files.migrations),
    ];
    for (key, folder) in declared {
        if let Some(folder) = folder
            && !files.keys().any(|name| name.starts_with(folder.as_str()))
        {
            let place = reader.place(&format!("files.{key}"), PREFIXES);
            let message = format!("there are no files in `{folder}`");
            reader.report(Severity::Warning, &place, "missing-file", message, None);
        }
    }
}

/// A section that may stand below `microsite:` or at the top of the file, not at both.
fn section<'a>(top: &Fields<'a>, inner: &Fields<'a>, key: &'static str) -> Option<Field<'a>> {
    let (outside, inside) = (top.get(key), inner.get(key));
    if outside.is_some() && inside.is_some() {
        let message = format!("`{key}` stands here and below `microsite:`");
        let hint = Some(format!("keep `microsite.{key}`"));
        top.report_key(Severity::Error, key, "duplicate-key", message, hint);
    }
    inside.or(outside)
}

fn microsite(top: &Fields<'_>, m: &Fields<'_>) -> Manifest {
    let id = m.require("id").and_then(|f| f.parse::<PackageId>());
    let name = m.require("name").and_then(|f| f.text());
    let version = m.require("version").and_then(|f| version(&f));
    let microsite_type = m
        .get("type")
        .and_then(|f| f.choice(&MicrositeType::ALL))
        .unwrap_or(MicrositeType::Htmx);
    let default_kind = match microsite_type {
        MicrositeType::External => RuntimeKind::External,
        _ => RuntimeKind::Static,
    };
    Manifest {
        format_version: FORMAT_VERSION,
        id: id.unwrap_or_else(PackageId::stand_in),
        version: version.unwrap_or(Version::new(0, 0, 0)),
        // An empty name would be reported a second time.
        name: name.unwrap_or_else(|| "?".into()),
        description: m
            .get("description")
            .and_then(|f| f.text())
            .unwrap_or_default(),
        author: m.string("author"),
        license: m.string("license"),
        icon: m.string("icon"),
        homepage: m.string("homepage"),
        categories: m
            .get("categories")
            .and_then(|f| f.strings())
            .unwrap_or_default(),
        microsite_type,
        runtime: section(top, m, "runtime").map_or(Runtime { kind: default_kind }, |f| Runtime {
            kind: runtime(&f).unwrap_or(default_kind),
        }),
        path: m.string("path"),
        requires: section(top, m, "requires")
            .and_then(|f| requires(&f))
            .unwrap_or_default(),
        permissions: section(top, m, "permissions")
            .map(|f| permissions(&f))
            .unwrap_or_default(),
        files: section(top, m, "files")
            .and_then(|f| files(&f))
            .unwrap_or_default(),
        config_schema: section(top, m, "config_schema").and_then(|f| f.json()),
        contributes: section(top, m, "contributes")
            .and_then(|f| contributes(&f))
            .unwrap_or_default(),
    }
}

fn version(field: &Field<'_>) -> Option<Version> {
    let text = field.string()?;
    match Version::parse(&text) {
        Ok(version) => Some(version),
        Err(_) => {
            let full = ["", ".0", ".0.0"]
                .iter()
                .map(|rest| format!("{}{rest}", text.trim_start_matches(['v', 'V'])))
                .find(|text| Version::parse(text).is_ok());
            let hint = full.unwrap_or_else(|| "1.0.0".into());
            let message = format!("`{text}` is not a version of the form major.minor.patch");
            field.error("invalid-value", message, Some(format!("write `{hint}`")));
            None
        }
    }
}

/// `runtime: static`, or `runtime: {kind: static}`.
fn runtime(field: &Field<'_>) -> Option<RuntimeKind> {
    if !field.is_map() {
        return field.choice(&RuntimeKind::ALL);
    }
    let fields = field.map()?;
    let kind = fields
        .require("kind")
        .and_then(|f| f.choice(&RuntimeKind::ALL));
    fields.finish();
    kind
}

fn requires(field: &Field<'_>) -> Option<Requires> {
    let fields = field.map()?;
    let requires = Requires {
        platform_version: fields.get("platform_version").and_then(|f| f.parse()),
        component_libraries: fields
            .get("component_libraries")
            .map(|f| dependencies::<String>(&f))
            .unwrap_or_default(),
        microsites: fields
            .get("microsites")
            .map(|f| dependencies::<PackageId>(&f))
            .unwrap_or_default(),
    };
    fields.finish();
    Some(requires)
}

/// `- sz_schedules: ">=1.0.0"` as the requirement writes it, a plain mapping, or bare names for
/// "any version".
fn dependencies<K>(field: &Field<'_>) -> BTreeMap<K, VersionRange>
where
    K: FromStr<Err: std::fmt::Display> + Ord,
{
    let mut out = BTreeMap::new();
    if field.is_list() {
        for item in field.list().unwrap_or_default() {
            if item.is_map() {
                dependency_map(&item, &mut out);
            } else if let Some(name) = item.parse::<K>() {
                dependency(&item, name, Some(VersionRange::any()), &mut out);
            }
        }
    } else {
        dependency_map(field, &mut out);
    }
    out
}

fn dependency_map<K>(field: &Field<'_>, out: &mut BTreeMap<K, VersionRange>)
where
    K: FromStr<Err: std::fmt::Display> + Ord,
{
    let Some(fields) = field.map() else { return };
    for (name, range) in fields.entries() {
        let key = name.parse::<K>().map_err(|e| {
            fields.report_key(Severity::Error, name, "invalid-value", e.to_string(), None);
        });
        let parsed = range.parse::<VersionRange>();
        if let Ok(key) = key {
            dependency(&range, key, parsed, out);
        }
    }
}

fn dependency<K: Ord>(
    field: &Field<'_>,
    name: K,
    range: Option<VersionRange>,
    out: &mut BTreeMap<K, VersionRange>,
) {
    if out
        .insert(name, range.unwrap_or_else(VersionRange::any))
        .is_some()
    {
        let hint = Some("join both ranges with a comma".into());
        field.error(
            "duplicate-entry",
            "this stands in the list a second time",
            hint,
        );
    }
}

fn permissions(field: &Field<'_>) -> Vec<PermissionRequest> {
    let mut out = Vec::new();
    for item in field.list().unwrap_or_default() {
        if !item.is_map() {
            if let Some(permission) = item.parse() {
                out.push(PermissionRequest {
                    permission,
                    reason: None,
                    optional: false,
                });
            }
            continue;
        }
        let Some(fields) = item.map() else { continue };
        let permission = fields
            .require("permission")
            .and_then(|f| f.parse::<Permission>());
        let reason = fields.get("reason").and_then(|f| f.text());
        let optional = fields.bool("optional").unwrap_or(false);
        fields.finish();
        if let Some(permission) = permission {
            out.push(PermissionRequest {
                permission,
                reason,
                optional,
            });
        }
    }
    out
}

fn files(field: &Field<'_>) -> Option<Files> {
    let fields = field.map()?;
    let folder = |key| {
        fields.string(key).map(|mut name| {
            if !name.ends_with('/') {
                name.push('/');
            }
            name
        })
    };
    let files = Files {
        handlers: folder("handlers"),
        templates: folder("templates"),
        static_: folder("static"),
        migrations: folder("migrations"),
    };
    fields.finish();
    Some(files)
}

fn contributes(field: &Field<'_>) -> Option<Contributes> {
    let fields = field.map()?;
    let each = |key| fields.get(key).and_then(|f| f.list()).unwrap_or_default();
    let contributes = Contributes {
        pages: each("pages").iter().filter_map(page).collect(),
        navigation: each("navigation")
            .iter()
            .filter_map(navigation_item)
            .collect(),
    };
    fields.finish();
    Some(contributes)
}

fn page(field: &Field<'_>) -> Option<Page> {
    let fields = field.map()?;
    let methods = [("GET", Method::Get), ("POST", Method::Post)];
    let intent = fields.get("intent").and_then(|f| f.choice(&Intent::ALL));
    let method = fields
        .get("method")
        .and_then(|f| f.choice(&methods))
        .unwrap_or_default();
    // An intent that could not be read is no missing intent.
    let unread = intent.is_none() && fields.has("intent");
    let page = Page {
        path: fields
            .require("path")
            .and_then(|f| f.string())
            .unwrap_or_else(|| "/".into()),
        method: if unread { Method::Get } else { method },
        template: fields
            .require("template")
            .and_then(|f| f.string())
            .unwrap_or_else(|| "index.html".into()),
        title: fields.get("title").and_then(|f| f.text()),
        fragment: fields.bool("fragment").unwrap_or(false),
        permission: fields.get("permission").and_then(|f| f.parse()),
        data: fields.get("data").map(|f| data(&f)).unwrap_or_default(),
        intent,
    };
    fields.finish();
    Some(page)
}

fn data(field: &Field<'_>) -> IndexMap<String, String> {
    let Some(fields) = field.map() else {
        return IndexMap::new();
    };
    fields
        .entries()
        .filter_map(|(name, source)| Some((name.to_owned(), source.string()?)))
        .collect()
}

fn navigation_item(field: &Field<'_>) -> Option<NavigationItem> {
    let fields = field.map()?;
    let order = fields
        .get("order")
        .and_then(|f| f.integer(-1_000_000..=1_000_000))
        .and_then(|order| i32::try_from(order).ok());
    let item = NavigationItem {
        title: fields
            .require("title")
            .and_then(|f| f.text())
            .unwrap_or(Text::Plain("?".into())),
        path: fields.string("path").unwrap_or_else(|| "/".into()),
        icon: fields.string("icon"),
        section: fields.string("section"),
        order: order.unwrap_or(DEFAULT_ORDER),
        permission: fields.get("permission").and_then(|f| f.parse()),
    };
    fields.finish();
    Some(item)
}
