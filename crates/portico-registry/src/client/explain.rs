//! Errors of the metadata reader, in this portal's words.

use std::collections::{BTreeMap, BTreeSet};

use sigstore_tuf::Updater;

use super::{chain, files::Files, lock};
use crate::{error::RegistryError, transport::TransportError, tuf};

/// An error of the reader in this portal's words.
pub(super) fn explain(
    name: &str,
    error: &sigstore_tuf::Error,
    updater: &Updater,
    files: &Files,
) -> RegistryError {
    use sigstore_tuf::Error as E;
    let registry = name.to_owned();
    match error {
        E::Transport { message, source } => {
            let cause = source
                .as_ref()
                .and_then(|s| s.downcast_ref::<TransportError>());
            match cause {
                Some(TransportError::TooLarge { .. }) => RegistryError::Inconsistent {
                    registry,
                    detail: chain(error),
                },
                Some(TransportError::Unreachable(reason)) => RegistryError::Unreachable {
                    registry,
                    reason: reason.clone(),
                },
                None if message.starts_with("timestamp.json") => RegistryError::Unreachable {
                    registry,
                    reason: "there is no metadata/timestamp.json; is this the address of a \
                             repository that `portico registry init` made?"
                        .into(),
                },
                None => RegistryError::Unreachable {
                    registry,
                    reason: message.clone(),
                },
            }
        }
        E::Expired { role, expires } => RegistryError::Expired {
            registry,
            role: role.clone(),
            expires: tuf::seconds(expires.as_microsecond()),
        },
        E::Rollback { .. } => RegistryError::Rollback {
            registry,
            detail: error.to_string(),
        },
        E::ThresholdNotMet { role, .. } | E::DuplicateSignature { role, .. } => {
            if signed_by_trusted(role, updater, &lock(&files.last)) {
                RegistryError::BadSignature {
                    registry,
                    role: role.clone(),
                    detail: error.to_string(),
                }
            } else {
                RegistryError::WrongKey {
                    registry,
                    role: role.clone(),
                }
            }
        }
        _ => RegistryError::Inconsistent {
            registry,
            detail: chain(error),
        },
    }
}

/// Whether any signature of `metadata` claims to be by a key that is trusted for `role`.
fn signed_by_trusted(role: &str, updater: &Updater, metadata: &[u8]) -> bool {
    let trusted = updater.trusted();
    let mut keys: BTreeSet<&String> = BTreeSet::new();
    keys.extend(
        trusted
            .root()
            .role(role)
            .into_iter()
            .flat_map(|r| &r.keyids),
    );
    let delegations = trusted
        .targets_role("targets")
        .and_then(|t| t.delegations.as_ref());
    keys.extend(
        delegations
            .into_iter()
            .flat_map(|d| &d.roles)
            .filter(|r| r.name == role)
            .flat_map(|r| &r.keyids),
    );
    let json: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(metadata).unwrap_or_default();
    let signatures = json.get("signatures").and_then(serde_json::Value::as_array);
    signatures
        .into_iter()
        .flatten()
        .filter_map(|s| s["keyid"].as_str())
        .any(|id| keys.iter().any(|key| key.as_str() == id))
}
