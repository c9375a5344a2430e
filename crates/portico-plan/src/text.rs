//! Small words of sentences.

use std::fmt::Display;

use portico_package::VersionRange;

/// A size as people read it: binary units, one decimal where it tells something.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut tenths = u128::from(bytes) * 10 / 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if tenths % 10 == 0 || tenths >= 1000 {
        format!("{} {}", tenths / 10, UNITS[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// A package with the range of versions that is wanted of it; any version goes without saying.
pub(crate) fn wanted(package: impl Display, range: &VersionRange) -> String {
    if *range == VersionRange::any() {
        package.to_string()
    } else {
        format!("{package} {range}")
    }
}

/// `1 page`, `3 pages`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_short() {
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (200 * 1024, "200 KiB"),
            (10 << 30, "10 GiB"),
            (u64::MAX, "16383 PiB"),
        ] {
            assert_eq!(super::bytes(size), text);
        }
    }
}
