//! What was last seen of a registry, remembered so that it cannot go back.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::files::{Access, create_folder, write_atomic};

/// Metadata files by name (`timestamp.json`, `root_history/2.root.json`).
pub type FloorFiles = BTreeMap<String, Vec<u8>>;

/// Remembers verified metadata across starts. Without it a registry could show an old state after
/// each start and nobody would notice.
///
/// What is in it is verified again when it is read, so it needs no secrecy, only to stay.
#[async_trait]
pub trait MetadataFloor: Send + Sync + 'static {
    /// Everything that was kept of `registry`.
    async fn load(&self, registry: &str) -> io::Result<FloorFiles>;
    /// Keeps `changed` files, all of them or none; lasting when this returns.
    async fn save(&self, registry: &str, changed: &FloorFiles) -> io::Result<()>;
    /// Forgets a registry that is no longer trusted.
    async fn forget(&self, registry: &str) -> io::Result<()>;
}

/// Remembers until the process ends: tests and one-shot commands.
#[derive(Debug, Default)]
pub struct MemoryFloor(Mutex<BTreeMap<String, FloorFiles>>);

#[async_trait]
impl MetadataFloor for MemoryFloor {
    async fn load(&self, registry: &str) -> io::Result<FloorFiles> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(all.get(registry).cloned().unwrap_or_default())
    }

    async fn save(&self, registry: &str, changed: &FloorFiles) -> io::Result<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(registry.to_owned())
            .or_default()
            .extend(changed.clone());
        Ok(())
    }

    async fn forget(&self, registry: &str) -> io::Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(registry);
        Ok(())
    }
}

/// Remembers in a folder: one file per registry, so that all of a registry changes at once.
#[derive(Debug)]
pub struct FolderFloor(PathBuf);

impl FolderFloor {
    /// Keeps its files in `folder`, which is made when needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    fn path(&self, registry: &str) -> PathBuf {
        self.0.join(format!("{}.json", hex::encode(registry)))
    }

    fn read(&self, registry: &str) -> io::Result<FloorFiles> {
        let text = match fs::read(self.path(registry)) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(FloorFiles::new()),
            Err(e) => return Err(e),
        };
        let files: BTreeMap<String, String> = serde_json::from_slice(&text)?;
        Ok(files
            .into_iter()
            .map(|(name, text)| (name, text.into_bytes()))
            .collect())
    }
}

#[async_trait]
impl MetadataFloor for FolderFloor {
    async fn load(&self, registry: &str) -> io::Result<FloorFiles> {
        self.read(registry)
    }

    async fn save(&self, registry: &str, changed: &FloorFiles) -> io::Result<()> {
        let mut files = self.read(registry)?;
        files.extend(changed.clone());
        let text: BTreeMap<&String, _> = files
            .iter()
            .map(|(name, bytes)| (name, String::from_utf8_lossy(bytes)))
            .collect();
        create_folder(&self.0, Access::Everybody)?;
        write_atomic(
            &self.path(registry),
            &serde_json::to_vec(&text)?,
            Access::Everybody,
        )
    }

    async fn forget(&self, registry: &str) -> io::Result<()> {
        match fs::remove_file(self.path(registry)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_remembers_each_registry_apart() {
        let folder = tempfile::tempdir().unwrap();
        let floor = FolderFloor::new(folder.path().join("floor"));
        let file = |v: &str| FloorFiles::from([("timestamp.json".to_owned(), v.into())]);
        floor.save("a", &file("1")).await.unwrap();
        floor.save("../b", &file("2")).await.unwrap();
        floor
            .save(
                "a",
                &FloorFiles::from([("root.json".to_owned(), b"r".to_vec())]),
            )
            .await
            .unwrap();
        let again = FolderFloor::new(folder.path().join("floor"));
        assert_eq!(again.load("a").await.unwrap().len(), 2);
        assert_eq!(again.load("../b").await.unwrap(), file("2"));
        assert!(again.load("c").await.unwrap().is_empty());
        again.forget("a").await.unwrap();
        again.forget("a").await.unwrap();
        assert!(again.load("a").await.unwrap().is_empty());
    }
}
