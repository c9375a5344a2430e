//! Version ranges as the requirements write them: `>=2.1 <3.0`, `>=1.9.0`, `^2`, `~2.1`, `2.1`, `*`.
//!
//! | written | means |
//! | --- | --- |
//! | `>=2.1 <3.0`, `>=2.1, <3.0` | both hold |
//! | `2.1`, `^2.1` | `>=2.1.0 <3.0.0`; `^0.2` is `<0.3.0`, `^0.0.3` is `<0.0.4` |
//! | `~2.1`, `2.1.x`, `2.1.*`, `=2.1` | `>=2.1.0 <2.2.0` |
//! | `1.4.2 - 2.0` | `>=1.4.2 <2.1.0` |
//! | `>1.2`, `<=1.2` | `>=1.3.0`, `<1.3.0` |
//! | `^1 \|\| >=3` | either holds |
//! | `*` | every version |

use std::{cmp::Ordering, fmt, ops::Bound, str::FromStr};

use semver::{BuildMetadata, Prerelease, Version};
use serde::{Deserialize, Serialize};

/// Longest text that is read, bytes. A range is a line, and the resolver compares intervals.
const MAX_LENGTH: usize = 256;

type Interval = (Bound<Version>, Bound<Version>);

/// A union of intervals of versions, kept with the text it was written as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionRange {
    text: String,
    intervals: Vec<Interval>,
    /// The parts between `||` as written. Only they know which pre-releases were named:
    /// in `>=1.0.0-rc.1 || >=0.5` the union swallows the bound.
    alternatives: Vec<Interval>,
}

/// Why a text is not a [`VersionRange`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version range: {reason}")]
pub struct InvalidRange {
    /// What was written.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl VersionRange {
    /// Every version.
    pub fn any() -> Self {
        let all = vec![(Bound::Unbounded, Bound::Unbounded)];
        Self {
            text: "*".into(),
            intervals: all.clone(),
            alternatives: all,
        }
    }

    /// This version and no other.
    pub fn exactly(version: &Version) -> Self {
        let version = without_build(version);
        let one = vec![(
            Bound::Included(version.clone()),
            Bound::Included(version.clone()),
        )];
        Self {
            text: format!("={version}"),
            intervals: one.clone(),
            alternatives: one,
        }
    }

    /// The range as written, without the white space around it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The intervals, ascending and disjoint. Bounds carry no build metadata.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Whether `version` is inside. A pre-release is inside only where a bound of its own
    /// `major.minor.patch` is a pre-release too. Build metadata does not count.
    pub fn matches(&self, version: &Version) -> bool {
        let inside = |interval: &&Interval| contains(interval, version);
        if version.pre.is_empty() {
            return self.intervals.iter().any(|i| inside(&i));
        }
        let names_it = |bound: &Bound<Version>| match bound {
            Bound::Included(b) | Bound::Excluded(b) => {
                !b.pre.is_empty() && core(b) == core(version)
            }
            Bound::Unbounded => false,
        };
        self.alternatives
            .iter()
            .filter(inside)
            .any(|(lower, upper)| names_it(lower) || names_it(upper))
    }
}

impl FromStr for VersionRange {
    type Err = InvalidRange;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let text = s.trim();
        parse(text)
            .map(|alternatives| Self {
                text: text.to_owned(),
                intervals: union(alternatives.clone()),
                alternatives,
            })
            .map_err(|reason| InvalidRange {
                text: shortened(text),
                reason,
            })
    }
}

impl TryFrom<String> for VersionRange {
    type Error = InvalidRange;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<VersionRange> for String {
    fn from(r: VersionRange) -> Self {
        r.text
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether the interval holds `version`, by precedence alone.
fn contains((lower, upper): &Interval, version: &Version) -> bool {
    let above = match lower {
        Bound::Included(b) => version.cmp_precedence(b).is_ge(),
        Bound::Excluded(b) => version.cmp_precedence(b).is_gt(),
        Bound::Unbounded => true,
    };
    let below = match upper {
        Bound::Included(b) => version.cmp_precedence(b).is_le(),
        Bound::Excluded(b) => version.cmp_precedence(b).is_lt(),
        Bound::Unbounded => true,
    };
    above && below
}

fn core(v: &Version) -> (u64, u64, u64) {
    (v.major, v.minor, v.patch)
}

fn without_build(v: &Version) -> Version {
    Version {
        build: BuildMetadata::EMPTY,
        ..v.clone()
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_LENGTH {
        return text.to_owned();
    }
    text.chars().take(64).chain(['…']).collect()
}

fn parse(text: &str) -> Result<Vec<Interval>, String> {
    if text.is_empty() {
        return Err("it is empty; write `*` for every version".into());
    }
    if text.len() > MAX_LENGTH {
        return Err(format!("it is longer than {MAX_LENGTH} characters"));
    }
    text.split("||")
        .map(|part| alternative(part.trim()))
        .collect()
}

/// One part between `||`: a hyphen range, or comparators that all hold.
fn alternative(part: &str) -> Result<Interval, String> {
    if part.is_empty() {
        return Err("there is nothing beside `||`".into());
    }
    if let Some((from, to)) = part.split_once(" - ") {
        let (from, to) = (Partial::parse(from.trim())?, Partial::parse(to.trim())?);
        return non_empty((from.at_least(), to.at_most()?), part);
    }
    let mut interval = (Bound::Unbounded, Bound::Unbounded);
    for comparator in comparators(part)? {
        let (lower, upper) = comparator.interval()?;
        interval = (
            tighter_lower(interval.0, lower),
            tighter_upper(interval.1, upper),
        );
    }
    non_empty(interval, part)
}

fn non_empty(interval: Interval, part: &str) -> Result<Interval, String> {
    let empty = match (&interval.0, &interval.1) {
        (Bound::Included(l), Bound::Included(u)) => l > u,
        (Bound::Included(l) | Bound::Excluded(l), Bound::Included(u) | Bound::Excluded(u)) => {
            l >= u
        }
        _ => false,
    };
    if empty {
        Err(format!("no version is inside `{part}`"))
    } else {
        Ok(interval)
    }
}

/// Splits at commas and white space; white space after an operator belongs to it (`>= 1.2`).
fn comparators(part: &str) -> Result<Vec<Comparator>, String> {
    let mut out = Vec::new();
    for (i, piece) in part.split(',').enumerate() {
        if piece.trim().is_empty() {
            let place = if i == 0 { "before" } else { "after" };
            return Err(format!("there is nothing {place} a comma"));
        }
        let mut rest = piece.trim_start();
        while !rest.is_empty() {
            let (operator, after) = operator(rest)?;
            let after = after.trim_start();
            let end = after.find(char::is_whitespace).unwrap_or(after.len());
            // `>=1<2` is two comparators without white space between them.
            let end = after[..end].find(['<', '>', '=', '^', '~']).unwrap_or(end);
            if end == 0 {
                return Err("a version is missing after an operator".into());
            }
            out.push(Comparator {
                operator,
                version: Partial::parse(&after[..end])?,
            });
            rest = after[end..].trim_start();
        }
    }
    Ok(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Caret,
    /// Without an operator: as caret, unless a wildcard stands in it.
    Bare,
    Tilde,
    Exact,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

fn operator(text: &str) -> Result<(Operator, &str), String> {
    for (spelling, instead) in [("~>", "~"), ("==", "="), ("=>", ">="), ("=<", "<=")] {
        if text.starts_with(spelling) {
            return Err(format!("`{spelling}` is no operator; write `{instead}`"));
        }
    }
    if text.starts_with('!') {
        return Err("exclusions are not possible; write what is allowed, joined by `||`".into());
    }
    let known = [
        (">=", Operator::GreaterEqual),
        ("<=", Operator::LessEqual),
        (">", Operator::Greater),
        ("<", Operator::Less),
        ("=", Operator::Exact),
        ("^", Operator::Caret),
        ("~", Operator::Tilde),
    ];
    for (spelling, operator) in known {
        if let Some(rest) = text.strip_prefix(spelling) {
            return Ok((operator, rest));
        }
    }
    Ok((Operator::Bare, text))
}

struct Comparator {
    operator: Operator,
    version: Partial,
}

impl Comparator {
    fn interval(&self) -> Result<Interval, String> {
        let v = &self.version;
        if v.major.is_none() {
            return match self.operator {
                Operator::Greater | Operator::Less => Err("no version is beyond `*`".into()),
                _ => Ok((Bound::Unbounded, Bound::Unbounded)),
            };
        }
        Ok(match self.operator {
            Operator::Bare if v.wildcard => (v.at_least(), v.at_most()?),
            Operator::Bare | Operator::Caret => (v.at_least(), v.below_next_breaking()?),
            Operator::Tilde => (v.at_least(), v.below_next_minor()?),
            Operator::Exact => (v.at_least(), v.at_most()?),
            Operator::GreaterEqual => (v.at_least(), Bound::Unbounded),
            Operator::LessEqual => (Bound::Unbounded, v.at_most()?),
            Operator::Less => (Bound::Unbounded, Bound::Excluded(v.floor())),
            Operator::Greater => match v.at_most()? {
                Bound::Included(v) => (Bound::Excluded(v), Bound::Unbounded),
                Bound::Excluded(v) => (Bound::Included(v), Bound::Unbounded),
                Bound::Unbounded => return Err("no version is beyond `*`".into()),
            },
        })
    }
}

/// `2`, `2.1`, `2.1.0-rc.1`, `2.x`: a version of which the end may be left open.
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: Prerelease,
    wildcard: bool,
}

impl Partial {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("`{text}` {why}"));
        if text.is_empty() {
            return Err("a version is missing".into());
        }
        if text.starts_with(['v', 'V']) {
            return bad("begins with a letter; leave the `v` away");
        }
        let without_build = text.split_once('+').map_or(text, |(v, _)| v);
        let (numbers, pre) = match without_build.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (without_build, None),
        };
        let mut parts = [None; 3];
        let mut wildcard = false;
        for (i, piece) in numbers.split('.').enumerate() {
            if i == 3 {
                return bad("has more than three numbers");
            }
            if matches!(piece, "*" | "x" | "X") {
                wildcard = true;
            } else if wildcard {
                return bad("has a number after a wildcard");
            } else if piece.is_empty() || !piece.bytes().all(|b| b.is_ascii_digit()) {
                return bad("is not a version such as `2.1` or `2.1.0`");
            } else if piece.len() > 1 && piece.starts_with('0') {
                return bad("has a number with a leading zero");
            } else {
                match piece.parse() {
                    Ok(number) => parts[i] = Some(number),
                    Err(_) => return bad("has a number that is too large"),
                }
            }
        }
        let [major, minor, patch] = parts;
        let pre = match pre {
            None => Prerelease::EMPTY,
            Some(_) if patch.is_none() => {
                return bad("names a pre-release of a version that is not complete");
            }
            Some("") => return bad("ends with `-`"),
            Some(pre) => match Prerelease::new(pre) {
                Ok(pre) => pre,
                Err(_) => return bad("names something that is not a pre-release"),
            },
        };
        Ok(Self {
            major,
            minor,
            patch,
            pre,
            wildcard,
        })
    }

    /// The lowest version that it stands for.
    fn floor(&self) -> Version {
        let number = |n: Option<u64>| n.unwrap_or(0);
        Version {
            pre: self.pre.clone(),
            ..Version::new(number(self.major), number(self.minor), number(self.patch))
        }
    }

    fn at_least(&self) -> Bound<Version> {
        if self.major.is_none() {
            Bound::Unbounded
        } else {
            Bound::Included(self.floor())
        }
    }

    /// The end of what it stands for: `2.1` ends before 2.2.0.
    fn at_most(&self) -> Result<Bound<Version>, String> {
        match (self.major, self.minor, self.patch) {
            (None, ..) => Ok(Bound::Unbounded),
            (Some(_), Some(_), Some(_)) => Ok(Bound::Included(self.floor())),
            (Some(major), Some(minor), None) => before(major, next(minor)?, 0),
            (Some(major), None, _) => before(next(major)?, 0, 0),
        }
    }

    fn below_next_minor(&self) -> Result<Bound<Version>, String> {
        match (self.major, self.minor) {
            (None, _) => Ok(Bound::Unbounded),
            (Some(major), Some(minor)) => before(major, next(minor)?, 0),
            (Some(major), None) => before(next(major)?, 0, 0),
        }
    }

    /// Up to the first number that is not zero, as Cargo reads `^`.
    fn below_next_breaking(&self) -> Result<Bound<Version>, String> {
        match (self.major, self.minor, self.patch) {
            (None, ..) => Ok(Bound::Unbounded),
            (Some(0), Some(0), Some(patch)) => before(0, 0, next(patch)?),
            (Some(0), Some(minor), _) => before(0, next(minor)?, 0),
            (Some(major), ..) => before(next(major)?, 0, 0),
        }
    }
}

fn next(number: u64) -> Result<u64, String> {
    number
        .checked_add(1)
        .ok_or_else(|| format!("the number {number} is too large"))
}

#[expect(clippy::unnecessary_wraps, reason = "the callers' other arms fail")]
fn before(major: u64, minor: u64, patch: u64) -> Result<Bound<Version>, String> {
    Ok(Bound::Excluded(Version::new(major, minor, patch)))
}

/// Orders lower bounds: how far down they reach.
fn compare_lower(a: &Bound<Version>, b: &Bound<Version>) -> Ordering {
    match (a, b) {
        (Bound::Unbounded, Bound::Unbounded) => Ordering::Equal,
        (Bound::Unbounded, _) => Ordering::Less,
        (_, Bound::Unbounded) => Ordering::Greater,
        (Bound::Included(x), Bound::Excluded(y)) => x.cmp(y).then(Ordering::Less),
        (Bound::Excluded(x), Bound::Included(y)) => x.cmp(y).then(Ordering::Greater),
        (Bound::Included(x), Bound::Included(y)) | (Bound::Excluded(x), Bound::Excluded(y)) => {
            x.cmp(y)
        }
    }
}

/// Orders upper bounds: how far up they reach.
fn compare_upper(a: &Bound<Version>, b: &Bound<Version>) -> Ordering {
    match (a, b) {
        (Bound::Unbounded, Bound::Unbounded) => Ordering::Equal,
        (Bound::Unbounded, _) => Ordering::Greater,
        (_, Bound::Unbounded) => Ordering::Less,
        (Bound::Included(x), Bound::Excluded(y)) => x.cmp(y).then(Ordering::Greater),
        (Bound::Excluded(x), Bound::Included(y)) => x.cmp(y).then(Ordering::Less),
        (Bound::Included(x), Bound::Included(y)) | (Bound::Excluded(x), Bound::Excluded(y)) => {
            x.cmp(y)
        }
    }
}

fn tighter_lower(a: Bound<Version>, b: Bound<Version>) -> Bound<Version> {
    if compare_lower(&a, &b).is_ge() { a } else { b }
}

fn tighter_upper(a: Bound<Version>, b: Bound<Version>) -> Bound<Version> {
    if compare_upper(&a, &b).is_le() { a } else { b }
}

/// The union of `intervals` as ascending disjoint intervals; those that touch become one.
fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_by(|a, b| compare_lower(&a.0, &b.0));
    let mut out: Vec<Interval> = Vec::with_capacity(intervals.len());
    for (lower, upper) in intervals {
        match out.last_mut() {
            Some(last) if touches(&last.1, &lower) => {
                if compare_upper(&upper, &last.1).is_gt() {
                    last.1 = upper;
                }
            }
            _ => out.push((lower, upper)),
        }
    }
    out
}

/// Whether nothing lies between an interval that ends at `upper` and one that begins at `lower`.
fn touches(upper: &Bound<Version>, lower: &Bound<Version>) -> bool {
    match (upper, lower) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
        (Bound::Excluded(u), Bound::Excluded(l)) => u > l,
        (Bound::Included(u) | Bound::Excluded(u), Bound::Included(l) | Bound::Excluded(l)) => {
            u >= l
        }
    }
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
