//! What a registry says of one version of a package.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Digest, Manifest, VerifiedPackage,
    archive::{Inspected, target_path},
    manifest::InvalidManifest,
};

/// `format_version` of the metadata that this build writes.
const FORMAT_VERSION: u64 = 1;

/// One version of a package in a registry: the signed `custom` metadata of its target.
/// Resolution needs nothing else, so no archive is downloaded to make a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Name of the registry in this portal.
    pub registry: String,
    /// Path of the archive in the registry, `packages/<id>/<id>-<version>.portico`.
    pub target: String,
    /// Digest of the archive.
    pub digest: Digest,
    /// Size of the archive, bytes.
    pub size: u64,
    /// Sum of the sizes of its files, bytes.
    pub unpacked_size: u64,
    /// Key id of the publisher that signed the archive.
    pub publisher: String,
    /// The manifest inside.
    pub manifest: Manifest,
}

/// Why the `custom` metadata of a target is no release.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRelease {
    /// A key is missing or of the wrong type.
    #[error("the metadata of `{target}` has no usable `{key}`")]
    Key {
        /// The target.
        target: String,
        /// The key.
        key: &'static str,
    },
    /// The manifest in it cannot be used.
    #[error("the metadata of `{target}`: {source}")]
    Manifest {
        /// The target.
        target: String,
        /// Why.
        source: InvalidManifest,
    },
    /// The target's path is not the one of its manifest.
    #[error("`{target}` holds the metadata of `{expected}`")]
    Target {
        /// The target.
        target: String,
        /// Path that its manifest belongs to.
        expected: String,
    },
}

impl Release {
    /// The release of a verified archive of `size` bytes.
    pub fn from_package(registry: &str, package: &VerifiedPackage, size: u64) -> Self {
        let manifest = package.manifest().clone();
        Self {
            registry: registry.into(),
            target: target_path(&manifest.id, &manifest.version),
            digest: package.digest(),
            size,
            unpacked_size: package.unpacked_size(),
            publisher: package.publisher().into(),
            manifest,
        }
    }

    /// The release of an archive of `size` bytes that somebody is about to publish.
    pub fn from_inspected(registry: &str, package: &Inspected, size: u64) -> Self {
        Self {
            registry: registry.into(),
            target: target_path(&package.manifest.id, &package.manifest.version),
            digest: package.digest,
            size,
            unpacked_size: package
                .files
                .values()
                .map(|content| content.len() as u64)
                .sum(),
            publisher: package.claimed_publisher.clone(),
            manifest: package.manifest.clone(),
        }
    }

    /// What a registry signs besides path, size and digest. There is no float in it: the manifest,
    /// whose `config_schema` may have some, is a string.
    ///
    /// # Errors
    /// When the manifest cannot be JSON; never for one that was read.
    pub fn to_custom(&self) -> Result<Value, serde_json::Error> {
        let manifest = self.manifest.to_json()?;
        Ok(json!({
            "format_version": FORMAT_VERSION,
            "unpacked_size": self.unpacked_size,
            "publisher": self.publisher,
            "manifest": String::from_utf8_lossy(&manifest),
        }))
    }

    /// Reads [`to_custom`](Self::to_custom) with what the registry says of the target itself.
    /// Unknown keys are left alone: newer registries may say more.
    ///
    /// # Errors
    /// When something is missing, or the manifest belongs to another path.
    pub fn from_custom(
        registry: &str,
        target: &str,
        digest: Digest,
        size: u64,
        custom: &Value,
    ) -> Result<Self, InvalidRelease> {
        let missing = |key| InvalidRelease::Key {
            target: target.into(),
            key,
        };
        if custom.get("format_version").and_then(Value::as_u64) != Some(FORMAT_VERSION) {
            return Err(missing("format_version"));
        }
        let text = |key| {
            custom
                .get(key)
                .and_then(Value::as_str)
                .ok_or_else(|| missing(key))
        };
        let unpacked_size = custom
            .get("unpacked_size")
            .and_then(Value::as_u64)
            .ok_or_else(|| missing("unpacked_size"))?;
        let manifest = Manifest::from_json(text("manifest")?.as_bytes()).map_err(|source| {
            InvalidRelease::Manifest {
                target: target.into(),
                source,
            }
        })?;
        let expected = target_path(&manifest.id, &manifest.version);
        if expected != target {
            return Err(InvalidRelease::Target {
                target: target.into(),
                expected,
            });
        }
        Ok(Self {
            registry: registry.into(),
            target: target.into(),
            digest,
            size,
            unpacked_size,
            publisher: text("publisher")?.into(),
            manifest,
        })
    }
}
