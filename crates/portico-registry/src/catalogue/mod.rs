//! One index over all trusted registries: what plans resolve from and the marketplace shows.
//!
//! Registries have an order. For one package id the first registry that has it is the only one that
//! counts, with all its versions: a second registry can never slip a higher version under a name that
//! belongs to the first. That holds as well while the first cannot be believed (expired, and nothing
//! newer to be had): its names are reserved, and nobody gets them in the meantime.
//!
//! Who wants another registry's package says so, and what is installed stays with the registry it
//! came from; plans decide that, from the releases of all registries in order.

mod handle;
mod search;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use portico_host::Timestamp;
use portico_package::{Digest, PackageId, Release, signature::PublicKey};
use portico_plan::inventory::Catalogue;
use serde::Serialize;

pub use handle::CatalogueHandle;
pub use search::{Category, Hit, Search, SearchPage};

use crate::listing::Listing;

/// How one registry stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistryStatus {
    /// Its name in this portal.
    pub name: String,
    /// Where it is, as written.
    pub location: String,
    /// Whether it is the one inside the binary.
    pub bundled: bool,
    /// When it was last read and verified: microseconds since 1970, UTC.
    pub refreshed_at: Option<Timestamp>,
    /// Until when what was read may be believed: microseconds since 1970, UTC.
    pub valid_until: Option<Timestamp>,
    /// Packages that it offers.
    pub packages: usize,
    /// Versions that it offers.
    pub versions: usize,
    /// Why the last attempt failed.
    pub error: Option<RegistryProblem>,
}

/// Why a registry could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistryProblem {
    /// Stable code, see [`crate::RegistryError::code`].
    pub code: &'static str,
    /// What happened and what to do.
    pub message: String,
    /// When: microseconds since 1970, UTC.
    pub at: Timestamp,
}

/// One registry's part of an [`Index`].
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) status: RegistryStatus,
    /// Empty while nothing may be believed.
    pub(crate) listing: Option<Arc<Listing>>,
    /// Names that it had when it was last believed.
    pub(crate) reserved: Arc<BTreeSet<PackageId>>,
}

/// What all registries offered at one moment. Immutable.
#[derive(Debug, Default)]
pub struct Index {
    /// By package, by registry in order: versions, newest first.
    packages: BTreeMap<PackageId, Vec<Shelf>>,
    by_digest: HashMap<Digest, Arc<Release>>,
    publishers: HashMap<String, Vec<PublicKey>>,
    statuses: Vec<RegistryStatus>,
    search: search::Words,
}

/// One registry's versions of one package.
#[derive(Debug)]
struct Shelf {
    registry: String,
    releases: Vec<Arc<Release>>,
}

impl Index {
    pub(crate) fn build(parts: &[Part]) -> Self {
        let mut index = Self::default();
        for part in parts {
            index.statuses.push(part.status.clone());
            let Some(listing) = &part.listing else {
                for id in part.reserved.iter() {
                    let registry = part.status.name.clone();
                    let shelf = Shelf {
                        registry,
                        releases: Vec::new(),
                    };
                    index.packages.entry(id.clone()).or_default().push(shelf);
                }
                continue;
            };
            index
                .publishers
                .insert(part.status.name.clone(), listing.publishers.clone());
            let mut shelves: BTreeMap<&PackageId, Vec<Arc<Release>>> = BTreeMap::new();
            for release in &listing.releases {
                // The first registry's word counts here too.
                index
                    .by_digest
                    .entry(release.digest)
                    .or_insert_with(|| Arc::clone(release));
                shelves
                    .entry(&release.manifest.id)
                    .or_default()
                    .push(Arc::clone(release));
            }
            for (id, mut releases) in shelves {
                releases.sort_by(|a, b| b.manifest.version.cmp(&a.manifest.version));
                let registry = part.status.name.clone();
                index
                    .packages
                    .entry(id.clone())
                    .or_default()
                    .push(Shelf { registry, releases });
            }
        }
        index.search =
            search::Words::of(index.packages.values().filter_map(|s| s.first()?.newest()));
        index
    }

    /// Every version of a package in the registry that counts for it, newest first.
    pub fn versions(&self, id: &PackageId) -> &[Arc<Release>] {
        self.packages
            .get(id)
            .and_then(|shelves| shelves.first())
            .map_or(&[], |shelf| &shelf.releases)
    }

    /// Every version of a package in one registry, newest first.
    pub fn versions_in(&self, id: &PackageId, registry: &str) -> &[Arc<Release>] {
        self.packages
            .get(id)
            .and_then(|shelves| shelves.iter().find(|shelf| shelf.registry == registry))
            .map_or(&[], |shelf| &shelf.releases)
    }

    /// Registries that have a package, the one that counts first.
    pub fn registries_of(&self, id: &PackageId) -> impl Iterator<Item = &str> {
        self.packages
            .get(id)
            .into_iter()
            .flatten()
            .map(|shelf| shelf.registry.as_str())
    }

    /// The version that people are shown: the newest, pre-releases only when there is nothing else.
    pub fn newest(&self, id: &PackageId) -> Option<&Arc<Release>> {
        self.packages.get(id)?.first()?.newest()
    }

    /// [`Index::newest`] in one registry.
    pub fn newest_in(&self, id: &PackageId, registry: &str) -> Option<&Arc<Release>> {
        self.packages
            .get(id)?
            .iter()
            .find(|shelf| shelf.registry == registry)?
            .newest()
    }

    /// How each registry stands, in order.
    pub fn statuses(&self) -> &[RegistryStatus] {
        &self.statuses
    }

    /// Keys whose signature on an archive of `registry` counts.
    pub fn publisher_keys(&self, registry: &str) -> &[PublicKey] {
        self.publishers.get(registry).map_or(&[], Vec::as_slice)
    }

    /// Looks for packages; see [`Search`].
    pub fn search(&self, search: &Search) -> SearchPage {
        self.search.find(search, |id| self.newest(id).cloned())
    }

    /// Every category there is, with how many packages are in it.
    pub fn categories(&self) -> Vec<Category> {
        self.search(&Search {
            limit: 0,
            ..Search::default()
        })
        .categories
    }
}

impl Shelf {
    fn newest(&self) -> Option<&Arc<Release>> {
        self.releases
            .iter()
            .find(|release| release.manifest.version.pre.is_empty())
            .or_else(|| self.releases.first())
    }
}

impl Catalogue for Index {
    /// Those of the registry that counts come first. Plans never mix registries; the others are there
    /// for who asks for one of them by name. A reserved name has none.
    fn releases(&self, id: &PackageId) -> Vec<Arc<Release>> {
        let shelves = self.packages.get(id).map_or(&[][..], Vec::as_slice);
        if shelves
            .first()
            .is_none_or(|shelf| shelf.releases.is_empty())
        {
            return Vec::new();
        }
        shelves
            .iter()
            .flat_map(|shelf| shelf.releases.iter().cloned())
            .collect()
    }

    fn ids(&self) -> Vec<PackageId> {
        self.packages.keys().cloned().collect()
    }

    fn by_digest(&self, digest: &Digest) -> Option<Arc<Release>> {
        self.by_digest.get(digest).cloned()
    }
}

/// Names in use, to be shown when one is wrong.
pub(crate) fn known(parts: &[Part]) -> String {
    let names: BTreeSet<&str> = parts.iter().map(|part| part.status.name.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
