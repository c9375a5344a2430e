//! Makes and changes a registry: a folder of static files that any web server can offer.
//!
//! ```text
//! root.json                       what portals pin (`portico trust add`)
//! metadata/1.root.json            which keys count
//! metadata/1.targets.json         which publishers there are
//! metadata/7.publisher.json       which packages there are
//! metadata/9.snapshot.json        which of these belong together
//! metadata/timestamp.json         which snapshot is the newest
//! targets/packages/<id>/<digest>.<id>-<version>.portico
//! ```
//!
//! Every change writes new files first and `timestamp.json` last, so that a reader, or a crash, at
//! any moment sees the state before or the state after.

mod error;
mod state;
mod write;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use portico_host::{
    Timestamp,
    fault::{Faults, NoFaults},
};
use portico_package::{
    Digest, PackageId, Release, Version,
    archive::{self, target_path},
    signature::PublicKey,
};
use serde_json::{Map, Value, json};

pub use error::RepositoryError;
use state::expiry_of;
use write::{delegations, key_map, sign};

use crate::{
    files::{Access, create_folder, write_atomic},
    keys::{RepositoryKeys, RoleName},
    listing, tuf,
};

/// Files of one role that are kept after newer ones; readers in the middle of a refresh need the
/// last few.
const KEEP_VERSIONS: u64 = 10;

/// Days for which each role's statements hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Root.
    pub root: u32,
    /// Targets and publisher.
    pub targets: u32,
    /// Snapshot.
    pub snapshot: u32,
    /// Timestamp: how long a portal believes a copy that is no longer updated.
    pub timestamp: u32,
}

impl Default for Expiry {
    fn default() -> Self {
        Self {
            root: 3 * 365,
            targets: 365,
            snapshot: 90,
            timestamp: 30,
        }
    }
}

/// What publishing did.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// What portals will see; `registry` is empty.
    pub release: Release,
    /// False when exactly this archive was published before.
    pub new: bool,
}

/// What happens to a version that is out with other bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It stays, and publishing is refused.
    Never,
    /// It is replaced. Portals that pinned the old bytes refuse the new ones, so this is only for a
    /// registry that nobody else trusts.
    Always,
}

/// A repository that can be changed.
pub struct Repository {
    folder: PathBuf,
    expiry: Expiry,
    faults: Arc<dyn Faults>,
}

impl Repository {
    /// Makes an empty repository with `keys`, every role of which must be at hand. `more_root_keys`
    /// may replace the root as well: any one of them is enough, so that losing one is not the end.
    pub fn init(
        folder: &Path,
        keys: &RepositoryKeys,
        more_root_keys: &[PublicKey],
        expiry: Expiry,
        now: Timestamp,
    ) -> Result<Self, RepositoryError> {
        let this = Self {
            folder: folder.to_owned(),
            expiry,
            faults: Arc::new(NoFaults),
        };
        if this.metadata("timestamp.json").exists() || this.metadata("1.root.json").exists() {
            return Err(RepositoryError::Exists(folder.to_owned()));
        }
        for part in ["metadata", "targets"] {
            let path = folder.join(part);
            create_folder(&path, Access::Everybody).map_err(RepositoryError::file(&path))?;
        }
        let key = |role| keys.get(role).ok_or(RepositoryError::KeyMissing(role));
        let mut all = vec![key(RoleName::Root)?.public_key()];
        all.extend(more_root_keys);
        let root_ids: Vec<String> = all.iter().map(tuf::key_id).collect();
        let mut roles = json!({ "root": { "keyids": root_ids, "threshold": 1 } });
        for role in [RoleName::Targets, RoleName::Snapshot, RoleName::Timestamp] {
            let public = key(role)?.public_key();
            roles[role.as_str()] = json!({ "keyids": [tuf::key_id(&public)], "threshold": 1 });
            all.push(public);
        }
        let mut root = tuf::head("root", 1, &tuf::expires(now, expiry.root));
        root.insert("consistent_snapshot".into(), true.into());
        root.insert("keys".into(), key_map(&all));
        root.insert("roles".into(), roles);
        let root = sign(&root.into(), &[key(RoleName::Root)?])?;

        let publisher_key = key(RoleName::Publisher)?.public_key();
        let mut targets = tuf::head("targets", 1, &tuf::expires(now, expiry.targets));
        targets.insert("targets".into(), json!({}));
        targets.insert("delegations".into(), delegations(&publisher_key));
        let targets = sign(&targets.into(), &[key(RoleName::Targets)?])?;
        let mut publisher = tuf::head("targets", 1, &tuf::expires(now, expiry.targets));
        publisher.insert("targets".into(), json!({}));
        let publisher = sign(&publisher.into(), &[key(RoleName::Publisher)?])?;

        this.write_metadata("1.targets.json", &targets)?;
        this.write_metadata("1.publisher.json", &publisher)?;
        let meta = Map::from_iter([
            ("targets.json".to_owned(), tuf::pin(1, &targets)),
            ("publisher.json".to_owned(), tuf::pin(1, &publisher)),
        ]);
        this.write_snapshot(1, &meta, keys, now)?;
        this.write_metadata("1.root.json", &root)?;
        let copy = folder.join("root.json");
        write_atomic(&copy, &root, Access::Everybody).map_err(RepositoryError::file(&copy))?;
        this.write_timestamp(1, 1, keys, now)?;
        Ok(this)
    }

    /// Opens a repository that is there.
    pub fn open(folder: &Path, expiry: Expiry) -> Result<Self, RepositoryError> {
        let this = Self {
            folder: folder.to_owned(),
            expiry,
            faults: Arc::new(NoFaults),
        };
        if !this.metadata("timestamp.json").is_file() {
            return Err(RepositoryError::NotARepository(folder.to_owned()));
        }
        Ok(this)
    }

    /// The same with fault points `publish:target`, `publish:publisher`, `publish:snapshot` and
    /// `publish:timestamp`, each after the file of that name is written.
    #[must_use]
    pub fn with_faults(mut self, faults: Arc<dyn Faults>) -> Self {
        self.faults = faults;
        self
    }

    /// The folder that a web server offers.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The root.json that portals pin.
    pub fn root(&self) -> Result<Vec<u8>, RepositoryError> {
        self.read("1.root.json")
    }

    /// Adds an archive: verified first, refused when its version is out with other bytes. The archive
    /// must be signed by a key of the publisher role.
    pub fn publish(
        &self,
        archive: &[u8],
        keys: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<Published, RepositoryError> {
        let mut published = self.publish_all(&[archive.to_vec()], keys, now, Replace::Never)?;
        published
            .pop()
            .ok_or_else(|| RepositoryError::Metadata("nothing was published".into()))
    }

    /// [`Repository::publish`] for several archives, which become visible together.
    pub fn publish_all(
        &self,
        archives: &[Vec<u8>],
        keys: &RepositoryKeys,
        now: Timestamp,
        replace: Replace,
    ) -> Result<Vec<Published>, RepositoryError> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let mut targets = state.publisher["targets"].clone();
        let mut published = Vec::new();
        // Everything is checked before the first file is written.
        for archive in archives {
            let release = inspect(archive, &state.publisher_keys)?;
            let before = published_digest(&targets[&release.target]);
            let new = before != Some(release.digest);
            if let (Some(before), true, Replace::Never) = (before, new, replace) {
                return Err(RepositoryError::VersionExists {
                    id: release.manifest.id,
                    version: release.manifest.version,
                    published: before,
                });
            }
            targets[&release.target] = entry(&release)?;
            published.push(Published { release, new });
        }
        if published.iter().all(|p| !p.new) {
            return Ok(published);
        }
        for (archive, Published { release, .. }) in archives.iter().zip(&published) {
            self.write_target(release, archive)?;
        }
        self.faults.hit("publish:target")?;
        self.write_publisher(&state, &targets, keys, now)?;
        Ok(published)
    }

    /// Takes a version away: no portal will install it any more. What is installed stays.
    pub fn remove(
        &self,
        id: &PackageId,
        version: &Version,
        keys: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let target = target_path(id, version);
        let mut targets = state.publisher["targets"].clone();
        let gone = targets.as_object_mut().and_then(|map| map.remove(&target));
        let Some(gone) = gone else {
            return Err(RepositoryError::NoSuchVersion {
                id: id.clone(),
                version: version.clone(),
            });
        };
        self.write_publisher(&state, &targets, keys, now)?;
        // Only now does nobody point to the file; one that stays after a crash does no harm.
        if let Some(digest) = published_digest(&gone) {
            let file = self.target_file(&target, &digest);
            match fs::remove_file(&file) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(RepositoryError::file(&file)(e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Signs again what would run out: timestamp and snapshot always, the others when they have
    /// fewer than a quarter of their days left and their key is at hand. Answers the roles.
    pub fn refresh(
        &self,
        keys: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<Vec<RoleName>, RepositoryError> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let mut done = Vec::new();
        if self.is_due(&state.root, self.expiry.root, now) && keys.get(RoleName::Root).is_some() {
            let key = self.trusted_key(&state, keys, RoleName::Root)?;
            let mut root = state.root.clone();
            root["version"] = (state.root_version + 1).into();
            root["expires"] = tuf::expires(now, self.expiry.root).into();
            let name = tuf::versioned(state.root_version + 1, "root");
            self.write_metadata(&name, &sign(&root, &[key])?)?;
            done.push(RoleName::Root);
        }
        let mut meta = state.snapshot.clone();
        for (role, value) in [
            (RoleName::Targets, &state.targets),
            (RoleName::Publisher, &state.publisher),
        ] {
            if self.is_due(value, self.expiry.targets, now) && keys.get(role).is_some() {
                let key = self.trusted_key(&state, keys, role)?;
                let version = self.next_version(role.as_str(), value["version"].as_u64())?;
                let mut value = value.clone();
                value["version"] = version.into();
                value["expires"] = tuf::expires(now, self.expiry.targets).into();
                let bytes = sign(&value, &[key])?;
                self.write_metadata(&tuf::versioned(version, role.as_str()), &bytes)?;
                meta.insert(format!("{role}.json"), tuf::pin(version, &bytes));
                done.push(role);
            }
        }
        self.write_online(&state, &meta, keys, now)?;
        done.extend([RoleName::Snapshot, RoleName::Timestamp]);
        Ok(done)
    }

    /// What it offers now.
    pub fn releases(&self) -> Result<Vec<Release>, RepositoryError> {
        let state = self.state()?;
        let targets: BTreeMap<String, sigstore_tuf::TargetFile> =
            serde_json::from_value(state.publisher["targets"].clone()).map_err(json_error)?;
        targets
            .iter()
            .map(|(path, file)| {
                listing::release("", path, file)
                    .map_err(|reason| self.damaged(&format!("{path}: {reason}")))
            })
            .collect()
    }

    /// When the first of its statements runs out: microseconds since 1970, UTC.
    pub fn expires(&self) -> Result<Timestamp, RepositoryError> {
        let state = self.state()?;
        let timestamp: Value = self.read_json("timestamp.json")?;
        let snapshot: Value =
            self.read_json(&tuf::versioned(state.snapshot_version, "snapshot"))?;
        let all = [
            &state.root,
            &state.targets,
            &state.publisher,
            &timestamp["signed"],
            &snapshot["signed"],
        ];
        Ok(all.into_iter().map(expiry_of).min().unwrap_or(0))
    }
}

/// What a verified archive is, as the registry will state it.
fn inspect(bytes: &[u8], keys: &[PublicKey]) -> Result<Release, RepositoryError> {
    let package = archive::verify(bytes, None, keys, &archive::Limits::default())?;
    let manifest = package.manifest().clone();
    Ok(Release {
        registry: String::new(),
        target: target_path(&manifest.id, &manifest.version),
        digest: package.digest(),
        size: bytes.len() as u64,
        unpacked_size: package.unpacked_size(),
        publisher: package.publisher().to_owned(),
        manifest,
    })
}

/// The entry of a release in the publisher role.
fn entry(release: &Release) -> Result<Value, RepositoryError> {
    let custom = listing::custom(&release.manifest, &release.publisher, release.unpacked_size)
        .map_err(json_error)?;
    Ok(json!({
        "length": release.size,
        "hashes": { "sha256": release.digest.hex() },
        "custom": custom,
    }))
}

fn published_digest(entry: &Value) -> Option<Digest> {
    entry["hashes"]["sha256"].as_str()?.parse().ok()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "used as `map_err(json_error)`"
)]
fn json_error(error: serde_json::Error) -> RepositoryError {
    RepositoryError::Metadata(error.to_string())
}
