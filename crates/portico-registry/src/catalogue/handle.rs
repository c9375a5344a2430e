//! The index that changes while the portal runs.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::join_all;
use portico_host::Timestamp;
use portico_package::{Digest, PackageId, Release, signature::PublicKey};
use portico_plan::inventory::Catalogue;

use super::{Index, Part, RegistryProblem, RegistryStatus, known};
use crate::{RegistryError, client::Registry, listing::Listing};

/// The trusted registries and the index over them. Readers take the [`Index`] and never wait;
/// refreshing replaces it.
#[derive(Debug)]
pub struct CatalogueHandle {
    index: ArcSwap<Index>,
    entries: Mutex<Vec<Entry>>,
    /// One refresh at a time: two would ask the registries twice and write the floor twice.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Entry {
    registry: Arc<Registry>,
    part: Part,
}

impl Entry {
    fn new(registry: Arc<Registry>) -> Self {
        let status = RegistryStatus {
            name: registry.name().to_owned(),
            location: registry.location().to_owned(),
            bundled: registry.is_bundled(),
            refreshed_at: None,
            valid_until: None,
            packages: 0,
            versions: 0,
            error: None,
        };
        Self {
            registry,
            part: Part {
                status,
                listing: None,
                reserved: Arc::default(),
            },
        }
    }

    fn offer(&mut self, listing: Arc<Listing>) {
        self.reserve(&listing);
        self.part.status.packages = self.part.reserved.len();
        self.part.status.versions = listing.releases.len();
        self.part.status.valid_until = Some(listing.valid_until);
        self.part.listing = Some(listing);
    }

    fn reserve(&mut self, listing: &Listing) {
        let ids = listing.releases.iter().map(|r| r.manifest.id.clone());
        self.part.reserved = Arc::new(ids.collect());
    }

    fn withdraw(&mut self) {
        self.part.status.packages = 0;
        self.part.status.versions = 0;
        self.part.listing = None;
    }
}

impl CatalogueHandle {
    /// An index over `registries`, in order of precedence. It is empty until the first
    /// [`refresh_all`](Self::refresh_all).
    pub fn new(registries: Vec<Arc<Registry>>) -> Self {
        let this = Self {
            index: ArcSwap::default(),
            entries: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
        };
        this.set_registries(registries);
        this
    }

    /// Replaces the registries (`trust add`, `trust remove`, reload). What is known of those that
    /// stay (the same [`Arc`]) stays known.
    pub fn set_registries(&self, registries: Vec<Arc<Registry>>) {
        let mut entries = self.entries();
        let before = std::mem::take(&mut *entries);
        *entries = registries
            .into_iter()
            .map(|registry| {
                let known = before.iter().find(|e| Arc::ptr_eq(&e.registry, &registry));
                known.cloned().unwrap_or_else(|| Entry::new(registry))
            })
            .collect();
        self.publish(&entries);
    }

    /// The registries, in order.
    pub fn registries(&self) -> Vec<Arc<Registry>> {
        self.entries()
            .iter()
            .map(|entry| Arc::clone(&entry.registry))
            .collect()
    }

    /// The current index; it does not change under the caller.
    pub fn index(&self) -> Arc<Index> {
        self.index.load_full()
    }

    /// Reads every registry as of `now`, all at once, and replaces the index. One that fails keeps
    /// what it offered, as long as that may be believed; the reason is in its status.
    pub async fn refresh_all(&self, now: Timestamp) -> Arc<Index> {
        self.refresh(now, |_| true).await;
        self.index()
    }

    /// Reads one registry as of `now`.
    pub async fn refresh_one(&self, name: &str, now: Timestamp) -> Result<(), RegistryError> {
        self.registry(name)?;
        match self.refresh(now, |registry| registry.name() == name).await {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Answers the last error.
    async fn refresh(
        &self,
        now: Timestamp,
        wanted: impl Fn(&Registry) -> bool,
    ) -> Option<RegistryError> {
        let _one = self.refreshing.lock().await;
        let before: Vec<Entry> = self
            .entries()
            .iter()
            .filter(|e| wanted(&e.registry))
            .cloned()
            .collect();
        let after = join_all(before.into_iter().map(|entry| refreshed(entry, now))).await;
        let mut entries = self.entries();
        let mut last = None;
        for (fresh, error) in after {
            // A registry that was taken out meanwhile stays out.
            if let Some(entry) = entries
                .iter_mut()
                .find(|e| Arc::ptr_eq(&e.registry, &fresh.registry))
            {
                *entry = fresh;
            }
            last = error.or(last);
        }
        self.publish(&entries);
        last
    }

    /// The registry of that name.
    pub fn registry(&self, name: &str) -> Result<Arc<Registry>, RegistryError> {
        let entries = self.entries();
        let found = entries.iter().find(|entry| entry.registry.name() == name);
        found
            .map(|entry| Arc::clone(&entry.registry))
            .ok_or_else(|| {
                let parts: Vec<Part> = entries.iter().map(|entry| entry.part.clone()).collect();
                RegistryError::Unknown {
                    registry: name.to_owned(),
                    known: known(&parts),
                }
            })
    }

    /// Downloads the archive of a release from its registry; size and digest are what was signed.
    pub async fn fetch(&self, release: &Release) -> Result<Bytes, RegistryError> {
        self.registry(&release.registry)?.fetch(release).await
    }

    /// Keys whose signature on an archive of `registry` counts.
    pub fn publisher_keys(&self, registry: &str) -> Vec<PublicKey> {
        self.index().publisher_keys(registry).to_vec()
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, entries: &[Entry]) {
        let parts: Vec<Part> = entries.iter().map(|entry| entry.part.clone()).collect();
        self.index.store(Arc::new(Index::build(&parts)));
    }
}

async fn refreshed(mut entry: Entry, now: Timestamp) -> (Entry, Option<RegistryError>) {
    let error = match entry.registry.refresh(now).await {
        Ok(listing) => {
            entry.offer(listing);
            entry.part.status.refreshed_at = Some(now);
            entry.part.status.error = None;
            return (entry, None);
        }
        Err(error) => error,
    };
    tracing::warn!(registry = entry.registry.name(), code = error.code(), %error, "registry not read");
    entry.part.status.error = Some(RegistryProblem {
        code: error.code(),
        message: error.to_string(),
        at: now,
    });
    let believable = entry
        .part
        .listing
        .as_ref()
        .is_some_and(|l| l.valid_until > now);
    if !believable {
        entry.withdraw();
        // After a start without network, what was verified before it is as good as it was; what has
        // expired since is still good enough to know which names are taken.
        if matches!(error, RegistryError::Unreachable { .. })
            && let Ok(listing) = entry.registry.recall(now).await
        {
            entry.offer(listing);
        } else if let Ok(listing) = entry.registry.recall(0).await {
            entry.reserve(&listing);
        }
    }
    (entry, Some(error))
}

impl Catalogue for CatalogueHandle {
    fn releases(&self, id: &PackageId) -> Vec<Arc<Release>> {
        self.index().releases(id)
    }

    fn ids(&self) -> Vec<PackageId> {
        self.index().ids()
    }

    fn by_digest(&self, digest: &Digest) -> Option<Arc<Release>> {
        self.index().by_digest(digest)
    }
}
