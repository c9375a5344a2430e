//! Bytes by their digest, in a folder.
//!
//! ```text
//! blobs/3f/9a…   the archive whose SHA-256 is 3f9a…
//! blobs/3f/.new-… being written; renamed when it is whole and synced
//! ```
//!
//! One portal owns the folder. A blob is whole or not there: it is written beside its place, synced, renamed,
//! and the folder is synced, before `put` answers.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bytes::Bytes;
use portico_host::{
    Timestamp,
    capability::{Blob, CapabilityError},
};
use portico_package::Digest;

use crate::StoreError;

/// Begins the name of a file that is being written.
const UNFINISHED: &str = ".new-";

/// Content-addressed files in one folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Held while a blob appears or goes, so that a sweep never takes one that a `put` just found there.
    places: Mutex<()>,
}

/// A stored blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// What it is.
    pub digest: Digest,
    /// Its size, bytes.
    pub size: u64,
}

/// What [`BlobStore::sweep`] took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs that nothing referred to.
    pub blobs: u64,
    /// Files that a crash left half-written.
    pub unfinished: u64,
    /// Bytes that both took.
    pub bytes: u64,
}

impl BlobStore {
    /// Opens the folder `root`; makes it when it is missing.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        fs::create_dir_all(&root)
            .map_err(|e| StoreError::io(&format!("the blob folder {}", root.display()), &e))?;
        Ok(Self {
            inner: Arc::new(Inner {
                root,
                places: Mutex::new(()),
            }),
        })
    }

    /// Stores bytes; when it answers, they survive a power cut. Storing what is there already is success.
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, StoreError> {
        self.blocking(move |inner| inner.put(&bytes)).await
    }

    /// Reads a blob and checks that it is what its name says.
    pub async fn get(&self, digest: &Digest) -> Result<Bytes, StoreError> {
        let digest = *digest;
        self.blocking(move |inner| inner.get(&digest)).await
    }

    /// Whether a blob of this name is there. Its content is not checked.
    pub async fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.path(digest);
        self.blocking(move |_| Ok(path.is_file())).await
    }

    /// Takes a blob away; answers whether it was there.
    pub async fn remove(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.path(digest);
        self.blocking(move |inner| {
            let _held = inner.places.lock().unwrap_or_else(PoisonError::into_inner);
            remove_file(&path)
        })
        .await
    }

    /// Every blob, by digest.
    pub async fn list(&self) -> Result<Vec<BlobInfo>, StoreError> {
        self.blocking(|inner| {
            let mut blobs = Vec::new();
            inner.each(|file| {
                if let Some(digest) = file.digest {
                    blobs.push(BlobInfo {
                        digest,
                        size: file.size,
                    });
                }
                Ok(())
            })?;
            blobs.sort_by_key(|blob| blob.digest);
            Ok(blobs)
        })
        .await
    }

    /// Bytes that all blobs take.
    pub async fn size(&self) -> Result<u64, StoreError> {
        Ok(self.list().await?.iter().map(|blob| blob.size).sum())
    }

    /// Takes away every blob that is not in `in_use`, and every half-written file, that was last written
    /// before `older_than`: what is newer may belong to an operation that is not recorded yet.
    pub async fn sweep(
        &self,
        in_use: BTreeSet<Digest>,
        older_than: Timestamp,
    ) -> Result<Swept, StoreError> {
        self.blocking(move |inner| inner.sweep(&in_use, older_than))
            .await
    }

    /// Where a blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.inner.path(digest)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .unwrap_or_else(|e| Err(StoreError::Unavailable(format!("the blob folder: {e}"))))
    }
}

#[async_trait]
impl Blob for BlobStore {
    async fn put(&self, bytes: Bytes) -> Result<Digest, CapabilityError> {
        Self::put(self, bytes)
            .await
            .map_err(|e| CapabilityError::Failed(e.to_string()))
    }

    async fn get(&self, digest: &Digest) -> Result<Bytes, CapabilityError> {
        Self::get(self, digest).await.map_err(|e| match e {
            StoreError::NoBlob(digest) => CapabilityError::NotFound(digest.to_string()),
            other => CapabilityError::Failed(other.to_string()),
        })
    }
}

/// A file of the folder.
struct Entry {
    path: PathBuf,
    /// `None` while it is being written.
    digest: Option<Digest>,
    size: u64,
    written: Timestamp,
}

impl Inner {
    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join(&hex[..2]).join(&hex[2..])
    }

    fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        self.put_with(bytes, |file| file.write_all(bytes))
    }

    /// [`Inner::put`] with the writing itself left to `write`, so that a test can fail in the middle.
    fn put_with(
        &self,
        bytes: &[u8],
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        let failed = |e: &io::Error| StoreError::io(&format!("the blob {}", path.display()), e);
        let folder = path.parent().unwrap_or(&self.root);
        if !folder.is_dir() {
            fs::create_dir_all(folder).map_err(|e| failed(&e))?;
            sync_folder(&self.root).map_err(|e| failed(&e))?;
        }
        // A damaged one is written again.
        if self.keep_existing(&digest, &path)? {
            return Ok(digest);
        }
        // Gone again when anything below fails.
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(folder)
            .map_err(|e| failed(&e))?;
        write(file.as_file_mut())
            .and_then(|()| file.as_file().sync_all())
            .map_err(|e| failed(&e))?;
        let _held = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        file.persist(&path).map_err(|e| failed(&e.error))?;
        sync_folder(folder).map_err(|e| failed(&e))?;
        Ok(digest)
    }

    /// Whether a whole blob is there; if so, it counts as written just now.
    fn keep_existing(&self, digest: &Digest, path: &Path) -> Result<bool, StoreError> {
        let _held = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        match self.get(digest) {
            Ok(_) => {
                let touch = || {
                    File::options()
                        .append(true)
                        .open(path)?
                        .set_times(fs::FileTimes::new().set_modified(now()))
                };
                touch().map_err(|e| StoreError::io(&format!("the blob {}", path.display()), &e))?;
                Ok(true)
            }
            Err(StoreError::NoBlob(_) | StoreError::CorruptBlob { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn get(&self, digest: &Digest) -> Result<Bytes, StoreError> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => StoreError::NoBlob(*digest),
            _ => StoreError::io(&format!("the blob {}", path.display()), &e),
        })?;
        let found = Digest::of(&bytes);
        if found == *digest {
            Ok(bytes.into())
        } else {
            Err(StoreError::CorruptBlob {
                path,
                expected: *digest,
                found,
            })
        }
    }

    fn sweep(&self, in_use: &BTreeSet<Digest>, older_than: Timestamp) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let _held = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        self.each(|file| {
            let wanted = file.digest.is_some_and(|digest| in_use.contains(&digest));
            if wanted || file.written >= older_than || !remove_file(&file.path)? {
                return Ok(());
            }
            match file.digest {
                Some(_) => swept.blobs += 1,
                None => swept.unfinished += 1,
            }
            swept.bytes += file.size;
            Ok(())
        })?;
        Ok(swept)
    }

    /// Visits every file that is ours; others are left alone.
    fn each(
        &self,
        mut visit: impl FnMut(Entry) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed =
            |e: io::Error| StoreError::io(&format!("the blob folder {}", self.root.display()), &e);
        for folder in fs::read_dir(&self.root).map_err(failed)? {
            let folder = folder.map_err(failed)?;
            if !folder.file_type().map_err(failed)?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path()).map_err(failed)? {
                let file = file.map_err(failed)?;
                let (prefix, name) = (folder.file_name(), file.file_name());
                let (Some(prefix), Some(name)) = (prefix.to_str(), name.to_str()) else {
                    continue;
                };
                let digest = format!("{prefix}{name}").parse().ok();
                if digest.is_none() && !name.starts_with(UNFINISHED) {
                    continue;
                }
                // Finished or removed by somebody else since it was listed.
                let Ok(data) = file.metadata() else { continue };
                let written = data.modified().map_or(0, micros);
                visit(Entry {
                    path: file.path(),
                    digest,
                    size: data.len(),
                    written,
                })?;
            }
        }
        Ok(())
    }
}

fn remove_file(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::io(&format!("the blob {}", path.display()), &e)),
    }
}

/// Makes the names in a folder survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the times that the file system itself writes, so a test's clock does not fit"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn micros(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_so_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(folder.path().join("blobs")).unwrap();
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = blobs
                .inner
                .put_with(b"does not fit", |file| {
                    file.write_all(b"does")?;
                    Err(kind.into())
                })
                .unwrap_err();
            assert!(
                matches!(error, StoreError::DiskFull { .. }) && error.status() == 507,
                "{error:?}"
            );
            let sentence = error.to_string();
            assert!(
                sentence.starts_with("no space left while writing the blob /"),
                "{sentence}"
            );
        }
        let mut left = Vec::new();
        blobs
            .inner
            .each(|file| {
                left.push(file.path);
                Ok(())
            })
            .unwrap();
        assert_eq!(left, Vec::<PathBuf>::new());
        let digest = blobs.inner.put(b"does not fit").unwrap();
        assert_eq!(blobs.inner.get(&digest).unwrap(), "does not fit");
    }
}
