//! The files of one read: from the registry, from what is kept, or from both.

use std::sync::{Arc, Mutex};

use sigstore_tuf::{MetadataStore, Repository, transport::FetchFuture};

use super::{lock, read::Mode};
use crate::{
    floor::FloorFiles,
    transport::{Transport, TransportError},
};

/// The files of one read, remembered so that errors can say more.
pub(super) struct Files {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) kept: Arc<Kept>,
    pub(super) mode: Mode,
    pub(super) last: Mutex<Vec<u8>>,
}

pub(super) struct Reader(pub(super) Arc<Files>);

impl Files {
    async fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, TransportError> {
        let kept = match self.mode {
            Mode::OnlineWithoutKept => None,
            Mode::Online => self.kept.role(name),
            Mode::Offline if name == "timestamp.json" => lock(&self.kept.files).get(name).cloned(),
            Mode::Offline => return Ok(self.kept.role(name)),
        };
        let bytes = match kept {
            Some(bytes) => Some(bytes),
            None if self.mode == Mode::Offline => None,
            None => self
                .transport
                .read(&format!("metadata/{name}"), limit)
                .await?
                .map(|bytes| bytes.to_vec()),
        };
        if let Some(bytes) = &bytes {
            lock(&self.last).clone_from(bytes);
        }
        Ok(bytes)
    }
}

impl Repository for Reader {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move {
            self.0
                .metadata(name, max_length)
                .await
                .map_err(|e| sigstore_tuf::Error::transport_with_source(name, e))
        })
    }

    fn fetch_target<'a>(&'a self, path: &'a str, _max_length: u64) -> FetchFuture<'a> {
        // Archives are read by `Remote::fetch`, from the digest that was approved.
        Box::pin(async move { Err(sigstore_tuf::Error::TargetNotFound(path.to_owned())) })
    }
}

/// What was remembered before this read, and what it adds.
pub(super) struct Kept {
    pub(super) files: Mutex<FloorFiles>,
    pub(super) changed: Mutex<FloorFiles>,
}

impl Kept {
    /// The kept file of a role, if it is of the version that `name` (`12.publisher.json`) asks for.
    fn role(&self, name: &str) -> Option<Vec<u8>> {
        let (version, file) = name.split_once('.')?;
        let version: u64 = version.parse().ok()?;
        if file == "root.json" {
            return None;
        }
        let bytes = lock(&self.files).get(file)?.clone();
        let json: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        (json["signed"]["version"].as_u64() == Some(version)).then_some(bytes)
    }
}

impl MetadataStore for Kept {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        Ok(lock(&self.files).get(name).cloned())
    }

    fn store(&self, name: &str, bytes: &[u8]) -> sigstore_tuf::Result<()> {
        // One file per role is enough; roots are a chain.
        let versioned = name.starts_with(|c: char| c.is_ascii_digit());
        let mut files = lock(&self.files);
        if !versioned && files.get(name).is_none_or(|old| old != bytes) {
            files.insert(name.to_owned(), bytes.to_vec());
            lock(&self.changed).insert(name.to_owned(), bytes.to_vec());
        }
        Ok(())
    }
}
