//! TUF metadata as JSON values: made, signed, pinned. Reading and believing it is `sigstore-tuf`'s part.

use portico_host::Timestamp;
use portico_package::{
    Digest,
    signature::{PublicKey, SigningKey},
};
use serde_json::{Value, json};

/// Version of the specification that the metadata follows.
const SPEC_VERSION: &str = "1.0.31";

/// The one delegated role of this build, and what it may sign.
pub(crate) const PUBLISHER: &str = "publisher";
/// Target paths that [`PUBLISHER`] may sign.
pub(crate) const PUBLISHER_PATHS: &str = "packages/*/*";

/// Microseconds in a day.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// A public key as it stands in metadata.
pub(crate) fn key_json(key: &PublicKey) -> Value {
    json!({
        "keytype": "ed25519",
        "scheme": "ed25519",
        "keyval": { "public": String::from(*key) },
    })
}

/// Names a key inside metadata: the digest of its canonical form. (Archives name keys by the digest
/// of their 32 bytes.)
pub(crate) fn key_id(key: &PublicKey) -> String {
    // The object holds nothing but strings, so it always has a canonical form.
    let canonical = sigstore_tuf::canonical_json::to_canonical_bytes(&key_json(key));
    Digest::of(&canonical.unwrap_or_default()).hex()
}

/// What every role begins with.
pub(crate) fn head(kind: &str, version: u64, expires: &str) -> serde_json::Map<String, Value> {
    let Value::Object(map) = json!({
        "_type": kind,
        "spec_version": SPEC_VERSION,
        "version": version,
        "expires": expires,
    }) else {
        return serde_json::Map::new();
    };
    map
}

/// When something that is signed `now` and holds for `days` runs out: whole seconds, as readers in
/// other languages expect.
pub(crate) fn expires(now: Timestamp, days: u32) -> String {
    seconds(now.saturating_add(i64::from(days).saturating_mul(DAY)))
}

/// RFC 3339 with whole seconds.
pub(crate) fn seconds(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at)
        .map(|t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

/// Signs a role with every one of `keys`.
pub(crate) fn sign(signed: &Value, keys: &[&SigningKey]) -> Result<Vec<u8>, sigstore_tuf::Error> {
    let canonical = sigstore_tuf::canonical_json::to_canonical_bytes(signed)?;
    let signatures: Vec<Value> = keys
        .iter()
        .map(|key| {
            json!({ "keyid": key_id(&key.public_key()), "sig": hex::encode(key.sign(&canonical)) })
        })
        .collect();
    let mut bytes = serde_json::to_vec(&json!({ "signatures": signatures, "signed": signed }))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// How one role pins another's file.
pub(crate) fn pin(version: u64, bytes: &[u8]) -> Value {
    json!({
        "version": version,
        "length": bytes.len(),
        "hashes": { "sha256": Digest::of(bytes).hex() },
    })
}

/// File name of a role with consistent snapshots.
pub(crate) fn versioned(version: u64, role: &str) -> String {
    format!("{version}.{role}.json")
}

/// The path at which a target's file lies with consistent snapshots: the digest stands before the
/// file name, not before the folders.
pub(crate) fn consistent_path(target: &str, digest: &Digest) -> String {
    match target.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{}.{name}", digest.hex()),
        None => format!("{}.{target}", digest.hex()),
    }
}
