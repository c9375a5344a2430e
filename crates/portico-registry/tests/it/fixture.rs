//! A registry on disk, its keys, a portal that reads it, and an attacker's tools.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use bytes::Bytes;
use portico_host::{Fetch, FetchError, Timestamp};
use portico_package::{Digest, Manifest, archive, manifest, signature::SigningKey};
use portico_registry::{
    Expiry, Listing, MemoryFloor, MetadataFloor, Published, Registry, RegistryError, Repository,
    RepositoryError, RepositoryKeys, keys::RoleName,
};
use serde_json::{Value, json};

/// 2026-11-21T00:00:00Z.
pub(crate) const NOW: Timestamp = 1_795_219_200_000_000;
pub(crate) const DAY: i64 = 86_400_000_000;

/// Reads nothing: for registries in folders.
pub(crate) struct NoFetch;

#[async_trait]
impl Fetch for NoFetch {
    async fn get(&self, _: &str, url: &str, _: u64, _: Duration) -> Result<Bytes, FetchError> {
        Err(FetchError::Failed {
            url: url.into(),
            reason: "no network in this test".into(),
        })
    }
}

/// A repository, its keys and the folder that both live in.
pub(crate) struct Origin {
    pub(crate) home: tempfile::TempDir,
    pub(crate) keys: RepositoryKeys,
    pub(crate) repository: Repository,
}

impl Origin {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = RepositoryKeys::generate(&SystemRandom::new()).unwrap();
        let folder = home.path().join("repository");
        let repository = Repository::init(&folder, &keys, &[], Expiry::default(), NOW).unwrap();
        Self {
            home,
            keys,
            repository,
        }
    }

    /// One with these packages, `id version` each.
    pub(crate) fn with(packages: &[&str]) -> Self {
        let this = Self::new();
        for package in packages {
            let (id, version) = package.split_once(' ').unwrap();
            this.publish(id, version).unwrap();
        }
        this
    }

    pub(crate) fn folder(&self) -> &Path {
        self.repository.folder()
    }

    pub(crate) fn root(&self) -> Vec<u8> {
        self.repository.root().unwrap()
    }

    pub(crate) fn publisher(&self) -> &SigningKey {
        self.keys.get(RoleName::Publisher).unwrap()
    }

    pub(crate) fn publish(&self, id: &str, version: &str) -> Result<Published, RepositoryError> {
        let archive = packed(id, version, "", self.publisher());
        self.repository.publish(&archive, &self.keys, NOW)
    }

    /// A portal that trusts it under `name` and reads it from its folder.
    pub(crate) fn portal(&self, name: &str) -> Portal {
        Portal::new(
            name,
            self.folder(),
            &self.root(),
            Arc::new(MemoryFloor::default()),
        )
    }

    /// Copies its files aside, to be shown again later.
    pub(crate) fn copy(&self) -> PathBuf {
        let to = self.home.path().join(format!(
            "copy-{}",
            fs::read_dir(&self.home).unwrap().count()
        ));
        copy_tree(self.folder(), &to);
        to
    }

    /// Puts back what [`copy`](Self::copy) saved.
    pub(crate) fn restore(&self, from: &Path) {
        fs::remove_dir_all(self.folder()).unwrap();
        copy_tree(from, self.folder());
    }

    pub(crate) fn metadata(&self, name: &str) -> PathBuf {
        self.folder().join("metadata").join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.metadata(name)).unwrap()).unwrap()
    }

    /// The current file name of a role.
    pub(crate) fn current(&self, role: &str) -> String {
        let snapshot = format!("{}.snapshot.json", self.snapshot_version());
        if role == "snapshot" {
            return snapshot;
        }
        let version = &self.read(&snapshot)["signed"]["meta"][format!("{role}.json")]["version"];
        format!("{version}.{role}.json")
    }

    fn snapshot_version(&self) -> u64 {
        self.read("timestamp.json")["signed"]["meta"]["snapshot.json"]["version"]
            .as_u64()
            .unwrap()
    }

    /// What somebody with the snapshot and timestamp keys can do: put `bytes` in the place of the
    /// publisher role's next version and sign on top of it.
    pub(crate) fn force_publisher(&self, make: impl FnOnce(Value, u64) -> Vec<u8>) {
        let current = self.read(&self.current("publisher"));
        let version = current["signed"]["version"].as_u64().unwrap() + 1;
        let bytes = make(current["signed"].clone(), version);
        fs::write(self.metadata(&format!("{version}.publisher.json")), &bytes).unwrap();
        let mut snapshot = self.read(&self.current("snapshot"))["signed"].clone();
        snapshot["meta"]["publisher.json"] = pin(version, &bytes);
        self.force_snapshot(snapshot);
    }

    /// Signs a snapshot as the next version, and a timestamp for it.
    pub(crate) fn force_snapshot(&self, mut snapshot: Value) {
        let version = self.snapshot_version() + 1;
        snapshot["version"] = version.into();
        let bytes = sign(&snapshot, self.keys.get(RoleName::Snapshot).unwrap());
        fs::write(self.metadata(&format!("{version}.snapshot.json")), &bytes).unwrap();
        self.force_timestamp(version, &bytes);
    }

    /// Signs the next timestamp, for this snapshot.
    pub(crate) fn force_timestamp(&self, version: u64, snapshot: &[u8]) {
        let mut timestamp = self.read("timestamp.json")["signed"].clone();
        timestamp["version"] = (timestamp["version"].as_u64().unwrap() + 1).into();
        timestamp["meta"]["snapshot.json"] = pin(version, snapshot);
        let bytes = sign(&timestamp, self.keys.get(RoleName::Timestamp).unwrap());
        fs::write(self.metadata("timestamp.json"), bytes).unwrap();
    }
}

/// A portal's view of one registry.
pub(crate) struct Portal {
    pub(crate) registry: Registry,
}

impl Portal {
    pub(crate) fn new(
        name: &str,
        folder: &Path,
        root: &[u8],
        floor: Arc<dyn MetadataFloor>,
    ) -> Self {
        let location = folder.to_str().unwrap();
        let registry = Registry::open(name, location, root, floor, Arc::new(NoFetch)).unwrap();
        Self { registry }
    }

    pub(crate) async fn refresh(&self) -> Result<Arc<Listing>, RegistryError> {
        self.registry.refresh(NOW).await
    }

    /// `id version` of what it sees, sorted.
    pub(crate) async fn sees(&self) -> Vec<String> {
        seen(&self.refresh().await.unwrap())
    }

    /// The code with which a refresh fails.
    pub(crate) async fn fails(&self) -> &'static str {
        self.refresh().await.unwrap_err().code()
    }
}

pub(crate) fn seen(listing: &Listing) -> Vec<String> {
    let mut seen: Vec<String> = listing
        .releases
        .iter()
        .map(|r| format!("{} {}", r.manifest.id, r.manifest.version))
        .collect();
    seen.sort();
    seen
}

pub(crate) fn manifest_text(id: &str, version: &str, more: &str) -> String {
    format!(
        "manifest_version: \"1.0\"\nmicrosite:\n  id: {id}\n  name: {id}\n  version: {version}\n  \
         type: htmx\n  path: /{id}\n{more}"
    )
}

pub(crate) fn files(id: &str, version: &str, more: &str) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        (
            manifest::FILE_NAME.to_owned(),
            manifest_text(id, version, more).into_bytes(),
        ),
        (
            "templates/index.html".to_owned(),
            format!("<h1>{id}</h1>").into_bytes(),
        ),
    ])
}

pub(crate) fn manifest_of(files: &BTreeMap<String, Vec<u8>>) -> Manifest {
    let text = std::str::from_utf8(&files[manifest::FILE_NAME]).unwrap();
    let (manifest, diagnostics) = manifest::read::from_yaml(manifest::FILE_NAME, text);
    assert!(!diagnostics.has_errors(), "{diagnostics}\n{text}");
    manifest.unwrap()
}

pub(crate) fn packed(id: &str, version: &str, more: &str, key: &SigningKey) -> Vec<u8> {
    let files = files(id, version, more);
    archive::pack(&files, &manifest_of(&files), key).unwrap()
}

/// Signs metadata as a repository would.
pub(crate) fn sign(signed: &Value, key: &SigningKey) -> Vec<u8> {
    let key_json = json!({
        "keytype": "ed25519",
        "scheme": "ed25519",
        "keyval": { "public": String::from(key.public_key()) },
    });
    let canonical = |value| sigstore_tuf::canonical_json::to_canonical_bytes(value).unwrap();
    let id = Digest::of(&canonical(&key_json)).hex();
    let sig = hex::encode(key.sign(&canonical(signed)));
    serde_json::to_vec(&json!({ "signatures": [{ "keyid": id, "sig": sig }], "signed": signed }))
        .unwrap()
}

pub(crate) fn pin(version: u64, bytes: &[u8]) -> Value {
    json!({ "version": version, "length": bytes.len(), "hashes": { "sha256": Digest::of(bytes).hex() } })
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Where the archive of a release lies.
pub(crate) fn archive_path(folder: &Path, release: &portico_package::Release) -> PathBuf {
    let (path, name) = release.target.rsplit_once('/').unwrap();
    folder
        .join("targets")
        .join(path)
        .join(format!("{}.{name}", release.digest.hex()))
}
