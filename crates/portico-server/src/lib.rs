//! The portal as a library: HTTP API, sessions, telemetry and wiring. Tests start it in-process.
//!
//! [`Portal::start`] puts the crates together: store, registries, control plane on one runtime, the
//! data plane on its own. [`api`] is the HTTP API, [`people`] who may, [`gateway_port`] how the data
//! plane reaches all of it.
//!
//! Not here: what a plan contains, SQL, templates: each has its crate.

pub mod api;
mod dispatch;
pub mod gateway_port;
mod links;
mod options;
pub mod people;
pub mod portal;
mod problem;
mod registries;
mod reload;
mod stage;
pub mod telemetry;

pub use options::{LogFormat, Options, OptionsError, parse_listen};
pub use people::People;
pub use portal::{Portal, StartError, offline_people};
pub use problem::Problem;

/// What the back end of a package checks before anything is installed: for authors, without a portal.
/// Answers what keeps it from serving, or warnings.
pub fn check_package(package: &portico_host::StagedPackage) -> portico_package::Diagnostics {
    use portico_host::BackendFactory;
    use portico_package::manifest::RuntimeKind;
    match package.manifest.runtime.kind {
        RuntimeKind::Static => {
            let factory = portico_web::StaticFactory::default();
            factory
                .check(package)
                .map_or_else(|errors| errors, |()| factory.warnings(package))
        }
        RuntimeKind::External => portico_web::ExternalFactory
            .check(package)
            .err()
            .unwrap_or_default(),
        // Not in this build: their own plans say so by name.
        RuntimeKind::Wasm | RuntimeKind::Process | RuntimeKind::Service => Default::default(),
    }
}
