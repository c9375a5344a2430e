//! The portal's configuration files, read into one typed model.
//!
//! `portal_config.yaml` / `portico.yaml` ─[`read`]→ [`Config`]. All mistakes of a file are found at
//! once, each with its line, column and the nearest word that would be right; unknown keys are
//! mistakes. [`Config::unsupported`] names the keys whose feature this build does not have, so that
//! none is silently ignored. [`Config::to_json`] is the normalised form, with secrets left out, and
//! [`diff`] says what a reload changes and what of it needs a restart.
//!
//! Not here: where files lie and when they are read again (`portico-server`), what the planner makes
//! of it (`portico-plan`). This crate does no I/O.

mod diff;
mod model;
mod net;
mod positions;
mod read;
mod secret;
mod unsupported;

pub use diff::{Applies, Change, diff};
pub use model::*;
pub use net::{Cidr, InvalidCidr, InvalidListen, Listen};
pub use positions::Positions;
pub use read::read;
pub use secret::DatabaseUrl;

/// Names under which a configuration is looked for in the working folder, in this order.
pub const FILE_NAMES: &[&str] = &["portico.yaml", "portal_config.yaml"];

/// JSON Schema (2020-12) of the configuration, for editors and `portico config schema`.
pub const JSON_SCHEMA: &str = include_str!("../../../schemas/portal_config.schema.json");

#[cfg(test)]
mod tests;
