//! What a package is and asks for: the model, how it is read from an author's file, what must
//! hold of it, and its normalised JSON.
//!
//! `microsite_manifest.yaml` ─[`read`]→ [`Manifest`] ─[`check`](check::check)→ canonical JSON, which
//! is signed, put into the archive and served.

pub mod check;
pub mod config;
mod model;
pub mod read;

pub use check::Fault;
pub use model::*;

use crate::canonical;

/// Name of the author's file in a package.
pub const FILE_NAME: &str = "microsite_manifest.yaml";

/// JSON Schema (2020-12) of `microsite_manifest.yaml`, for editors and `portico config schema`.
pub const JSON_SCHEMA: &str = include_str!("../../../../schemas/microsite_manifest.schema.json");

/// Why bytes are not a normalised manifest.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// Not JSON of this shape.
    #[error("not a normalised manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by a newer portal.
    #[error(
        "the manifest has format {found}, and this build reads up to {FORMAT_VERSION}; use a newer portal"
    )]
    Format {
        /// `format_version` of the bytes.
        found: u64,
    },
    /// The right shape, with a content that cannot be.
    #[error("the manifest cannot be used: {}", list(.0))]
    Faults(Vec<Fault>),
}

fn list(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

impl Manifest {
    /// The normalised form: canonical JSON.
    ///
    /// # Errors
    /// Never for a manifest that was read from a file; the signature keeps the library's.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        canonical::to_vec(self)
    }

    /// Reads the normalised form and checks what can be checked without the files and without
    /// compiling the `config_schema`: a registry has many.
    ///
    /// # Errors
    /// When the bytes are no manifest, or one that breaks a rule of
    /// [`check_without_schema`](check::check_without_schema).
    pub fn from_json(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        #[derive(serde::Deserialize)]
        struct Version {
            format_version: u64,
        }
        // Before the shape: a newer format may have keys that this build refuses.
        let found = serde_json::from_slice::<Version>(bytes)?.format_version;
        if found != u64::from(FORMAT_VERSION) {
            return Err(InvalidManifest::Format { found });
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        let faults = check::check_without_schema(&manifest);
        if faults.is_empty() {
            Ok(manifest)
        } else {
            Err(InvalidManifest::Faults(faults))
        }
    }
}

#[cfg(test)]
mod tests;
