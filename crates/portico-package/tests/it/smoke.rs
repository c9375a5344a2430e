//! A short, repeatable version of the fuzz targets: damaged input must be refused, never panic.

use portico_package::{
    VersionRange,
    archive::{Limits, inspect, verify},
    manifest::{Manifest, read},
};

use crate::support::{MANIFEST, files, key, packed, read_manifest, unzstd, zstd};

/// A generator that needs no crate and always says the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end.max(1) as u64) as usize
    }

    /// One to four changes: a flipped bit, a piece taken out, doubled, moved or replaced by `words`.
    fn damage(&mut self, good: &[u8], words: &[&[u8]]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(40)).min(bytes.len());
            match self.below(5) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => {
                    bytes.drain(at..end);
                }
                2 => {
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                3 => bytes.truncate(end),
                _ => {
                    let word = words[self.below(words.len())].to_vec();
                    bytes.splice(at..end.min(at + self.below(8)), word);
                }
            }
        }
        bytes
    }
}

const YAML_WORDS: &[&[u8]] = &[
    b"&a ",
    b"*a",
    b"!!str ",
    b"---\n",
    b"? ",
    b": ",
    b"- ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\t",
    b"\n",
    b"|\n",
    b">-\n",
    b"\"",
    b"'",
    b"#",
    b"~",
    b"null",
    b"1e999",
    b"0x",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"%YAML 1.2\n",
    b"<<",
    b"...",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"- - - -",
];

#[test]
fn manifests() {
    let samples = [
        MANIFEST,
        include_str!("../fixtures/manifests/everything.yaml"),
    ];
    let mut dice = Dice(1);
    let mut refused = 0;
    for _ in 0..4_000 {
        let sample = samples[dice.below(2)].as_bytes();
        let bytes = dice.damage(sample, YAML_WORDS);
        let text = String::from_utf8_lossy(&bytes);
        let (manifest, findings) = read::from_yaml("m.yaml", &text);
        assert_eq!(
            manifest.is_none(),
            findings.has_errors(),
            "{text}\n{findings}"
        );
        refused += usize::from(manifest.is_none());
        if let Some(manifest) = manifest {
            let json = manifest.to_json().unwrap();
            assert_eq!(Manifest::from_json(&json).unwrap().to_json().unwrap(), json);
        }
    }
    assert!(refused > 2_000, "{refused}");
}

#[test]
fn normalised_manifests() {
    let good = read_manifest(&files()).to_json().unwrap();
    let mut dice = Dice(2);
    for _ in 0..4_000 {
        let bytes = dice.damage(
            &good,
            &[b"null", b"{}", b"[]", b"1e9", b"\"\"", b"../", b"\\u0000"],
        );
        let _ = Manifest::from_json(&bytes);
    }
}

#[test]
fn archives() {
    let (good, keys) = (packed(), [key().public_key()]);
    let tar = unzstd(&good);
    let mut dice = Dice(3);
    for round in 0..1_500 {
        let bytes = match round % 2 {
            0 => dice.damage(&good, &[b"\x28\xb5\x2f\xfd", b"\0\0\0\0"]),
            _ => zstd(&dice.damage(&tar, &[b"ustar\x0000", b"\0\0\0\0", b"../", b"77777777777"])),
        };
        let _ = inspect(&bytes, &Limits::default());
        if let Ok(package) = verify(&bytes, None, &keys, &Limits::default()) {
            assert_eq!(
                package.files(),
                &files(),
                "damage changed a file and nobody noticed"
            );
        }
    }
}

#[test]
fn ranges() {
    let mut dice = Dice(4);
    let words: &[&[u8]] = &[
        b"||",
        b" - ",
        b">=",
        b"^",
        b"~",
        b"*",
        b".x",
        b"-rc.1",
        b"+b",
        b"99999999999999999999",
    ];
    for _ in 0..10_000 {
        let bytes = dice.damage(b">=2.1, <3.0 || ^4.2.1-rc.2", words);
        if let Ok(range) = String::from_utf8_lossy(&bytes).parse::<VersionRange>() {
            assert!(!range.intervals().is_empty());
            assert_eq!(range.to_string().parse::<VersionRange>().unwrap(), range);
        }
    }
}
