//! Archives: ustar + zstd with per-file digests, signed.
//!
//! ```text
//! portico/index.json       canonical JSON: id, version, digest of the manifest, digest and size of every file
//! portico/manifest.json    the normalised manifest
//! portico/signature.json   key id and Ed25519 signature over the exact bytes of index.json
//! microsite_manifest.yaml  the author's files, sorted by name
//! templates/index.html
//! …
//! ```
//!
//! Reading trusts nothing: size and digest before a byte is decompressed, a window and a ceiling
//! while it is, the signature before the author's files are read, and of each file its name, place,
//! size and digest as the signed index says. Links, devices, extensions of tar and everything that
//! the index does not name are refused; owners, modes and times are ignored.

mod error;
pub mod names;
mod pack;
mod read;
mod stream;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use error::ArchiveError;
pub use pack::pack;
pub use read::{inspect, verify};

use crate::{Digest, Manifest, PackageId, Version};

/// Name of the index in the archive.
pub const INDEX: &str = "portico/index.json";
/// Name of the normalised manifest in the archive.
pub const MANIFEST: &str = "portico/manifest.json";
/// Name of the signature in the archive.
pub const SIGNATURE: &str = "portico/signature.json";
/// Ending of archive file names.
pub const EXTENSION: &str = "portico";

/// `format_version` of the index that this build writes.
const INDEX_FORMAT: u32 = 1;
/// Window of the compression, as a power of two: 8 MiB of memory to decompress.
const WINDOW_LOG: u32 = 23;

/// A package whose archive, file digests, signature and manifest all hold together.
/// Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedPackage {
    manifest: Manifest,
    digest: Digest,
    publisher: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl VerifiedPackage {
    /// What it is and asks for.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Digest of the archive.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Key id of who signed it.
    pub fn publisher(&self) -> &str {
        &self.publisher
    }

    /// Files by path inside the package, without the portal's own `portico/` entries.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// Sum of the sizes of its files, bytes.
    pub fn unpacked_size(&self) -> u64 {
        total(&self.files)
    }

    /// Its manifest and files, for whoever goes on with them.
    pub fn into_parts(self) -> (Manifest, BTreeMap<String, Vec<u8>>) {
        (self.manifest, self.files)
    }
}

/// What an archive holds, consistent in itself, by a signer that nobody has vouched for.
/// Good to look at and to publish; nothing is installed from it.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// What it is and asks for.
    pub manifest: Manifest,
    /// Digest of the archive.
    pub digest: Digest,
    /// Key id that the signature names. The signature itself was not checked.
    pub claimed_publisher: String,
    /// Files by path inside the package.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// How large an archive may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The archive itself, bytes.
    pub archive: u64,
    /// One file, bytes.
    pub file: u64,
    /// All files together, bytes.
    pub total: u64,
    /// Entries of the archive.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            archive: 128 * MIB,
            file: 64 * MIB,
            total: 256 * MIB,
            entries: 5_000,
        }
    }
}

/// The file name of a published package below its registry, `packages/<id>/<id>-<version>.portico`.
pub fn target_path(id: &PackageId, version: &Version) -> String {
    format!("packages/{id}/{id}-{version}.{EXTENSION}")
}

/// `portico/index.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    format_version: u32,
    id: PackageId,
    version: Version,
    manifest: Digest,
    files: BTreeMap<String, IndexedFile>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexedFile {
    sha256: Digest,
    size: u64,
}

/// `portico/signature.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureEntry {
    keyid: String,
    algorithm: String,
    /// 128 hexadecimal digits.
    signature: String,
}

const ALGORITHM: &str = "ed25519";

fn total(files: &BTreeMap<String, Vec<u8>>) -> u64 {
    files.values().map(|content| content.len() as u64).sum()
}
