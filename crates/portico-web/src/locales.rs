//! What packages say in other languages: `locales/<language>.json`, a flat map from the English text to its translation.
//!
//! `{name}` stands for a value. Where a number decides, the translation is `{"one": …, "other": …}` and the value
//! `n` chooses. Everything is checked when the package is installed; at run time a text is one look-up.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use portico_host::StagedPackage;
use portico_package::{Diagnostic, Severity};
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::{language::Language, template::diagnostic};

/// Folder of a package.
pub(crate) const FOLDER: &str = "locales/";

/// Most bytes of one file, texts of one file, bytes of one text, and files.
const LIMITS: (usize, usize, usize, usize) = (256 << 10, 4000, 4000, 64);

/// The texts of one language by their English.
pub(crate) type Catalogue = HashMap<Box<str>, Entry>;

/// The texts of a package by language tag.
pub(crate) type Locales = BTreeMap<String, Arc<Catalogue>>;

/// A translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// One text.
    One(Box<str>),
    /// The text for one, and for every other number.
    Counted(Box<str>, Box<str>),
}

/// Finds the words for `english`; `n` is the number that decides, if there is one.
pub(crate) fn say<'a>(
    words: Option<&'a Catalogue>,
    language: Language,
    english: &'a str,
    n: Option<f64>,
) -> &'a str {
    match words.and_then(|w| w.get(english)) {
        None => english,
        Some(Entry::One(text)) => text,
        Some(Entry::Counted(one, other)) => {
            if n.is_some_and(|n| language.is_one(n)) {
                one
            } else {
                other
            }
        }
    }
}

/// The values that a text has places for: `{name}`.
pub(crate) fn places(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('{').filter_map(|(at, _)| {
        let (name, _) = text[at + 1..].split_once('}')?;
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        fits.then_some((at, name))
    })
}

/// Puts values where they belong. The first place without a value is the error.
pub(crate) fn fill(
    text: &str,
    mut value: impl FnMut(&str) -> Option<String>,
) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut from = 0;
    for (at, name) in places(text) {
        out.push_str(&text[from..at]);
        out.push_str(&value(name).ok_or_else(|| name.to_owned())?);
        from = at + name.len() + 2;
    }
    out.push_str(&text[from..]);
    Ok(out)
}

/// Reads and checks the files of a package. `used` are the texts that its templates say, with the template.
pub(crate) fn check(
    package: &StagedPackage,
    used: &BTreeMap<String, String>,
) -> (Locales, Vec<Diagnostic>) {
    let (mut locales, mut found) = (Locales::new(), Vec::new());
    for (path, bytes) in package.files.iter() {
        let Some(name) = path.strip_prefix(FOLDER) else {
            continue;
        };
        let refuse = |source: &str, at: usize, message: &str, hint: &str| {
            diagnostic(
                Severity::Error,
                "locale-refused",
                path,
                source,
                at,
                message,
                hint,
            )
        };
        let Some(tag) = name.strip_suffix(".json").filter(|tag| is_tag(tag)) else {
            found.push(refuse(
                "",
                0,
                "the name is not that of a language",
                "files here are `de.json` or `pt-BR.json`",
            ));
            continue;
        };
        if bytes.len() > LIMITS.0 || locales.len() >= LIMITS.3 {
            found.push(refuse(
                "",
                0,
                "more than 256 KiB, or more than 64 languages",
                "only texts of pages belong here",
            ));
            continue;
        }
        let Ok(source) = std::str::from_utf8(bytes) else {
            found.push(refuse("", 0, "not UTF-8", "save the file as UTF-8"));
            continue;
        };
        let pairs = match serde_json::from_str::<Pairs>(source) {
            Ok(pairs) => pairs.0,
            Err(error) => {
                let at = source
                    .split_inclusive('\n')
                    .take(error.line().saturating_sub(1))
                    .map(str::len)
                    .sum::<usize>()
                    + error.column().saturating_sub(1);
                found.push(refuse(
                    source,
                    at,
                    &error.to_string(),
                    "write one object: { \"English text\": \"translation\", … }",
                ));
                continue;
            }
        };
        let mut words = Catalogue::with_capacity(pairs.len());
        let (before, mut unused) = (found.len(), 0_usize);
        if pairs.len() > LIMITS.1 {
            found.push(refuse(source, 0, "more than 4,000 texts", ""));
        }
        for (english, value) in pairs.into_iter().take(LIMITS.1) {
            let at = || {
                serde_json::to_string(&english)
                    .ok()
                    .and_then(|quoted| source.find(&quoted))
                    .unwrap_or(0)
            };
            if words.contains_key(english.as_str()) {
                found.push(refuse(source, at(), "the same text twice", "keep one"));
            }
            unused += usize::from(!used.contains_key(&english));
            match entry(&english, &value) {
                Ok(entry) => {
                    words.insert(english.into(), entry);
                }
                Err((message, hint)) => found.push(refuse(source, at(), &message, &hint)),
            }
        }
        let warn = |message: String, hint: &str| {
            diagnostic(
                Severity::Warning,
                "locale-incomplete",
                path,
                "",
                0,
                &message,
                hint,
            )
        };
        let missing: Vec<_> = used
            .keys()
            .filter(|text| !words.contains_key(text.as_str()))
            .collect();
        // English itself needs only what depends on a number.
        if let Some(first) = missing.first().filter(|_| tag != "en") {
            let others = match missing.len() {
                1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            found.push(warn(
                format!("no translation of {first:?} ({}){others}", used[*first]),
                "what is missing is shown in English",
            ));
        }
        if unused > 0 {
            found.push(warn(
                format!("{unused} of its texts stand in no template"),
                "a key is the text between the quotes of t(\"…\")",
            ));
        }
        if found.len() == before
            || found[before..]
                .iter()
                .all(|d| d.severity != Severity::Error)
        {
            locales.insert(tag.to_owned(), Arc::new(words));
        }
    }
    (locales, found)
}

fn is_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let letters = |p: &str| p.bytes().all(|b| b.is_ascii_alphanumeric());
    parts
        .next()
        .is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase()))
        && parts.all(|p| (2..=8).contains(&p.len()) && letters(p))
}

fn entry(english: &str, value: &serde_json::Value) -> Result<Entry, (String, String)> {
    let whole: BTreeSet<&str> = places(english).map(|(_, name)| name).collect();
    let text = |value: &serde_json::Value, counted: bool| -> Result<Box<str>, (String, String)> {
        let Some(text) = value.as_str() else {
            return Err((
                "a translation that is no text".into(),
                "write a string, or { \"one\": …, \"other\": … }".into(),
            ));
        };
        if text.trim().is_empty() || text.len() > LIMITS.2 {
            return Err((
                "a translation that is empty or longer than 4,000 bytes".into(),
                "leave the line out to show the English text".into(),
            ));
        }
        let mine: BTreeSet<&str> = places(text).map(|(_, name)| name).collect();
        if let Some(strange) = mine.difference(&whole).next() {
            return Err((
                format!("`{{{strange}}}` is not in the English text"),
                "the places of both texts are the same".into(),
            ));
        }
        match whole
            .difference(&mine)
            .find(|name| !(counted && **name == "n"))
        {
            Some(lost) => Err((
                format!("`{{{lost}}}` of the English text is missing"),
                "the places of both texts are the same".into(),
            )),
            None => Ok(text.into()),
        }
    };
    let Some(forms) = value.as_object() else {
        return text(value, false).map(Entry::One);
    };
    match (forms.get("one"), forms.get("other"), forms.len()) {
        (Some(one), Some(other), 2) if whole.contains("n") => {
            Ok(Entry::Counted(text(one, true)?, text(other, true)?))
        }
        (Some(_), Some(_), 2) => Err((
            "forms for numbers, but no `{n}` in the English text".into(),
            "the value `n` chooses: t(\"{n} pages\", n=count)".into(),
        )),
        _ => Err((
            "forms other than `one` and `other`".into(),
            "write { \"one\": \"{n} Seite\", \"other\": \"{n} Seiten\" }".into(),
        )),
    }
}

/// A JSON object as written: with what stands there twice.
struct Pairs(Vec<(String, serde_json::Value)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::stage;

    const MANIFEST: &str = "manifest_version: \"1.0\"\nmicrosite:\n  id: demo\n  name: Demo\n  version: 1.0.0\n  author: x\n  license: MIT\n  type: htmx\n  description: d\n";

    fn checked(file: &str, content: &str) -> (Locales, Vec<Diagnostic>) {
        let package = stage(MANIFEST, &[(file, content)]);
        let used = ["Hello {name}", "{n} pages"]
            .map(|t| (t.to_owned(), "index.html".to_owned()))
            .into();
        check(&package, &used)
    }

    #[test]
    fn a_complete_file_is_read_without_a_word() {
        let (locales, found) = checked(
            "locales/de.json",
            r#"{"Hello {name}": "Hallo {name}", "{n} pages": {"one": "eine Seite", "other": "{n} Seiten"}}"#,
        );
        assert_eq!(found, []);
        let words = locales["de"].as_ref();
        let say = |text, n| say(Some(words), Language::German, text, n);
        assert_eq!(say("Hello {name}", None), "Hallo {name}");
        assert_eq!(say("{n} pages", Some(1.0)), "eine Seite");
        assert_eq!(say("{n} pages", Some(0.0)), "{n} Seiten");
        assert_eq!(say("Unknown", None), "Unknown");
    }

    #[test]
    fn what_does_not_fit_is_refused_where_it_stands() {
        for (file, content, says) in [
            ("locales/de.json", "[]", "expected an object"),
            ("locales/de.json", "{\"a\": 1}", "no text"),
            ("locales/de.json", "{\"a\": \"  \"}", "empty"),
            ("locales/de.json", "{\"a\": \"b\", \"a\": \"c\"}", "twice"),
            (
                "locales/de.json",
                "{\"a {x}\": \"b\"}",
                "`{x}` of the English",
            ),
            ("locales/de.json", "{\"a\": \"b {x}\"}", "`{x}` is not in"),
            (
                "locales/de.json",
                "{\"a\": {\"one\": \"x\", \"other\": \"y\"}}",
                "no `{n}`",
            ),
            (
                "locales/de.json",
                "{\"{n} a\": {\"one\": \"x\", \"few\": \"y\"}}",
                "other than",
            ),
            ("locales/de.json", "{\"a\": ", "EOF"),
            (
                "locales/deutsch-.json",
                "{}",
                "name is not that of a language",
            ),
            ("locales/de.yaml", "a: b", "name is not that of a language"),
        ] {
            let (locales, found) = checked(file, content);
            let errors: Vec<_> = found
                .iter()
                .filter(|d| d.severity == Severity::Error)
                .collect();
            assert!(
                errors.iter().any(|d| d.message.contains(says)),
                "{content}: {found:?}"
            );
            assert!(locales.is_empty(), "{content}");
            assert_eq!(errors[0].code, "locale-refused");
        }
        let (_, found) = checked(
            "locales/de.json",
            "{\n  \"ok\": \"gut\",\n  \"a {x}\": \"b\"\n}",
        );
        assert_eq!((found[0].line, found[0].column), (3, 3));
    }

    #[test]
    fn what_is_missing_or_left_over_is_a_warning() {
        let (locales, found) = checked("locales/de.json", r#"{"Bye": "Tschüss"}"#);
        assert!(locales.contains_key("de"));
        let says: Vec<_> = found
            .iter()
            .map(|d| (d.severity, d.message.as_str()))
            .collect();
        assert_eq!(
            says,
            [
                (
                    Severity::Warning,
                    "no translation of \"Hello {name}\" (index.html) and 1 more"
                ),
                (Severity::Warning, "1 of its texts stand in no template")
            ]
        );
    }

    #[test]
    fn places_are_lower_case_names_in_braces() {
        let names: Vec<_> = places("{a} {b_1} {} {A} {1} {{c}")
            .map(|(_, n)| n)
            .collect();
        assert_eq!(names, ["a", "b_1", "c"]);
        let fill = |text| fill(text, |name| (name == "a").then(|| "{b}".to_owned()));
        assert_eq!(fill("x {a}{a} }"), Ok("x {b}{b} }".to_owned()));
        assert_eq!(fill("{b}"), Err("b".to_owned()));
    }
}
