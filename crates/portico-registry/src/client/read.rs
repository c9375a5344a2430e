//! One read of a registry: root, timestamp, snapshot, roles, releases.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use portico_host::Timestamp;
use portico_package::signature::PublicKey;
use sigstore_tuf::{DelegatedRole, Updater, UpdaterConfig};

use super::{
    MAX_ARCHIVE, Remote, chain,
    explain::explain,
    files::{Files, Kept, Reader},
    floor_error, lock,
};
use crate::{
    error::RegistryError,
    listing::{self, Listing},
};

/// Largest file of one role, bytes: about ten thousand releases.
const MAX_ROLE: u64 = 32 * 1024 * 1024;

/// Delegated roles of one registry that are read.
const MAX_ROLES: usize = 256;

/// Where metadata comes from in one read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// From the registry; a role whose pinned version is kept already comes from what is kept.
    Online,
    /// From the registry only.
    OnlineWithoutKept,
    /// From what is kept only.
    Offline,
}

impl Remote {
    pub(super) async fn read(
        &self,
        name: &str,
        now: Timestamp,
        mode: Mode,
    ) -> Result<Arc<Listing>, RegistryError> {
        let kept = self
            .floor
            .load(name)
            .await
            .map_err(|e| floor_error(name, &e))?;
        let kept = Arc::new(Kept {
            files: Mutex::new(kept),
            changed: Mutex::default(),
        });
        let files = Arc::new(Files {
            transport: Arc::clone(&self.transport),
            kept: Arc::clone(&kept),
            mode,
            last: Mutex::default(),
        });
        let at = jiff::Timestamp::from_microsecond(now).unwrap_or(jiff::Timestamp::MAX);
        let mut updater = Updater::new(Reader(Arc::clone(&files)), &self.root)
            .map_err(|e| RegistryError::Root {
                registry: name.to_owned(),
                reason: chain(&e),
            })?
            .with_config(config())
            .with_store(Arc::clone(&kept));
        let read = read_roles(&mut updater, at).await;
        // Whatever was verified raises the floor, also when a later file was refused.
        let changed = std::mem::take(&mut *lock(&kept.changed));
        if !changed.is_empty() && mode != Mode::Offline {
            self.floor
                .save(name, &changed)
                .await
                .map_err(|e| floor_error(name, &e))?;
        }
        let roles = read.map_err(|e| explain(name, &e, &updater, &files))?;
        let last = lock(&self.last).clone();
        let listing = Arc::new(list(name, &updater, &roles, last.as_deref()));
        *lock(&self.last) = Some(Arc::clone(&listing));
        Ok(listing)
    }
}

fn config() -> UpdaterConfig {
    let mut config = UpdaterConfig::default();
    config.targets_max_length = MAX_ROLE;
    config.target_max_length = MAX_ARCHIVE;
    config
}

/// Runs the whole workflow; answers the delegated roles that were verified.
async fn read_roles(
    updater: &mut Updater,
    at: jiff::Timestamp,
) -> Result<Vec<DelegatedRole>, sigstore_tuf::Error> {
    updater.refresh(at).await?;
    let delegated: Vec<DelegatedRole> = updater
        .trusted()
        .targets_role("targets")
        .and_then(|targets| targets.delegations.as_ref())
        .map(|delegations| delegations.roles.clone())
        .unwrap_or_default();
    let mut verified = Vec::new();
    for role in delegated.into_iter().take(MAX_ROLES) {
        // Roles are verified on the way to a target, so a path that only this role can mean is asked for.
        let patterns = role.paths.iter().flatten();
        for probe in patterns.map(|pattern| pattern.replace(['*', '?'], "_")) {
            if updater.trusted().targets_role(&role.name).is_none() {
                updater.get_target_info(&probe, at).await?;
            }
        }
        if updater.trusted().targets_role(&role.name).is_some() {
            verified.push(role);
        } else {
            tracing::warn!(role = %role.name, "a publisher's role cannot be reached and is left out");
        }
    }
    Ok(verified)
}

/// What the verified roles offer. A role's claim outside its delegated paths is as if it were not
/// there, and the first role that lists a path is the one that counts.
fn list(name: &str, updater: &Updater, roles: &[DelegatedRole], last: Option<&Listing>) -> Listing {
    let trusted = updater.trusted();
    let snapshot = trusted.snapshot().map_or(0, |s| s.version);
    let expiries = [
        Some(trusted.root().expires),
        trusted.timestamp().map(|t| t.expires),
        trusted.snapshot().map(|s| s.expires),
        trusted.targets_role("targets").map(|t| t.expires),
    ];
    let expiries = expiries.into_iter().flatten().chain(
        roles
            .iter()
            .filter_map(|role| trusted.targets_role(&role.name))
            .map(|t| t.expires),
    );
    let valid_until = expiries.min().map_or(0, |t| t.as_microsecond());
    let publishers = publishers(updater, roles);
    if let Some(last) = last
        && last.snapshot == snapshot
        && last.publishers == publishers
    {
        return Listing {
            valid_until,
            ..last.clone()
        };
    }
    let mut seen = BTreeSet::new();
    let mut releases = Vec::new();
    let mut skipped = Vec::new();
    for (at, role) in roles.iter().enumerate() {
        let Some(targets) = trusted.targets_role(&role.name) else {
            continue;
        };
        for (path, file) in &targets.targets {
            let shadowed = roles[..at].iter().any(|r| r.terminating && covers(r, path));
            if !covers(role, path) || shadowed {
                skipped.push(format!("{path}: role `{}` may not sign it", role.name));
                continue;
            }
            if !seen.insert(path.as_str()) {
                continue;
            }
            match listing::release(name, path, file) {
                Ok(release) => releases.push(Arc::new(release)),
                Err(reason) => skipped.push(format!("{path}: {reason}")),
            }
        }
    }
    for line in &skipped {
        tracing::warn!(registry = name, entry = %line, "left out of the catalogue");
    }
    Listing {
        releases,
        publishers,
        valid_until,
        skipped,
        snapshot,
    }
}

fn covers(role: &DelegatedRole, path: &str) -> bool {
    role.matches_path(path).unwrap_or(false)
}

/// Keys of the verified roles that can also sign archives (Ed25519).
fn publishers(updater: &Updater, roles: &[DelegatedRole]) -> Vec<PublicKey> {
    let targets = updater.trusted().targets_role("targets");
    let Some(delegations) = targets.and_then(|t| t.delegations.as_ref()) else {
        return Vec::new();
    };
    let ids: BTreeSet<&String> = roles.iter().flat_map(|role| &role.keyids).collect();
    ids.into_iter()
        .filter_map(|id| delegations.keys.get(id))
        .filter(|key| key.keytype == "ed25519")
        .filter_map(|key| key.keyval.public.parse().ok())
        .collect()
}
