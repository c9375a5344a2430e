//! The packages inside the binary.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use portico_package::archive::{self, Limits};
use portico_registry::{MemoryFloor, Registry, bundled, examples::ensure_example_registry};

use crate::fixture::{NOW, NoFetch};

#[test]
fn the_lock_is_current() {
    let lock = bundled::compute_lock().unwrap();
    assert_eq!(
        lock,
        bundled::compute_lock().unwrap(),
        "packing must be deterministic"
    );
    assert!(
        bundled::lock_is_current(),
        "run `cargo xtask bundle` and commit {}",
        bundled::LOCK_PATH
    );
}

#[tokio::test]
async fn every_bundled_package_is_the_pinned_one() {
    let registry = Registry::bundled();
    let listing = registry.refresh(NOW).await.unwrap();
    for release in &listing.releases {
        let bytes = registry.fetch(release).await.unwrap();
        let expected = Some((release.digest, release.size));
        let package =
            archive::verify(&bytes, expected, &listing.publishers, &Limits::default()).unwrap();
        assert_eq!(package.manifest(), &release.manifest);
        assert_eq!(package.unpacked_size(), release.unpacked_size);
    }
    // No time is too late for it.
    assert_eq!(
        registry.refresh(i64::MAX).await.unwrap().releases,
        listing.releases
    );
}

#[tokio::test]
async fn the_embedded_examples_become_a_registry_like_any_other() {
    let data = tempfile::tempdir().unwrap();
    let made = ensure_example_registry(data.path(), NOW, &SystemRandom::new()).unwrap();
    let floor = Arc::new(MemoryFloor::default());
    let location = made.folder.to_str().unwrap();
    let registry =
        Registry::open("examples", location, &made.root, floor, Arc::new(NoFetch)).unwrap();
    let listing = registry.refresh(NOW).await.unwrap();
    let ids: Vec<&str> = listing
        .releases
        .iter()
        .map(|r| r.manifest.id.as_str())
        .collect();
    assert!(
        ids.contains(&"logstream_analytics") && ids.contains(&"sz_schedules"),
        "{ids:?}"
    );
    for release in &listing.releases {
        let bytes = registry.fetch(release).await.unwrap();
        let expected = Some((release.digest, release.size));
        archive::verify(&bytes, expected, &listing.publishers, &Limits::default()).unwrap();
    }
    let again = ensure_example_registry(data.path(), NOW, &SystemRandom::new()).unwrap();
    assert_eq!(again, made);
}
