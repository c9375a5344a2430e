use portico_package::{
    Digest, Release,
    archive::{self, ArchiveError, Limits, inspect, pack, verify},
    manifest,
};

use crate::support::{files, key, other_key, packed, read_manifest};

#[test]
fn a_package_survives_its_archive() {
    let bytes = packed();
    let expected = Some((Digest::of(&bytes), bytes.len() as u64));
    let keys = [other_key().public_key(), key().public_key()];
    let package = verify(&bytes, expected, &keys, &Limits::default()).unwrap();
    assert_eq!(package.manifest(), &read_manifest(&files()));
    assert_eq!(package.files(), &files());
    assert_eq!(package.digest(), Digest::of(&bytes));
    assert_eq!(package.publisher(), key().key_id());
    let size: usize = files().values().map(Vec::len).sum();
    assert_eq!(package.unpacked_size(), size as u64);
}

#[test]
fn the_same_files_give_the_same_bytes() {
    assert_eq!(packed(), packed());
    let mut changed = files();
    changed.insert("static/empty.txt".into(), b"x".to_vec());
    assert_ne!(
        pack(&changed, &read_manifest(&changed), &key()).unwrap(),
        packed()
    );
}

/// Other programs can look inside.
#[test]
fn it_is_an_ordinary_tar_file_with_sorted_entries() {
    let tar = zstd::decode_all(packed().as_slice()).unwrap();
    let names: Vec<String> = tar::Archive::new(tar.as_slice())
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    let expected = [
        "portico/index.json",
        "portico/manifest.json",
        "portico/signature.json",
        "microsite_manifest.yaml",
        "static/empty.txt",
        "static/logo.svg",
        "templates/index.html",
    ];
    assert_eq!(names, expected);
}

#[test]
fn names_longer_than_a_field_of_the_header_survive() {
    let mut files = files();
    let long = format!("{}/{}/{}", "a".repeat(60), "b".repeat(60), "c".repeat(90));
    files.insert(long.clone(), b"far away".to_vec());
    let bytes = pack(&files, &read_manifest(&files), &key()).unwrap();
    let package = verify(&bytes, None, &[key().public_key()], &Limits::default()).unwrap();
    assert_eq!(package.files()[&long], b"far away");
    let one_part = "x".repeat(150);
    files.insert(one_part, Vec::new());
    let error = pack(&files, &read_manifest(&self::files()), &key()).unwrap_err();
    assert_eq!(error.code(), "archive-name");
}

#[test]
fn the_registry_has_the_first_word() {
    let bytes = packed();
    let keys = [key().public_key()];
    let size = bytes.len() as u64;
    let check = |expected| verify(&bytes, Some(expected), &keys, &Limits::default()).unwrap_err();
    assert!(matches!(
        check((Digest::of(&bytes), size + 1)),
        ArchiveError::SizeMismatch { .. }
    ));
    assert!(matches!(
        check((Digest::of(b""), size)),
        ArchiveError::DigestMismatch { .. }
    ));
    let limits = Limits {
        archive: size - 1,
        ..Limits::default()
    };
    let error = verify(&bytes, None, &keys, &limits).unwrap_err();
    assert!(matches!(error, ArchiveError::ArchiveTooLarge { .. }));
}

#[test]
fn only_trusted_keys_count() {
    let bytes = packed();
    for keys in [vec![], vec![other_key().public_key()]] {
        let error = verify(&bytes, None, &keys, &Limits::default()).unwrap_err();
        assert!(matches!(error, ArchiveError::UnknownKey { key_id } if key_id == key().key_id()));
    }
    let looked_at = inspect(&bytes, &Limits::default()).unwrap();
    assert_eq!(looked_at.claimed_publisher, key().key_id());
    assert_eq!(looked_at.files, files());
}

#[test]
fn pack_refuses_what_verify_would() {
    let manifest = read_manifest(&files());
    let with = |name: &str| {
        let mut files = files();
        files.insert(name.into(), b"x".to_vec());
        pack(&files, &manifest, &key()).unwrap_err().code()
    };
    assert_eq!(with("../x"), "archive-name");
    assert_eq!(with("portico/index.json"), "archive-reserved-name");
    assert_eq!(with("Portico/other"), "archive-reserved-name");
    assert_eq!(with("static/LOGO.svg"), "archive-same-name");
    assert_eq!(with("static/logo.svg/x"), "archive-file-is-folder");

    let mut without = files();
    without.remove(manifest::FILE_NAME);
    assert_eq!(
        pack(&without, &manifest, &key()).unwrap_err().code(),
        "manifest-invalid"
    );
    let mut without = files();
    without.remove("templates/index.html");
    assert_eq!(
        pack(&without, &manifest, &key()).unwrap_err().code(),
        "manifest-invalid"
    );

    let mut other = manifest;
    other.name = "Something else".into();
    let error = pack(&files(), &other, &key()).unwrap_err();
    assert!(
        matches!(&error, ArchiveError::ManifestMismatch(key) if key.contains("`name`")),
        "{error}"
    );
}

#[test]
fn a_release_survives_the_metadata_of_its_registry() {
    let bytes = packed();
    let package = verify(&bytes, None, &[key().public_key()], &Limits::default()).unwrap();
    let release = Release::from_package("main", &package, bytes.len() as u64);
    assert_eq!(release.target, "packages/hello/hello-1.2.0.portico");
    let custom = release.to_custom().unwrap();
    assert_eq!(portico_package::canonical::find_float(&custom), None);
    let read = |target: &str, custom: &serde_json::Value| {
        Release::from_custom("main", target, release.digest, release.size, custom)
    };
    assert_eq!(read(&release.target, &custom).unwrap(), release);
    let inspected = inspect(&bytes, &Limits::default()).unwrap();
    assert_eq!(
        Release::from_inspected("main", &inspected, release.size),
        release
    );

    let error = read("packages/other/other-1.2.0.portico", &custom).unwrap_err();
    assert!(error.to_string().contains("hello-1.2.0"), "{error}");
    let mut broken = custom.clone();
    broken["manifest"] = "{}".into();
    assert!(read(&release.target, &broken).is_err());
    let mut hostile = read_manifest(&files());
    hostile.path = Some("/../admin".into());
    let mut broken = custom;
    broken["manifest"] = String::from_utf8(hostile.to_json().unwrap())
        .unwrap()
        .into();
    let error = read(&release.target, &broken).unwrap_err();
    assert!(error.to_string().contains("/../admin"), "{error}");
}

#[test]
fn targets_are_named_after_id_and_version() {
    let path = archive::target_path(&"sz_dash".parse().unwrap(), &"1.0.0-rc.1".parse().unwrap());
    assert_eq!(path, "packages/sz_dash/sz_dash-1.0.0-rc.1.portico");
}
