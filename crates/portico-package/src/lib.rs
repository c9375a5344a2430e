//! What a package *is*.
//!
//! Bytes in, [`VerifiedPackage`] out: authoring formats become one [`Manifest`], archives become
//! checked file sets, and only [`verify`](archive::verify) makes a `VerifiedPackage`.
//!
//! | module | reads or writes |
//! | --- | --- |
//! | [`manifest`] | `microsite_manifest.yaml` and its normalised JSON, `config_schema`, the published JSON Schema |
//! | [`archive`] | `.portico` files: ustar + zstd, signed index, deterministic |
//! | [`signature`] | Ed25519 keys, their text files and key ids |
//! | [`release`] | what a registry signs about one version |
//! | [`version`] | ranges such as `>=2.1 <3.0` |
//! | [`permission`] | permissions, and what they mean in plain words |
//! | [`yaml`] | YAML with positions, and typed reading that finds every mistake at once |
//!
//! Of the authoring formats only `microsite_manifest.yaml` is read; `plugin.yaml` and
//! `module.config.json` are not there yet. Folders, `.zip` and `.tar.gz` files become file sets elsewhere.
//!
//! Not here: where packages come from (`portico-registry`), what should be done with them
//! (`portico-plan`). This crate does no I/O, knows no clock and no randomness.

pub mod archive;
pub mod canonical;
pub mod diagnostic;
pub mod digest;
pub mod id;
pub mod manifest;
pub mod permission;
pub mod release;
pub mod signature;
pub mod text;
pub mod version;
pub mod yaml;

pub use archive::VerifiedPackage;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use digest::Digest;
pub use id::PackageId;
pub use manifest::Manifest;
pub use permission::Permission;
pub use release::Release;
pub use semver::Version;
pub use text::Text;
pub use version::VersionRange;
