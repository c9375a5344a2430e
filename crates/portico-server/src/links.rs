//! Links of the configuration (`microsite_type: external`), made into packages so that they are planned,
//! remembered and shown like everything else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use portico_package::{
    Digest, PackageId, Release, archive, manifest,
    signature::{PublicKey, SigningKey},
};
use portico_plan::inventory::Catalogue;
use portico_registry::Index;

use crate::reload::{CONFIGURATION, Link};

/// Signs nothing that matters: whoever writes the configuration is trusted with it, and the key never
/// counts for another registry.
const SEED: [u8; 32] = *b"portico: links of a config file.";

/// Releases made from links, with their archives.
#[derive(Default)]
pub(crate) struct Links {
    releases: Vec<Arc<Release>>,
    archives: BTreeMap<Digest, Bytes>,
}

impl Links {
    /// One release for each link; what cannot be one is logged and left out.
    pub(crate) fn make(links: &[Link]) -> Self {
        let mut made = Self::default();
        for link in links {
            match Self::one(link) {
                Ok((release, archive)) => {
                    made.archives.insert(release.digest, archive);
                    made.releases.push(Arc::new(release));
                }
                Err(reason) => {
                    tracing::error!(link = %link.id, reason, "a link of the configuration cannot be shown")
                }
            }
        }
        made
    }

    fn one(link: &Link) -> Result<(Release, Bytes), String> {
        let key = SigningKey::from_seed(SEED).map_err(|e| e.to_string())?;
        // JSON is YAML; written this way no text of the file can be anything but text.
        let yaml = serde_json::json!({
            "manifest_version": "1.0",
            "microsite": {
                "id": link.id, "name": link.name, "version": "1.0.0", "type": "external",
                "path": link.url, "description": link.description,
            },
        });
        let files = BTreeMap::from([(
            "microsite_manifest.yaml".to_owned(),
            yaml.to_string().into_bytes(),
        )]);
        let (manifest, found) = manifest::read::from_files(&files);
        let manifest = manifest.ok_or_else(|| found.to_string())?;
        let bytes = archive::pack(&files, &manifest, &key).map_err(|e| e.to_string())?;
        let release = Release {
            registry: CONFIGURATION.into(),
            target: archive::target_path(&manifest.id, &manifest.version),
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            unpacked_size: files.values().map(|f| f.len() as u64).sum(),
            publisher: key.key_id(),
            manifest,
        };
        Ok((release, bytes.into()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.releases.is_empty()
    }

    pub(crate) fn archive(&self, digest: &Digest) -> Option<Bytes> {
        self.archives.get(digest).cloned()
    }

    /// The key that links are signed with.
    pub(crate) fn publisher() -> Option<PublicKey> {
        SigningKey::from_seed(SEED).ok().map(|key| key.public_key())
    }
}

/// The catalogue with the links in front: what the configuration calls by an id is that.
pub(crate) struct WithLinks {
    pub(crate) index: Arc<Index>,
    pub(crate) links: Arc<Links>,
}

impl Catalogue for WithLinks {
    fn releases(&self, id: &PackageId) -> Vec<Arc<Release>> {
        let mine: Vec<_> = self
            .links
            .releases
            .iter()
            .filter(|r| r.manifest.id == *id)
            .cloned()
            .collect();
        if mine.is_empty() {
            self.index.releases(id)
        } else {
            mine
        }
    }

    fn ids(&self) -> Vec<PackageId> {
        let mine = self.links.releases.iter().map(|r| r.manifest.id.clone());
        let all: BTreeSet<_> = self.index.ids().into_iter().chain(mine).collect();
        all.into_iter().collect()
    }

    fn by_digest(&self, digest: &Digest) -> Option<Arc<Release>> {
        self.links
            .releases
            .iter()
            .find(|r| r.digest == *digest)
            .cloned()
            .or_else(|| self.index.by_digest(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(url: &str) -> Link {
        Link {
            id: "sz_docs_main".parse().unwrap(),
            name: "Docs: \"main\"".into(),
            url: url.into(),
            description: "Main product documentation".into(),
        }
    }

    #[test]
    fn a_link_becomes_a_release_that_verifies() {
        let links = Links::make(&[link("https://docs.example.org")]);
        let release = &links.releases[0];
        assert_eq!(
            release.manifest.path.as_deref(),
            Some("https://docs.example.org")
        );
        assert_eq!(release.manifest.name.as_str(), "Docs: \"main\"");
        let bytes = links.archive(&release.digest).unwrap();
        let keys = [Links::publisher().unwrap()];
        let expected = Some((release.digest, release.size));
        let package =
            archive::verify(&bytes, expected, &keys, &archive::Limits::default()).unwrap();
        assert_eq!(*package.manifest(), release.manifest);
    }

    #[test]
    fn a_link_that_runs_code_is_left_out() {
        assert!(Links::make(&[link("javascript:alert(1)")]).is_empty());
    }
}
