//! Packages made by hand: a folder, a `.zip` or a `.tar.gz`, read into the files of a package.
//!
//! What comes out is packed and signed again, so nothing of the container matters but names and
//! bytes. Everything is read in memory: nothing is unpacked to disk.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
};

use portico_package::{
    archive::{
        Limits,
        names::{self, BadName},
    },
    manifest,
};

/// Files of a package by path inside it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Why it was not read.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Neither a folder nor a known container.
    #[error("{0} is neither a folder nor a .zip, .tar.gz, .tgz or .tar file")]
    Unknown(String),
    /// The container is damaged.
    #[error("{container} cannot be read as {kind}: {reason}")]
    Damaged {
        /// Which container.
        container: String,
        /// `zip` or `tar`.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A name that could mean another place.
    #[error("the name `{name}` {reason}")]
    Name {
        /// As written, with odd characters escaped.
        name: String,
        /// Which rule it breaks.
        reason: BadName,
    },
    /// Not a plain file.
    #[error("`{name}` is {kind}; a package holds plain files only")]
    NotAFile {
        /// Which entry.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// Twice the same name.
    #[error("`{0}` is there twice")]
    Duplicate(String),
    /// Larger than a package may be.
    #[error("{what} is more than the {limit} {unit} that are allowed")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How much is allowed.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// It has no manifest.
    #[error("there is no {} at the top of it", manifest::FILE_NAME)]
    NoManifest,
}

impl ForeignError {
    /// Stable code for the API and for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "package-file",
            Self::Unknown(_) => "package-unknown-format",
            Self::Damaged { .. } => "package-damaged",
            Self::Name { .. } => "package-bad-name",
            Self::NotAFile { .. } => "package-not-a-file",
            Self::Duplicate(_) => "package-duplicate-name",
            Self::TooLarge { .. } => "package-too-large",
            Self::NoManifest => "package-no-manifest",
        }
    }
}

/// Reads a folder or a container file. One folder around everything is left out; so are files and
/// folders whose name begins with a dot.
pub fn read(path: &Path, limits: &Limits) -> Result<Files, ForeignError> {
    let failed = |source| ForeignError::File {
        path: path.to_owned(),
        source,
    };
    let info = fs::metadata(path).map_err(failed)?;
    if info.is_dir() {
        let mut into = Collected::new(limits);
        folder(path, "", &mut into)?;
        return into.finish();
    }
    if info.len() > limits.archive {
        return Err(too_large(path.display().to_string(), limits.archive));
    }
    read_bytes(
        &path.to_string_lossy(),
        fs::read(path).map_err(failed)?,
        limits,
    )
}

/// Reads a container from memory; `name` is for messages, the content decides what it is.
pub fn read_bytes(name: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Files, ForeignError> {
    if bytes.len() as u64 > limits.archive {
        return Err(too_large(name.to_owned(), limits.archive));
    }
    let mut into = Collected::new(limits);
    if bytes.starts_with(b"PK\x03\x04") {
        zip(name, bytes, &mut into)?;
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        tar(
            name,
            flate2::read::GzDecoder::new(Cursor::new(bytes)),
            &mut into,
        )?;
    } else if bytes.get(257..262) == Some(b"ustar") {
        tar(name, Cursor::new(bytes), &mut into)?;
    } else {
        return Err(ForeignError::Unknown(name.to_owned()));
    }
    into.finish()
}

/// What was read so far, under limits.
struct Collected<'l> {
    files: Files,
    left: u64,
    limits: &'l Limits,
}

impl<'l> Collected<'l> {
    fn new(limits: &'l Limits) -> Self {
        Self {
            files: Files::new(),
            left: limits.total,
            limits,
        }
    }

    /// The checked name, or `None` when it is left out.
    fn name<'n>(&self, raw: &'n [u8]) -> Result<Option<&'n str>, ForeignError> {
        // What `tar` and some zip programs write for "this folder".
        let raw = raw.strip_prefix(b"./").unwrap_or(raw);
        let name = names::check(raw).map_err(|reason| ForeignError::Name {
            name: String::from_utf8_lossy(raw)
                .escape_debug()
                .take(300)
                .collect(),
            reason,
        })?;
        let hidden = name
            .split('/')
            .any(|part| part.starts_with('.') || part == "__MACOSX");
        Ok((!hidden).then_some(name))
    }

    fn add(&mut self, name: &str, source: &mut dyn Read) -> Result<(), ForeignError> {
        if self.files.len() >= self.limits.entries {
            return Err(ForeignError::TooLarge {
                what: "it".into(),
                limit: self.limits.entries as u64,
                unit: "files",
            });
        }
        let limit = self.left.min(self.limits.file);
        let mut bytes = Vec::new();
        source
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| ForeignError::Damaged {
                container: name.to_owned(),
                kind: "a file",
                reason: e.to_string(),
            })?;
        let size = bytes.len() as u64;
        if size > self.limits.file {
            return Err(too_large(format!("`{name}`"), self.limits.file));
        }
        self.left = self
            .left
            .checked_sub(size)
            .ok_or_else(|| too_large("the content".into(), self.limits.total))?;
        if self.files.insert(name.to_owned(), bytes).is_some() {
            return Err(ForeignError::Duplicate(name.to_owned()));
        }
        Ok(())
    }

    /// Leaves out one folder around everything.
    fn finish(self) -> Result<Files, ForeignError> {
        if self.files.contains_key(manifest::FILE_NAME) {
            return Ok(self.files);
        }
        let first = self
            .files
            .keys()
            .next()
            .and_then(|name| name.split_once('/'));
        let Some((top, _)) = first else {
            return Err(ForeignError::NoManifest);
        };
        let top = format!("{top}/");
        let inner: Option<Files> = self
            .files
            .iter()
            .map(|(name, bytes)| Some((name.strip_prefix(&top)?.to_owned(), bytes.clone())))
            .collect();
        inner
            .filter(|files| files.contains_key(manifest::FILE_NAME))
            .ok_or(ForeignError::NoManifest)
    }
}

fn folder(path: &Path, prefix: &str, into: &mut Collected<'_>) -> Result<(), ForeignError> {
    let failed = |source| ForeignError::File {
        path: path.to_owned(),
        source,
    };
    let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let full = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // Before anything else: what is hidden is not looked at, whatever it is.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            folder(&entry.path(), &format!("{full}/"), into)?;
        } else if kind.is_file() {
            let raw = [prefix.as_bytes(), entry.file_name().as_encoded_bytes()].concat();
            if let Some(name) = into.name(&raw)? {
                into.add(name, &mut fs::File::open(entry.path()).map_err(failed)?)?;
            }
        } else {
            let kind = if kind.is_symlink() {
                "a link"
            } else {
                "a device or a pipe"
            };
            return Err(ForeignError::NotAFile { name: full, kind });
        }
    }
    Ok(())
}

fn zip(container: &str, bytes: Vec<u8>, into: &mut Collected<'_>) -> Result<(), ForeignError> {
    let damaged = |e: zip::result::ZipError| ForeignError::Damaged {
        container: container.to_owned(),
        kind: "zip",
        reason: e.to_string(),
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(damaged)?;
        let raw = file.name_raw().to_vec();
        if raw.ends_with(b"/") {
            continue;
        }
        let Some(name) = into.name(&raw)? else {
            continue;
        };
        if file.is_symlink() {
            return Err(ForeignError::NotAFile {
                name: name.to_owned(),
                kind: "a link",
            });
        }
        into.add(name, &mut file)?;
    }
    Ok(())
}

fn tar(container: &str, source: impl Read, into: &mut Collected<'_>) -> Result<(), ForeignError> {
    let damaged = |e: io::Error| ForeignError::Damaged {
        container: container.to_owned(),
        kind: "tar",
        reason: e.to_string(),
    };
    // Padding and headers come on top of the files, so the stream has a ceiling of its own.
    let ceiling = into
        .limits
        .total
        .saturating_add(into.limits.entries as u64 * 4096);
    let mut archive = tar::Archive::new(source.take(ceiling));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        let raw = entry.path_bytes().into_owned();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let Some(name) = into.name(&raw)? else {
            continue;
        };
        if !kind.is_file() {
            let kind = if kind.is_symlink() || kind.is_hard_link() {
                "a link"
            } else {
                "not a plain file"
            };
            return Err(ForeignError::NotAFile {
                name: name.to_owned(),
                kind,
            });
        }
        into.add(name, &mut entry)?;
    }
    Ok(())
}

fn too_large(what: String, limit: u64) -> ForeignError {
    ForeignError::TooLarge {
        what,
        limit,
        unit: "bytes",
    }
}
