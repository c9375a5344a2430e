//! Packages made by hand, and containers made to hurt.

use std::{
    fs,
    io::{Cursor, Write},
};

use portico_package::{archive::Limits, manifest};
use portico_registry::foreign::{ForeignError, read, read_bytes};
use tar::{EntryType, Header};

fn limits() -> Limits {
    Limits {
        archive: 1 << 20,
        file: 1 << 16,
        total: 1 << 18,
        entries: 50,
    }
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer
            .start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_with(entries: &[(&[u8], EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let entries: Vec<_> = entries
        .iter()
        .map(|(n, b)| (n.as_bytes(), EntryType::Regular, *b))
        .collect();
    tar_with(&entries)
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn names(bytes: Vec<u8>) -> Result<Vec<String>, ForeignError> {
    Ok(read_bytes("x", bytes, &limits())?.into_keys().collect())
}

const M: &str = manifest::FILE_NAME;

#[test]
fn folder_zip_and_tarball_of_one_package_are_the_same_files() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("logs");
    fs::create_dir_all(folder.join("templates")).unwrap();
    fs::create_dir_all(folder.join(".git")).unwrap();
    fs::write(folder.join(M), "a").unwrap();
    fs::write(folder.join("templates/index.html"), "b").unwrap();
    fs::write(folder.join(".git/config"), "c").unwrap();
    fs::write(folder.join(".DS_Store"), "d").unwrap();
    let plain = read(&folder, &limits()).unwrap();
    assert_eq!(
        plain.keys().collect::<Vec<_>>(),
        [M, "templates/index.html"]
    );

    let entries: &[(&str, &[u8])] = &[(M, b"a"), ("templates/index.html", b"b")];
    let wrapped: &[(&str, &[u8])] = &[
        ("logs-1.0/microsite_manifest.yaml", b"a"),
        ("logs-1.0/templates/index.html", b"b"),
        ("logs-1.0/.git/config", b"c"),
        ("__MACOSX/logs-1.0/._x", b"d"),
    ];
    let dotted: &[(&str, &[u8])] = &[
        ("./microsite_manifest.yaml", b"a"),
        ("./templates/index.html", b"b"),
    ];
    for entries in [entries, wrapped, dotted] {
        for bytes in [zip(entries), tar(entries), gz(&tar(entries))] {
            assert_eq!(read_bytes("x", bytes, &limits()).unwrap(), plain);
        }
    }
    let file = home.path().join("logs.tgz");
    fs::write(&file, gz(&tar(entries))).unwrap();
    assert_eq!(read(&file, &limits()).unwrap(), plain);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let bad: &[&str] = &[
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a\\b",
        "c:/x",
        "a//b",
        "a/./b",
        "a/..",
        "trailing. ",
        "dot./x",
        "line\nbreak",
    ];
    for name in bad {
        for bytes in [
            zip(&[(M, b""), (name, b"x")]),
            tar(&[(M, b""), (name, b"x")]),
        ] {
            let result = names(bytes);
            assert!(
                matches!(result, Err(ForeignError::Name { .. })),
                "{name:?}: {result:?}"
            );
        }
    }
    let result = names(tar_with(&[
        (M.as_bytes(), EntryType::Regular, b""),
        (b"\xff\xfe", EntryType::Regular, b"x"),
    ]));
    assert!(
        matches!(result, Err(ForeignError::Name { .. })),
        "{result:?}"
    );
}

#[test]
fn links_and_devices_are_refused() {
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
    ] {
        let bytes = tar_with(&[
            (M.as_bytes(), EntryType::Regular, b""),
            (b"link", kind, b""),
        ]);
        let result = names(bytes);
        assert!(
            matches!(result, Err(ForeignError::NotAFile { .. })),
            "{kind:?}: {result:?}"
        );
    }
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.add_symlink("link", "/etc/passwd", options).unwrap();
    let result = names(writer.finish().unwrap().into_inner());
    assert!(
        matches!(result, Err(ForeignError::NotAFile { .. })),
        "{result:?}"
    );

    #[cfg(unix)]
    {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(M), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("link")).unwrap();
        let result = read(home.path(), &limits());
        assert!(
            matches!(result, Err(ForeignError::NotAFile { .. })),
            "{result:?}"
        );
    }
}

/// GNU and PAX headers can give an entry another name than the one that stands in its header.
#[test]
fn a_name_from_an_extension_header_is_held_to_the_same_rules() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_cksum();
    let long = format!("a/../../{}", "x".repeat(150));
    let mut name = Header::new_gnu();
    name.set_entry_type(EntryType::GNULongName);
    name.set_path("././@LongLink").unwrap();
    name.set_size(long.len() as u64 + 1);
    name.set_cksum();
    builder
        .append(&name, format!("{long}\0").as_bytes())
        .unwrap();
    builder.append(&header, &b"x"[..]).unwrap();
    let result = names(builder.into_inner().unwrap());
    assert!(
        matches!(result, Err(ForeignError::Name { .. })),
        "{result:?}"
    );

    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_pax_extensions([("path", &b"../../evil"[..])])
        .unwrap();
    let mut header = Header::new_ustar();
    header.set_path("harmless").unwrap();
    header.set_size(1);
    header.set_cksum();
    builder.append(&header, &b"x"[..]).unwrap();
    let result = names(builder.into_inner().unwrap());
    assert!(
        matches!(result, Err(ForeignError::Name { .. })),
        "{result:?}"
    );
}

#[test]
fn bombs_are_given_up_at_the_limit() {
    let zeros = vec![0; 1 << 20];
    for bytes in [
        zip(&[(M, b""), ("big", &zeros)]),
        gz(&tar(&[(M, b""), ("big", &zeros)])),
    ] {
        assert!(bytes.len() < 20_000);
        let result = names(bytes);
        assert!(
            matches!(result, Err(ForeignError::TooLarge { .. })),
            "{result:?}"
        );
    }
    let part = vec![0; 60_000];
    let many: Vec<(String, &[u8])> = (0..10).map(|n| (format!("f{n}"), &part[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(n, b)| (n.as_str(), *b)).collect();
    let result = names(zip(&many));
    assert!(
        matches!(result, Err(ForeignError::TooLarge { .. })),
        "{result:?}"
    );

    let crowd: Vec<(String, &[u8])> = (0..60).map(|n| (format!("f{n}"), &b""[..])).collect();
    let crowd: Vec<(&str, &[u8])> = crowd.iter().map(|(n, b)| (n.as_str(), *b)).collect();
    let result = names(tar(&crowd));
    assert!(
        matches!(result, Err(ForeignError::TooLarge { unit: "files", .. })),
        "{result:?}"
    );

    let result = names(vec![0; 2 << 20]);
    assert!(
        matches!(result, Err(ForeignError::TooLarge { .. })),
        "{result:?}"
    );
}

#[test]
fn what_is_damaged_or_unknown_or_no_package_says_so() {
    let result = names(tar(&[(M, b"a"), (M, b"b")]));
    assert!(
        matches!(result, Err(ForeignError::Duplicate(_))),
        "{result:?}"
    );
    let result = names(zip(&[("readme.md", b"a")]));
    assert!(
        matches!(result, Err(ForeignError::NoManifest)),
        "{result:?}"
    );
    let result = names(zip(&[("a/microsite_manifest.yaml", b"a"), ("b/x", b"a")]));
    assert!(
        matches!(result, Err(ForeignError::NoManifest)),
        "{result:?}"
    );
    let result = names(b"%PDF-1.7".to_vec());
    assert!(
        matches!(result, Err(ForeignError::Unknown(_))),
        "{result:?}"
    );
    for whole in [zip(&[(M, b"abc")]), gz(&tar(&[(M, b"abc")]))] {
        let result = names(whole[..whole.len() / 2].to_vec());
        assert!(
            matches!(result, Err(ForeignError::Damaged { .. })),
            "{result:?}"
        );
    }
}
