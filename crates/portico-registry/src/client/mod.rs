//! Reads a registry and believes only what its pinned root vouches for.

mod explain;
mod files;
mod read;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use portico_host::{Fetch, Timestamp};
use portico_package::{Digest, Release};

use crate::{
    bundled,
    error::RegistryError,
    floor::MetadataFloor,
    listing::Listing,
    transport::{self, Transport, TransportError},
    tuf,
};
use read::Mode;

/// Largest archive that is downloaded, bytes.
pub const MAX_ARCHIVE: u64 = 256 * 1024 * 1024;

/// A trusted registry.
pub struct Registry {
    name: String,
    location: String,
    source: Source,
}

enum Source {
    /// Inside the binary.
    Bundled,
    /// A TUF repository.
    Tuf(Box<Remote>),
}

struct Remote {
    root: Vec<u8>,
    transport: Arc<dyn Transport>,
    floor: Arc<dyn MetadataFloor>,
    /// What was read last, so that an unchanged registry costs no parsing of manifests.
    last: Mutex<Option<Arc<Listing>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} at {})", self.name, self.location)
    }
}

impl Registry {
    /// The packages inside the binary.
    pub fn bundled() -> Self {
        Self {
            name: bundled::NAME.to_owned(),
            location: "inside the binary".to_owned(),
            source: Source::Bundled,
        }
    }

    /// A TUF repository at an `http(s)` URL, a `file` URL or a folder. `root` is the root.json that
    /// the admin pinned; it is never taken from the registry. Nothing is read yet.
    ///
    /// For an `http(s)` location, `fetch` must already allow the host if it lies inside.
    pub fn open(
        name: &str,
        location: &str,
        root: &[u8],
        floor: Arc<dyn MetadataFloor>,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, RegistryError> {
        check_root(name, root)?;
        let transport = transport::open(name, location, fetch)?;
        Ok(Self::with_transport(name, location, root, floor, transport))
    }

    pub(crate) fn with_transport(
        name: &str,
        location: &str,
        root: &[u8],
        floor: Arc<dyn MetadataFloor>,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let remote = Remote {
            root: root.to_vec(),
            transport,
            floor,
            last: Mutex::default(),
        };
        Self {
            name: name.to_owned(),
            location: location.to_owned(),
            source: Source::Tuf(Box::new(remote)),
        }
    }

    /// Its name in this portal.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, as written.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Whether it is the one inside the binary, which never expires and needs no network.
    pub fn is_bundled(&self) -> bool {
        matches!(self.source, Source::Bundled)
    }

    /// Reads and verifies its metadata as of `now`. No archive is downloaded.
    pub async fn refresh(&self, now: Timestamp) -> Result<Arc<Listing>, RegistryError> {
        match &self.source {
            Source::Bundled => bundled::listing(),
            Source::Tuf(remote) => match remote.read(&self.name, now, Mode::Online).await {
                // A role's kept file can differ from the registry's only if the registry signed two
                // files with one version; then the registry's counts, if the snapshot says so.
                Err(RegistryError::Inconsistent { .. }) => {
                    remote.read(&self.name, now, Mode::OnlineWithoutKept).await
                }
                result => result,
            },
        }
    }

    /// What was seen last, from memory alone, if it may still be believed as of `now`: for a start
    /// without network.
    pub async fn recall(&self, now: Timestamp) -> Result<Arc<Listing>, RegistryError> {
        match &self.source {
            Source::Bundled => bundled::listing(),
            Source::Tuf(remote) => remote.read(&self.name, now, Mode::Offline).await,
        }
    }

    /// Downloads an archive. Its size and digest are what was signed; its inside is not looked at.
    pub async fn fetch(&self, release: &Release) -> Result<Bytes, RegistryError> {
        match &self.source {
            Source::Bundled => bundled::archive(release),
            Source::Tuf(remote) => remote.fetch(&self.name, release).await,
        }
    }

    /// Forgets what was remembered of it; for `trust remove`.
    pub async fn forget(&self) -> Result<(), RegistryError> {
        match &self.source {
            Source::Bundled => Ok(()),
            Source::Tuf(remote) => remote
                .floor
                .forget(&self.name)
                .await
                .map_err(|e| floor_error(&self.name, &e)),
        }
    }
}

/// What a pinned root says, for `trust add` to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSummary {
    /// Its version.
    pub version: u64,
    /// When it expires: microseconds since 1970, UTC.
    pub expires: Timestamp,
    /// Ids of the keys that may replace it.
    pub key_ids: Vec<String>,
    /// How many of them must sign.
    pub threshold: usize,
    /// Digest of its signed part in canonical form, to be compared over another channel: however the
    /// file is formatted, it stays the same.
    pub digest: Digest,
}

/// Checks that `root` is a root.json signed by its own keys.
pub fn check_root(registry: &str, root: &[u8]) -> Result<RootSummary, RegistryError> {
    let bad = |reason: String| RegistryError::Root {
        registry: registry.to_owned(),
        reason,
    };
    let trusted = sigstore_tuf::TrustedMetadataSet::from_root(root).map_err(|e| bad(chain(&e)))?;
    let metadata = sigstore_tuf::Metadata::<sigstore_tuf::Root>::from_slice(root);
    let canonical = metadata
        .map_err(|e| bad(chain(&e)))?
        .signed_canonical()
        .to_vec();
    let payload = trusted.root();
    if !payload.consistent_snapshot {
        return Err(bad("it does not use consistent snapshots".into()));
    }
    let role = payload
        .role("root")
        .ok_or_else(|| bad("it names no root keys".into()))?;
    Ok(RootSummary {
        version: payload.version,
        expires: payload.expires.as_microsecond(),
        key_ids: role.keyids.clone(),
        threshold: role.threshold,
        digest: Digest::of(&canonical),
    })
}

impl Remote {
    async fn fetch(&self, name: &str, release: &Release) -> Result<Bytes, RegistryError> {
        let registry = name.to_owned();
        let target = release.target.clone();
        if release.size > MAX_ARCHIVE {
            let (size, limit) = (release.size, MAX_ARCHIVE);
            return Err(RegistryError::TargetTooLarge {
                registry,
                target,
                size,
                limit,
            });
        }
        let path = format!(
            "targets/{}",
            tuf::consistent_path(&release.target, &release.digest)
        );
        let mismatch = |detail: String| RegistryError::TargetMismatch {
            registry: registry.clone(),
            target: target.clone(),
            detail,
        };
        let bytes = match self.transport.read(&path, release.size).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(RegistryError::TargetMissing { registry, target }),
            Err(TransportError::TooLarge { limit, .. }) => {
                return Err(mismatch(format!(
                    "it has more than the signed {limit} bytes"
                )));
            }
            Err(TransportError::Unreachable(reason)) => {
                return Err(RegistryError::Unreachable { registry, reason });
            }
        };
        if bytes.len() as u64 != release.size {
            return Err(mismatch(format!(
                "it has {} bytes and {} were signed",
                bytes.len(),
                release.size
            )));
        }
        let digest = Digest::of(&bytes);
        if digest != release.digest {
            return Err(mismatch(format!(
                "it is {digest} and {} was signed",
                release.digest
            )));
        }
        Ok(bytes)
    }
}

fn floor_error(registry: &str, error: &std::io::Error) -> RegistryError {
    RegistryError::Floor {
        registry: registry.to_owned(),
        reason: error.to_string(),
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        out.push_str(": ");
        out.push_str(&cause.to_string());
        source = cause.source();
    }
    out
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
