//! What a hostile registry, mirror or key thief tries. Each ends with its own code, and with nothing
//! believed that was not before.

use std::{fs, sync::Arc};

use portico_registry::{CatalogueHandle, FolderFloor, keys};
use serde_json::{Value, json};

use crate::fixture::{DAY, NOW, Origin, Portal, archive_path, seen, sign};

#[tokio::test]
async fn a_frozen_registry_is_believed_until_its_timestamp_expires_and_not_a_day_longer() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let portal = origin.portal("o");
    portal.registry.refresh(NOW + 30 * DAY).await.unwrap();
    let error = portal.registry.refresh(NOW + 31 * DAY).await.unwrap_err();
    assert_eq!(error.code(), "metadata-expired");
    let text = error.to_string();
    assert!(
        text.contains("timestamp") && text.contains("2026-12-21T00:00:00Z"),
        "{text}"
    );
    origin
        .repository
        .refresh(&origin.keys, NOW + 31 * DAY)
        .unwrap();
    portal.registry.refresh(NOW + 31 * DAY).await.unwrap();
}

#[tokio::test]
async fn an_older_state_shown_again_is_noticed_even_after_a_restart() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let old = origin.copy();
    origin.publish("logs", "1.0.1").unwrap();
    let remembered = tempfile::tempdir().unwrap();
    let portal = || {
        let floor = Arc::new(FolderFloor::new(remembered.path()));
        Portal::new("o", origin.folder(), &origin.root(), floor)
    };
    assert_eq!(portal().sees().await.len(), 2);
    origin.restore(&old);
    for _ in 0..2 {
        assert_eq!(portal().fails().await, "metadata-rollback");
    }
    // The floor is what notices: who never saw the newer state cannot know.
    assert_eq!(origin.portal("o").sees().await, ["logs 1.0.0"]);
}

/// Somebody has the timestamp key and points to an older snapshot.
#[tokio::test]
async fn a_newer_timestamp_for_an_older_snapshot_is_a_rollback() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let old = fs::read(origin.metadata(&origin.current("snapshot"))).unwrap();
    let version = serde_json::from_slice::<Value>(&old).unwrap()["signed"]["version"].clone();
    origin.publish("logs", "1.0.1").unwrap();
    let portal = origin.portal("o");
    portal.refresh().await.unwrap();
    origin.force_timestamp(version.as_u64().unwrap(), &old);
    assert_eq!(portal.fails().await, "metadata-rollback");
}

/// Somebody has both online keys and hides a version.
#[tokio::test]
async fn an_older_publisher_file_under_a_newer_snapshot_is_a_rollback() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let old = origin.read(&origin.current("snapshot"))["signed"].clone();
    origin.publish("logs", "1.0.1").unwrap();
    let portal = origin.portal("o");
    portal.refresh().await.unwrap();
    origin.force_snapshot(old);
    assert_eq!(portal.fails().await, "metadata-rollback");
}

#[tokio::test]
async fn files_of_different_moments_do_not_mix() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let old = fs::read(origin.metadata(&origin.current("snapshot"))).unwrap();
    origin.publish("logs", "1.0.1").unwrap();
    fs::write(origin.metadata(&origin.current("snapshot")), old).unwrap();
    assert_eq!(origin.portal("o").fails().await, "metadata-inconsistent");
}

#[tokio::test]
async fn a_key_that_nobody_entrusted_is_named_as_that() {
    let evil = keys::generate().unwrap();
    let origin = Origin::with(&["logs 1.0.0"]);
    origin.force_publisher(|mut publisher, version| {
        publisher["version"] = version.into();
        sign(&publisher, &evil)
    });
    let error = origin.portal("o").refresh().await.unwrap_err();
    assert_eq!(error.code(), "wrong-key");
    assert!(error.to_string().contains("publisher"), "{error}");

    let origin = Origin::with(&["logs 1.0.0"]);
    let timestamp = origin.read("timestamp.json")["signed"].clone();
    fs::write(origin.metadata("timestamp.json"), sign(&timestamp, &evil)).unwrap();
    assert_eq!(origin.portal("o").fails().await, "wrong-key");
}

/// Another registry's root: right format, wrong people.
#[tokio::test]
async fn a_root_pinned_from_elsewhere_believes_nothing_here() {
    let (origin, other) = (Origin::with(&["logs 1.0.0"]), Origin::new());
    let floor = Arc::new(portico_registry::MemoryFloor::default());
    let portal = Portal::new("o", origin.folder(), &other.root(), floor);
    assert_eq!(portal.fails().await, "wrong-key");
}

#[tokio::test]
async fn a_changed_statement_under_an_old_signature_does_not_hold() {
    let origin = Origin::with(&["logs 1.0.0"]);
    origin.force_publisher(|mut publisher, version| {
        let old = sign(&publisher, origin.publisher());
        publisher["version"] = version.into();
        let mut file: Value = serde_json::from_slice(&old).unwrap();
        file["signed"] = publisher;
        serde_json::to_vec(&file).unwrap()
    });
    assert_eq!(origin.portal("o").fails().await, "metadata-bad-signature");

    let origin = Origin::with(&["logs 1.0.0"]);
    let mut timestamp = origin.read("timestamp.json");
    timestamp["signed"]["expires"] = "2099-01-01T00:00:00Z".into();
    fs::write(origin.metadata("timestamp.json"), timestamp.to_string()).unwrap();
    assert_eq!(origin.portal("o").fails().await, "metadata-bad-signature");
}

#[tokio::test]
async fn claims_outside_the_delegation_are_as_if_they_were_not_there() {
    let origin = Origin::with(&["logs 1.0.0"]);
    origin.force_publisher(|mut publisher, version| {
        publisher["version"] = version.into();
        let good = publisher["targets"]["packages/logs/logs-1.0.0.portico"].clone();
        for path in [
            "other/logs/logs-1.0.0.portico",
            "packages/logs/deep/logs-1.0.0.portico",
            "packages/logs-1.0.0.portico",
            "../packages/logs/logs-1.0.0.portico",
            "root.json",
        ] {
            publisher["targets"][path] = good.clone();
        }
        sign(&publisher, origin.publisher())
    });
    let listing = origin.portal("o").refresh().await.unwrap();
    assert_eq!(seen(&listing), ["logs 1.0.0"]);
    assert_eq!(listing.skipped.len(), 5, "{:?}", listing.skipped);
}

#[tokio::test]
async fn an_entry_that_is_not_what_its_path_says_is_left_out() {
    let origin = Origin::with(&["logs 1.0.0"]);
    origin.force_publisher(|mut publisher, version| {
        publisher["version"] = version.into();
        let good = publisher["targets"]["packages/logs/logs-1.0.0.portico"].clone();
        let mut add = |path: &str, change: &dyn Fn(&mut Value)| {
            let mut entry = good.clone();
            change(&mut entry);
            publisher["targets"][path] = entry;
        };
        // Another package's name, another version's name.
        add("packages/dash/dash-1.0.0.portico", &|_| {});
        add("packages/logs/logs-9.9.9.portico", &|_| {});
        add("packages/logs/..", &|_| {});
        add("packages/logs/logs-1.0.1.portico", &|e| {
            e["custom"] = Value::Null
        });
        add("packages/logs/logs-1.0.2.portico", &|e| {
            e["custom"]["format_version"] = 9.into()
        });
        add("packages/logs/logs-1.0.3.portico", &|e| {
            e["custom"]["manifest"] = "{}".into()
        });
        add("packages/logs/logs-1.0.4.portico", &|e| {
            e["hashes"] = json!({ "sha512": "00" })
        });
        sign(&publisher, origin.publisher())
    });
    let listing = origin.portal("o").refresh().await.unwrap();
    assert_eq!(seen(&listing), ["logs 1.0.0"]);
    assert_eq!(listing.skipped.len(), 7, "{:?}", listing.skipped);
}

#[tokio::test]
async fn an_archive_that_is_not_what_was_signed_is_not_used() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let portal = origin.portal("o");
    let listing = portal.refresh().await.unwrap();
    let release = &listing.releases[0];
    let path = archive_path(origin.folder(), release);
    let good = fs::read(&path).unwrap();
    let fails = async || portal.registry.fetch(release).await.unwrap_err();

    let mut tampered = good.clone();
    tampered[good.len() / 2] ^= 1;
    fs::write(&path, &tampered).unwrap();
    assert_eq!(fails().await.code(), "target-mismatch");

    fs::write(&path, [&good[..], &[0; 1 << 20]].concat()).unwrap();
    let error = fails().await;
    assert_eq!(error.code(), "target-mismatch");
    assert!(
        error.to_string().contains("more than the signed"),
        "{error}"
    );

    fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert_eq!(fails().await.code(), "target-mismatch");

    fs::remove_file(&path).unwrap();
    assert_eq!(fails().await.code(), "target-missing");

    fs::write(&path, &good).unwrap();
    portal.registry.fetch(release).await.unwrap();
    let huge = portico_package::Release {
        size: 1 << 40,
        ..release.as_ref().clone()
    };
    assert_eq!(
        portal.registry.fetch(&huge).await.unwrap_err().code(),
        "target-too-large"
    );
}

#[tokio::test]
async fn metadata_without_end_is_not_read_to_its_end() {
    let origin = Origin::with(&["logs 1.0.0"]);
    fs::write(origin.metadata("timestamp.json"), vec![b' '; 1 << 20]).unwrap();
    let error = origin.portal("o").refresh().await.unwrap_err();
    assert_eq!(error.code(), "metadata-inconsistent");
    assert!(error.to_string().contains("16384"), "{error}");
}

#[tokio::test]
async fn junk_is_an_error_and_nothing_else() {
    for junk in [
        "",
        "{",
        "[]",
        "null",
        "{\"signed\":{},\"signatures\":[]}",
        "\u{0}",
    ] {
        let origin = Origin::with(&["logs 1.0.0"]);
        fs::write(origin.metadata("timestamp.json"), junk).unwrap();
        assert_eq!(
            origin.portal("o").fails().await,
            "metadata-inconsistent",
            "{junk:?}"
        );
    }
}

/// While a registry is under attack, what it offered before stays on offer, until it expires.
#[tokio::test]
async fn an_attack_takes_nothing_away_before_its_time() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let old = origin.copy();
    origin.publish("logs", "1.0.1").unwrap();
    let handle = CatalogueHandle::new(vec![Arc::new(origin.portal("o").registry)]);
    handle.refresh_all(NOW).await;
    origin.restore(&old);
    let index = handle.refresh_all(NOW + DAY).await;
    let id = "logs".parse().unwrap();
    assert_eq!(index.versions(&id).len(), 2);
    let status = &index.statuses()[0];
    assert_eq!(status.error.as_ref().unwrap().code, "metadata-rollback");
    assert_eq!((status.refreshed_at, status.versions), (Some(NOW), 2));
    let index = handle.refresh_all(NOW + 31 * DAY).await;
    assert!(index.versions(&id).is_empty());
    assert_eq!(index.statuses()[0].versions, 0);
}
