//! Keys of a repository: drawn, kept in files, read again.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use portico_package::signature::{InvalidKey, PublicKey, SigningKey};

use crate::files::{Access, create_folder, write_atomic, write_new};

/// Why a key is not there.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system gives no randomness.
    #[error("the operating system gives no random bytes, so no key can be made")]
    Random,
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The file is not a key.
    #[error("{}: {source}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidKey,
    },
    /// Others can read a private key.
    #[error(
        "{}: others on this machine can read this private key (mode {mode:o}); run `chmod 600` on it",
        path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl KeyError {
    /// Stable code for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Random => "no-randomness",
            Self::File { .. } => "key-file",
            Self::Content { .. } => "key-invalid",
            Self::Exposed { .. } => "key-exposed",
        }
    }

    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// Draws a new key from the operating system.
pub fn generate() -> Result<SigningKey, KeyError> {
    generate_with(&SystemRandom::new())
}

/// Draws a new key from `random`.
pub fn generate_with(random: &dyn SecureRandom) -> Result<SigningKey, KeyError> {
    let mut seed = [0; 32];
    random.fill(&mut seed).map_err(|_| KeyError::Random)?;
    SigningKey::from_seed(seed).map_err(|_| KeyError::Random)
}

/// Writes a new private key file (readable to its owner only) and `<file>.pub` beside it.
/// Never overwrites a key.
pub fn write(path: &Path, key: &SigningKey) -> Result<PathBuf, KeyError> {
    write_new(path, key.to_text().as_bytes(), Access::Owner).map_err(KeyError::file(path))?;
    let public = public_path(path);
    write_atomic(
        &public,
        key.public_key().to_text().as_bytes(),
        Access::Everybody,
    )
    .map_err(KeyError::file(&public))?;
    Ok(public)
}

/// Reads a private key file; refuses one that others can read.
pub fn read(path: &Path) -> Result<SigningKey, KeyError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path)
            .map_err(KeyError::file(path))?
            .permissions()
            .mode()
            & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
    }
    let text = fs::read_to_string(path).map_err(KeyError::file(path))?;
    SigningKey::from_text(&text).map_err(|source| KeyError::Content {
        path: path.to_owned(),
        source,
    })
}

/// Reads a public key file.
pub fn read_public(path: &Path) -> Result<PublicKey, KeyError> {
    let text = fs::read_to_string(path).map_err(KeyError::file(path))?;
    text.parse().map_err(|source| KeyError::Content {
        path: path.to_owned(),
        source,
    })
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// What a key of a repository signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleName {
    /// Which keys count at all. Kept offline.
    Root,
    /// Which publishers there are. Kept offline.
    Targets,
    /// Which metadata belongs together.
    Snapshot,
    /// That this is the newest.
    Timestamp,
    /// Packages.
    Publisher,
}

impl RoleName {
    /// All of them, in the order in which trust is handed down.
    pub const ALL: [Self; 5] = [
        Self::Root,
        Self::Targets,
        Self::Snapshot,
        Self::Timestamp,
        Self::Publisher,
    ];

    /// The name in metadata and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
            Self::Publisher => "publisher",
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RoleName {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == s)
            .ok_or(())
    }
}

/// The private keys of a repository that are at hand; some may be kept elsewhere.
#[derive(Debug, Default)]
pub struct RepositoryKeys {
    keys: BTreeMap<RoleName, SigningKey>,
}

impl RepositoryKeys {
    /// One new key per role.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, KeyError> {
        let keys = RoleName::ALL
            .into_iter()
            .map(|role| Ok((role, generate_with(random)?)))
            .collect::<Result<_, KeyError>>()?;
        Ok(Self { keys })
    }

    /// Reads `<role>.key` files of a folder; those that are missing are kept elsewhere.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let mut keys = BTreeMap::new();
        for role in RoleName::ALL {
            let path = folder.join(format!("{role}.key"));
            match read(&path) {
                Ok(key) => {
                    keys.insert(role, key);
                }
                Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Self { keys })
    }

    /// Writes `<role>.key` and `<role>.key.pub` files; the folder is for its owner only.
    pub fn save(&self, folder: &Path) -> Result<(), KeyError> {
        create_folder(folder, Access::Owner).map_err(KeyError::file(folder))?;
        for (role, key) in &self.keys {
            write(&folder.join(format!("{role}.key")), key)?;
        }
        Ok(())
    }

    /// Puts a key in place, such as a publisher's own.
    #[must_use]
    pub fn with(mut self, role: RoleName, key: SigningKey) -> Self {
        self.keys.insert(role, key);
        self
    }

    /// The key of a role, if it is at hand.
    pub fn get(&self, role: RoleName) -> Option<&SigningKey> {
        self.keys.get(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_files_and_are_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let keys = RepositoryKeys::generate(&SystemRandom::new()).unwrap();
        keys.save(&folder.path().join("k")).unwrap();
        let again = RepositoryKeys::load(&folder.path().join("k")).unwrap();
        for role in RoleName::ALL {
            let id = keys.get(role).unwrap().key_id();
            assert_eq!(again.get(role).unwrap().key_id(), id);
            let public = folder.path().join(format!("k/{role}.key.pub"));
            assert_eq!(read_public(&public).unwrap().key_id(), id);
        }
        let error = keys.save(&folder.path().join("k")).unwrap_err();
        assert_eq!(error.code(), "key-file");
    }

    #[test]
    fn a_key_that_is_elsewhere_is_simply_missing() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("snapshot.key"), &generate().unwrap()).unwrap();
        let keys = RepositoryKeys::load(folder.path()).unwrap();
        assert!(keys.get(RoleName::Snapshot).is_some());
        assert!(keys.get(RoleName::Root).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_private_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        write(&path, &generate().unwrap()).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path).unwrap_err().code(), "key-exposed");
    }
}
