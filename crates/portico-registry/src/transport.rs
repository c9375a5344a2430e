//! How the files of a registry are read: from a folder, or over HTTP through the egress rules.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use portico_host::{Fetch, FetchError};
use tokio::io::AsyncReadExt;
use url::Url;

use crate::error::RegistryError;

/// Time for one metadata file.
const METADATA_TIMEOUT: Duration = Duration::from_secs(30);

/// Slowest transfer of an archive that is waited for, bytes per second.
const SLOWEST: u64 = 64 * 1024;

/// Why a file was not read. `None` from [`Transport::read`] means that it is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransportError {
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
    /// It does not end where it should.
    #[error("{name} has more than the {limit} bytes that are allowed")]
    TooLarge {
        /// Which file.
        name: String,
        /// Bytes allowed.
        limit: u64,
    },
}

/// Reads files of a registry by relative path.
#[async_trait]
pub(crate) trait Transport: Send + Sync + 'static {
    /// At most `limit` bytes of the file at `path`.
    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>, TransportError>;
}

/// What a location stands for.
pub(crate) fn open(
    registry: &str,
    location: &str,
    fetch: Arc<dyn Fetch>,
) -> Result<Arc<dyn Transport>, RegistryError> {
    let bad = |reason: &str| RegistryError::Location {
        registry: registry.to_owned(),
        location: location.to_owned(),
        reason: reason.to_owned(),
    };
    let scheme = location
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => {
            let mut base = Url::parse(location).map_err(|e| bad(&e.to_string()))?;
            if base.query().is_some() || base.fragment().is_some() {
                return Err(bad("leave out what follows `?` or `#`"));
            }
            if !base.path().ends_with('/') {
                base.set_path(&format!("{}/", base.path()));
            }
            let who = format!("registry:{registry}");
            Ok(Arc::new(Http { base, who, fetch }))
        }
        Some("file") => {
            let path = Url::parse(location)
                .ok()
                .and_then(|url| url.to_file_path().ok())
                .ok_or_else(|| bad("a file URL looks like file:///srv/registry"))?;
            Ok(Arc::new(Folder(path)))
        }
        Some(_) => Err(bad("use https://, http://, file:// or a folder")),
        None if location.trim().is_empty() => Err(bad("it is empty")),
        None => Ok(Arc::new(Folder(PathBuf::from(location)))),
    }
}

/// A folder of this machine.
struct Folder(PathBuf);

#[async_trait]
impl Transport for Folder {
    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>, TransportError> {
        // Paths are made of role names and of package ids and versions, but they come from elsewhere.
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\\') {
            return Ok(None);
        }
        let full = self.0.join(path);
        let failed = |e: io::Error| TransportError::Unreachable(format!("{}: {e}", full.display()));
        let file = match tokio::fs::File::open(&full).await {
            Ok(file) => file,
            // Without the folder itself, "not there" would look like "nothing newer".
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.0.is_dir() => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .await
            .map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(TransportError::TooLarge {
                name: path.to_owned(),
                limit,
            });
        }
        Ok(Some(bytes.into()))
    }
}

/// A web server.
struct Http {
    base: Url,
    who: String,
    fetch: Arc<dyn Fetch>,
}

#[async_trait]
impl Transport for Http {
    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>, TransportError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        let timeout = METADATA_TIMEOUT + Duration::from_secs(limit / SLOWEST);
        match self
            .fetch
            .get(&self.who, url.as_str(), limit, timeout)
            .await
        {
            Ok(bytes) => Ok(Some(bytes)),
            Err(FetchError::NotFound { .. }) => Ok(None),
            Err(FetchError::TooLarge { limit, .. }) => Err(TransportError::TooLarge {
                name: path.to_owned(),
                limit,
            }),
            Err(e) => Err(TransportError::Unreachable(e.to_string())),
        }
    }
}
