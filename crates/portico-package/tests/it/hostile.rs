//! Archives that want to harm. The attacker holds a trusted key: the worst case.

use portico_package::{
    Digest,
    archive::{ArchiveError, Limits, names::BadName, verify},
    canonical, manifest,
};
use serde_json::json;

use crate::support::{
    Raw, entry, files, key, own_entries, packed, read_manifest, signed, tar, unzstd, zstd,
};

fn refusal(archive: &[u8]) -> ArchiveError {
    match verify(archive, None, &[key().public_key()], &Limits::default()) {
        Ok(_) => panic!("the archive was accepted"),
        Err(e) => e,
    }
}

/// A package that is right in everything, followed by `extra`.
fn package_and(extra: &[Raw]) -> Vec<u8> {
    let files = files();
    let named: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    let mut entries = own_entries(&named);
    entries.extend(named.iter().map(|(name, content)| entry(name, content)));
    entries.extend_from_slice(extra);
    zstd(&tar(&entries))
}

fn refused_with(extra: Raw) -> ArchiveError {
    refusal(&package_and(&[extra]))
}

#[test]
fn the_archive_without_the_attack_is_accepted() {
    let archive = package_and(&[]);
    assert!(verify(&archive, None, &[key().public_key()], &Limits::default()).is_ok());
    let archive = package_and(&[
        entry("static/", b"").kind(b'5'),
        entry("more", b"").kind(b'5'),
    ]);
    assert!(verify(&archive, None, &[key().public_key()], &Limits::default()).is_ok());
}

#[test]
fn names_that_lead_elsewhere() {
    let table = [
        ("../x", BadName::Dots),
        ("a/../../x", BadName::Dots),
        ("/etc/passwd", BadName::Absolute),
        ("..\\..\\x", BadName::Backslash),
        ("C:/x", BadName::Colon),
        ("trailing.", BadName::TrailingDotOrSpace),
        ("trailing ", BadName::TrailingDotOrSpace),
        ("new\nline", BadName::Control),
    ];
    for (name, expected) in table {
        let error = refused_with(entry(name, b"x"));
        assert!(
            matches!(&error, ArchiveError::Name { why, .. } if *why == expected),
            "{name}: {error}"
        );
        let error = refused_with(entry(name, b"").kind(b'5'));
        assert!(
            matches!(&error, ArchiveError::Name { .. }),
            "folder {name}: {error}"
        );
    }
}

#[test]
fn names_that_programs_read_differently() {
    let mut nul = entry("ignored", b"x");
    nul.name = b"static/a\0b.exe".to_vec();
    let mut not_utf8 = entry("ignored", b"x");
    not_utf8.name = b"static/\xff\xfe".to_vec();
    let mut long = entry("ignored", b"x");
    long.prefix = [b"p".repeat(77), b"/".to_vec(), b"p".repeat(77)].concat();
    long.name = b"n".repeat(100);
    for (raw, expected) in [
        (nul, BadName::Nul),
        (not_utf8, BadName::NotUtf8),
        (long, BadName::TooLong),
    ] {
        let error = refused_with(raw);
        assert!(
            matches!(&error, ArchiveError::Name { why, .. } if *why == expected),
            "{error}"
        );
    }
}

#[test]
fn links_devices_and_pipes() {
    let symbolic = entry("link", b"").kind(b'2').link("/etc");
    assert!(matches!(
        refused_with(symbolic.clone()),
        ArchiveError::SymbolicLink { .. }
    ));
    let through = package_and(&[symbolic, entry("link/passwd", b"x")]);
    assert!(matches!(
        refusal(&through),
        ArchiveError::SymbolicLink { .. }
    ));
    let hard = entry("hard", b"").kind(b'1').link("/etc/passwd");
    assert!(matches!(refused_with(hard), ArchiveError::HardLink { .. }));
    for kind in [b'3', b'4', b'6', b'7', b'S', b'Z', 0, 255] {
        let error = refused_with(entry("special", b"").kind(kind));
        assert!(
            matches!(error, ArchiveError::SpecialFile { .. }),
            "{kind}: {error}"
        );
    }
}

#[test]
fn extensions_of_tar() {
    let pax = b"27 path=../../etc/cron.d/x\n";
    for kind in [b'x', b'g', b'X'] {
        let error = refused_with(entry("PaxHeader", pax).kind(kind));
        assert!(matches!(error, ArchiveError::PaxHeader { .. }), "{error}");
    }
    let long_name = entry("././@LongLink", b"../../../escape\0");
    for raw in [long_name.clone().kind(b'L'), long_name.gnu().kind(b'K')] {
        assert!(matches!(
            refused_with(raw),
            ArchiveError::GnuLongName { .. }
        ));
    }
    assert!(matches!(
        refused_with(entry("a", b"").gnu()),
        ArchiveError::NotUstar { .. }
    ));
    let mut old = entry("a", b"");
    old.magic = [0; 8];
    assert!(matches!(refused_with(old), ArchiveError::NotUstar { .. }));
}

#[test]
fn files_that_become_one_elsewhere() {
    let shadow = refused_with(entry("Static/Logo.SVG", b"x"));
    assert!(matches!(shadow, ArchiveError::SameName { .. }), "{shadow}");
    let twice = refused_with(entry("static/logo.svg", b"x"));
    assert!(matches!(twice, ArchiveError::SameName { .. }), "{twice}");
    let folder = refused_with(entry("static/logo.svg/x", b"x"));
    assert!(
        matches!(folder, ArchiveError::FileIsFolder { .. }),
        "{folder}"
    );
    let over = refused_with(entry("static", b"x"));
    assert!(matches!(over, ArchiveError::FileIsFolder { .. }), "{over}");
    let folder = refused_with(entry("static/logo.svg", b"").kind(b'5'));
    assert!(
        matches!(folder, ArchiveError::FileIsFolder { .. }),
        "{folder}"
    );
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    // 1 GiB of zeros in 90 files: the signed index alone is enough to know.
    let zeros = vec![0u8; 12 << 20];
    let names: Vec<String> = (0..90).map(|i| format!("static/{i:02}")).collect();
    let indexed: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), zeros.as_slice()))
        .collect();
    let mut entries = own_entries(&indexed);
    entries.extend(names.iter().take(1).map(|name| entry(name, &zeros)));
    let error = refusal(&zstd(&tar(&entries)));
    assert!(
        matches!(error, ArchiveError::TotalTooLarge { .. }),
        "{error}"
    );

    // A file over the limit for one file.
    let limits = Limits {
        file: 1 << 20,
        ..Limits::default()
    };
    let big = vec![0u8; (1 << 20) + 1];
    let mut entries = own_entries(&[("big", &big)]);
    entries.push(entry("big", &big));
    let archive = zstd(&tar(&entries));
    let error = verify(&archive, None, &[key().public_key()], &limits).unwrap_err();
    assert!(
        matches!(error, ArchiveError::FileTooLarge { .. }),
        "{error}"
    );
    assert_eq!(Limits::default().file, 64 << 20);

    // An index that lies about the size.
    let mut entries = own_entries(&[("small", b"x")]);
    entries.push(entry("small", &big));
    let error = refusal(&zstd(&tar(&entries)));
    assert!(
        matches!(error, ArchiveError::FileMismatch { .. }),
        "{error}"
    );

    // A first entry that never ends.
    let error = refusal(&zstd(&tar(&[entry(
        "portico/index.json",
        &vec![b' '; 5 << 20],
    )])));
    assert!(
        matches!(error, ArchiveError::FileTooLarge { .. }),
        "{error}"
    );
}

#[test]
fn more_entries_than_allowed() {
    let names: Vec<String> = (0..5_000).map(|i| format!("static/{i:04}")).collect();
    let indexed: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), b"".as_slice())).collect();
    let error = refusal(&zstd(&tar(&own_entries(&indexed))));
    assert!(
        matches!(error, ArchiveError::TooManyEntries { .. }),
        "{error}"
    );
    // Folders are in no index and count all the same.
    let folders: Vec<Raw> = (0..5_000)
        .map(|i| entry(&format!("f{i}"), b"").kind(b'5'))
        .collect();
    let error = refusal(&package_and(&folders));
    assert!(
        matches!(error, ArchiveError::TooManyEntries { .. }),
        "{error}"
    );
}

#[test]
fn streams_that_end_early_or_late() {
    let archive = packed();
    for end in [
        0,
        1,
        4,
        archive.len() / 2,
        archive.len() - 4,
        archive.len() - 1,
    ] {
        let error = refusal(&archive[..end]);
        assert!(matches!(error, ArchiveError::Truncated), "{end}: {error}");
    }
    let whole = unzstd(&archive);
    for end in [
        512,
        600,
        1536,
        whole.len() - 1536,
        whole.len() - 1024,
        whole.len() - 512,
    ] {
        let error = refusal(&zstd(&whole[..end]));
        assert!(matches!(error, ArchiveError::Truncated), "{end}: {error}");
    }
    let after = [archive.clone(), b"x".to_vec()].concat();
    assert!(matches!(refusal(&after), ArchiveError::TrailingData));
    let second_frame = [archive, zstd(b"more")].concat();
    assert!(matches!(refusal(&second_frame), ArchiveError::TrailingData));
    let padded = [whole.clone(), vec![0; 512]].concat();
    assert!(matches!(
        refusal(&zstd(&padded)),
        ArchiveError::TrailingData
    ));
    let hidden = [whole.clone(), tar(&[entry("hidden", b"x")])].concat();
    assert!(matches!(
        refusal(&zstd(&hidden)),
        ArchiveError::TrailingData
    ));
    let mut one_zero_block = whole;
    let at = one_zero_block.len() - 1;
    one_zero_block[at] = 1;
    assert!(matches!(
        refusal(&zstd(&one_zero_block)),
        ArchiveError::TrailingData
    ));
    assert!(matches!(
        refusal(b"PK\x03\x04 a zip file"),
        ArchiveError::Compression(_)
    ));
    assert!(matches!(
        refusal(&zstd(&[b'x'; 4096])),
        ArchiveError::Tar(_)
    ));
}

#[test]
fn a_window_that_eats_memory() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.include_contentsize(false).unwrap();
    std::io::Write::write_all(&mut encoder, &unzstd(&packed())).unwrap();
    let error = refusal(&encoder.finish().unwrap());
    assert!(matches!(error, ArchiveError::Compression(_)), "{error}");
}

#[test]
fn one_changed_byte_anywhere() {
    let good = unzstd(&packed());
    let mut refused = 0;
    for at in (0..good.len() - 1024).step_by(37) {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        // Owner, mode and time of a header are covered by its checksum; padding by nothing, and
        // nothing reads it.
        if verify(&zstd(&bad), None, &[key().public_key()], &Limits::default()).is_err() {
            refused += 1;
        } else {
            assert!(good[at] == 0, "byte {at} was changed and nobody noticed");
        }
    }
    assert!(refused > 50);
}

#[test]
fn files_and_index_must_agree() {
    let error = refused_with(entry("static/extra.txt", b"x"));
    assert!(matches!(error, ArchiveError::NotIndexed { .. }), "{error}");

    let files = files();
    let named: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    let all = || -> Vec<Raw> {
        named
            .iter()
            .map(|(name, content)| entry(name, content))
            .collect()
    };
    let archive = |authors: Vec<Raw>| zstd(&tar(&[own_entries(&named), authors].concat()));

    let mut missing = all();
    missing.pop();
    assert!(matches!(
        refusal(&archive(missing)),
        ArchiveError::MissingFile { .. }
    ));
    let mut reordered = all();
    reordered.swap(1, 2);
    assert!(matches!(
        refusal(&archive(reordered)),
        ArchiveError::MissingFile { .. }
    ));
    let mut changed = all();
    changed[3].content[0] ^= 1;
    assert!(matches!(
        refusal(&archive(changed)),
        ArchiveError::FileMismatch { .. }
    ));
}

#[test]
fn the_own_entries_must_be_there_and_true() {
    let bare: Vec<Raw> = files()
        .iter()
        .map(|(name, content)| entry(name, content))
        .collect();
    let error = refusal(&zstd(&tar(&bare)));
    assert!(matches!(error, ArchiveError::NotAPackage { .. }), "{error}");
    assert!(matches!(refusal(&zstd(&tar(&[]))), ArchiveError::Truncated));

    let manifest = read_manifest(&files()).to_json().unwrap();
    let index = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut index = json!({
            "format_version": 1, "id": "hello", "version": "1.2.0",
            "manifest": Digest::of(&manifest), "files": {},
        });
        change(&mut index);
        canonical::to_vec(&index).unwrap()
    };
    let refused = |index: &[u8]| refusal(&zstd(&tar(&signed(index, &manifest))));
    assert!(matches!(refused(b"{}"), ArchiveError::Index(_)));
    assert!(matches!(refused(b"not json"), ArchiveError::Index(_)));
    let newer = index(&|i| i["format_version"] = json!(2));
    assert!(matches!(refused(&newer), ArchiveError::Format { found: 2 }));
    let unknown = index(&|i| i["extra"] = json!(1));
    assert!(matches!(refused(&unknown), ArchiveError::Index(_)));
    let spaced = serde_json::to_vec_pretty(
        &serde_json::from_slice::<serde_json::Value>(&index(&|_| {})).unwrap(),
    )
    .unwrap();
    assert!(matches!(refused(&spaced), ArchiveError::Index(_)));
    let other_manifest = index(&|i| i["manifest"] = json!(Digest::of(b"")));
    assert!(matches!(
        refused(&other_manifest),
        ArchiveError::FileMismatch { .. }
    ));
    let other_id = index(&|i| i["id"] = json!("other"));
    assert!(matches!(
        refused(&other_id),
        ArchiveError::ManifestMismatch(_)
    ));
    let other_version = index(&|i| i["version"] = json!("1.2.1"));
    assert!(matches!(
        refused(&other_version),
        ArchiveError::ManifestMismatch(_)
    ));
    let reserved =
        index(&|i| i["files"] = json!({"portico/x": {"sha256": Digest::of(b""), "size": 0}}));
    assert!(matches!(
        refused(&reserved),
        ArchiveError::ReservedName { .. }
    ));

    let mut entries = signed(&index(&|_| {}), &manifest);
    entries[2].content = b"{}".to_vec();
    assert!(matches!(
        refusal(&zstd(&tar(&entries))),
        ArchiveError::SignatureEntry(_)
    ));
    let mut entries = signed(&index(&|_| {}), &manifest);
    entries[0].content = index(&|i| i["version"] = json!("9.9.9"));
    assert!(matches!(
        refusal(&zstd(&tar(&entries))),
        ArchiveError::BadSignature { .. }
    ));
}

/// The normalised manifest is what the portal shows and obeys, the author's is what people read.
#[test]
fn the_authors_manifest_must_say_the_same() {
    let files = files();
    let text = String::from_utf8(files[manifest::FILE_NAME].clone()).unwrap();
    let check = |text: String| {
        let mut files = files.clone();
        files.insert(manifest::FILE_NAME.into(), text.into_bytes());
        let named: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, content)| (name.as_str(), content.as_slice()))
            .collect();
        let mut entries = own_entries(&named);
        entries.extend(named.iter().map(|(name, content)| entry(name, content)));
        refusal(&zstd(&tar(&entries)))
    };
    let error = check(text.replace("api:schedules:read", "api:handlers:write"));
    assert!(
        matches!(&error, ArchiveError::ManifestMismatch(k) if k.contains("`permissions`")),
        "{error}"
    );
    let error = check(text.replace("version: 1.2.0", "version: nine"));
    assert!(matches!(&error, ArchiveError::Source(_)), "{error}");
    let error = check("\u{feff}".into());
    assert!(matches!(&error, ArchiveError::Source(_)), "{error}");
}
