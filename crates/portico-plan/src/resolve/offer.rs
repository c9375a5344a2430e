//! What there is of one package, from the one registry that it comes from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portico_package::{PackageId, Release, Version};

use super::World;
use crate::effective::BUNDLED_REGISTRY;

/// The releases of one package.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    /// Releases of the registry that counts, ascending, one per version.
    pub releases: Vec<Arc<Release>>,
    /// The registry that counts.
    pub registry: Option<String>,
    /// Other registries that have a package of this name.
    pub elsewhere: BTreeSet<String>,
}

/// What there is of `id`.
///
/// A package comes from one registry: the one asked for, else the one that the installed release came from, else the
/// bundled one, else the first that the catalogue lists. So a stranger who publishes the same name elsewhere, with a
/// higher version, is never mixed in.
pub fn offer(world: World<'_>, id: &PackageId, pinned: Option<&str>) -> Offer {
    let all = world.catalogue.releases(id);
    let registries: BTreeSet<String> = all.iter().map(|r| r.registry.clone()).collect();
    let installed = world
        .inventory
        .installed
        .get(id)
        .map(|p| p.release.registry.clone());
    let registry = pinned
        .map(str::to_owned)
        .or(installed)
        .or_else(|| {
            registries
                .contains(BUNDLED_REGISTRY)
                .then(|| BUNDLED_REGISTRY.to_owned())
        })
        .or_else(|| all.first().map(|release| release.registry.clone()));
    let mut by_version = BTreeMap::<Version, Arc<Release>>::new();
    for release in all {
        if Some(&release.registry) == registry.as_ref() {
            by_version
                .entry(release.manifest.version.clone())
                .or_insert(release);
        }
    }
    Offer {
        releases: by_version.into_values().collect(),
        elsewhere: registries
            .into_iter()
            .filter(|other| Some(other) != registry.as_ref())
            .collect(),
        registry,
    }
}

/// Versions as a sentence lists them: newest first, five at most, then how many more.
pub fn newest_first(releases: &[Arc<Release>]) -> String {
    const SHOWN: usize = 5;
    let mut versions: Vec<&Version> = releases
        .iter()
        .map(|release| &release.manifest.version)
        .collect();
    versions.sort();
    versions.reverse();
    let shown: Vec<_> = versions
        .iter()
        .take(SHOWN)
        .map(|version| version.to_string())
        .collect();
    match versions.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} older", shown.join(", ")),
    }
}
