//! New files of a repository, in the order in which they become visible.

use std::{fs, path::PathBuf};

use portico_host::Timestamp;
use portico_package::{
    Digest, Release,
    signature::{PublicKey, SigningKey},
};
use serde_json::{Map, Value, json};

use super::{KEEP_VERSIONS, Repository, RepositoryError, state::State};
use crate::{
    files::{Access, create_folder, sync_folder, write_atomic},
    keys::{RepositoryKeys, RoleName},
    tuf,
};

impl Repository {
    /// The archive of a release, before anybody points to it.
    pub(super) fn write_target(
        &self,
        release: &Release,
        archive: &[u8],
    ) -> Result<(), RepositoryError> {
        let file = self.target_file(&release.target, &release.digest);
        let folder = file.parent().unwrap_or(&self.folder);
        create_folder(folder, Access::Everybody).map_err(RepositoryError::file(folder))?;
        write_atomic(&file, archive, Access::Everybody).map_err(RepositoryError::file(&file))?;
        let parent = folder.parent().unwrap_or(&self.folder);
        sync_folder(parent).map_err(RepositoryError::file(parent))
    }

    /// Where an archive lies.
    pub(super) fn target_file(&self, target: &str, digest: &Digest) -> PathBuf {
        let path = tuf::consistent_path(target, digest);
        self.folder.join("targets").join(path)
    }

    pub(super) fn write_publisher(
        &self,
        state: &State,
        targets: &Value,
        keys: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let key = self.trusted_key(state, keys, RoleName::Publisher)?;
        // Checked before the first file is written, so that nothing is done by halves.
        self.trusted_key(state, keys, RoleName::Snapshot)?;
        self.trusted_key(state, keys, RoleName::Timestamp)?;
        let version = self.next_version(tuf::PUBLISHER, Some(state.publisher_version))?;
        let mut publisher = tuf::head("targets", version, &tuf::expires(now, self.expiry.targets));
        publisher.insert("targets".into(), targets.clone());
        let bytes = sign(&publisher.into(), &[key])?;
        self.write_metadata(&tuf::versioned(version, tuf::PUBLISHER), &bytes)?;
        self.faults.hit("publish:publisher")?;
        let mut meta = state.snapshot.clone();
        meta.insert(
            format!("{}.json", tuf::PUBLISHER),
            tuf::pin(version, &bytes),
        );
        self.write_online(state, &meta, keys, now)
    }

    /// Snapshot, then timestamp: the moment at which a change becomes visible.
    pub(super) fn write_online(
        &self,
        state: &State,
        meta: &Map<String, Value>,
        keys: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        self.trusted_key(state, keys, RoleName::Snapshot)?;
        self.trusted_key(state, keys, RoleName::Timestamp)?;
        let version = self.next_version("snapshot", Some(state.snapshot_version))?;
        self.write_snapshot(version, meta, keys, now)?;
        self.faults.hit("publish:snapshot")?;
        self.write_timestamp(state.timestamp + 1, version, keys, now)?;
        self.faults.hit("publish:timestamp")?;
        self.prune()
    }

    pub(super) fn write_snapshot(
        &self,
        version: u64,
        meta: &Map<String, Value>,
        keys: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let key = keys
            .get(RoleName::Snapshot)
            .ok_or(RepositoryError::KeyMissing(RoleName::Snapshot))?;
        let mut snapshot = tuf::head(
            "snapshot",
            version,
            &tuf::expires(now, self.expiry.snapshot),
        );
        snapshot.insert("meta".into(), meta.clone().into());
        let bytes = sign(&snapshot.into(), &[key])?;
        self.write_metadata(&tuf::versioned(version, "snapshot"), &bytes)
    }

    pub(super) fn write_timestamp(
        &self,
        version: u64,
        snapshot: u64,
        keys: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let key = keys
            .get(RoleName::Timestamp)
            .ok_or(RepositoryError::KeyMissing(RoleName::Timestamp))?;
        let pinned = self.read(&tuf::versioned(snapshot, "snapshot"))?;
        let mut timestamp = tuf::head(
            "timestamp",
            version,
            &tuf::expires(now, self.expiry.timestamp),
        );
        timestamp.insert(
            "meta".into(),
            json!({ "snapshot.json": tuf::pin(snapshot, &pinned) }),
        );
        self.write_metadata("timestamp.json", &sign(&timestamp.into(), &[key])?)
    }

    pub(super) fn write_metadata(&self, name: &str, bytes: &[u8]) -> Result<(), RepositoryError> {
        let path = self.metadata(name);
        write_atomic(&path, bytes, Access::Everybody).map_err(RepositoryError::file(&path))
    }

    /// Removes metadata that no reader can still ask for.
    pub(super) fn prune(&self) -> Result<(), RepositoryError> {
        for role in ["snapshot", tuf::PUBLISHER] {
            let versions = self.versions(role)?;
            let newest = versions.last().copied().unwrap_or(0);
            for version in versions.iter().filter(|v| **v + KEEP_VERSIONS <= newest) {
                let path = self.metadata(&tuf::versioned(*version, role));
                fs::remove_file(&path).map_err(RepositoryError::file(&path))?;
            }
        }
        Ok(())
    }
}

pub(super) fn key_map(keys: &[PublicKey]) -> Value {
    keys.iter()
        .map(|key| (tuf::key_id(key), tuf::key_json(key)))
        .collect::<Map<_, _>>()
        .into()
}

pub(super) fn delegations(publisher: &PublicKey) -> Value {
    json!({
        "keys": key_map(&[*publisher]),
        "roles": [{
            "name": tuf::PUBLISHER,
            "keyids": [tuf::key_id(publisher)],
            "threshold": 1,
            "terminating": true,
            "paths": [tuf::PUBLISHER_PATHS],
        }],
    })
}

pub(super) fn sign(signed: &Value, keys: &[&SigningKey]) -> Result<Vec<u8>, RepositoryError> {
    tuf::sign(signed, keys).map_err(|e| RepositoryError::Metadata(e.to_string()))
}
