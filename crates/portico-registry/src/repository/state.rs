//! What a repository is at the moment: read, verified, locked.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
};

use portico_host::Timestamp;
use portico_package::signature::{PublicKey, SigningKey};
use serde_json::{Map, Value};
use sigstore_tuf::TrustedMetadataSet;

use super::{Repository, RepositoryError, json_error};
use crate::{
    keys::{RepositoryKeys, RoleName},
    tuf,
};

/// What is current, verified from the root down.
pub(super) struct State {
    pub(super) root: Value,
    pub(super) root_version: u64,
    pub(super) timestamp: u64,
    pub(super) snapshot: Map<String, Value>,
    pub(super) snapshot_version: u64,
    pub(super) publisher: Value,
    pub(super) publisher_version: u64,
    pub(super) publisher_keys: Vec<PublicKey>,
    pub(super) root_keys: BTreeMap<RoleName, Vec<String>>,
    pub(super) publisher_ids: Vec<String>,
    pub(super) targets: Value,
}

impl Repository {
    /// Everything current, verified; expiry does not matter here, since signing again is the remedy.
    pub(super) fn state(&self) -> Result<State, RepositoryError> {
        let bad = |e: sigstore_tuf::Error| self.damaged(&e.to_string());
        let always = jiff::Timestamp::UNIX_EPOCH;
        let mut trusted = TrustedMetadataSet::from_root(&self.read("1.root.json")?).map_err(bad)?;
        let mut root_version = 1;
        while self
            .metadata(&tuf::versioned(root_version + 1, "root"))
            .exists()
        {
            root_version += 1;
            trusted
                .update_root(&self.read(&tuf::versioned(root_version, "root"))?)
                .map_err(bad)?;
        }
        trusted
            .update_timestamp(&self.read("timestamp.json")?, always)
            .map_err(bad)?;
        let timestamp = trusted.timestamp().map_or(0, |t| t.version);
        let snapshot_version = trusted
            .timestamp()
            .and_then(|t| t.snapshot_meta())
            .map_or(0, |m| m.version);
        let name = tuf::versioned(snapshot_version, "snapshot");
        trusted
            .update_snapshot(&self.read(&name)?, always)
            .map_err(bad)?;
        let version_of = |role: &str| {
            trusted
                .snapshot()
                .and_then(|s| s.meta.get(&format!("{role}.json")))
                .map_or(0, |m| m.version)
        };
        let targets_name = tuf::versioned(version_of("targets"), "targets");
        let publisher_version = version_of(tuf::PUBLISHER);
        let publisher_name = tuf::versioned(publisher_version, tuf::PUBLISHER);
        trusted
            .update_targets(&self.read(&targets_name)?, always)
            .map_err(bad)?;
        trusted
            .update_delegated_targets(
                &self.read(&publisher_name)?,
                tuf::PUBLISHER,
                "targets",
                always,
            )
            .map_err(bad)?;

        let delegations = trusted
            .targets_role("targets")
            .and_then(|t| t.delegations.as_ref());
        let delegations = delegations.ok_or_else(|| self.damaged("it has no publisher role"))?;
        let publisher_ids: Vec<String> = delegations
            .roles
            .iter()
            .filter(|role| role.name == tuf::PUBLISHER)
            .flat_map(|role| role.keyids.clone())
            .collect();
        let publisher_keys = publisher_ids
            .iter()
            .filter_map(|id| delegations.keys.get(id))
            .filter_map(|key| key.keyval.public.parse().ok())
            .collect();
        let root_keys = RoleName::ALL
            .into_iter()
            .filter_map(|role| {
                trusted
                    .root()
                    .role(role.as_str())
                    .map(|keys| (role, keys.keyids.clone()))
            })
            .collect();
        let signed = |name: &str| Ok::<_, RepositoryError>(self.read_json(name)?["signed"].take());
        let snapshot = signed(&name)?["meta"].take();
        Ok(State {
            root: signed(&tuf::versioned(root_version, "root"))?,
            root_version,
            timestamp,
            snapshot: snapshot.as_object().cloned().unwrap_or_default(),
            snapshot_version,
            publisher: signed(&publisher_name)?,
            publisher_version,
            publisher_keys,
            root_keys,
            publisher_ids,
            targets: signed(&targets_name)?,
        })
    }

    /// The key of a role, if it is at hand and is the one that this repository trusts.
    pub(super) fn trusted_key<'k>(
        &self,
        state: &State,
        keys: &'k RepositoryKeys,
        role: RoleName,
    ) -> Result<&'k SigningKey, RepositoryError> {
        let key = keys.get(role).ok_or(RepositoryError::KeyMissing(role))?;
        let id = tuf::key_id(&key.public_key());
        let trusted = if role == RoleName::Publisher {
            Some(&state.publisher_ids)
        } else {
            state.root_keys.get(&role)
        };
        if trusted.is_some_and(|ids| ids.contains(&id)) {
            Ok(key)
        } else {
            Err(RepositoryError::WrongKey {
                role,
                key_id: key.key_id(),
            })
        }
    }

    /// A version that no file has had. A change that a crash cut short leaves files behind whose
    /// versions somebody may have seen; they are not used again.
    pub(super) fn next_version(
        &self,
        role: &str,
        current: Option<u64>,
    ) -> Result<u64, RepositoryError> {
        let left_over = self.versions(role)?.last().copied().unwrap_or(0);
        Ok(current.unwrap_or(0).max(left_over) + 1)
    }

    /// Versions of a role that there are files of, ascending.
    pub(super) fn versions(&self, role: &str) -> Result<Vec<u64>, RepositoryError> {
        let folder = self.folder.join("metadata");
        let mut versions = Vec::new();
        for entry in fs::read_dir(&folder).map_err(RepositoryError::file(&folder))? {
            let name = entry.map_err(RepositoryError::file(&folder))?.file_name();
            let name = name.to_string_lossy();
            if let Some((version, rest)) = name.split_once('.')
                && rest.strip_suffix(".json") == Some(role)
                && let Ok(version) = version.parse()
            {
                versions.push(version);
            }
        }
        versions.sort_unstable();
        Ok(versions)
    }

    pub(super) fn is_due(&self, signed: &Value, days: u32, now: Timestamp) -> bool {
        expiry_of(signed).saturating_sub(now) < i64::from(days) * tuf::DAY / 4
    }

    pub(super) fn damaged(&self, reason: &str) -> RepositoryError {
        RepositoryError::Damaged {
            folder: self.folder.clone(),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn metadata(&self, name: &str) -> PathBuf {
        self.folder.join("metadata").join(name)
    }

    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, RepositoryError> {
        let path = self.metadata(name);
        fs::read(&path).map_err(RepositoryError::file(&path))
    }

    pub(super) fn read_json(&self, name: &str) -> Result<Value, RepositoryError> {
        serde_json::from_slice(&self.read(name)?).map_err(json_error)
    }

    /// Two publishers at once would each forget the other's package.
    pub(super) fn lock(&self) -> Result<File, RepositoryError> {
        let path = self.folder.join(".lock");
        let file = File::create(&path).map_err(RepositoryError::file(&path))?;
        file.lock().map_err(RepositoryError::file(&path))?;
        Ok(file)
    }
}

pub(super) fn expiry_of(signed: &Value) -> Timestamp {
    let expires = signed["expires"].as_str().unwrap_or_default();
    expires
        .parse::<jiff::Timestamp>()
        .map_or(0, |t| t.as_microsecond())
}
