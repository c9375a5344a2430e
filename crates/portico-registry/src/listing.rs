//! What a registry offers: releases read from signed metadata, without downloading archives.

use std::sync::Arc;

use portico_host::Timestamp;
use portico_package::{Digest, Manifest, Release, archive::target_path, signature::PublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the `custom` form that this build writes.
const CUSTOM_FORMAT: u32 = 1;

/// What a registry offered at one refresh.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Every version of every package.
    pub releases: Vec<Arc<Release>>,
    /// Keys whose signature on an archive of this registry counts.
    pub publishers: Vec<PublicKey>,
    /// Until when it may be believed: microseconds since 1970, UTC.
    pub valid_until: Timestamp,
    /// Entries that were left out, and why.
    pub skipped: Vec<String>,
    /// Version of the snapshot it was read from; 0 for what is embedded.
    pub snapshot: u64,
}

/// The `custom` object of a target. Integers and strings only, since signed metadata cannot hold
/// floats: the manifest, whose schema may, is JSON in a string.
#[derive(Debug, Serialize, Deserialize)]
struct Custom {
    format_version: u32,
    manifest: String,
    publisher: String,
    unpacked_size: u64,
}

/// What is signed about a release beside its digest and size.
pub(crate) fn custom(
    manifest: &Manifest,
    publisher: &str,
    unpacked_size: u64,
) -> Result<Value, serde_json::Error> {
    serde_json::to_value(Custom {
        format_version: CUSTOM_FORMAT,
        manifest: serde_json::to_string(manifest)?,
        publisher: publisher.to_owned(),
        unpacked_size,
    })
}

/// One target as a release of `registry`; an error says why it is left out.
pub(crate) fn release(
    registry: &str,
    path: &str,
    file: &sigstore_tuf::TargetFile,
) -> Result<Release, String> {
    let digest: Digest = file
        .hashes
        .get("sha256")
        .ok_or("it has no sha256 digest")?
        .parse()
        .map_err(|e| format!("{e}"))?;
    let custom = file.custom.clone().ok_or("it has no `custom` metadata")?;
    let custom: Custom =
        serde_json::from_value(custom).map_err(|e| format!("its `custom` metadata: {e}"))?;
    if custom.format_version != CUSTOM_FORMAT {
        return Err(format!(
            "its `custom` metadata has format_version {} and this portal reads {CUSTOM_FORMAT}",
            custom.format_version
        ));
    }
    let manifest = Manifest::from_json(custom.manifest.as_bytes())
        .map_err(|e| format!("its manifest: {e}"))?;
    let expected = target_path(&manifest.id, &manifest.version);
    if path != expected {
        return Err(format!("its manifest belongs to {expected}"));
    }
    Ok(Release {
        registry: registry.to_owned(),
        target: path.to_owned(),
        digest,
        size: file.length,
        unpacked_size: custom.unpacked_size,
        publisher: custom.publisher,
        manifest,
    })
}
