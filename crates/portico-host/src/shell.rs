//! The shell, behind a port: the frame that package content stands in.

use portico_package::manifest::Intent;
use portico_plan::{
    Identity,
    snapshot::{PackageView, Removal, TenantSnapshot},
};
use serde_json::Value;

/// For whom and where a page is drawn.
#[derive(Clone, Copy, Debug)]
pub struct ShellRequest<'a> {
    /// The tenant's routes and navigation.
    pub tenant: &'a TenantSnapshot,
    /// Who looks.
    pub identity: &'a Identity,
    /// Token that the shell's own requests carry; empty for nobody signed in.
    pub csrf: &'a str,
    /// Nonce of this response.
    pub nonce: &'a str,
    /// `scheme://host[:port]` as the browser sees it.
    pub origin: &'a str,
    /// Request path.
    pub path: &'a str,
    /// `x-request-id` of this request.
    pub request_id: &'a str,
    /// Tag of the language that was chosen for the person, one that [`Shell::language`] answered.
    pub language: &'a str,
    /// True when htmx asked and only `<main>` (and the title) is wanted.
    pub partial: bool,
}

/// What stands in the frame.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A page of a package: checked HTML.
    Package {
        /// Whose.
        package: &'a PackageView,
        /// Heading and browser title.
        title: &'a str,
        /// Checked, nonce-stamped HTML.
        html: &'a str,
        /// What the shell is asked to do, if anything.
        intent: Option<(Intent, &'a Value)>,
    },
    /// The package was removed (410).
    Removed(&'a Removal),
    /// The package is switched off or not ready (503).
    Off(&'a PackageView),
    /// Nothing is here (404).
    NotFound,
    /// The person may not (403); the permission that is missing.
    Forbidden(&'a str),
    /// Something failed (5xx): status, what happened, what to do.
    Failed {
        /// HTTP status.
        status: u16,
        /// The package, when it is one's fault.
        package: Option<&'a PackageView>,
        /// What happened.
        message: &'a str,
    },
}

/// Draws documents. Synchronous and without I/O: it is on the request path.
pub trait Shell: Send + Sync + 'static {
    /// The tag of the language that somebody reads who wants these, best first.
    fn language(&self, wanted: &[String]) -> &'static str;
    /// The whole document, or (partial) the title and `<main>`.
    fn document(&self, request: ShellRequest<'_>, content: Content<'_>) -> String;
    /// The two policies that every document carries, in order; both are enforced.
    fn content_security_policies(&self, nonce: &str, origin: &str) -> [String; 2];
}
