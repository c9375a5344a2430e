//! What people see: the shell, templates of packages, embedded assets, and the static back end.
//!
//! - [`WebShell`] draws documents around package content, and the pages that say why there is none.
//! - [`StaticFactory`] checks packages of runtime `static` and renders their pages, metered.
//! - [`package_assets`] prepares static files of packages; [`ShellAssets`] holds the shell's own.
//!
//! Not here: routing and serving (`portico-gateway`), sessions and the API (`portico-server`).

mod css;
mod data;
mod engine;
mod language;
mod link;
mod locales;
mod package_assets;
#[cfg(test)]
mod packages_test;
mod shell;
mod shell_assets;
mod static_backend;
#[cfg(test)]
mod static_backend_tests;
mod static_check;
mod styles;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod words_test;

pub use language::Language;
pub use package_assets::package_assets;
pub use shell::{Branding, SignIn, WebShell, theme_css};
pub use shell_assets::ShellAssets;
pub use static_backend::{ExternalFactory, StaticFactory};
pub use styles::Styles;

/// Browser libraries that the shell brings, by the name that packages ask for, with their versions.
pub fn component_libraries() -> &'static [(&'static str, &'static str)] {
    &[("htmx", "4.0.1"), ("web-components", "1.0.0")]
}
