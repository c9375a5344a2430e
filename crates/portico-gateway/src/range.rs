//! Parts of files (RFC 9110, section 14).
//!
//! One range is answered with that part. Several at once are answered with the whole file, which the RFC
//! allows: no browser asks for them, and a hundred overlapping ones are an attack. What is no range
//! is ignored, as the RFC asks for.

use std::ops::Range;

use http::{HeaderMap, header};

/// What a request asks for of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// These bytes; never none.
    Bytes(Range<usize>),
    /// Bytes that there are not.
    Nothing,
}

impl Part {
    /// What the headers of a GET ask for of `length` bytes that have this (strong) tag.
    pub(crate) fn asked(headers: &HeaderMap, length: usize, etag: &str) -> Self {
        let mut values = headers.get_all(header::RANGE).iter();
        let (Some(range), None) = (values.next(), values.next()) else {
            return Self::Whole;
        };
        // A date never matches: files have none. Neither does a weak tag.
        let is_current = headers
            .get_all(header::IF_RANGE)
            .iter()
            .all(|tag| tag.as_bytes() == etag.as_bytes());
        range
            .to_str()
            .ok()
            .filter(|_| is_current)
            .and_then(|range| Self::read(range, length))
            .unwrap_or(Self::Whole)
    }

    /// Reads `bytes=first-last`, `bytes=first-` or `bytes=-length`; nothing for anything else.
    fn read(range: &str, length: usize) -> Option<Self> {
        let (unit, range) = range.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        let (first, last) = match (number(first)?, number(last)?) {
            (None, None) => return None,
            (None, Some(suffix)) => (length.saturating_sub(suffix), length),
            (Some(first), None) => (first, length),
            (Some(first), Some(last)) if first > last => return None,
            (Some(first), Some(last)) => (first, last.saturating_add(1).min(length)),
        };
        Some(if first < last {
            Self::Bytes(first..last)
        } else {
            Self::Nothing
        })
    }
}

/// Digits, or nothing at all. What no file can have counts as very many.
fn number(text: &str) -> Option<Option<usize>> {
    if text.is_empty() {
        return Some(None);
    }
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| Some(text.parse().unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn asked(headers: &[(&'static str, &str)], length: usize) -> Part {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Part::asked(&map, length, "\"tag\"")
    }

    #[test]
    fn single_ranges() {
        for (range, part) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=0-99", Part::Bytes(0..100)),
            ("bytes=0-100", Part::Bytes(0..100)),
            ("bytes=99-", Part::Bytes(99..100)),
            ("bytes=-1", Part::Bytes(99..100)),
            ("bytes=-1000", Part::Bytes(0..100)),
            ("BYTES=10-19", Part::Bytes(10..20)),
            ("bytes=010-0019", Part::Bytes(10..20)),
            ("bytes= 10-19 ", Part::Bytes(10..20)),
            ("bytes=100-", Part::Nothing),
            ("bytes=100-200", Part::Nothing),
            ("bytes=-0", Part::Nothing),
        ] {
            assert_eq!(asked(&[("range", range)], 100), part, "{range}");
        }
    }

    #[test]
    fn hostile_ranges_do_no_harm() {
        let many = format!("bytes={}", "0-,".repeat(5000));
        let huge = format!("bytes=0-{}", "9".repeat(5000));
        let whole = [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=--1",
            "bytes=5-1",
            "bytes=1-2-3",
            "bytes=a-b",
            "bytes=0x1-",
            "bytes=+1-",
            "bytes=1 -2",
            "bytes=1- 2",
            "bytes=\t",
            "bytes=0-1,2-3",
            "bytes=0-,0-,0-",
            "items=0-1",
            "=0-1",
            "bytes=0-1;x",
            "bytes==0-1",
            "bytes=1.5-2",
            &many,
        ];
        for range in whole {
            assert_eq!(asked(&[("range", range)], 100), Part::Whole, "{range:.40}");
        }
        for (range, part) in [
            ("bytes=0-18446744073709551615", Part::Bytes(0..100)),
            ("bytes=0-18446744073709551616", Part::Bytes(0..100)),
            ("bytes=-18446744073709551616", Part::Bytes(0..100)),
            ("bytes=18446744073709551615-", Part::Nothing),
            (
                "bytes=18446744073709551616-18446744073709551617",
                Part::Nothing,
            ),
            (&huge, Part::Bytes(0..100)),
        ] {
            assert_eq!(asked(&[("range", range)], 100), part, "{range:.40}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0"] {
            assert_eq!(asked(&[("range", range)], 0), Part::Nothing, "{range}");
        }
        let twice = [("range", "bytes=0-1"), ("range", "bytes=2-3")];
        assert_eq!(asked(&twice, 100), Part::Whole);
    }

    #[test]
    fn if_range() {
        for (tag, part) in [
            ("\"tag\"", Part::Bytes(0..2)),
            ("W/\"tag\"", Part::Whole),
            ("\"other\"", Part::Whole),
            ("tag", Part::Whole),
            ("*", Part::Whole),
            ("", Part::Whole),
            ("Tue, 24 Nov 2026 14:00:00 GMT", Part::Whole),
        ] {
            let headers = [("range", "bytes=0-1"), ("if-range", tag)];
            assert_eq!(asked(&headers, 100), part, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_inside_of_the_file(range in "bytes=[0-9,-]{0,24}|[ -~]{0,40}", length in 0_usize..200) {
            if let Part::Bytes(part) = asked(&[("range", &range)], length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }
}
