//! What a static package must be before anything of it serves: templates, pages, data paths, style, images.

use std::collections::BTreeSet;

use portico_host::StagedPackage;
use portico_package::{
    Diagnostic, Diagnostics, PackageId, Severity,
    manifest::{Intent, Method, Page},
};

use crate::{
    css, locales, package_assets,
    template::{self, Templates, diagnostic},
};

/// Everything that was made on the way.
pub(crate) struct Checked {
    /// For the engine.
    pub(crate) templates: Templates,
    /// What the package says in other languages.
    pub(crate) locales: locales::Locales,
    /// Findings that keep nothing from serving.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Checks a static package; all findings at once.
pub(crate) fn check(package: &StagedPackage) -> Result<Checked, Diagnostics> {
    let manifest = &package.manifest;
    let mut found: Vec<Diagnostic> = Vec::new();
    let files = || {
        package
            .files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_ref()))
    };

    let (templates, texts) = match template::check(manifest, files()) {
        Ok(templates) => templates,
        Err(findings) => {
            found.extend(findings.0);
            Default::default()
        }
    };
    let folder = manifest.files.templates();
    for page in manifest.effective_pages().iter() {
        let file = format!("{folder}{}", page.template);
        if !package.files.contains_key(&file) {
            found.push(in_manifest(
                "page-template",
                &page.template,
                &format!(
                    "the page `{}` has no template: `{file}` is not in the package",
                    page.path
                ),
                "add the file, or change `template`",
            ));
        }
        found.extend(page_findings(
            page,
            manifest
                .permissions
                .iter()
                .map(|p| p.permission.as_str())
                .collect(),
        ));
    }
    for (path, bytes) in files() {
        if let Some(name) = path.strip_prefix(manifest.files.static_files()) {
            found.extend(static_findings(&manifest.id, path, name, bytes));
        }
    }

    let (locales, of_locales) = locales::check(package, &texts);
    found.extend(of_locales);

    let findings = Diagnostics(found);
    if findings.has_errors() {
        Err(findings)
    } else {
        Ok(Checked {
            templates,
            locales,
            warnings: findings.0,
        })
    }
}

fn in_manifest(code: &str, text: &str, message: &str, hint: &str) -> Diagnostic {
    Diagnostic {
        text: text.to_owned(),
        ..diagnostic(
            Severity::Error,
            code,
            "microsite_manifest.yaml",
            "",
            0,
            message,
            hint,
        )
    }
}

fn page_findings(page: &Page, asked: BTreeSet<&str>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    match (page.method, page.intent) {
        (Method::Get, Some(_)) => found.push(in_manifest("page-intent", &page.path, &format!("the page `{}` has an intent but is read with GET", page.path), "add `method: POST`")),
        (Method::Post, None) => found.push(in_manifest("page-intent", &page.path, &format!("the page `{}` takes POST without an intent", page.path), "add `intent: microsite:install` or another intent; packages of runtime `static` change nothing themselves")),
        _ => {}
    }
    if let Some(intent) = page.intent {
        let needed = match intent {
            Intent::Install | Intent::Rollback | Intent::Enable | Intent::Disable => {
                "microsite:install"
            }
            Intent::Upgrade => "microsite:upgrade",
            Intent::Uninstall => "microsite:uninstall",
        };
        // `microsite:install` also lets a package ask for upgrades of what it installed.
        let held = asked.contains(needed)
            || (intent == Intent::Upgrade && asked.contains("microsite:install"));
        if !held {
            found.push(in_manifest(
                "intent-permission",
                &page.path,
                &format!(
                    "the page `{}` asks the portal for something that needs `{needed}`",
                    page.path
                ),
                &format!("add `{needed}` to `permissions`"),
            ));
        }
    }
    let params: BTreeSet<&str> = page
        .path
        .split('/')
        .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
        .map(|p| p.trim_start_matches('*'))
        .collect();
    for (name, path) in &page.data {
        let variable = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.starts_with("__");
        let taken = [
            "portal", "tenant", "user", "package", "config", "page", "params", "query",
        ]
        .contains(&name.as_str());
        if !variable || taken {
            found.push(in_manifest(
                "data-name",
                name,
                &format!("`{name}` cannot be a variable of page `{}`", page.path),
                if taken {
                    "the portal fills this name; choose another"
                } else {
                    "use letters, digits and `_`"
                },
            ));
        }
        if let Err((message, hint)) = data_path(path, &params) {
            found.push(in_manifest(
                "data-path",
                path,
                &format!("`{name}` of page `{}`: {message}", page.path),
                &hint,
            ));
        }
    }
    found
}

/// `/api/portal/…`, with `{placeholders}` as whole segments or whole values of the query.
fn data_path(path: &str, params: &BTreeSet<&str>) -> Result<(), (String, String)> {
    let complain = |message: &str, hint: &str| Err((message.to_owned(), hint.to_owned()));
    let Some(rest) = path.strip_prefix("/api/portal/") else {
        return complain(
            "data comes from the portal's API",
            "begin with `/api/portal/`",
        );
    };
    let (route, query) = rest.split_once('?').unwrap_or((rest, ""));
    let plain = |s: &str| {
        s.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b',' | b':')
        })
    };
    let placeholder = |s: &str| {
        s.strip_prefix('{')
            .and_then(|s| s.strip_suffix('}'))
            .filter(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            .map(str::to_owned)
    };
    for segment in route.split('/') {
        match placeholder(segment) {
            Some(name) if !params.contains(name.as_str()) => {
                return Err((format!("`{{{name}}}` is not a parameter of the page's path"), "in the path of an address only path parameters may stand; move it into the query".to_owned()));
            }
            Some(_) => {}
            None if segment.is_empty() || !plain(segment) || segment.bytes().all(|b| b == b'.') => {
                return complain(
                    "not a well-formed path",
                    "write `/api/portal/microsites/{id}`",
                );
            }
            None => {}
        }
    }
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key.is_empty() || !plain(key) || (placeholder(value).is_none() && !plain(value)) {
            return complain("not a well-formed query", "write `?q={q}&limit=20`");
        }
    }
    Ok(())
}

fn static_findings(id: &PackageId, path: &str, name: &str, bytes: &[u8]) -> Vec<Diagnostic> {
    let text = || std::str::from_utf8(bytes);
    let extension = name
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let refused = |code: &str, source: &str, at: usize, message: &str, hint: &str| {
        vec![diagnostic(
            Severity::Error,
            code,
            path,
            source,
            at,
            message,
            hint,
        )]
    };
    match extension.as_str() {
        "css" => match text() {
            Ok(source) => match css::check(id, source) {
                Ok(()) => Vec::new(),
                Err(all) => all
                    .into_iter()
                    .map(|f| {
                        diagnostic(
                            Severity::Error,
                            "style-refused",
                            path,
                            source,
                            f.at,
                            &f.message,
                            &f.hint,
                        )
                    })
                    .collect(),
            },
            Err(_) => refused(
                "style-refused",
                "",
                0,
                "not UTF-8",
                "save the file as UTF-8",
            ),
        },
        "svg" => match text() {
            Ok(source) => match package_assets::check_svg(source) {
                Ok(()) => Vec::new(),
                Err((at, message, hint)) => refused("image-refused", source, at, &message, &hint),
            },
            Err(_) => refused(
                "image-refused",
                "",
                0,
                "not UTF-8",
                "save the file as UTF-8",
            ),
        },
        _ if package_assets::content_type(name).is_some() => Vec::new(),
        _ => refused(
            "file-type",
            "",
            0,
            &format!("files of type `.{extension}` are not served"),
            "packages of runtime `static` bring style, images, fonts, text and data",
        ),
    }
}
