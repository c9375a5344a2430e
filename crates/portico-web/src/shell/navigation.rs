//! The navigation as HTML, made once for everybody who sees the same.

use std::{
    collections::{BTreeSet, HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, PoisonError, RwLock, Weak},
};

use portico_plan::{TenantSnapshot, can, snapshot::NavigationEntry};

use super::{html::escape, messages::Messages};
use crate::{language::Language, shell_assets::ShellAssets};

/// Navigation HTML with the places where the current entry is marked.
#[derive(Debug)]
pub(crate) struct Navigation {
    html: String,
    /// Path of each entry of the portal itself, and where its mark goes.
    links: Vec<(String, usize)>,
}

impl Navigation {
    fn draw(
        entries: &[Arc<NavigationEntry>],
        permissions: &BTreeSet<String>,
        words: &Messages,
    ) -> Self {
        let mut nav = Self {
            html: String::with_capacity(256 * entries.len()),
            links: Vec::new(),
        };
        let sections = [
            ("core", ""),
            ("installed", words.installed),
            ("docs", words.documentation),
            ("admin", words.administration),
        ];
        let section_of = |e: &NavigationEntry| {
            sections
                .iter()
                .position(|(s, _)| *s == e.section)
                .unwrap_or(1)
        };
        for (n, (section, heading)) in sections.iter().enumerate() {
            let mut visible = entries
                .iter()
                .filter(|e| {
                    section_of(e) == n
                        && e.permission.as_deref().is_none_or(|p| can(permissions, p))
                })
                .peekable();
            if visible.peek().is_none() {
                continue;
            }
            nav.html.push_str("<section data-section=\"");
            nav.html.push_str(section);
            nav.html.push_str("\">");
            if !heading.is_empty() {
                nav.html.push_str("<h2>");
                nav.html.push_str(heading);
                nav.html.push_str("</h2>");
            }
            nav.html.push_str("<ul>");
            visible.for_each(|entry| nav.entry(entry, words));
            nav.html.push_str("</ul></section>");
        }
        nav
    }

    fn entry(&mut self, entry: &NavigationEntry, words: &Messages) {
        let out = &mut self.html;
        out.push_str("<li data-id=\"");
        escape(&entry.id, out);
        out.push_str("\"><a href=\"");
        // Paths come from checked manifests; a link elsewhere is drawn only when it is a web address.
        let fine = entry.path.starts_with('/') && !entry.path.starts_with("//")
            || entry.path.starts_with("https://")
            || entry.path.starts_with("http://");
        escape(if fine { &entry.path } else { "#" }, out);
        out.push('"');
        if entry.external {
            out.push_str(" target=\"_blank\" rel=\"noopener noreferrer\"");
        } else {
            self.links.push((entry.path.clone(), out.len()));
        }
        out.push('>');
        let name = entry.name_in(words.language.tag());
        glyph(entry.icon.as_deref(), name, out);
        out.push_str("<span class=\"portico-label\">");
        escape(name, out);
        out.push_str("</span>");
        if entry.external {
            out.push_str("<span class=\"portico-hidden\"> ");
            out.push_str(words.opens_elsewhere);
            out.push_str("</span>");
            icon("external", "portico-icon small", out);
        }
        out.push_str("</a></li>");
    }

    /// Writes it with the entry marked that `path` belongs to: the longest one that leads there.
    pub(crate) fn write(&self, path: &str, out: &mut String) {
        let leads = |to: &str| {
            let to = to.trim_end_matches('/');
            path.strip_prefix(to)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let here = self
            .links
            .iter()
            .filter(|(to, _)| leads(to))
            .max_by_key(|(to, _)| to.len());
        match here {
            None => out.push_str(&self.html),
            Some((_, at)) => {
                out.push_str(&self.html[..*at]);
                out.push_str(" aria-current=\"page\"");
                out.push_str(&self.html[*at..]);
            }
        }
    }
}

/// A picture of the shell's icon set, inline: the sprite would be one more request.
pub(crate) fn icon(name: &str, class: &str, out: &mut String) {
    out.push_str("<svg class=\"");
    out.push_str(class);
    out.push_str("\" viewBox=\"0 0 24 24\" aria-hidden=\"true\">");
    out.push_str(ShellAssets::embedded().icon(name));
    out.push_str("</svg>");
}

/// An emoji, an image, or the first letter of the name.
pub(crate) fn glyph(icon: Option<&str>, name: &str, out: &mut String) {
    match icon.filter(|i| !i.is_empty()) {
        Some(url) if url.starts_with('/') && !url.starts_with("//") => {
            out.push_str("<img class=\"portico-glyph\" src=\"");
            escape(url, out);
            out.push_str("\" alt=\"\" width=\"20\" height=\"20\">");
        }
        Some(text) if !text.contains(['/', ':']) && text.chars().count() <= 8 => {
            out.push_str("<span class=\"portico-glyph\" aria-hidden=\"true\">");
            escape(text, out);
            out.push_str("</span>");
        }
        _ => {
            out.push_str("<span class=\"portico-glyph letter\" aria-hidden=\"true\">");
            let letter: String = name
                .chars()
                .find(|c| c.is_alphanumeric())
                .unwrap_or('·')
                .to_uppercase()
                .collect();
            escape(&letter, out);
            out.push_str("</span>");
        }
    }
}

/// Drawn navigations by what they are drawn from.
#[derive(Debug, Default)]
pub(crate) struct Cache(RwLock<HashMap<(usize, u64, Language), Cached>>);

#[derive(Debug)]
struct Cached {
    entries: Weak<[Arc<NavigationEntry>]>,
    permissions: Arc<BTreeSet<String>>,
    drawn: Arc<Navigation>,
}

impl Cache {
    pub(crate) fn get(
        &self,
        tenant: &TenantSnapshot,
        permissions: &Arc<BTreeSet<String>>,
        words: &Messages,
    ) -> Arc<Navigation> {
        let mut hasher = DefaultHasher::new();
        permissions.hash(&mut hasher);
        let key = (
            tenant.navigation.as_ptr() as usize,
            hasher.finish(),
            words.language,
        );
        // Addresses come back and hashes collide, so both are compared.
        let same = |c: &Cached| {
            c.entries
                .upgrade()
                .is_some_and(|e| Arc::ptr_eq(&e, &tenant.navigation))
                && c.permissions == *permissions
        };
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = known.get(&key).filter(|c| same(c)) {
            return Arc::clone(&cached.drawn);
        }
        drop(known);
        let drawn = Arc::new(Navigation::draw(&tenant.navigation, permissions, words));
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= 512 {
            known.retain(|_, c| c.entries.strong_count() > 0);
            if known.len() >= 512 {
                known.clear();
            }
        }
        let cached = Cached {
            entries: Arc::downgrade(&tenant.navigation),
            permissions: Arc::clone(permissions),
            drawn: Arc::clone(&drawn),
        };
        known.insert(key, cached);
        drawn
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
