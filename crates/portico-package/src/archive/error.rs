//! Why an archive is refused.

use super::{INDEX, INDEX_FORMAT, MANIFEST, SIGNATURE, names::BadName};
use crate::{Digest, manifest::InvalidManifest};

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not the size that its registry signed.
    #[error("the archive has {found} bytes, and its registry says {expected}")]
    SizeMismatch {
        /// Signed size.
        expected: u64,
        /// Actual size.
        found: u64,
    },
    /// Not the bytes that its registry signed.
    #[error("the archive is {found}, and its registry says {expected}")]
    DigestMismatch {
        /// Signed digest.
        expected: Digest,
        /// Actual digest.
        found: Digest,
    },
    /// Larger than [`Limits::archive`](super::Limits::archive).
    #[error("the archive has {found} bytes, more than the {limit} allowed")]
    ArchiveTooLarge {
        /// Actual size.
        found: u64,
        /// [`Limits::archive`](super::Limits::archive).
        limit: u64,
    },
    /// No zstd, or broken zstd.
    #[error("the archive cannot be decompressed: {0}")]
    Compression(String),
    /// Ends in the middle.
    #[error("the archive ends in the middle; it was cut off")]
    Truncated,
    /// Something stands after the end.
    #[error("something stands after the end of the archive")]
    TrailingData,
    /// A broken header of tar.
    #[error("the archive is not a tar file: {0}")]
    Tar(String),
    /// GNU, old or foreign header.
    #[error("the entry `{name}` has a header that is not POSIX ustar")]
    NotUstar {
        /// As far as it can be read.
        name: String,
    },
    /// A PAX header, which could rename or resize what follows.
    #[error("the entry `{name}` is a PAX header, which could rename what follows it")]
    PaxHeader {
        /// As far as it can be read.
        name: String,
    },
    /// A GNU long name or long link, which could rename what follows.
    #[error("the entry `{name}` is a GNU long name, which could rename what follows it")]
    GnuLongName {
        /// As far as it can be read.
        name: String,
    },
    /// A symbolic link.
    #[error("`{name}` is a symbolic link")]
    SymbolicLink {
        /// The entry.
        name: String,
    },
    /// A hard link.
    #[error("`{name}` is a hard link")]
    HardLink {
        /// The entry.
        name: String,
    },
    /// A device, a pipe or anything else that is no file and no folder.
    #[error("`{name}` is neither a file nor a folder (type {kind})")]
    SpecialFile {
        /// The entry.
        name: String,
        /// Its type flag.
        kind: String,
    },
    /// A name that could mean another place or another file.
    #[error("the name `{name}` {why}")]
    Name {
        /// As far as it can be read.
        name: String,
        /// The rule that it breaks.
        why: BadName,
    },
    /// Two names that are one on some systems.
    #[error("`{first}` and `{second}` are the same file on systems that ignore case")]
    SameName {
        /// The earlier.
        first: String,
        /// The later.
        second: String,
    },
    /// A file where a folder is.
    #[error("`{name}` is a file and a folder")]
    FileIsFolder {
        /// Both.
        name: String,
    },
    /// Larger than [`Limits::file`](super::Limits::file).
    #[error("`{name}` has {found} bytes, more than the {limit} allowed")]
    FileTooLarge {
        /// The file.
        name: String,
        /// Its size.
        found: u64,
        /// [`Limits::file`](super::Limits::file).
        limit: u64,
    },
    /// More than [`Limits::total`](super::Limits::total).
    #[error("the files have more than the {limit} bytes allowed")]
    TotalTooLarge {
        /// [`Limits::total`](super::Limits::total).
        limit: u64,
    },
    /// More than [`Limits::entries`](super::Limits::entries).
    #[error("there are more than the {limit} entries allowed")]
    TooManyEntries {
        /// [`Limits::entries`](super::Limits::entries).
        limit: usize,
    },
    /// The first three entries are not the portal's own.
    #[error(
        "the archive should hold `{expected}` here and holds {found}; pack it with `portico pack`"
    )]
    NotAPackage {
        /// What belongs there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// The index cannot be read.
    #[error("`{INDEX}` cannot be read: {0}")]
    Index(String),
    /// Written by a newer portal.
    #[error(
        "the archive has format {found}, and this build reads up to {INDEX_FORMAT}; use a newer portal"
    )]
    Format {
        /// `format_version` of the index.
        found: u64,
    },
    /// The signature cannot be read.
    #[error("`{SIGNATURE}` cannot be read: {0}")]
    SignatureEntry(String),
    /// Signed by nobody whom the caller trusts.
    #[error("it is signed by the key {key_id}, which is not trusted here")]
    UnknownKey {
        /// Key id that the signature names.
        key_id: String,
    },
    /// The signature does not hold.
    #[error(
        "the signature of the key {key_id} does not hold; the archive was changed after it was signed"
    )]
    BadSignature {
        /// Key id that the signature names.
        key_id: String,
    },
    /// A file that the index does not name, or at the wrong place.
    #[error("`{name}` is not in the signed index at this place")]
    NotIndexed {
        /// The file.
        name: String,
    },
    /// A file that the index names is not there.
    #[error("`{name}` is in the signed index and not in the archive")]
    MissingFile {
        /// The file.
        name: String,
    },
    /// Not the bytes that the index names.
    #[error("`{name}` is not what the signed index says")]
    FileMismatch {
        /// The file.
        name: String,
    },
    /// The portal's own folder in the author's files.
    #[error("`{name}`: the folder `portico/` belongs to the portal; use another name")]
    ReservedName {
        /// The file.
        name: String,
    },
    /// `portico/manifest.json` cannot be used.
    #[error("`{MANIFEST}`: {0}")]
    Manifest(#[from] InvalidManifest),
    /// The author's file cannot be used.
    #[error("{0}")]
    Source(crate::Diagnostics),
    /// The author's file and the normalised manifest, or the manifest and the index, say different things.
    #[error("`{MANIFEST}` does not say what it should: {0} differs")]
    ManifestMismatch(String),
}

impl ArchiveError {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SizeMismatch { .. } => "archive-size",
            Self::DigestMismatch { .. } => "archive-digest",
            Self::ArchiveTooLarge { .. } => "archive-too-large",
            Self::Compression(_) => "archive-compression",
            Self::Truncated => "archive-truncated",
            Self::TrailingData => "archive-trailing-data",
            Self::Tar(_) => "archive-tar",
            Self::NotUstar { .. } => "archive-not-ustar",
            Self::PaxHeader { .. } => "archive-pax-header",
            Self::GnuLongName { .. } => "archive-gnu-long-name",
            Self::SymbolicLink { .. } => "archive-symbolic-link",
            Self::HardLink { .. } => "archive-hard-link",
            Self::SpecialFile { .. } => "archive-special-file",
            Self::Name { .. } => "archive-name",
            Self::SameName { .. } => "archive-same-name",
            Self::FileIsFolder { .. } => "archive-file-is-folder",
            Self::FileTooLarge { .. } => "archive-file-too-large",
            Self::TotalTooLarge { .. } => "archive-total-too-large",
            Self::TooManyEntries { .. } => "archive-too-many-entries",
            Self::NotAPackage { .. } => "archive-not-a-package",
            Self::Index(_) => "archive-index",
            Self::Format { .. } => "archive-format",
            Self::SignatureEntry(_) => "archive-signature-entry",
            Self::UnknownKey { .. } => "signature-unknown-key",
            Self::BadSignature { .. } => "signature-invalid",
            Self::NotIndexed { .. } => "archive-not-indexed",
            Self::MissingFile { .. } => "archive-missing-file",
            Self::FileMismatch { .. } => "archive-file-mismatch",
            Self::ReservedName { .. } => "archive-reserved-name",
            Self::Manifest(_) | Self::Source(_) => "manifest-invalid",
            Self::ManifestMismatch(_) => "manifest-mismatch",
        }
    }
}
