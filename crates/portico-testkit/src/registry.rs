//! A registry of the test's own: a real repository in a temporary folder.

use std::path::{Path, PathBuf};

use portico_host::Clock;
use portico_package::signature::SigningKey;
use portico_registry::{
    Expiry, Repository, RepositoryKeys,
    keys::{RoleName, generate},
};

use crate::Package;

/// A registry in a folder.
pub struct TestRegistry {
    repository: Repository,
    keys: RepositoryKeys,
    folder: tempfile::TempDir,
}

impl TestRegistry {
    /// An empty one with fresh keys.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn new() -> Self {
        let folder = crate::folder();
        let random = aws_lc_rs::rand::SystemRandom::new();
        let keys = RepositoryKeys::generate(&random).unwrap_or_else(|e| panic!("{e}"));
        let now = portico_host::SystemClock.now();
        let place = folder.path().join("registry");
        let repository = Repository::init(&place, &keys, &[], Expiry::default(), now)
            .unwrap_or_else(|e| panic!("{e}"));
        Self {
            repository,
            keys,
            folder,
        }
    }

    /// The key that its packages are signed with.
    ///
    /// # Panics
    /// Never: all roles have keys.
    pub fn publisher(&self) -> &SigningKey {
        match self.keys.get(RoleName::Publisher) {
            Some(key) => key,
            None => panic!("no publisher key"),
        }
    }

    /// Packs, signs and publishes.
    ///
    /// # Panics
    /// If the registry refuses it.
    pub fn publish(&self, package: &Package) -> &Self {
        self.publish_archive(&package.pack(self.publisher()))
    }

    /// Publishes an archive as it is.
    ///
    /// # Panics
    /// If the registry refuses it.
    pub fn publish_archive(&self, archive: &[u8]) -> &Self {
        let now = portico_host::SystemClock.now();
        if let Err(error) = self.repository.publish(archive, &self.keys, now) {
            panic!("{error}");
        }
        self
    }

    /// What a portal is told to trust: the folder, and the root that it pins.
    ///
    /// # Panics
    /// If the root cannot be read.
    pub fn root(&self) -> Vec<u8> {
        self.repository.root().unwrap_or_else(|e| panic!("{e}"))
    }

    /// The folder that a web server would offer.
    pub fn folder(&self) -> &Path {
        self.repository.folder()
    }

    /// A place beside the registry that goes away with it.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A key that this registry does not know.
    ///
    /// # Panics
    /// If the machine has no randomness.
    pub fn stranger() -> SigningKey {
        generate().unwrap_or_else(|e| panic!("{e}"))
    }
}

impl Default for TestRegistry {
    fn default() -> Self {
        Self::new()
    }
}
