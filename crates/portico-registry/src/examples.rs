//! The example registry: a real repository, made and signed on this machine at the first start.
//!
//! Its keys are drawn here and lie beside it, so it vouches for nothing but "these are the examples
//! of this binary". It is there so that a first portal has something to install, through exactly the
//! path that every other registry takes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::{digest, rand::SecureRandom};
use include_dir::{Dir, include_dir};
use portico_host::Timestamp;

use crate::{
    embedded::{self, Embedded},
    files::{self, Access},
    keys::{KeyError, RepositoryKeys, RoleName},
    repository::{Expiry, Replace, Repository, RepositoryError},
    tuf::DAY,
};

/// Name of the registry.
pub const NAME: &str = "examples";

static EXAMPLES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../examples");

/// Long, since nobody publishes to it between two versions of the binary.
const EXPIRY: Expiry = Expiry {
    root: 7300,
    targets: 3650,
    snapshot: 3650,
    timestamp: 3650,
};

/// Days before its end at which it is signed again.
const RENEW: i64 = 180;

/// Digest of the embedded files that the repository was made from.
const STAMP: &str = "embedded.sha256";

/// Why there is no example registry.
#[derive(Debug, thiserror::Error)]
pub enum ExamplesError {
    /// A file cannot be read or written.
    #[error("the example registry {}: {source}", path.display())]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Its keys.
    #[error("the keys of the example registry: {0}")]
    Key(#[from] KeyError),
    /// Its repository.
    #[error("the example registry: {0}")]
    Repository(#[from] RepositoryError),
    /// An embedded example is not a package.
    #[error("an embedded example is not a package: {0}")]
    Package(String),
}

/// Where the example registry is, and what vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleRegistry {
    /// The folder of the repository.
    pub folder: PathBuf,
    /// Its root.json.
    pub root: Vec<u8>,
}

/// Makes the example registry below `data`, or brings an older one up to this binary. Does nothing
/// when it is current; a crash at any moment leaves none or a whole one.
pub fn ensure_example_registry(
    data: &Path,
    now: Timestamp,
    random: &dyn SecureRandom,
) -> Result<ExampleRegistry, ExamplesError> {
    ensure(&embedded::packages(&EXAMPLES), data, now, random)
}

fn ensure(
    packages: &[Embedded],
    data: &Path,
    now: Timestamp,
    random: &dyn SecureRandom,
) -> Result<ExampleRegistry, ExamplesError> {
    let registries = data.join("registries");
    let home = registries.join(NAME);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ExamplesError::File { path, source }
    };
    let stamp = stamp(packages);
    if !home.join("repository").is_dir() {
        files::create_folder(&registries, Access::Everybody).map_err(failed(&registries))?;
        sweep(&registries).map_err(failed(&registries))?;
        let fresh = files::beside(&home);
        build(packages, &fresh, now, random)?;
        write_stamp(&fresh, &stamp)?;
        files::sync_tree(&fresh).map_err(failed(&fresh))?;
        files::rename(&fresh, &home).map_err(failed(&home))?;
    } else if fs::read_to_string(home.join(STAMP)).ok().as_deref() != Some(stamp.as_str()) {
        update(packages, &home, now)?;
        write_stamp(&home, &stamp)?;
    } else {
        let repository = Repository::open(&home.join("repository"), EXPIRY)?;
        if repository.expires()?.saturating_sub(now) < RENEW * DAY {
            repository.refresh(&RepositoryKeys::load(&home.join("keys"))?, now)?;
        }
    }
    let folder = home.join("repository");
    let root = Repository::open(&folder, EXPIRY)?.root()?;
    Ok(ExampleRegistry { folder, root })
}

fn build(
    packages: &[Embedded],
    home: &Path,
    now: Timestamp,
    random: &dyn SecureRandom,
) -> Result<(), ExamplesError> {
    let keys = RepositoryKeys::generate(random)?;
    keys.save(&home.join("keys"))?;
    let repository = Repository::init(&home.join("repository"), &keys, &[], EXPIRY, now)?;
    publish(packages, &repository, &keys, now)
}

fn update(packages: &[Embedded], home: &Path, now: Timestamp) -> Result<(), ExamplesError> {
    let keys = RepositoryKeys::load(&home.join("keys"))?;
    let repository = Repository::open(&home.join("repository"), EXPIRY)?;
    publish(packages, &repository, &keys, now)?;
    repository.refresh(&keys, now)?;
    Ok(())
}

/// An example that changed without a new version replaces the old one: that happens while examples
/// are written, and nobody else trusts this registry.
fn publish(
    packages: &[Embedded],
    repository: &Repository,
    keys: &RepositoryKeys,
    now: Timestamp,
) -> Result<(), ExamplesError> {
    let publisher = keys
        .get(RoleName::Publisher)
        .ok_or(RepositoryError::KeyMissing(RoleName::Publisher))?;
    let archives: Result<Vec<_>, _> = packages
        .iter()
        .map(|package| Ok(package.pack(publisher)?.1))
        .collect();
    let archives = archives.map_err(ExamplesError::Package)?;
    repository.publish_all(&archives, keys, now, Replace::Always)?;
    Ok(())
}

fn write_stamp(home: &Path, stamp: &str) -> Result<(), ExamplesError> {
    let path = home.join(STAMP);
    files::write_atomic(&path, stamp.as_bytes(), Access::Everybody)
        .map_err(|source| ExamplesError::File { path, source })
}

fn stamp(packages: &[Embedded]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for package in packages {
        for (name, bytes) in &package.files {
            let line = format!("{}/{name}\n{}\n", package.folder, bytes.len());
            context.update(line.as_bytes());
            context.update(bytes);
        }
    }
    hex::encode(context.finish())
}

/// Removes what a crash in the middle of making it left behind.
fn sweep(registries: &Path) -> io::Result<()> {
    for entry in fs::read_dir(registries)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&format!(".{NAME}.")) && name.ends_with(".tmp") {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;

    const NOW: Timestamp = 1_795_219_200_000_000;

    fn package(id: &str, version: &str, page: &str) -> Embedded {
        let manifest = format!(
            "manifest_version: \"1.0\"\nmicrosite:\n  id: {id}\n  name: {id}\n  version: {version}\n  \
             type: htmx\n  path: /{id}\n"
        );
        let files = [
            (
                portico_package::manifest::FILE_NAME.to_owned(),
                manifest.into_bytes(),
            ),
            ("templates/index.html".to_owned(), page.as_bytes().to_vec()),
        ];
        Embedded {
            folder: id.to_owned(),
            files: files.into(),
        }
    }

    fn offers(made: &ExampleRegistry) -> Vec<String> {
        let repository = Repository::open(&made.folder, EXPIRY).unwrap();
        let releases = repository.releases().unwrap();
        releases
            .iter()
            .map(|r| format!("{} {}", r.manifest.id, r.manifest.version))
            .collect()
    }

    fn files_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all.extend(files_of(&path));
            } else {
                all.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn the_second_start_changes_nothing() {
        let data = tempfile::tempdir().unwrap();
        let random = SystemRandom::new();
        let packages = [package("a", "1.0.0", "x"), package("b", "1.0.0", "y")];
        let first = ensure(&packages, data.path(), NOW, &random).unwrap();
        assert_eq!(offers(&first), ["a 1.0.0", "b 1.0.0"]);
        let before = files_of(data.path());
        let second = ensure(&packages, data.path(), NOW + DAY, &random).unwrap();
        assert_eq!(first, second);
        assert_eq!(files_of(data.path()), before);
    }

    #[test]
    fn a_newer_binary_adds_its_versions_and_keeps_root_and_old_ones() {
        let data = tempfile::tempdir().unwrap();
        let random = SystemRandom::new();
        let first = ensure(&[package("a", "1.0.0", "x")], data.path(), NOW, &random).unwrap();
        let newer = [package("a", "1.1.0", "x"), package("b", "1.0.0", "y")];
        let second = ensure(&newer, data.path(), NOW, &random).unwrap();
        assert_eq!(first.root, second.root);
        assert_eq!(offers(&second), ["a 1.0.0", "a 1.1.0", "b 1.0.0"]);
        // While an example is written, its content changes under one version.
        let digest = |made: &ExampleRegistry| {
            Repository::open(&made.folder, EXPIRY)
                .unwrap()
                .releases()
                .unwrap()[1]
                .digest
        };
        let before = digest(&second);
        let edited = [package("a", "1.1.0", "z"), package("b", "1.0.0", "y")];
        let third = ensure(&edited, data.path(), NOW, &random).unwrap();
        assert_eq!(offers(&third), offers(&second));
        assert_ne!(digest(&third), before);
    }

    #[test]
    fn what_a_crash_left_is_swept_away_and_made_again() {
        let data = tempfile::tempdir().unwrap();
        let half = data
            .path()
            .join("registries/.examples.1-0.tmp/repository/metadata");
        fs::create_dir_all(&half).unwrap();
        fs::write(half.join("1.targets.json"), "half").unwrap();
        let packages = [package("a", "1.0.0", "x")];
        let made = ensure(&packages, data.path(), NOW, &SystemRandom::new()).unwrap();
        assert_eq!(offers(&made), ["a 1.0.0"]);
        assert_eq!(
            fs::read_dir(data.path().join("registries"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn it_is_signed_again_before_it_expires() {
        let data = tempfile::tempdir().unwrap();
        let random = SystemRandom::new();
        let packages = [package("a", "1.0.0", "x")];
        let made = ensure(&packages, data.path(), NOW, &random).unwrap();
        let late = NOW + 3500 * DAY;
        ensure(&packages, data.path(), late, &random).unwrap();
        let repository = Repository::open(&made.folder, EXPIRY).unwrap();
        assert_eq!(repository.expires().unwrap(), late + 3650 * DAY);
    }

    #[test]
    fn an_example_that_is_no_package_is_named_and_leaves_nothing() {
        let data = tempfile::tempdir().unwrap();
        let bad = [package("a", "not a version", "x")];
        let error = ensure(&bad, data.path(), NOW, &SystemRandom::new()).unwrap_err();
        assert!(
            error.to_string().contains("a/microsite_manifest.yaml"),
            "{error}"
        );
        let good = [package("a", "1.0.0", "x")];
        ensure(&good, data.path(), NOW, &SystemRandom::new()).unwrap();
        assert_eq!(
            fs::read_dir(data.path().join("registries"))
                .unwrap()
                .count(),
            1
        );
    }
}
