use std::{
    collections::BTreeSet,
    fs::{self, File, FileTimes},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use portico_host::capability::{Blob, CapabilityError};
use portico_package::Digest;
use portico_store::{BlobInfo, BlobStore, StoreError, Swept};
use tokio::task::JoinSet;

use crate::support::NOW;

/// A clock that reads later than any file written here.
const LATER: i64 = i64::MAX;

fn store() -> (tempfile::TempDir, BlobStore) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = BlobStore::open(folder.path().join("data/blobs")).unwrap();
    (folder, blobs)
}

fn written_at(path: &Path, micros: i64) {
    let at = UNIX_EPOCH + Duration::from_micros(micros.unsigned_abs());
    File::options()
        .append(true)
        .open(path)
        .unwrap()
        .set_times(FileTimes::new().set_modified(at))
        .unwrap();
}

/// Every file below, by its path from `folder`.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_blob_lies_in_a_folder_named_after_its_first_byte() {
    let (folder, blobs) = store();
    let digest = blobs.put(Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!(digest, Digest::of(b"hello"));
    let hex = digest.hex();
    assert_eq!(
        files(folder.path()),
        [format!("data/blobs/{}/{}", &hex[..2], &hex[2..])]
    );
    assert_eq!(blobs.get(&digest).await.unwrap(), "hello");
    assert!(blobs.contains(&digest).await.unwrap());
    // Again, and empty.
    assert_eq!(
        blobs.put(Bytes::from_static(b"hello")).await.unwrap(),
        digest
    );
    let empty = blobs.put(Bytes::new()).await.unwrap();
    assert_eq!(blobs.get(&empty).await.unwrap(), "");
    let mut listed = vec![
        BlobInfo { digest, size: 5 },
        BlobInfo {
            digest: empty,
            size: 0,
        },
    ];
    listed.sort_by_key(|blob| blob.digest);
    assert_eq!(blobs.list().await.unwrap(), listed);
    assert_eq!(blobs.size().await.unwrap(), 5);
    assert!(blobs.remove(&digest).await.unwrap());
    assert!(!blobs.remove(&digest).await.unwrap());
    assert!(
        matches!(blobs.get(&digest).await, Err(StoreError::NoBlob(missing)) if missing == digest)
    );
}

#[tokio::test]
async fn damage_is_noticed_named_and_healed() {
    let (_folder, blobs) = store();
    let digest = blobs.put(Bytes::from_static(b"whole")).await.unwrap();
    for damage in [&b"whold"[..], b"whol", b"", b"whole and more"] {
        fs::write(blobs.path(&digest), damage).unwrap();
        let error = blobs.get(&digest).await.unwrap_err();
        let StoreError::CorruptBlob {
            path,
            expected,
            found,
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(
            (path, *expected, *found),
            (&blobs.path(&digest), digest, Digest::of(damage))
        );
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
        // Storing it again repairs it.
        blobs.put(Bytes::from_static(b"whole")).await.unwrap();
        assert_eq!(blobs.get(&digest).await.unwrap(), "whole");
    }
}

#[tokio::test]
async fn a_sweep_takes_what_is_old_and_unused() {
    let (folder, blobs) = store();
    let used = blobs.put(Bytes::from_static(b"used")).await.unwrap();
    let unused = blobs.put(Bytes::from_static(b"unused")).await.unwrap();
    let fresh = blobs.put(Bytes::from_static(b"fresh")).await.unwrap();
    let half = blobs.path(&used).with_file_name(".new-abc");
    fs::write(&half, "half").unwrap();
    // Not ours: left alone.
    let foreign = blobs.path(&used).with_file_name("README");
    fs::write(&foreign, "a person's").unwrap();
    for path in [&blobs.path(&used), &blobs.path(&unused), &half, &foreign] {
        written_at(path, NOW);
    }
    written_at(&blobs.path(&fresh), NOW + 2_000_000);

    let in_use = BTreeSet::from([used]);
    assert_eq!(
        blobs.sweep(in_use.clone(), NOW).await.unwrap(),
        Swept::default()
    );
    let swept = blobs.sweep(in_use.clone(), NOW + 1_000_000).await.unwrap();
    assert_eq!(
        swept,
        Swept {
            blobs: 1,
            unfinished: 1,
            bytes: 10
        }
    );
    assert!(blobs.contains(&used).await.unwrap() && blobs.contains(&fresh).await.unwrap());
    assert_eq!(
        blobs.sweep(in_use, LATER).await.unwrap(),
        Swept {
            blobs: 1,
            unfinished: 0,
            bytes: 5
        }
    );
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn storing_again_makes_it_new_for_the_sweep() {
    let (_folder, blobs) = store();
    let digest = blobs.put(Bytes::from_static(b"again")).await.unwrap();
    let long_ago = 1_000_000;
    written_at(&blobs.path(&digest), long_ago);
    blobs.put(Bytes::from_static(b"again")).await.unwrap();
    assert_eq!(
        blobs.sweep(BTreeSet::new(), long_ago + 1).await.unwrap(),
        Swept::default()
    );
    assert_eq!(blobs.sweep(BTreeSet::new(), LATER).await.unwrap().blobs, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_store_the_same_and_different_bytes() {
    let (folder, blobs) = store();
    let mut set = JoinSet::new();
    for n in 0..64u8 {
        let blobs = blobs.clone();
        set.spawn(async move {
            let bytes = Bytes::from(vec![n % 8; 10_000]);
            let digest = blobs.put(bytes.clone()).await.unwrap();
            assert_eq!(blobs.get(&digest).await.unwrap(), bytes);
        });
    }
    set.join_all().await;
    assert_eq!(files(folder.path()).len(), 8, "{:?}", files(folder.path()));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_temporary_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = BlobStore::open(file.join("blobs")).unwrap_err();
    assert!(error.is_temporary(), "{error:?}");

    let blobs = BlobStore::open(folder.path().join("blobs")).unwrap();
    // A file stands where the folder of this digest would be.
    let hex = Digest::of(b"hello").hex();
    fs::write(folder.path().join("blobs").join(&hex[..2]), "in the way").unwrap();
    assert!(
        blobs
            .put(Bytes::from_static(b"hello"))
            .await
            .unwrap_err()
            .is_temporary()
    );
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn packages_reach_it_through_the_port() {
    let (_folder, blobs) = store();
    let port: &dyn Blob = &blobs;
    let digest = port.put(Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!(port.get(&digest).await.unwrap(), "hello");
    assert!(matches!(
        port.get(&Digest::of(b"x")).await,
        Err(CapabilityError::NotFound(_))
    ));
    fs::write(blobs.path(&digest), "hullo").unwrap();
    assert!(
        matches!(port.get(&digest).await, Err(CapabilityError::Failed(why)) if why.contains("damaged"))
    );
}
