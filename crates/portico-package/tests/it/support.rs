//! A small package, and archives put together entry by entry.

use std::{collections::BTreeMap, io::Write};

use portico_package::{Digest, Manifest, archive, canonical, manifest, signature::SigningKey};
use serde_json::json;

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) const MANIFEST: &str = r#"
manifest_version: "1.0"
microsite:
  id: hello
  name: Hello
  version: 1.2.0
  path: /hello
  icon: static/logo.svg
  config_schema:
    type: object
    properties:
      ratio: {type: number, default: 0.1}
permissions:
  - api:schedules:read
"#;

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed([1; 32]).unwrap()
}

pub(crate) fn other_key() -> SigningKey {
    SigningKey::from_seed([2; 32]).unwrap()
}

pub(crate) fn files() -> Files {
    [
        (manifest::FILE_NAME, MANIFEST.as_bytes()),
        ("templates/index.html", b"<h1>Hello</h1>\n".as_slice()),
        ("static/logo.svg", b"<svg/>"),
        ("static/empty.txt", b""),
    ]
    .map(|(name, content)| (name.to_owned(), content.to_vec()))
    .into()
}

pub(crate) fn read_manifest(files: &Files) -> Manifest {
    let (manifest, findings) = manifest::read::from_files(files);
    manifest.unwrap_or_else(|| panic!("{findings}"))
}

pub(crate) fn packed() -> Vec<u8> {
    archive::pack(&files(), &read_manifest(&files()), &key()).unwrap()
}

/// One tar entry, freely made.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) name: Vec<u8>,
    pub(crate) prefix: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) link: Vec<u8>,
    pub(crate) content: Vec<u8>,
    pub(crate) magic: [u8; 8],
}

pub(crate) fn entry(name: &str, content: &[u8]) -> Raw {
    Raw {
        name: name.into(),
        prefix: Vec::new(),
        kind: b'0',
        link: Vec::new(),
        content: content.into(),
        magic: *b"ustar\x0000",
    }
}

impl Raw {
    pub(crate) fn kind(self, kind: u8) -> Self {
        Self { kind, ..self }
    }

    pub(crate) fn link(self, link: &str) -> Self {
        Self {
            link: link.into(),
            ..self
        }
    }

    pub(crate) fn gnu(self) -> Self {
        Self {
            magic: *b"ustar  \0",
            ..self
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut block = [0u8; 512];
        block[..self.name.len()].copy_from_slice(&self.name);
        block[100..107].copy_from_slice(b"0000644");
        block[124..135].copy_from_slice(format!("{:011o}", self.content.len()).as_bytes());
        block[136..147].copy_from_slice(b"00000000000");
        block[156] = self.kind;
        block[157..157 + self.link.len()].copy_from_slice(&self.link);
        block[257..265].copy_from_slice(&self.magic);
        block[345..345 + self.prefix.len()].copy_from_slice(&self.prefix);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&block);
        out.extend_from_slice(&self.content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
}

pub(crate) fn tar(entries: &[Raw]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        entry.write(&mut out);
    }
    out.extend_from_slice(&[0; 1024]);
    out
}

pub(crate) fn zstd(tar: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn unzstd(archive: &[u8]) -> Vec<u8> {
    zstd::decode_all(archive).unwrap()
}

/// The portal's own three entries, rightly signed over whatever `files` say.
pub(crate) fn own_entries(files: &[(&str, &[u8])]) -> Vec<Raw> {
    let manifest = read_manifest(&self::files()).to_json().unwrap();
    let indexed: serde_json::Map<_, _> = files
        .iter()
        .map(|(name, content)| {
            let file = json!({"sha256": Digest::of(content), "size": content.len()});
            ((*name).to_owned(), file)
        })
        .collect();
    let index = canonical::to_vec(&json!({
        "format_version": 1,
        "id": "hello",
        "version": "1.2.0",
        "manifest": Digest::of(&manifest),
        "files": indexed,
    }))
    .unwrap();
    signed(&index, &manifest)
}

pub(crate) fn signed(index: &[u8], manifest: &[u8]) -> Vec<Raw> {
    let signature = canonical::to_vec(&json!({
        "keyid": key().key_id(),
        "algorithm": "ed25519",
        "signature": hex::encode(key().sign(index)),
    }))
    .unwrap();
    vec![
        entry(archive::INDEX, index),
        entry(archive::MANIFEST, manifest),
        entry(archive::SIGNATURE, &signature),
    ]
}
