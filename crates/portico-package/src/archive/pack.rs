//! Writes archives. The same files and key give the same bytes.

use std::{collections::BTreeMap, io::Write};

use tar::{EntryType, Header};

use super::{
    ALGORITHM, ArchiveError, INDEX, INDEX_FORMAT, Index, IndexedFile, Limits, MANIFEST, SIGNATURE,
    SignatureEntry, WINDOW_LOG,
    names::{BadName, Names, authors_name},
    read::matches_source,
};
use crate::{Digest, Manifest, canonical, signature::SigningKey};

/// Packages are small and packed once: a slow level that still packs a megabyte in a blink.
const LEVEL: i32 = 12;

/// Packs `files` (paths inside the package → content), of which one is the `microsite_manifest.yaml`
/// that `manifest` was read from, and signs the result.
///
/// # Errors
/// Everything that [`verify`](super::verify) would refuse with the default limits.
pub fn pack(
    files: &BTreeMap<String, Vec<u8>>,
    manifest: &Manifest,
    key: &SigningKey,
) -> Result<Vec<u8>, ArchiveError> {
    check(files, manifest)?;
    let manifest_json = manifest
        .to_json()
        .map_err(|e| ArchiveError::Index(e.to_string()))?;
    let index = Index {
        format_version: INDEX_FORMAT,
        id: manifest.id.clone(),
        version: manifest.version.clone(),
        manifest: Digest::of(&manifest_json),
        files: files
            .iter()
            .map(|(name, content)| {
                let file = IndexedFile {
                    sha256: Digest::of(content),
                    size: content.len() as u64,
                };
                (name.clone(), file)
            })
            .collect(),
    };
    let json = |e: serde_json::Error| ArchiveError::Index(e.to_string());
    let index = canonical::to_vec(&index).map_err(json)?;
    let signature = canonical::to_vec(&SignatureEntry {
        keyid: key.key_id(),
        algorithm: ALGORITHM.into(),
        signature: hex::encode(key.sign(&index)),
    })
    .map_err(json)?;
    let mut tar = Vec::new();
    let own = [
        (INDEX, &index),
        (MANIFEST, &manifest_json),
        (SIGNATURE, &signature),
    ];
    let authors = files.iter().map(|(name, content)| (name.as_str(), content));
    for (name, content) in own.into_iter().chain(authors) {
        append(&mut tar, name, content)?;
    }
    tar.extend_from_slice(&[0; 1024]);
    let archive = compress(&tar).map_err(|e| ArchiveError::Compression(e.to_string()))?;
    let (found, limit) = (archive.len() as u64, Limits::default().archive);
    if found > limit {
        return Err(ArchiveError::ArchiveTooLarge { found, limit });
    }
    Ok(archive)
}

fn check(files: &BTreeMap<String, Vec<u8>>, manifest: &Manifest) -> Result<(), ArchiveError> {
    let limits = Limits::default();
    let mut names = Names::default();
    if files.len() + 3 > limits.entries {
        return Err(ArchiveError::TooManyEntries {
            limit: limits.entries,
        });
    }
    for (name, content) in files {
        authors_name(name)?;
        names.file(name)?;
        let found = content.len() as u64;
        if found > limits.file {
            let (name, limit) = (name.clone(), limits.file);
            return Err(ArchiveError::FileTooLarge { name, found, limit });
        }
    }
    if super::total(files) > limits.total {
        return Err(ArchiveError::TotalTooLarge {
            limit: limits.total,
        });
    }
    matches_source(manifest, files)
}

/// One entry: header, content, zeros up to the next block. Everything of the header that does not
/// say what the file is stays fixed.
fn append(tar: &mut Vec<u8>, name: &str, content: &[u8]) -> Result<(), ArchiveError> {
    let too_long = || ArchiveError::Name {
        name: name.into(),
        why: BadName::TooLong,
    };
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let (prefix, rest) = split(name).ok_or_else(too_long)?;
    let ustar = header.as_ustar_mut().ok_or_else(too_long)?;
    ustar.name[..rest.len()].copy_from_slice(rest.as_bytes());
    ustar.prefix[..prefix.len()].copy_from_slice(prefix.as_bytes());
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    Ok(())
}

/// Splits a name into the two fields of the header, at the last `/` that leaves a prefix that fits.
fn split(name: &str) -> Option<(&str, &str)> {
    const NAME: usize = 100;
    const PREFIX: usize = 155;
    if name.len() <= NAME {
        return Some(("", name));
    }
    name.match_indices('/')
        .map(|(at, _)| (&name[..at], &name[at + 1..]))
        .rfind(|(prefix, rest)| prefix.len() <= PREFIX && rest.len() <= NAME)
}

fn compress(tar: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.window_log(WINDOW_LOG)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(tar.len() as u64))?;
    encoder.include_contentsize(true)?;
    encoder.write_all(tar)?;
    encoder.finish()
}
