//! The frame that package content stands in. Its structure is written down in `SHELL_DOM.md`.

mod html;
mod messages;
mod navigation;
mod notice;
#[cfg(test)]
mod tests;
mod theme;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use portico_host::{
    Asset, Clock, ShellFiles,
    shell::{Content, Shell, ShellRequest},
};
use portico_package::manifest::Intent;
use portico_plan::{access::Actor, snapshot::PackageView};

pub use theme::theme_css;

use crate::{
    language::Language,
    package_assets::{CSS, asset},
    shell::{
        html::escape,
        messages::{Messages, fill},
        navigation::{Cache, glyph, icon},
    },
    shell_assets::ShellAssets,
    static_backend::{Facts, PortalFacts, StaticFactory},
    styles::Styles,
    template::BOOST,
};

/// `branding:` and the portal's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branding {
    /// Name of the portal.
    pub name: String,
    /// Who runs it.
    pub company_name: Option<String>,
    /// Address of the logo: a path of this portal, or `data:`.
    pub logo: Option<String>,
    /// Address of the icon.
    pub favicon: Option<String>,
    /// CSS colour.
    pub primary_color: Option<String>,
    /// For people who want no language that the portal speaks.
    pub language: Language,
}

impl Default for Branding {
    fn default() -> Self {
        Self {
            name: "Portico".to_owned(),
            company_name: None,
            logo: None,
            favicon: None,
            primary_color: None,
            language: Language::default(),
        }
    }
}

/// Branding, and what is drawn from it once.
#[derive(Debug)]
struct Brand {
    branding: Branding,
    /// Everything in `<head>` from the theme's style to before the scripts with a nonce.
    links: String,
    /// The rail's first link.
    mark: String,
}

/// What the sign-in page shows.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// Nonce of this response.
    pub nonce: &'a str,
    /// Tag of the person's language, one that [`Shell::language`] answered.
    pub language: &'a str,
    /// Where the person goes afterwards: a path of this portal.
    pub next: &'a str,
    /// Why the last attempt failed.
    pub error: Option<&'a str>,
}

/// The shell: draws documents and holds the files they need.
pub struct WebShell {
    brand: ArcSwap<Brand>,
    assets: &'static ShellAssets,
    styles: Styles,
    facts: Facts,
    navigation: Cache,
    /// Themes by request path; older ones stay for browsers that still show them.
    themes: RwLock<HashMap<String, Arc<Asset>>>,
}

impl WebShell {
    /// A shell with this brand.
    pub fn new(branding: Branding) -> Self {
        let shell = Self {
            brand: ArcSwap::from_pointee(Brand {
                branding: Branding::default(),
                links: String::new(),
                mark: String::new(),
            }),
            assets: ShellAssets::embedded(),
            styles: Styles::default(),
            facts: Facts::default(),
            navigation: Cache::default(),
            themes: RwLock::default(),
        };
        shell.set_branding(branding);
        shell
    }

    /// Changes the brand while documents are drawn.
    pub fn set_branding(&self, branding: Branding) {
        let mut theme = None;
        if let Some((name, css)) = theme_css(&branding) {
            let path = format!("/theme/{name}");
            let file = Arc::new(asset(Bytes::from(css), CSS));
            self.themes
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(path.clone(), file);
            theme = Some(path);
        }
        self.facts.store(Arc::new(PortalFacts {
            name: branding.name.as_str().into(),
            company: branding.company_name.as_deref().unwrap_or_default().into(),
        }));
        self.brand.store(Arc::new(Brand::draw(
            branding,
            theme.as_deref(),
            self.assets,
        )));
        self.navigation.clear();
    }

    /// The back end of runtime `static`, which tells this shell which packages bring style.
    pub fn static_factory(&self, clock: Arc<dyn Clock>) -> StaticFactory {
        StaticFactory::new(self.styles.clone(), clock, Arc::clone(&self.facts))
    }

    /// The page that asks who somebody is: without the frame, and without scripts but the theme's.
    pub fn sign_in_page(&self, sign_in: &SignIn<'_>) -> String {
        let brand = self.brand.load();
        let words = Messages::of(Language::of_tag(sign_in.language).unwrap_or_default());
        let mut out = String::with_capacity(3072);
        let title = fill(words.sign_in_title, &brand.branding.name);
        self.head(&brand, words, &title, sign_in.nonce, None, &mut out);
        out.push_str("<body class=\"portico-plain\"><main id=\"portico-main\" class=\"portico-card\" data-kind=\"sign-in\"><h1>");
        escape(&title, &mut out);
        out.push_str("</h1><form class=\"stack\" method=\"post\" action=\"/auth/sign-in\"><input type=\"hidden\" name=\"next\" value=\"");
        escape(sign_in.next, &mut out);
        out.push_str("\"><p class=\"muted\" id=\"portico-sign-in-how\">");
        out.push_str(words.sign_in_how);
        out.push_str("</p>");
        if let Some(error) = sign_in.error {
            out.push_str(
                "<p role=\"alert\" id=\"portico-sign-in-error\"><span class=\"badge failed\">",
            );
            escape(error, &mut out);
            out.push_str("</span></p>");
        }
        out.push_str("<label class=\"field\"><span>");
        out.push_str(words.sign_in_label);
        out.push_str("</span><input class=\"input\" name=\"token\" type=\"text\" autocomplete=\"off\" autocapitalize=\"off\" spellcheck=\"false\" required autofocus aria-describedby=\"portico-sign-in-how\"></label><button class=\"button primary\">");
        out.push_str(words.sign_in);
        out.push_str("</button><p class=\"muted\">");
        out.push_str(words.sign_in_lost);
        out.push_str(" <code>portico token link</code></p></form></main></body></html>");
        out
    }

    /// From the doctype to the end of `<head>`; documents with a frame have a CSRF token and a generation.
    fn head(
        &self,
        brand: &Brand,
        words: &Messages,
        title: &str,
        nonce: &str,
        frame: Option<(&str, u64)>,
        out: &mut String,
    ) {
        out.push_str("<!doctype html>\n<html lang=\"");
        out.push_str(words.language.tag());
        out.push_str("\" dir=\"");
        out.push_str(words.language.direction());
        out.push('"');
        if let Some((_, generation)) = frame {
            out.push_str(" data-generation=\"");
            out.push_str(&generation.to_string());
            out.push('"');
        }
        out.push_str("><head><meta charset=\"utf-8\"><title>");
        escape(title, out);
        out.push_str("</title><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">");
        if let Some((csrf, _)) = frame.filter(|(csrf, _)| !csrf.is_empty()) {
            out.push_str("<meta name=\"portico-csrf\" content=\"");
            escape(csrf, out);
            out.push_str("\">");
        }
        self.script("theme.js", "", nonce, out);
        out.push_str(&brand.links);
        if frame.is_some() {
            out.push_str("<meta name=\"htmx-config\" content='{\"extensions\":\"hx-csp\",\"defaultTimeout\":30000}'><script type=\"application/json\" id=\"portico-modules\">");
            out.push_str(self.assets.modules());
            out.push_str("</script>");
            self.script("htmx.min.js", " defer", nonce, out);
            self.script("hx-csp.min.js", " defer", nonce, out);
            self.script("shell.js", " type=\"module\"", nonce, out);
        }
        out.push_str("</head>");
    }

    fn script(&self, name: &str, how: &str, nonce: &str, out: &mut String) {
        out.push_str("<script nonce=\"");
        escape(nonce, out);
        out.push('"');
        out.push_str(how);
        out.push_str(" src=\"");
        out.push_str(self.assets.path(name));
        out.push_str("\"></script>");
    }

    fn rail(&self, brand: &Brand, request: &ShellRequest<'_>, out: &mut String) {
        let words = words(request);
        out.push_str("<a class=\"portico-skip\" href=\"#portico-main\">");
        out.push_str(words.skip);
        out.push_str("</a><aside id=\"portico-rail\" lang=\"");
        out.push_str(words.language.tag());
        out.push_str("\" dir=\"");
        out.push_str(words.language.direction());
        out.push_str("\" aria-label=\"");
        out.push_str(words.portal);
        out.push_str("\">");
        out.push_str(&brand.mark);
        out.push_str("<sz-nav id=\"portico-nav\"><nav aria-label=\"");
        out.push_str(words.main_navigation);
        out.push_str("\">");
        self.navigation
            .get(request.tenant, &request.identity.permissions, words)
            .write(request.path, out);
        out.push_str("</nav></sz-nav><div id=\"portico-person\">");
        if request.identity.is_signed_in() {
            let name = person(request);
            out.push_str("<button type=\"button\" id=\"portico-person-button\" popovertarget=\"portico-person-menu\">");
            glyph(None, &name, out);
            out.push_str("<span class=\"portico-label\">");
            escape(&name, out);
            out.push_str("</span></button><div id=\"portico-person-menu\" popover><p>");
            escape(&name, out);
            out.push_str("</p><button type=\"button\" data-portico=\"keys\">");
            out.push_str(words.shortcuts);
            out.push_str("</button><div role=\"group\" class=\"portico-languages\" aria-label=\"");
            out.push_str(words.language_name);
            out.push_str("\">");
            for (language, name) in Language::OFFERED {
                out.push_str("<button type=\"button\" data-portico=\"language\" lang=\"");
                out.push_str(language.tag());
                out.push_str("\" aria-pressed=\"");
                out.push_str(if language == words.language {
                    "true"
                } else {
                    "false"
                });
                out.push_str("\">");
                out.push_str(name);
                out.push_str("</button>");
            }
            out.push_str("</div><button type=\"button\" data-portico=\"sign-out\">");
            out.push_str(words.sign_out);
            out.push_str("</button></div>");
        } else {
            out.push_str("<a href=\"/auth/sign-in\" hx-boost=\"false\" hx-nonce=\"");
            escape(request.nonce, out);
            out.push_str("\">");
            glyph(None, words.sign_in, out);
            out.push_str("<span class=\"portico-label\">");
            out.push_str(words.sign_in);
            out.push_str("</span></a>");
        }
        out.push_str("</div></aside>");
    }

    fn main(&self, request: &ShellRequest<'_>, content: &Content<'_>, out: &mut String) {
        let (kind, owner) = match content {
            Content::Package { package, .. } => ("package", Some(package.id.as_str())),
            Content::Removed(removal) => ("removed", Some(removal.package.as_str())),
            Content::Off(package) => ("off", Some(package.id.as_str())),
            Content::NotFound => ("not-found", None),
            Content::Forbidden(_) => ("forbidden", None),
            Content::Failed { package, .. } => ("failed", package.map(|p| p.id.as_str())),
        };
        out.push_str("<main id=\"portico-main\" tabindex=\"-1\" hx-history-elt hx-nonce=\"");
        escape(request.nonce, out);
        if let Some(owner) = owner {
            out.push_str("\" data-owner=\"");
            out.push_str(owner);
        }
        out.push_str("\" data-kind=\"");
        out.push_str(kind);
        out.push_str("\">");
        match content {
            Content::Package {
                package,
                title,
                html,
                intent,
            } => {
                self.package(request, package, title, html, intent.as_ref(), out);
            }
            other => notice::write(request, other, out),
        }
        out.push_str("</main>");
    }

    fn package(
        &self,
        request: &ShellRequest<'_>,
        package: &PackageView,
        title: &str,
        html: &str,
        intent: Option<&(Intent, &serde_json::Value)>,
        out: &mut String,
    ) {
        let words = words(request);
        // With htmx the answer's header asks; a document has to carry the question itself.
        if let Some((intent, fields)) = intent.filter(|_| !request.partial) {
            out.push_str("<div hidden data-portico-intent=\"");
            escape(&intent_json(*intent, package, fields).to_string(), out);
            out.push_str("\"></div>");
        }
        crumbs(
            words,
            &package.mount,
            package.name_in(words.language.tag()),
            title,
            out,
        );
        if self.styles.has(&package.digest) {
            out.push_str("<link rel=\"stylesheet\" href=\"/assets/");
            out.push_str(&package.digest.hex());
            out.push_str("/style.css\" data-portico-style=\"");
            out.push_str(package.id.as_str());
            out.push_str("\">");
        }
        out.push_str("<header class=\"portico-head\"><h1>");
        escape(title, out);
        out.push_str("</h1>");
        let first = request.path.trim_end_matches('/') == package.mount.trim_end_matches('/');
        let description = package
            .manifest
            .description
            .in_language(words.language.tag());
        if first && !description.is_empty() {
            out.push_str("<p>");
            escape(description, out);
            out.push_str("</p>");
        }
        out.push_str("</header><portico-package class=\"portico-package\" data-package=\"");
        out.push_str(package.id.as_str());
        out.push_str("\">");
        out.push_str(html);
        out.push_str("</portico-package><footer class=\"portico-owner\">");
        out.push_str(words.page_of);
        out.push_str(" <b>");
        escape(package.name_in(words.language.tag()), out);
        out.push_str("</b> <span class=\"mono\">");
        escape(&package.version.to_string(), out);
        out.push_str("</span></footer>");
    }
}

impl Shell for WebShell {
    fn language(&self, wanted: &[String]) -> &'static str {
        Language::choose(wanted)
            .unwrap_or_else(|| self.brand.load().branding.language)
            .tag()
    }

    fn document(&self, request: ShellRequest<'_>, content: Content<'_>) -> String {
        let brand = self.brand.load();
        let words = words(&request);
        let title = format!("{} · {}", title_of(&content, words), brand.branding.name);
        let html = if let Content::Package { html, .. } = &content {
            html.len()
        } else {
            0
        };
        let mut out = String::with_capacity(html + 8192);
        if request.partial {
            out.push_str("<title>");
            escape(&title, &mut out);
            out.push_str("</title>");
            self.main(&request, &content, &mut out);
            return out;
        }
        self.head(
            &brand,
            words,
            &title,
            request.nonce,
            Some((request.csrf, request.tenant.generation)),
            &mut out,
        );
        out.push_str("<body hx-nonce=\"");
        escape(request.nonce, &mut out);
        out.push_str("\" hx-boost:inherited='");
        out.push_str(BOOST);
        out.push_str("'>");
        self.rail(&brand, &request, &mut out);
        bar(words, &mut out);
        self.main(&request, &content, &mut out);
        out.push_str("<div id=\"portico-live\" class=\"portico-hidden\" role=\"status\" aria-live=\"polite\"></div><div id=\"portico-toasts\" role=\"region\" aria-label=\"");
        out.push_str(words.notifications);
        out.push_str("\"></div></body></html>");
        out
    }

    fn content_security_policies(&self, nonce: &str, origin: &str) -> [String; 2] {
        // Both come from outside of this crate; neither may add a directive.
        let nonce: String = nonce
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '/' | '='))
            .collect();
        let plain = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '-' | '_' | '[' | ']')
        };
        let scripts = if origin.starts_with("http") && origin.chars().all(plain) {
            format!("{}/assets/shell/", origin.trim_end_matches('/'))
        } else {
            "'none'".to_owned()
        };
        [
            format!(
                "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; script-src-attr 'none'; style-src 'self'; style-src-attr 'none'; connect-src 'self'; img-src 'self' data:; font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; manifest-src 'self'; require-trusted-types-for 'script'; trusted-types htmx portico; report-uri /csp"
            ),
            format!("script-src {scripts}; report-uri /csp"),
        ]
    }
}

impl ShellFiles for WebShell {
    fn get(&self, path: &str) -> Option<Arc<Asset>> {
        if path.starts_with("/theme/") {
            return self
                .themes
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(path)
                .cloned();
        }
        self.assets.get(path).cloned()
    }
}

impl Brand {
    fn draw(branding: Branding, theme: Option<&str>, assets: &ShellAssets) -> Self {
        let mut links = String::new();
        links.push_str("<link rel=\"icon\" href=\"");
        match branding.favicon.as_deref().filter(|f| own_image(f)) {
            Some(favicon) => escape(favicon, &mut links),
            None => links.push_str(assets.path("favicon.svg")),
        }
        links.push_str("\"><link rel=\"stylesheet\" href=\"");
        links.push_str(assets.path("shell.css"));
        links.push_str("\">");
        if let Some(theme) = theme {
            links.push_str("<link rel=\"stylesheet\" href=\"");
            links.push_str(theme);
            links.push_str("\">");
        }
        let mut mark = "<a id=\"portico-brand\" href=\"/\">".to_owned();
        match branding.logo.as_deref().filter(|l| own_image(l)) {
            Some(logo) => {
                mark.push_str("<img src=\"");
                escape(logo, &mut mark);
                mark.push_str("\" alt=\"\" height=\"22\">");
            }
            None => icon("portico", "portico-icon", &mut mark),
        }
        mark.push_str("<span class=\"portico-label\">");
        escape(&branding.name, &mut mark);
        mark.push_str("</span></a>");
        Self {
            branding,
            links,
            mark,
        }
    }
}

/// Whether the policy of documents lets an image come from `address`.
fn own_image(address: &str) -> bool {
    address.starts_with("data:image/") || (address.starts_with('/') && !address.starts_with("//"))
}

fn person(request: &ShellRequest<'_>) -> String {
    let name = &request.identity.name;
    match &request.identity.actor {
        _ if !name.is_empty() => name.clone(),
        Actor::User(id) => id.clone(),
        other => other.label(),
    }
}

/// The words for whoever asks.
fn words(request: &ShellRequest<'_>) -> &'static Messages {
    Messages::of(Language::of_tag(request.language).unwrap_or_default())
}

fn title_of(content: &Content<'_>, words: &Messages) -> String {
    match content {
        Content::Package { title, .. } => (*title).to_owned(),
        other => notice::heading(other, words),
    }
}

fn bar(words: &Messages, out: &mut String) {
    out.push_str("<header id=\"portico-bar\"><button type=\"button\" id=\"portico-menu\" data-portico=\"menu\" aria-controls=\"portico-rail\" aria-expanded=\"true\" aria-label=\"");
    out.push_str(words.navigation);
    out.push_str("\">");
    icon("menu", "portico-icon", out);
    out.push_str(
        "</button><span class=\"portico-space\"></span><span id=\"portico-offline\" hidden>",
    );
    icon("offline", "portico-icon", out);
    out.push(' ');
    out.push_str(words.offline);
    out.push_str("</span><button type=\"button\" id=\"portico-activity\" data-portico=\"activity\" aria-label=\"");
    out.push_str(words.activity);
    out.push_str("\"><svg class=\"portico-ring\" viewBox=\"0 0 20 20\" aria-hidden=\"true\"><circle cx=\"10\" cy=\"10\" r=\"8\"/><circle cx=\"10\" cy=\"10\" r=\"8\" pathLength=\"100\"/></svg></button><button type=\"button\" id=\"portico-theme\" data-portico=\"theme\" aria-label=\"");
    out.push_str(words.theme);
    out.push_str("\">");
    icon("theme", "portico-icon", out);
    out.push_str("</button></header>");
}

fn crumbs(words: &Messages, mount: &str, name: &str, title: &str, out: &mut String) {
    out.push_str("<nav class=\"portico-crumbs\" aria-label=\"");
    out.push_str(words.breadcrumb);
    out.push_str("\"><ol>");
    if title != name {
        out.push_str("<li><a href=\"");
        escape(mount, out);
        out.push_str("\">");
        escape(name, out);
        out.push_str("</a></li>");
    }
    out.push_str("<li aria-current=\"page\">");
    escape(title, out);
    out.push_str("</li></ol></nav>");
}

/// What the shell's script is asked: the fields that matter, and who asks.
fn intent_json(
    intent: Intent,
    package: &PackageView,
    fields: &serde_json::Value,
) -> serde_json::Value {
    let verb = match intent {
        Intent::Install => "install",
        Intent::Upgrade => "upgrade",
        Intent::Rollback => "rollback",
        Intent::Disable => "disable",
        Intent::Enable => "enable",
        Intent::Uninstall => "uninstall",
    };
    let mut json = serde_json::json!({ "verb": verb, "package": package.id.as_str() });
    for name in ["microsite_id", "version"] {
        if let Some(value) = fields
            .get(name)
            .and_then(|v| v.as_str())
            .filter(|v| !v.is_empty())
        {
            json[name] = value.into();
        }
    }
    json
}
