//! Reads archives of strangers.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use tar::{Archive, Entry, Header};

use super::{
    ALGORITHM, ArchiveError, INDEX, INDEX_FORMAT, Index, Inspected, Limits, MANIFEST, SIGNATURE,
    SignatureEntry, VerifiedPackage,
    names::{self, BadName, Names, authors_name},
    stream::{OWN_ENTRY_LIMIT, State, Stream, end},
};
use crate::{Digest, Manifest, canonical, manifest, signature::PublicKey};

/// Checks an archive against what its registry signed (digest and size, where there is a registry)
/// and against the keys of publishers, and reads it.
///
/// # Errors
/// The first thing that is wrong; nothing of the archive may be used then.
pub fn verify(
    bytes: &[u8],
    expected: Option<(Digest, u64)>,
    keys: &[PublicKey],
    limits: &Limits,
) -> Result<VerifiedPackage, ArchiveError> {
    if let Some((_, size)) = expected
        && size != bytes.len() as u64
    {
        return Err(ArchiveError::SizeMismatch {
            expected: size,
            found: bytes.len() as u64,
        });
    }
    let within = within_limit(bytes, limits);
    let digest = Digest::of(bytes);
    if let Some((expected, _)) = expected
        && expected != digest
    {
        return Err(ArchiveError::DigestMismatch {
            expected,
            found: digest,
        });
    }
    within?;
    let contents = read(bytes, limits, Some(keys))?;
    Ok(VerifiedPackage {
        manifest: contents.manifest,
        digest,
        publisher: contents.key_id,
        files: contents.files,
    })
}

/// Reads an archive without asking who signed it: to show it, or to publish it.
///
/// # Errors
/// As [`verify`], except what concerns keys.
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<Inspected, ArchiveError> {
    within_limit(bytes, limits)?;
    let contents = read(bytes, limits, None)?;
    Ok(Inspected {
        manifest: contents.manifest,
        digest: Digest::of(bytes),
        claimed_publisher: contents.key_id,
        files: contents.files,
    })
}

fn within_limit(bytes: &[u8], limits: &Limits) -> Result<(), ArchiveError> {
    let (found, limit) = (bytes.len() as u64, limits.archive);
    if found > limit {
        Err(ArchiveError::ArchiveTooLarge { found, limit })
    } else {
        Ok(())
    }
}

struct Contents {
    manifest: Manifest,
    key_id: String,
    files: BTreeMap<String, Vec<u8>>,
}

fn read(
    bytes: &[u8],
    limits: &Limits,
    keys: Option<&[PublicKey]>,
) -> Result<Contents, ArchiveError> {
    let state = State::default();
    let mut archive = Archive::new(Stream::open(bytes, limits, &state)?);
    let contents = entries(&mut archive, limits, keys, &state)?;
    end(archive.into_inner(), &state)?;
    let manifest = contents.manifest()?;
    matches_source(&manifest, &contents.files)?;
    Ok(Contents {
        manifest,
        key_id: contents.key_id,
        files: contents.files,
    })
}

/// What was read, not yet held against each other.
struct Parts {
    index: Index,
    manifest: Vec<u8>,
    key_id: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Parts {
    fn manifest(&self) -> Result<Manifest, ArchiveError> {
        if Digest::of(&self.manifest) != self.index.manifest {
            return Err(ArchiveError::FileMismatch {
                name: MANIFEST.into(),
            });
        }
        let manifest = Manifest::from_json(&self.manifest)?;
        if manifest.id != self.index.id {
            return Err(ArchiveError::ManifestMismatch("`id`".into()));
        }
        if manifest.version != self.index.version {
            return Err(ArchiveError::ManifestMismatch("`version`".into()));
        }
        Ok(manifest)
    }
}

fn entries(
    archive: &mut Archive<Stream<'_>>,
    limits: &Limits,
    keys: Option<&[PublicKey]>,
    state: &State,
) -> Result<Parts, ArchiveError> {
    let broken = |e: io::Error| state.explain(e);
    let mut entries = archive.entries().map_err(broken)?.raw(true);
    let mut own = |expected: &'static str| {
        let entry = entries
            .next()
            .ok_or(ArchiveError::Truncated)?
            .map_err(broken)?;
        let header = checked_header(entry.header())?;
        if header.folder || header.name != expected {
            let found = format!("`{}`", header.name);
            return Err(ArchiveError::NotAPackage { expected, found });
        }
        content(entry, &header, OWN_ENTRY_LIMIT, state)
    };
    let index_bytes = own(INDEX)?;
    let manifest = own(MANIFEST)?;
    let signature = own(SIGNATURE)?;
    // The index is read before its signature is checked, because a wrong key should be named
    // together with a readable package; nothing is done with it until then.
    let index = index(&index_bytes, limits)?;
    let key_id = signer(&signature, &index_bytes, keys)?;

    let mut names = Names::default();
    let mut expected = index.files.iter();
    let mut files = BTreeMap::new();
    let mut count = 3;
    for entry in entries {
        let entry = entry.map_err(broken)?;
        count += 1;
        if count > limits.entries {
            return Err(ArchiveError::TooManyEntries {
                limit: limits.entries,
            });
        }
        let header = checked_header(entry.header())?;
        if header.folder {
            names.folder(&header.name)?;
            continue;
        }
        names.file(&header.name)?;
        let name = header.name.clone();
        if !index.files.contains_key(&name) {
            return Err(ArchiveError::NotIndexed { name });
        }
        let signed = match expected.next() {
            Some((next, signed)) if *next == name => signed,
            Some((missing, _)) => {
                return Err(ArchiveError::MissingFile {
                    name: missing.clone(),
                });
            }
            None => return Err(ArchiveError::NotIndexed { name }),
        };
        if header.size != signed.size {
            return Err(ArchiveError::FileMismatch { name });
        }
        let content = content(entry, &header, limits.file, state)?;
        if Digest::of(&content) != signed.sha256 {
            return Err(ArchiveError::FileMismatch { name });
        }
        files.insert(name, content);
    }
    // The iterator also ends where the stream does; `end` tells a cut from an end.
    state.check()?;
    match expected.next() {
        Some(_) if state.is_at_end() => Err(ArchiveError::Truncated),
        Some((missing, _)) => Err(ArchiveError::MissingFile {
            name: missing.clone(),
        }),
        None => Ok(Parts {
            index,
            manifest,
            key_id,
            files,
        }),
    }
}

fn index(bytes: &[u8], limits: &Limits) -> Result<Index, ArchiveError> {
    #[derive(serde::Deserialize)]
    struct Version {
        format_version: u64,
    }
    let unreadable = |e: serde_json::Error| ArchiveError::Index(e.to_string());
    let found = serde_json::from_slice::<Version>(bytes)
        .map_err(unreadable)?
        .format_version;
    if found != u64::from(INDEX_FORMAT) {
        return Err(ArchiveError::Format { found });
    }
    let index: Index = serde_json::from_slice(bytes).map_err(unreadable)?;
    if canonical::to_vec(&index).map_err(unreadable)? != bytes {
        return Err(ArchiveError::Index("it is not canonical JSON".into()));
    }
    if index.files.len() + 3 > limits.entries {
        return Err(ArchiveError::TooManyEntries {
            limit: limits.entries,
        });
    }
    let mut total = 0u64;
    for (name, file) in &index.files {
        authors_name(name)?;
        if file.size > limits.file {
            let (name, found, limit) = (name.clone(), file.size, limits.file);
            return Err(ArchiveError::FileTooLarge { name, found, limit });
        }
        total = total.saturating_add(file.size);
    }
    if total > limits.total {
        return Err(ArchiveError::TotalTooLarge {
            limit: limits.total,
        });
    }
    Ok(index)
}

/// The key id that signed the index; checked where `keys` are given.
fn signer(entry: &[u8], index: &[u8], keys: Option<&[PublicKey]>) -> Result<String, ArchiveError> {
    let unreadable = |why: String| ArchiveError::SignatureEntry(why);
    let json = |e: serde_json::Error| unreadable(e.to_string());
    let bytes = entry;
    let entry: SignatureEntry = serde_json::from_slice(bytes).map_err(json)?;
    if canonical::to_vec(&entry).map_err(json)? != bytes {
        return Err(unreadable("it is not canonical JSON".into()));
    }
    if entry.algorithm != ALGORITHM {
        return Err(unreadable(format!(
            "the algorithm is `{}`, not `{ALGORITHM}`",
            entry.algorithm
        )));
    }
    let key_id = entry.keyid;
    if !is_hex(&key_id, 64) {
        return Err(unreadable("the key id is not 64 hexadecimal digits".into()));
    }
    let mut signature = [0; 64];
    if !is_hex(&entry.signature, 128)
        || hex::decode_to_slice(&entry.signature, &mut signature).is_err()
    {
        return Err(unreadable(
            "the signature is not 128 hexadecimal digits".into(),
        ));
    }
    if let Some(keys) = keys {
        match keys.iter().find(|key| key.key_id() == key_id) {
            None => return Err(ArchiveError::UnknownKey { key_id }),
            Some(key) if !key.verify(index, &signature) => {
                return Err(ArchiveError::BadSignature { key_id });
            }
            Some(_) => {}
        }
    }
    Ok(key_id)
}

/// Lower case only: one archive has one form.
fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What counts of a header.
struct CheckedHeader {
    name: String,
    folder: bool,
    size: u64,
}

/// Accepts files and folders with POSIX ustar headers and refuses everything else by its own name.
fn checked_header(header: &Header) -> Result<CheckedHeader, ArchiveError> {
    let shown = || shown_name(header);
    let kind = header.as_old().linkflag[0];
    match kind {
        b'L' | b'K' => return Err(ArchiveError::GnuLongName { name: shown() }),
        b'x' | b'g' | b'X' => return Err(ArchiveError::PaxHeader { name: shown() }),
        _ => {}
    }
    let ustar = header
        .as_ustar()
        .ok_or_else(|| ArchiveError::NotUstar { name: shown() })?;
    match kind {
        b'0' | b'5' => {}
        b'1' => return Err(ArchiveError::HardLink { name: shown() }),
        b'2' => return Err(ArchiveError::SymbolicLink { name: shown() }),
        other => {
            let kind = format!("`{}`", other.escape_ascii());
            return Err(ArchiveError::SpecialFile {
                name: shown(),
                kind,
            });
        }
    }
    let bad = |why| ArchiveError::Name { name: shown(), why };
    let (prefix, rest) = (
        field(&ustar.prefix).map_err(bad)?,
        field(&ustar.name).map_err(bad)?,
    );
    let mut raw = prefix.to_vec();
    if !raw.is_empty() {
        raw.push(b'/');
    }
    raw.extend_from_slice(rest);
    let folder = kind == b'5';
    if folder && raw.last() == Some(&b'/') {
        raw.pop();
    }
    let name = names::check(&raw).map_err(bad)?.to_owned();
    let size = header
        .entry_size()
        .map_err(|e| ArchiveError::Tar(e.to_string()))?;
    if folder && size != 0 {
        return Err(ArchiveError::Tar(format!(
            "the folder `{name}` has a content"
        )));
    }
    Ok(CheckedHeader { name, folder, size })
}

/// A field up to its first NUL, behind which nothing may stand.
fn field(bytes: &[u8]) -> Result<&[u8], BadName> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    if rest.iter().all(|b| *b == 0) {
        Ok(text)
    } else {
        Err(BadName::Nul)
    }
}

fn shown_name(header: &Header) -> String {
    let bytes = header.path_bytes();
    let name: String = bytes.escape_ascii().to_string();
    name.chars().take(120).collect()
}

/// The content of an entry. The buffer grows with what is read, not with what the header claims.
fn content(
    mut entry: Entry<'_, Stream<'_>>,
    header: &CheckedHeader,
    limit: u64,
    state: &State,
) -> Result<Vec<u8>, ArchiveError> {
    let (name, found) = (header.name.clone(), header.size);
    if found > limit {
        return Err(ArchiveError::FileTooLarge { name, found, limit });
    }
    let mut out = Vec::new();
    entry.read_to_end(&mut out).map_err(|e| state.explain(e))?;
    if out.len() as u64 == found {
        Ok(out)
    } else {
        Err(ArchiveError::Truncated)
    }
}

/// Whether the author's manifest among `files` normalises to `manifest`.
pub(super) fn matches_source(
    manifest: &Manifest,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<(), ArchiveError> {
    let (source, findings) = manifest::read::from_files(files);
    let Some(source) = source else {
        return Err(ArchiveError::Source(findings));
    };
    // Both take the way through JSON, so that numbers are compared as they are stored.
    let stored = |m: &Manifest| -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(&m.to_json()?)
    };
    let unreadable = |e: serde_json::Error| ArchiveError::Index(e.to_string());
    let (source, manifest) = (
        stored(&source).map_err(unreadable)?,
        stored(manifest).map_err(unreadable)?,
    );
    if source == manifest {
        return Ok(());
    }
    let keys = |v: &serde_json::Value| -> Vec<String> {
        v.as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    };
    let differing = keys(&source)
        .into_iter()
        .chain(keys(&manifest))
        .find(|key| source.get(key) != manifest.get(key))
        .unwrap_or_default();
    Err(ArchiveError::ManifestMismatch(format!(
        "`{differing}` of `{}`",
        manifest::FILE_NAME
    )))
}
