//! What a repository takes, and what it refuses.

use std::{fs, sync::Arc};

use aws_lc_rs::rand::SystemRandom;
use portico_registry::{
    Expiry, Repository, RepositoryKeys,
    keys::{self, RoleName},
};

use crate::fixture::{DAY, NOW, Origin, packed};

#[tokio::test]
async fn a_published_version_never_changes() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let same = origin.publish("logs", "1.0.0").unwrap();
    assert!(!same.new);
    let other = packed(
        "logs",
        "1.0.0",
        "  description: other\n",
        origin.publisher(),
    );
    let error = origin
        .repository
        .publish(&other, &origin.keys, NOW)
        .unwrap_err();
    assert_eq!(error.code(), "version-exists");
    assert!(error.to_string().contains("logs 1.0.0"), "{error}");
    assert_eq!(
        origin.portal("o").refresh().await.unwrap().releases[0].digest,
        same.release.digest
    );
}

#[test]
fn an_archive_by_a_stranger_or_a_damaged_one_is_refused() {
    let origin = Origin::new();
    let stranger = keys::generate().unwrap();
    let archive = packed("logs", "1.0.0", "", &stranger);
    let before = fs::read(origin.metadata("timestamp.json")).unwrap();
    let error = origin
        .repository
        .publish(&archive, &origin.keys, NOW)
        .unwrap_err();
    assert!(
        error.to_string().starts_with("the archive was refused"),
        "{error}"
    );
    let mut damaged = packed("logs", "1.0.0", "", origin.publisher());
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    origin
        .repository
        .publish(&damaged, &origin.keys, NOW)
        .unwrap_err();
    assert_eq!(fs::read(origin.metadata("timestamp.json")).unwrap(), before);
    assert_eq!(
        fs::read_dir(origin.folder().join("targets"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_key_that_is_missing_or_not_trusted_is_named_before_anything_is_written() {
    let origin = Origin::new();
    let archive = packed("logs", "1.0.0", "", origin.publisher());
    let count = || {
        fs::read_dir(origin.folder().join("metadata"))
            .unwrap()
            .count()
    };
    let before = count();
    origin.keys.save(&origin.home.path().join("keys")).unwrap();
    let keys = |without: &str| {
        let folder = origin.home.path().join("keys");
        let other = origin.home.path().join(format!("without-{without}"));
        crate::fixture::copy_tree(&folder, &other);
        fs::remove_file(other.join(format!("{without}.key"))).unwrap();
        RepositoryKeys::load(&other).unwrap()
    };
    for role in ["publisher", "snapshot", "timestamp"] {
        let error = origin
            .repository
            .publish(&archive, &keys(role), NOW)
            .unwrap_err();
        assert_eq!(error.code(), "key-missing");
        assert!(error.to_string().contains(role), "{error}");
        let wrong = keys(role).with(role.parse().unwrap(), keys::generate().unwrap());
        let error = origin
            .repository
            .publish(&archive, &wrong, NOW)
            .unwrap_err();
        assert_eq!(error.code(), "wrong-key", "{role}");
        assert_eq!(count(), before, "{role}");
    }
    // The offline keys are not needed for it.
    origin
        .repository
        .publish(&archive, &keys("root"), NOW)
        .unwrap();
}

#[test]
fn a_repository_is_made_once_and_opened_where_there_is_one() {
    let origin = Origin::new();
    let error = Repository::init(origin.folder(), &origin.keys, &[], Expiry::default(), NOW)
        .err()
        .unwrap();
    assert_eq!(error.code(), "repository-exists");
    let error = Repository::open(origin.home.path(), Expiry::default())
        .err()
        .unwrap();
    assert_eq!(error.code(), "not-a-repository");
}

#[test]
fn nothing_is_signed_on_top_of_metadata_that_does_not_hold() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let path = origin.metadata(&origin.current("publisher"));
    let text = fs::read_to_string(&path).unwrap().replace("logs", "evil");
    fs::write(&path, text).unwrap();
    assert_eq!(
        origin.publish("dash", "1.0.0").unwrap_err().code(),
        "repository-damaged"
    );
    let error = origin.repository.refresh(&origin.keys, NOW).unwrap_err();
    assert_eq!(error.code(), "repository-damaged");
}

#[tokio::test]
async fn a_refresh_signs_again_what_is_due() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let online = [RoleName::Snapshot, RoleName::Timestamp];
    assert_eq!(
        origin.repository.refresh(&origin.keys, NOW).unwrap(),
        online
    );
    let later = NOW + 300 * DAY;
    let done = origin.repository.refresh(&origin.keys, later).unwrap();
    assert_eq!(
        done,
        [&[RoleName::Targets, RoleName::Publisher][..], &online].concat()
    );
    assert_eq!(origin.repository.expires().unwrap(), later + 30 * DAY);
    let listing = origin.portal("o").registry.refresh(later).await.unwrap();
    assert_eq!(listing.releases.len(), 1);
}

#[tokio::test]
async fn any_one_of_several_root_keys_can_renew_the_root() {
    let home = tempfile::tempdir().unwrap();
    let keys = RepositoryKeys::generate(&SystemRandom::new()).unwrap();
    let second = keys::generate().unwrap();
    let folder = home.path().join("r");
    let others = [second.public_key()];
    let repository = Repository::init(&folder, &keys, &others, Expiry::default(), NOW).unwrap();
    let root = repository.root().unwrap();
    // The first root key is lost.
    let keys = keys.with(RoleName::Root, second);
    let later = NOW + 2 * 365 * DAY + 200 * DAY;
    assert!(
        repository
            .refresh(&keys, later)
            .unwrap()
            .contains(&RoleName::Root)
    );
    let floor = Arc::new(portico_registry::MemoryFloor::default());
    let portal = crate::fixture::Portal::new("o", &folder, &root, floor);
    portal.registry.refresh(later).await.unwrap();
}

#[test]
fn metadata_that_nobody_asks_for_any_more_is_removed() {
    let origin = Origin::new();
    for n in 0..30 {
        origin.publish("logs", &format!("1.{n}.0")).unwrap();
    }
    let count = fs::read_dir(origin.folder().join("metadata"))
        .unwrap()
        .count();
    assert!(count <= 25, "{count}");
    assert_eq!(origin.repository.releases().unwrap().len(), 30);
}

#[test]
fn publishers_at_the_same_time_do_not_lose_each_others_packages() {
    let origin = Origin::new();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let origin = &origin;
            scope.spawn(move || origin.publish(&format!("p{n}"), "1.0.0").unwrap());
        }
    });
    assert_eq!(origin.repository.releases().unwrap().len(), 4);
}
