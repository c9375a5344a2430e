use proptest::prelude::*;

use super::*;

fn range(text: &str) -> VersionRange {
    text.parse().unwrap()
}

fn v(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// `[2.1.0, 3.0.0)` and so on.
fn written(range: &VersionRange) -> String {
    let part = |(lower, upper): &Interval| {
        let lower = match lower {
            Bound::Included(v) => format!("[{v}"),
            Bound::Excluded(v) => format!("({v}"),
            Bound::Unbounded => "(".into(),
        };
        let upper = match upper {
            Bound::Included(v) => format!("{v}]"),
            Bound::Excluded(v) => format!("{v})"),
            Bound::Unbounded => ")".into(),
        };
        format!("{lower}, {upper}")
    };
    range
        .intervals()
        .iter()
        .map(part)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn ranges_mean_what_the_table_says() {
    let table = [
        (">=2.1 <3.0", "[2.1.0, 3.0.0)"),
        (">=2.1, <3.0", "[2.1.0, 3.0.0)"),
        (">=2.1,<3.0", "[2.1.0, 3.0.0)"),
        (">=2.1<3.0", "[2.1.0, 3.0.0)"),
        ("  >= 2.1   < 3.0  ", "[2.1.0, 3.0.0)"),
        (">=2.1,<3.0 || >=4", "[2.1.0, 3.0.0) [4.0.0, )"),
        (">=4||>=2.1 <3", "[2.1.0, 3.0.0) [4.0.0, )"),
        (">=1.9.0", "[1.9.0, )"),
        ("^2", "[2.0.0, 3.0.0)"),
        ("^0.2.3", "[0.2.3, 0.3.0)"),
        ("^0.0.3", "[0.0.3, 0.0.4)"),
        ("^0.0", "[0.0.0, 0.1.0)"),
        ("^0", "[0.0.0, 1.0.0)"),
        ("~2.1", "[2.1.0, 2.2.0)"),
        ("~2.1.4", "[2.1.4, 2.2.0)"),
        ("~2", "[2.0.0, 3.0.0)"),
        ("2.1", "[2.1.0, 3.0.0)"),
        ("2.1.4", "[2.1.4, 3.0.0)"),
        ("1.x", "[1.0.0, 2.0.0)"),
        ("1.2.x", "[1.2.0, 1.3.0)"),
        ("1.2.*", "[1.2.0, 1.3.0)"),
        ("0.1.X", "[0.1.0, 0.2.0)"),
        (">=1.x", "[1.0.0, )"),
        ("*", "(, )"),
        ("x", "(, )"),
        (">=*", "(, )"),
        ("* <2", "(, 2.0.0)"),
        ("=1.2.3", "[1.2.3, 1.2.3]"),
        ("=1.2", "[1.2.0, 1.3.0)"),
        (">1.2", "[1.3.0, )"),
        (">1.2.3", "(1.2.3, )"),
        ("<=1.2", "(, 1.3.0)"),
        ("<=1.2.3", "(, 1.2.3]"),
        ("<1.2", "(, 1.2.0)"),
        ("1.4.2 - 2.0", "[1.4.2, 2.1.0)"),
        ("1.4.2 - 2.0.0", "[1.4.2, 2.0.0]"),
        ("1 - 2", "[1.0.0, 3.0.0)"),
        (">=1.0.0-beta.2", "[1.0.0-beta.2, )"),
        ("=1.2.3+build.5", "[1.2.3, 1.2.3]"),
        ("<2 || >=2", "(, )"),
        ("<2 || >2.0.0", "(, 2.0.0) (2.0.0, )"),
        ("^1 || ^2 || ^4", "[1.0.0, 3.0.0) [4.0.0, 5.0.0)"),
    ];
    for (text, intervals) in table {
        assert_eq!(written(&range(text)), intervals, "{text}");
    }
}

#[test]
fn refusals_say_what_to_write() {
    let table = [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("latest", "not a version such as"),
        ("v1.2", "leave the `v` away"),
        ("==1", "write `=`"),
        ("~>1.2", "write `~`"),
        ("=>1.2", "write `>=`"),
        ("!=1.2", "exclusions"),
        (">=", "missing after an operator"),
        (">=1,", "after a comma"),
        (",>=1", "before a comma"),
        (">=1 ||", "beside `||`"),
        ("|| 1", "beside `||`"),
        (">3 <2", "no version is inside"),
        ("2 - 1", "no version is inside"),
        (">1.0.0 <=1.0.0", "no version is inside"),
        ("1.2.3.4", "more than three"),
        ("1.*.2", "after a wildcard"),
        ("01.2", "leading zero"),
        ("1.2-beta", "not complete"),
        ("1.2.3-", "ends with"),
        ("1.2.3-be_ta", "not a pre-release"),
        ("99999999999999999999", "too large"),
        ("^18446744073709551615", "too large"),
        (">*", "beyond"),
        ("1..2", "not a version"),
        ("1.2.3 -", "not a version"),
    ];
    for (text, reason) in table {
        let error = text.parse::<VersionRange>().unwrap_err();
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
    assert!("1 ".repeat(200).parse::<VersionRange>().is_err());
}

#[test]
fn a_pre_release_counts_only_where_it_is_named() {
    let table = [
        (">=2.1, <3.0", "3.0.0-beta.1", false),
        (">=2.1, <3.0", "2.5.0-beta.1", false),
        (">=1.0.0-beta.2", "1.0.0-beta.3", true),
        (">=1.0.0-beta.2", "1.0.0-beta.1", false),
        (">=1.0.0-beta.2", "1.0.1-beta.3", false),
        (">=1.0.0-beta.2", "1.0.1", true),
        ("^1.2.3-rc.1", "1.2.3-rc.2", true),
        ("^1.2.3-rc.1", "2.0.0-rc.1", false),
        ("<1.0.0-rc.1", "1.0.0-beta", true),
        ("*", "1.0.0-beta", false),
        (">=1.0.0-rc.1 || >=0.5", "1.0.0-rc.2", true),
        (">=1.0.0-rc.1 || >=0.5", "1.1.0-rc.2", false),
    ];
    for (text, version, inside) in table {
        assert_eq!(range(text).matches(&v(version)), inside, "{text} {version}");
    }
}

#[test]
fn build_metadata_does_not_count() {
    assert!(range("=1.2.3").matches(&v("1.2.3+anything")));
    assert!(!range(">1.2.3").matches(&v("1.2.3+anything")));
    assert!(VersionRange::exactly(&v("1.2.3+a")).matches(&v("1.2.3+b")));
}

#[test]
fn json_is_the_text_as_written() {
    let json = serde_json::to_string(&range(" >=2.1 <3.0 ")).unwrap();
    assert_eq!(json, r#"">=2.1 <3.0""#);
    let back: VersionRange = serde_json::from_str(&json).unwrap();
    assert_eq!(back, range(">=2.1 <3.0"));
    assert!(serde_json::from_str::<VersionRange>(r#""newest""#).is_err());
}

fn a_version() -> impl Strategy<Value = Version> {
    let pre = prop_oneof![4 => Just(""), 1 => Just("alpha"), 1 => Just("rc.1")];
    (0u64..4, 0u64..4, 0u64..4, pre).prop_map(|(major, minor, patch, pre)| Version {
        pre: Prerelease::new(pre).unwrap(),
        ..Version::new(major, minor, patch)
    })
}

fn a_comparator() -> impl Strategy<Value = String> {
    let operator = prop_oneof![
        Just(""),
        Just("^"),
        Just("~"),
        Just("="),
        Just(">="),
        Just("<"),
        Just(">")
    ];
    let version = prop_oneof![
        a_version().prop_map(|v| v.to_string()),
        (0u64..4, 0u64..4).prop_map(|(a, b)| format!("{a}.{b}")),
        (0u64..4).prop_map(|a| a.to_string()),
    ];
    (operator, version).prop_map(|(o, v)| format!("{o}{v}"))
}

fn a_range() -> impl Strategy<Value = VersionRange> {
    let alternative = proptest::collection::vec(a_comparator(), 1..3).prop_map(|c| c.join(" "));
    proptest::collection::vec(alternative, 1..4)
        .prop_map(|a| a.join(" || "))
        .prop_filter_map("admits no version", |text| text.parse().ok())
}

proptest! {
    #[test]
    fn matching_is_membership_of_an_interval(range in a_range(), version in a_version()) {
        let member = range.intervals().iter().any(|i| contains(i, &version));
        if version.pre.is_empty() {
            prop_assert_eq!(range.matches(&version), member);
        } else {
            prop_assert!(!range.matches(&version) || member);
        }
    }

    #[test]
    fn intervals_ascend_and_do_not_touch(range in a_range()) {
        for pair in range.intervals().windows(2) {
            prop_assert!(!touches(&pair[0].1, &pair[1].0));
            prop_assert!(compare_lower(&pair[0].0, &pair[1].0).is_lt());
        }
    }

    /// Where semver can read a single comparator at all, both agree on it.
    #[test]
    fn comparators_agree_with_cargo(text in a_comparator(), version in a_version()) {
        if let (Ok(ours), Ok(theirs)) = (text.parse::<VersionRange>(), semver::VersionReq::parse(&text)) {
            prop_assert_eq!(ours.matches(&version), theirs.matches(&version), "{} {}", text, version);
        }
    }

    #[test]
    fn no_text_panics(text in "[0-9.xX*<>=^~|, a-z+-]{0,40}") {
        let _ = text.parse::<VersionRange>();
    }
}
