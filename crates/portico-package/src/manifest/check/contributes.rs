//! Rules about pages and the navigation.

use std::collections::{BTreeMap, BTreeSet};

use super::{Faults, MAX_LIST, MAX_PATH, TEMPLATE_NAMES, relative_name, segment};
use crate::manifest::{Intent, Manifest, Method, MicrositeType, Page, SECTIONS};

pub(super) fn pages(m: &Manifest, faults: &mut Faults) {
    let pages = &m.contributes.pages;
    faults.count("contributes.pages", pages.len(), MAX_LIST);
    if m.microsite_type == MicrositeType::External && !pages.is_empty() {
        faults.invalid(
            "contributes.pages",
            "an external microsite is a link and has no pages",
        );
    }
    let mut seen: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for (i, page) in pages.iter().enumerate() {
        let at = format!("contributes.pages[{i}]");
        match page_path(&page.path) {
            Ok(shape) => {
                let post = page.method == Method::Post;
                if let Some(first) = seen.insert((shape, post), i) {
                    let message = format!(
                        "the page `{}` answers the same requests as page {}",
                        page.path,
                        first + 1
                    );
                    faults.add(&format!("{at}.path"), "duplicate-entry", message, None);
                }
            }
            Err(why) => faults.invalid(
                &format!("{at}.path"),
                format!("the page `{}` {why}", page.path),
            ),
        }
        if let Err(why) = relative_name(&page.template) {
            let message = format!("the template `{}` {why}", page.template);
            faults.invalid(&format!("{at}.template"), message);
        }
        if let Some(title) = &page.title {
            faults.readable_text(&format!("{at}.title"), title, 100, false);
        }
        intent(m, page, &at, faults);
        data(page, &at, faults);
    }
}

/// The path of a page with its parameters made nameless, so that `/p/{id}` and `/p/{name}` are alike.
fn page_path(path: &str) -> Result<String, String> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err("does not begin with `/`".into());
    };
    if path.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} characters"));
    }
    if rest.is_empty() {
        return Ok("/".into());
    }
    let mut shape = String::new();
    let mut names = BTreeSet::new();
    for part in rest.split('/') {
        shape.push('/');
        match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            Some(name) if !is_identifier(name) => {
                return Err(format!("has the parameter `{{{name}}}`, which is no name"));
            }
            Some(name) if !names.insert(name) => {
                return Err(format!("has the parameter `{{{name}}}` twice"));
            }
            Some(_) => shape.push_str("{}"),
            None => {
                segment(part)?;
                shape.push_str(part);
            }
        }
    }
    Ok(shape)
}

fn is_identifier(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn intent(m: &Manifest, page: &Page, at: &str, faults: &mut Faults) {
    let Some(intent) = page.intent else {
        if page.method == Method::Post {
            let message = format!("the page `{}` is a POST and has no `intent`", page.path);
            let words = Intent::ALL.map(|(word, _)| word).join(", ");
            let hint = Some(format!("say what it asks the shell to do: {words}"));
            faults.add(&format!("{at}.method"), "missing-key", message, hint);
        }
        return;
    };
    let path = format!("{at}.intent");
    if page.method == Method::Get {
        let message = format!("the page `{}` has an intent and is a GET", page.path);
        faults.add(
            &path,
            "invalid-value",
            message,
            Some("add `method: POST`".into()),
        );
    }
    let needed = intent.permission();
    if !m
        .permissions
        .iter()
        .any(|p| p.permission.as_str() == needed)
    {
        let message = format!("the page `{}` needs the permission `{needed}`", page.path);
        let hint = Some(format!("add `{needed}` to `permissions`"));
        faults.add(&path, "missing-permission", message, hint);
    }
}

fn data(page: &Page, at: &str, faults: &mut Faults) {
    faults.count(&format!("{at}.data"), page.data.len(), 32);
    for (variable, source) in &page.data {
        let path = format!("{at}.data.{variable}");
        if !is_identifier(variable) {
            faults.invalid(&path, format!("`{variable}` is not a name for a variable"));
        } else if TEMPLATE_NAMES.contains(&variable.as_str()) {
            faults.invalid(
                &path,
                format!("`{variable}` is a name that templates already know"),
            );
        }
        if let Err(why) = data_source(source) {
            let message = format!("the data source `{source}` {why}");
            let hint = Some("write a path such as `/api/portal/microsites`".into());
            faults.add(&path, "invalid-value", message, hint);
        }
    }
}

/// A public API path: `/api/…` with `{name}` placeholders.
fn data_source(source: &str) -> Result<(), String> {
    if !source.starts_with("/api/") {
        return Err("is not a path of the public API".into());
    }
    if source.len() > 500 || !source.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("is too long or holds characters that must be percent-encoded".into());
    }
    if source
        .split(['?', '#'])
        .next()
        .unwrap_or("")
        .split('/')
        .any(|s| s == "." || s == "..")
    {
        return Err("has a part `.` or `..`".into());
    }
    let mut rest = source;
    while let Some(start) = rest.find(['{', '}']) {
        let end = rest[start..].find('}').map(|end| start + end);
        match end {
            Some(end) if end > start && is_identifier(&rest[start + 1..end]) => {
                rest = &rest[end + 1..]
            }
            _ => return Err("has a brace that is no `{name}`".into()),
        }
    }
    Ok(())
}

pub(super) fn navigation(m: &Manifest, faults: &mut Faults) {
    let items = &m.contributes.navigation;
    faults.count("contributes.navigation", items.len(), 32);
    let pages = m.effective_pages();
    for (i, item) in items.iter().enumerate() {
        let at = format!("contributes.navigation[{i}]");
        faults.readable_text(&format!("{at}.title"), &item.title, 60, false);
        if let Some(icon) = &item.icon {
            faults.readable(&format!("{at}.icon"), icon, 200, false);
        }
        if let Some(section) = item.section.as_deref()
            && !SECTIONS.contains(&section)
        {
            let message = format!("there is no section `{section}` in the navigation");
            let hint = Some(format!("known here: {}", SECTIONS.join(", ")));
            faults.add(&format!("{at}.section"), "unknown-value", message, hint);
        }
        if m.microsite_type != MicrositeType::Htmx {
            continue;
        }
        let opens =
            |page: &&Page| page.method == Method::Get && !page.fragment && page.path == item.path;
        if !pages.iter().any(|page| opens(&page)) {
            let choices: Vec<&str> = pages
                .iter()
                .filter(|p| p.method == Method::Get && !p.fragment && !p.path.contains('{'))
                .map(|p| p.path.as_str())
                .collect();
            let message = format!("the navigation opens `{}`, which is no page", item.path);
            let hint = Some(format!("pages here: {}", choices.join(", ")));
            faults.add(&format!("{at}.path"), "unknown-value", message, hint);
        } else if item.path.contains('{') {
            let message = format!(
                "the navigation cannot fill the parameter of `{}`",
                item.path
            );
            faults.invalid(&format!("{at}.path"), message);
        }
    }
}
