//! "Did you mean".

/// The name among `known` that is most like `wanted`, if one is like it at all.
pub(crate) fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.84;
    known
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(likeness, name)| *likeness >= ALIKE && *name != wanted)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, name)| name)
}
