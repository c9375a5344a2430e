//! Why a repository was not changed.

use std::{
    io,
    path::{Path, PathBuf},
};

use portico_host::fault::Injected;
use portico_package::{Digest, PackageId, Version, archive};

use crate::keys::RoleName;

/// Why a repository was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// There is a repository already.
    #[error("{} is a repository already", .0.display())]
    Exists(PathBuf),
    /// There is none.
    #[error("{} is not a repository: make one with `portico registry init`", .0.display())]
    NotARepository(PathBuf),
    /// Its metadata does not hold; signing on top would vouch for it.
    #[error("the metadata of {} does not hold: {reason}. Nothing was signed; restore it from a copy", folder.display())]
    Damaged {
        /// Which repository.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key that is needed is not at hand.
    #[error("the {0} key is needed for this and is not in the key folder")]
    KeyMissing(RoleName),
    /// A key is at hand, but the repository does not trust it for this.
    #[error("the {role} key {key_id} is not the one that this repository trusts for it")]
    WrongKey {
        /// For what.
        role: RoleName,
        /// Its id.
        key_id: String,
    },
    /// The archive was refused.
    #[error("the archive was refused: {0}")]
    Archive(#[from] archive::ArchiveError),
    /// The version is out already, with other bytes.
    #[error(
        "{id} {version} is published already with other content ({published}). A published version \
         never changes: give the new content a new version"
    )]
    VersionExists {
        /// Which package.
        id: PackageId,
        /// Which version.
        version: Version,
        /// Digest of what is out.
        published: Digest,
    },
    /// The version is not there.
    #[error("{id} {version} is not in this repository")]
    NoSuchVersion {
        /// Which package.
        id: PackageId,
        /// Which version.
        version: Version,
    },
    /// Metadata could not be made.
    #[error("metadata cannot be made: {0}")]
    Metadata(String),
    /// A test stopped it.
    #[error(transparent)]
    Injected(#[from] Injected),
}

impl RepositoryError {
    /// Stable code for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "repository-file",
            Self::Exists(_) => "repository-exists",
            Self::NotARepository(_) => "not-a-repository",
            Self::Damaged { .. } => "repository-damaged",
            Self::KeyMissing(_) => "key-missing",
            Self::WrongKey { .. } => "wrong-key",
            Self::Archive(error) => error.code(),
            Self::VersionExists { .. } => "version-exists",
            Self::NoSuchVersion { .. } => "no-such-version",
            Self::Metadata(_) => "repository-metadata",
            Self::Injected(_) => "injected",
        }
    }

    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
