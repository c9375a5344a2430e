//! A portal without its registry.

use std::{fs, sync::Arc};

use portico_registry::{CatalogueHandle, FolderFloor};

use crate::fixture::{DAY, NOW, Origin, Portal, seen};

#[tokio::test]
async fn after_a_start_without_network_what_was_verified_is_as_good_as_it_was() {
    let origin = Origin::with(&["logs 1.0.0"]);
    origin.repository.refresh(&origin.keys, NOW).unwrap();
    let root = origin.root();
    let remembered = tempfile::tempdir().unwrap();
    let portal = || {
        let floor = Arc::new(FolderFloor::new(remembered.path()));
        Portal::new("o", origin.folder(), &root, floor)
    };
    portal().refresh().await.unwrap();
    fs::remove_dir_all(origin.folder()).unwrap();

    let error = portal().refresh().await.unwrap_err();
    assert_eq!(error.code(), "registry-unreachable");
    assert!(error.is_transient());
    assert_eq!(
        seen(&portal().registry.recall(NOW + DAY).await.unwrap()),
        ["logs 1.0.0"]
    );
    let late = portal().registry.recall(NOW + 31 * DAY).await.unwrap_err();
    assert_eq!(late.code(), "metadata-expired");

    let handle = CatalogueHandle::new(vec![Arc::new(portal().registry)]);
    let index = handle.refresh_all(NOW + DAY).await;
    let status = &index.statuses()[0];
    assert_eq!((status.packages, status.refreshed_at), (1, None));
    assert_eq!(status.error.as_ref().unwrap().code, "registry-unreachable");
    assert_eq!(index.publisher_keys("o"), [origin.publisher().public_key()]);
    let index = handle.refresh_all(NOW + 31 * DAY).await;
    assert_eq!(index.statuses()[0].packages, 0);
}

#[tokio::test]
async fn what_is_remembered_is_verified_again() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let remembered = tempfile::tempdir().unwrap();
    let portal = || {
        let floor = Arc::new(FolderFloor::new(remembered.path()));
        Portal::new("o", origin.folder(), &origin.root(), floor)
    };
    portal().refresh().await.unwrap();
    for entry in fs::read_dir(remembered.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap().replace("logs", "evil");
        fs::write(path, text).unwrap();
    }
    assert!(portal().registry.recall(NOW).await.is_err());
    // The registry itself is still read, from the pinned root.
    assert_eq!(portal().sees().await, ["logs 1.0.0"]);
}

#[tokio::test]
async fn a_registry_that_is_forgotten_starts_afresh() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let old = origin.copy();
    origin.publish("logs", "1.1.0").unwrap();
    let portal = origin.portal("o");
    portal.refresh().await.unwrap();
    origin.restore(&old);
    assert_eq!(portal.fails().await, "metadata-rollback");
    portal.registry.forget().await.unwrap();
    assert_eq!(portal.sees().await, ["logs 1.0.0"]);
}

#[tokio::test]
async fn a_folder_that_is_no_registry_says_so() {
    let origin = Origin::new();
    let portal = origin.portal("o");
    fs::remove_dir_all(origin.folder().join("metadata")).unwrap();
    let error = portal.refresh().await.unwrap_err();
    assert_eq!(error.code(), "registry-unreachable");
    assert!(
        error.to_string().contains("portico registry init"),
        "{error}"
    );
}
