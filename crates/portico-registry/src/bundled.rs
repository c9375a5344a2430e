//! The registry inside the binary: the first-party packages.
//!
//! Its trust is the digest pin in `microsites/bundled.lock`, which is compiled in and reviewed like
//! code. Its archives are signed with a key that everybody can make ([`key`]), only so that they look
//! like every other archive: the signature says nothing that the pin does not say better. It never
//! expires and needs no network, and its catalogue costs no packing: the lock holds the manifests.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use include_dir::{Dir, include_dir};
use portico_host::Timestamp;
use portico_package::{
    Digest, Manifest, PackageId, Release, Version,
    archive::target_path,
    signature::{InvalidKey, PublicKey, SigningKey},
};
use serde::{Deserialize, Serialize};

use crate::{
    embedded::{self, Embedded},
    error::RegistryError,
    listing::Listing,
};

/// Name of the registry.
pub const NAME: &str = "bundled";

/// Where the lock is kept, from the top of the source tree.
pub const LOCK_PATH: &str = "microsites/bundled.lock";

static MICROSITES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../microsites");

const LOCK: &str = include_str!("../../../microsites/bundled.lock");

/// The lock: what each embedded package is when it is packed.
#[derive(Debug, Serialize, Deserialize)]
struct Lock {
    format_version: u32,
    packages: Vec<Pin>,
}

/// One package of the [`Lock`].
#[derive(Debug, Serialize, Deserialize)]
struct Pin {
    id: PackageId,
    version: Version,
    digest: Digest,
    size: u64,
    unpacked_size: u64,
    manifest: Manifest,
}

/// The key of the bundled archives. Its seed is the digest of a public sentence, so it proves nothing
/// about who signed; see the module.
pub fn key() -> Result<SigningKey, InvalidKey> {
    SigningKey::from_seed(*Digest::of(b"portico bundled packages, pinned by digest").as_bytes())
}

/// The public half of [`key`], for checking bundled archives.
pub fn publisher_key() -> Option<PublicKey> {
    key().ok().map(|key| key.public_key())
}

/// Everything that is bundled, read from the lock alone.
pub fn listing() -> Result<Arc<Listing>, RegistryError> {
    static LISTING: OnceLock<Result<Arc<Listing>, RegistryError>> = OnceLock::new();
    LISTING
        .get_or_init(|| read_lock(LOCK).map(Arc::new))
        .clone()
}

fn read_lock(text: &str) -> Result<Listing, RegistryError> {
    let lock: Lock = serde_json::from_str(text).map_err(|e| stale("(all)", e))?;
    let key = key().map_err(|e| stale("(all)", e))?;
    let publisher = key.key_id();
    let releases = lock.packages.into_iter().map(|pin| {
        Arc::new(Release {
            registry: NAME.to_owned(),
            target: target_path(&pin.id, &pin.version),
            digest: pin.digest,
            size: pin.size,
            unpacked_size: pin.unpacked_size,
            publisher: publisher.clone(),
            manifest: pin.manifest,
        })
    });
    Ok(Listing {
        releases: releases.collect(),
        publishers: vec![key.public_key()],
        valid_until: Timestamp::MAX,
        skipped: Vec::new(),
        snapshot: 0,
    })
}

/// Packs the embedded package of a release and compares it with its pin.
pub(crate) fn archive(release: &Release) -> Result<Bytes, RegistryError> {
    static PACKAGES: OnceLock<BTreeMap<String, Embedded>> = OnceLock::new();
    let packages = PACKAGES.get_or_init(|| {
        embedded::packages(&MICROSITES)
            .into_iter()
            .map(|p| (p.folder.clone(), p))
            .collect()
    });
    let id = release.manifest.id.as_str();
    let pinned = listing()?
        .releases
        .iter()
        .any(|r| r.digest == release.digest);
    let missing = || RegistryError::TargetMissing {
        registry: NAME.to_owned(),
        target: release.target.clone(),
    };
    // An older binary's bundle is gone with that binary; what is installed of it lives on as a blob.
    let package = packages.get(id).filter(|_| pinned).ok_or_else(missing)?;
    let key = key().map_err(|e| stale(id, e))?;
    let (_, bytes) = package.pack(&key).map_err(|e| stale(id, e))?;
    let digest = Digest::of(&bytes);
    if digest != release.digest {
        return Err(stale(
            id,
            format!("it is {digest} and {} is pinned", release.digest),
        ));
    }
    Ok(bytes.into())
}

/// The text that `microsites/bundled.lock` should have.
///
/// # Errors
/// What is wrong with the packages under `microsites/`, one line each.
pub fn compute_lock() -> Result<String, String> {
    let key = key().map_err(|e| e.to_string())?;
    let mut packages = Vec::new();
    let mut problems = Vec::new();
    for package in embedded::packages(&MICROSITES) {
        match package.pack(&key) {
            Ok((manifest, _)) if manifest.id.as_str() != package.folder => problems.push(format!(
                "microsites/{}: the folder must have the name of the package, `{}`",
                package.folder, manifest.id
            )),
            Ok((manifest, bytes)) => packages.push(Pin {
                id: manifest.id.clone(),
                version: manifest.version.clone(),
                digest: Digest::of(&bytes),
                size: bytes.len() as u64,
                unpacked_size: package.files.values().map(|f| f.len() as u64).sum(),
                manifest,
            }),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let lock = Lock {
        format_version: 1,
        packages,
    };
    let mut text = serde_json::to_string_pretty(&lock).map_err(|e| e.to_string())?;
    text.push('\n');
    Ok(text)
}

/// Whether the lock that was compiled in is the one that [`compute_lock`] makes.
pub fn lock_is_current() -> bool {
    compute_lock().is_ok_and(|text| text == LOCK)
}

fn stale(package: &str, detail: impl ToString) -> RegistryError {
    RegistryError::BundleStale {
        package: package.to_owned(),
        detail: detail.to_string(),
    }
}
