//! What must hold of a manifest, however it was written.
//!
//! The rules look at the model, so that a hostile normalised manifest meets the same ones as an
//! author's file; [`read`](super::read) finds the line for each.

mod contributes;

use std::{collections::BTreeSet, fmt};

use super::{Manifest, MicrositeType, RuntimeKind, config};
use crate::{Text, archive::names, yaml::nearest};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the model, `contributes.pages[1].path`.
    pub path: String,
    /// Stable code, such as `invalid-value`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

/// Names that templates already know; a page's data may not hide them.
pub const TEMPLATE_NAMES: &[&str] = &[
    "portal", "tenant", "user", "package", "config", "page", "params", "query", "can", "url",
    "asset", "loop", "self", "super", "true", "false", "none",
];

const MAX_LIST: usize = 200;
const MAX_PATH: usize = 200;

/// Every rule that `manifest` breaks.
pub fn check(manifest: &Manifest) -> Vec<Fault> {
    let mut faults = check_without_schema(manifest);
    if let Some(schema) = &manifest.config_schema {
        faults.extend(config::check_schema(schema));
    }
    faults
}

/// As [`check`], without compiling the `config_schema`: what can be afforded for every release that a
/// registry has. The schema is looked at when it is used, and when the archive is verified.
pub fn check_without_schema(manifest: &Manifest) -> Vec<Fault> {
    let mut faults = Faults::default();
    identity(manifest, &mut faults);
    mount(manifest, &mut faults);
    needs(manifest, &mut faults);
    folders(manifest, &mut faults);
    contributes::pages(manifest, &mut faults);
    contributes::navigation(manifest, &mut faults);
    faults.0
}

/// What `manifest` says about files that `names` (paths inside the package) do not bear out.
pub fn check_files<'n>(
    manifest: &Manifest,
    names: impl IntoIterator<Item = &'n str>,
) -> Vec<Fault> {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let mut faults = Faults::default();
    let folder = manifest.files.templates();
    for (i, page) in manifest.effective_pages().iter().enumerate() {
        let file = format!("{folder}{}", page.template);
        if !names.contains(file.as_str()) {
            let declared = !manifest.contributes.pages.is_empty();
            let path = if declared {
                format!("contributes.pages[{i}].template")
            } else {
                String::new()
            };
            let templates: Vec<&str> = names
                .iter()
                .filter_map(|name| name.strip_prefix(folder))
                .collect();
            let hint = nearest(&page.template, templates.iter().copied())
                .map(|near| format!("did you mean `{near}`?"));
            let why = if declared {
                ""
            } else {
                ", which draws `/` because no pages are declared"
            };
            faults.add(
                &path,
                "missing-file",
                format!("there is no file `{file}`{why}"),
                hint,
            );
        }
    }
    if let Some(icon) = manifest.icon.as_deref().filter(|icon| is_file_icon(icon)) {
        icon_file(manifest, "icon", icon, &names, &mut faults);
    }
    for (i, item) in manifest.contributes.navigation.iter().enumerate() {
        if let Some(icon) = item.icon.as_deref().filter(|icon| is_file_icon(icon)) {
            let path = format!("contributes.navigation[{i}].icon");
            icon_file(manifest, &path, icon, &names, &mut faults);
        }
    }
    faults.0
}

/// Whether an icon names a file of the package rather than being a character or two.
pub fn is_file_icon(icon: &str) -> bool {
    icon.contains('/') || icon.contains('.')
}

fn icon_file(m: &Manifest, path: &str, icon: &str, names: &BTreeSet<&str>, faults: &mut Faults) {
    let folder = m.files.static_files();
    if !icon.starts_with(folder) {
        let message = format!("the icon `{icon}` is not in `{folder}`, so browsers cannot load it");
        faults.add(
            path,
            "missing-file",
            message,
            Some(format!("write `{folder}…`")),
        );
    } else if !names.contains(icon) {
        faults.add(
            path,
            "missing-file",
            format!("there is no file `{icon}`"),
            None,
        );
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(
        &mut self,
        path: &str,
        code: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.0.push(Fault {
            path: path.into(),
            code,
            message: message.into(),
            hint,
        });
    }

    fn invalid(&mut self, path: &str, message: impl Into<String>) {
        self.add(path, "invalid-value", message, None);
    }

    fn count(&mut self, path: &str, count: usize, most: usize) {
        if count > most {
            self.invalid(
                path,
                format!("`{path}` has {count} entries, more than {most}"),
            );
        }
    }

    /// Text that people will read must not be able to lie about itself: no control characters,
    /// nothing that turns the direction of what follows.
    fn readable(&mut self, path: &str, text: &str, most: usize, may_be_empty: bool) {
        if !may_be_empty && text.trim().is_empty() {
            self.invalid(path, format!("`{path}` is empty"));
        }
        if text.chars().count() > most {
            self.invalid(path, format!("`{path}` is longer than {most} characters"));
        }
        if let Some(c) = text.chars().find(|c| is_deceptive(*c)) {
            let message = format!("`{path}` holds U+{:04X}, which cannot be seen", c as u32);
            self.add(path, "invalid-value", message, Some("leave it away".into()));
        }
    }

    fn readable_text(&mut self, path: &str, text: &Text, most: usize, may_be_empty: bool) {
        match text {
            Text::Plain(text) => self.readable(path, text, most, may_be_empty),
            Text::Localised(by_language) => {
                if by_language.is_empty() {
                    self.invalid(path, format!("`{path}` is empty"));
                }
                for (language, text) in by_language {
                    self.readable(&format!("{path}.{language}"), text, most, may_be_empty);
                }
            }
        }
    }
}

fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn identity(m: &Manifest, faults: &mut Faults) {
    faults.readable_text("name", &m.name, 100, false);
    faults.readable_text("description", &m.description, 1000, true);
    let lines = [
        ("author", &m.author),
        ("license", &m.license),
        ("icon", &m.icon),
    ];
    for (path, text) in lines {
        if let Some(text) = text {
            faults.readable(path, text, 200, false);
        }
    }
    if !m.version.build.is_empty() {
        let hint = Some("count up a number, or add a pre-release such as `-rc.1`".into());
        let message = format!(
            "the version `{}` has build metadata, which orders nothing",
            m.version
        );
        faults.add("version", "invalid-value", message, hint);
    }
    if m.version.to_string().len() > 64 {
        faults.invalid("version", "the version is longer than 64 characters");
    }
    if let Some(url) = &m.homepage
        && !is_url(url, &["https"])
    {
        faults.invalid("homepage", format!("`{url}` is not an `https://` URL"));
    }
    faults.count("categories", m.categories.len(), 10);
    for (i, category) in m.categories.iter().enumerate() {
        faults.readable(&format!("categories[{i}]"), category, 40, false);
    }
}

fn mount(m: &Manifest, faults: &mut Faults) {
    let external = m.microsite_type == MicrositeType::External;
    if external != (m.runtime.kind == RuntimeKind::External) {
        let message = "`type: external` and `runtime.kind: external` go together";
        faults.add("runtime.kind", "invalid-value", message, None);
    }
    match &m.path {
        Some(url) if external && is_url(url, &["http", "https"]) => {}
        Some(url) if external => {
            let message = format!("the path `{url}` of an external microsite is no URL");
            let hint = Some("write `https://…`".into());
            faults.add("path", "invalid-value", message, hint);
        }
        Some(path) => {
            if let Err(why) = mount_path(path) {
                faults.add(
                    "path",
                    "invalid-value",
                    format!("the path `{path}` {why}"),
                    None,
                );
            }
        }
        None if external => {
            faults.add(
                "path",
                "missing-key",
                "an external microsite needs a `path`: its URL",
                None,
            );
        }
        None => {}
    }
}

/// Checks where pages live: `/logstream`, `/docs/handlers`. Reserved paths are the planner's business.
///
/// # Errors
/// The end of a sentence that begins with "the path".
pub fn mount_path(path: &str) -> Result<(), String> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err("does not begin with `/`".into());
    };
    if path.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} characters"));
    }
    if rest.is_empty() {
        return Err("is the portal's own start page".into());
    }
    rest.split('/').try_for_each(segment)
}

fn segment(segment: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
    if segment.is_empty() {
        Err("has an empty part (`//`, or `/` at the end)".into())
    } else if segment.bytes().all(|b| b == b'.') {
        Err(format!("has the part `{segment}`"))
    } else if !segment.bytes().all(good) {
        Err("may hold only letters, digits, `.`, `_`, `~`, `-` between `/`".into())
    } else {
        Ok(())
    }
}

/// Whether `text` is a URL of one of `schemes` with a host and without user information.
pub fn is_url(text: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_ok = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    schemes.contains(&scheme)
        && text.len() <= 2000
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'))
        && host_ok
        && port.is_none_or(|p| p.parse::<u16>().is_ok())
}

fn needs(m: &Manifest, faults: &mut Faults) {
    if m.requires.microsites.contains_key(&m.id) {
        let path = format!("requires.microsites.{}", m.id);
        faults.invalid(&path, format!("`{}` requires itself", m.id));
    }
    faults.count("requires.microsites", m.requires.microsites.len(), MAX_LIST);
    faults.count(
        "requires.component_libraries",
        m.requires.component_libraries.len(),
        MAX_LIST,
    );
    for name in m.requires.component_libraries.keys() {
        faults.readable("requires.component_libraries", name, 64, false);
    }
    faults.count("permissions", m.permissions.len(), MAX_LIST);
    let mut seen = BTreeSet::new();
    for (i, request) in m.permissions.iter().enumerate() {
        let path = format!("permissions[{i}]");
        let permission = &request.permission;
        if !seen.insert(permission) {
            let message = format!("the permission `{permission}` is asked for a second time");
            faults.add(&path, "duplicate-entry", message, None);
        }
        if permission.as_str().starts_with("storage:") && permission.storage_bytes().is_none() {
            let message = format!("`{permission}` names no size");
            let hint = Some("write a size such as `storage:10gb`".into());
            faults.add(&path, "invalid-value", message, hint);
        }
        if let Some(reason) = &request.reason {
            faults.readable_text(&format!("{path}.reason"), reason, 300, false);
        }
    }
}

fn folders(m: &Manifest, faults: &mut Faults) {
    let folders = [
        ("handlers", &m.files.handlers),
        ("templates", &m.files.templates),
        ("static", &m.files.static_),
        ("migrations", &m.files.migrations),
    ];
    for (key, folder) in folders {
        let Some(folder) = folder else { continue };
        let name = folder.strip_suffix('/');
        if let Err(why) = name
            .ok_or("does not end with `/`".into())
            .and_then(relative_name)
        {
            let message = format!("the folder `{folder}` {why}");
            faults.invalid(&format!("files.{key}"), message);
        }
    }
}

/// A path inside the package, by the same rules as names in the archive.
fn relative_name(name: &str) -> Result<(), String> {
    names::check(name.as_bytes())
        .map(|_| ())
        .map_err(|e| e.to_string())
}
