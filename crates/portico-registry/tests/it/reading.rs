//! What an honest registry offers arrives whole.

use std::{fs, sync::Arc};

use portico_package::archive::{self, Limits};
use portico_registry::{FolderFloor, Registry, client::check_root};

use crate::fixture::{DAY, NOW, NoFetch, Origin, Portal, seen};

#[tokio::test]
async fn releases_come_from_signed_metadata_and_archives_match_them() {
    let origin = Origin::with(&["logs 1.0.0", "logs 1.1.0", "dash 2.0.0"]);
    let portal = origin.portal("official");
    // Without its archives the registry is as good for planning.
    let aside = origin.copy();
    fs::remove_dir_all(origin.folder().join("targets")).unwrap();
    let listing = portal.refresh().await.unwrap();
    assert_eq!(seen(&listing), ["dash 2.0.0", "logs 1.0.0", "logs 1.1.0"]);
    assert!(listing.skipped.is_empty());
    assert_eq!(listing.publishers, [origin.publisher().public_key()]);
    assert_eq!(listing.valid_until, NOW + 30 * DAY);

    origin.restore(&aside);
    for release in &listing.releases {
        assert_eq!(release.registry, "official");
        assert_eq!(release.publisher, origin.publisher().key_id());
        let bytes = portal.registry.fetch(release).await.unwrap();
        let expected = Some((release.digest, release.size));
        let limits = Limits::default();
        let package = archive::verify(&bytes, expected, &listing.publishers, &limits).unwrap();
        assert_eq!(package.manifest(), &release.manifest);
        assert_eq!(package.unpacked_size(), release.unpacked_size);
    }
}

#[tokio::test]
async fn a_manifest_with_a_float_in_its_schema_survives_signed_metadata() {
    let origin = Origin::new();
    let schema = "  config_schema:\n    type: object\n    properties:\n      share:\n        \
                  type: number\n        default: 0.25\n        description: \"a\\nb\"\n";
    let archive = crate::fixture::packed("share", "1.0.0", schema, origin.publisher());
    origin
        .repository
        .publish(&archive, &origin.keys, NOW)
        .unwrap();
    let listing = origin.portal("o").refresh().await.unwrap();
    let schema = listing.releases[0].manifest.config_schema.as_ref().unwrap();
    assert_eq!(schema["properties"]["share"]["default"], 0.25);
}

#[tokio::test]
async fn a_new_version_is_seen_and_a_removed_one_is_gone() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let portal = origin.portal("o");
    let before = portal.refresh().await.unwrap();
    origin.publish("logs", "1.1.0").unwrap();
    assert_eq!(portal.sees().await, ["logs 1.0.0", "logs 1.1.0"]);
    let old = &before.releases[0];
    origin
        .repository
        .remove(&old.manifest.id, &old.manifest.version, &origin.keys, NOW)
        .unwrap();
    assert_eq!(portal.sees().await, ["logs 1.1.0"]);
    assert_eq!(
        portal.registry.fetch(old).await.unwrap_err().code(),
        "target-missing"
    );
}

#[tokio::test]
async fn a_rotated_root_is_followed_from_the_pinned_one() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let pinned = origin.root();
    let later = NOW + 3 * 365 * DAY - 5 * DAY;
    origin.repository.refresh(&origin.keys, later).unwrap();
    assert!(origin.metadata("2.root.json").exists());
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let floor = Arc::new(FolderFloor::new(folder.path()));
        let portal = Portal::new("o", origin.folder(), &pinned, floor);
        let listing = portal.registry.refresh(later + 20 * DAY).await.unwrap();
        assert_eq!(seen(&listing), ["logs 1.0.0"]);
    }
}

#[tokio::test]
async fn an_unchanged_registry_is_not_parsed_again() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let portal = origin.portal("o");
    let first = portal.refresh().await.unwrap();
    origin.repository.refresh(&origin.keys, NOW + DAY).unwrap();
    let signed_again = portal.registry.refresh(NOW + DAY).await.unwrap();
    assert_eq!(signed_again.valid_until, NOW + 31 * DAY);
    let third = portal.registry.refresh(NOW + DAY).await.unwrap();
    assert!(Arc::ptr_eq(&signed_again.releases[0], &third.releases[0]));
    assert_eq!(first.releases, third.releases);
}

#[test]
fn a_root_is_checked_before_it_is_pinned() {
    let origin = Origin::new();
    let summary = check_root("o", &origin.root()).unwrap();
    assert_eq!(
        (summary.version, summary.threshold, summary.key_ids.len()),
        (1, 1, 1)
    );
    assert_eq!(summary.expires, NOW + 3 * 365 * DAY);
    let mut tampered = origin.root();
    let at = tampered.windows(9).position(|w| w == b"threshold").unwrap() + 11;
    tampered[at] = b'2';
    for bad in [
        &b"{}"[..],
        b"not json",
        &tampered,
        &fs::read(origin.metadata("timestamp.json")).unwrap(),
    ] {
        assert_eq!(check_root("o", bad).unwrap_err().code(), "registry-root");
    }
}

#[test]
fn a_location_that_cannot_be_one_is_refused_at_once() {
    let origin = Origin::new();
    for bad in [
        "",
        "ftp://registry.example/",
        "s3://bucket",
        "http://",
        "https://x/?a=b",
    ] {
        let floor = Arc::new(portico_registry::MemoryFloor::default());
        let error = Registry::open("o", bad, &origin.root(), floor, Arc::new(NoFetch)).unwrap_err();
        assert_eq!(error.code(), "registry-location", "{bad}");
    }
}

#[tokio::test]
async fn a_file_url_is_a_folder() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let url = url::Url::from_directory_path(origin.folder()).unwrap();
    let floor = Arc::new(portico_registry::MemoryFloor::default());
    let registry =
        Registry::open("o", url.as_str(), &origin.root(), floor, Arc::new(NoFetch)).unwrap();
    assert_eq!(seen(&registry.refresh(NOW).await.unwrap()), ["logs 1.0.0"]);
}
