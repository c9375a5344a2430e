//! Ed25519 signatures of packages, and the text files that keys are kept in.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::Digest;

/// A publisher's public key: 32 bytes of Ed25519. Its JSON form is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(pub [u8; 32]);

/// A publisher's private key, made from a 32-byte seed that the caller drew (this crate knows no randomness).
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: [u8; 32],
}

/// Why a text or a seed is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The lines around the key are not there.
    #[error(
        "not a {expected}: it begins with `-----BEGIN {expected}-----` and ends with `-----END {expected}-----`"
    )]
    Armour {
        /// What should stand in the first and last line.
        expected: &'static str,
    },
    /// A private key was given where a public one belongs, or the reverse.
    #[error("this is a {found}, and a {expected} belongs here")]
    WrongKind {
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The lines between are not 32 bytes in base64.
    #[error("the {expected} is damaged: it should hold 32 bytes in base64")]
    Content {
        /// Which kind of key.
        expected: &'static str,
    },
    /// The bytes are not usable as a key.
    #[error("the seed is not usable as an Ed25519 key")]
    Rejected,
}

const PUBLIC: &str = "PORTICO PUBLIC KEY";
const PRIVATE: &str = "PORTICO PRIVATE KEY";

impl PublicKey {
    /// Names the key everywhere: SHA-256 of its 32 bytes, 64 hexadecimal digits.
    pub fn key_id(&self) -> String {
        Digest::of(&self.0).hex()
    }

    /// The first 16 digits of [`key_id`](Self::key_id), for people.
    pub fn short_id(&self) -> String {
        short_id(&self.key_id()).to_owned()
    }

    /// Whether `signature` is this key's over exactly `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, signature)
            .is_ok()
    }

    /// The key as a text file, to be handed to who should trust it.
    pub fn to_text(&self) -> String {
        armour(PUBLIC, &self.0)
    }
}

/// The first 16 digits of a key id, for people.
pub fn short_id(key_id: &str) -> &str {
    key_id.get(..16).unwrap_or(key_id)
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    /// Reads [`to_text`](Self::to_text); 64 hexadecimal digits will do too.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        if hex::decode_to_slice(s.trim(), &mut bytes).is_ok() {
            return Ok(Self(bytes));
        }
        unarmour(PUBLIC, s).map(Self)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = InvalidKey;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        hex::encode(key.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.0))
    }
}

impl SigningKey {
    /// The key of a seed. The seed is the secret: draw it from the operating system.
    ///
    /// # Errors
    /// [`InvalidKey::Rejected`] when the cryptography library refuses the seed.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| InvalidKey::Rejected)?;
        Ok(Self { pair, seed })
    }

    /// Reads [`to_text`](Self::to_text).
    ///
    /// # Errors
    /// When the text is no private key; it never quotes the text.
    pub fn from_text(text: &str) -> Result<Self, InvalidKey> {
        Self::from_seed(unarmour(PRIVATE, text)?)
    }

    /// The key as a text file. It is the secret itself: keep it readable to its owner only.
    pub fn to_text(&self) -> String {
        armour(PRIVATE, &self.seed)
    }

    /// What others check its signatures with.
    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// See [`PublicKey::key_id`].
    pub fn key_id(&self) -> String {
        self.public_key().key_id()
    }

    /// The 64 bytes of the signature over `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SigningKey({}, secret not shown)",
            self.public_key().short_id()
        )
    }
}

fn armour(kind: &str, bytes: &[u8; 32]) -> String {
    format!(
        "-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n",
        STANDARD.encode(bytes)
    )
}

fn unarmour(kind: &'static str, text: &str) -> Result<[u8; 32], InvalidKey> {
    let other = if kind == PUBLIC { PRIVATE } else { PUBLIC };
    let between = |kind: &str| {
        let text = text
            .trim()
            .strip_prefix(format!("-----BEGIN {kind}-----").as_str())?;
        text.strip_suffix(format!("-----END {kind}-----").as_str())
    };
    let Some(body) = between(kind) else {
        return Err(if between(other).is_some() {
            InvalidKey::WrongKind {
                found: other,
                expected: kind,
            }
        } else {
            InvalidKey::Armour { expected: kind }
        });
    };
    let body: String = body.split_whitespace().collect();
    let bytes = STANDARD
        .decode(body)
        .map_err(|_| InvalidKey::Content { expected: kind })?;
    bytes
        .try_into()
        .map_err(|_| InvalidKey::Content { expected: kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed([7; 32]).unwrap()
    }

    #[test]
    fn a_signature_holds_for_its_message_and_key_only() {
        let signature = key().sign(b"index");
        assert!(key().public_key().verify(b"index", &signature));
        assert!(!key().public_key().verify(b"index2", &signature));
        assert!(
            !SigningKey::from_seed([8; 32])
                .unwrap()
                .public_key()
                .verify(b"index", &signature)
        );
        assert!(!key().public_key().verify(b"index", &signature[..63]));
    }

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn it_is_ed25519() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let mut bytes = [0; 32];
        hex::decode_to_slice(seed, &mut bytes).unwrap();
        let public = String::from(SigningKey::from_seed(bytes).unwrap().public_key());
        assert_eq!(
            public,
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }

    #[test]
    fn keys_survive_their_text_files() {
        let public = key().public_key();
        assert_eq!(public.to_text().parse::<PublicKey>().unwrap(), public);
        assert_eq!(
            format!("  {}\r\n", public.to_text())
                .parse::<PublicKey>()
                .unwrap(),
            public
        );
        assert_eq!(String::from(public).parse::<PublicKey>().unwrap(), public);
        assert_eq!(
            SigningKey::from_text(&key().to_text())
                .unwrap()
                .public_key(),
            public
        );
    }

    #[test]
    fn a_wrong_file_is_named_and_never_quoted() {
        let private = key().to_text();
        let error = private.parse::<PublicKey>().unwrap_err();
        assert_eq!(
            error,
            InvalidKey::WrongKind {
                found: PRIVATE,
                expected: PUBLIC
            }
        );
        assert!(matches!(
            "hello".parse::<PublicKey>().unwrap_err(),
            InvalidKey::Armour { .. }
        ));
        let damaged = private.replace("BwcH", "");
        let error = SigningKey::from_text(&damaged).unwrap_err();
        assert_eq!(error, InvalidKey::Content { expected: PRIVATE });
        assert!(!format!("{:?}", key()).contains("BwcH"));
    }
}
