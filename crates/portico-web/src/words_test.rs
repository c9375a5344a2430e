//! Nothing that people read is said in English only: the scripts of the shell and their words.

use std::collections::{BTreeMap, BTreeSet};

use crate::locales::places;

/// Scripts whose texts must all go through `t` or `count`.
const SCRIPTS: &[(&str, &str)] = &[
    ("shell.js", include_str!("../assets/shell.js")),
    ("live.js", include_str!("../assets/live.js")),
    ("keys.js", include_str!("../assets/keys.js")),
];

fn german() -> BTreeMap<String, serde_json::Value> {
    serde_json::from_str(include_str!("../assets/words-de.json")).unwrap()
}

/// String literals of a script: where each begins, its quote and its text.
fn literals(script: &str) -> Vec<(usize, String)> {
    let (mut found, mut at) = (Vec::new(), 0);
    let bytes = script.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => {
                at += script[at..].find('\n').unwrap_or(bytes.len() - at);
            }
            b'/' if bytes[at..].starts_with(b"/*") => {
                at += script[at..].find("*/").unwrap_or(bytes.len() - at) + 2;
            }
            // A pattern: begins where a value may begin.
            b'/' if script[..at]
                .trim_end()
                .ends_with(['(', ',', '=', ':', '[', '!', '&', '|', '?', '{', '}', ';']) =>
            {
                let (mut end, mut set) = (at + 1, false);
                while bytes[end] != b'/' || set {
                    match bytes[end] {
                        b'\\' => end += 1,
                        b'[' => set = true,
                        b']' => set = false,
                        _ => {}
                    }
                    end += 1;
                }
                at = end + 1;
            }
            quote @ (b'"' | b'\'' | b'`') => {
                let mut end = at + 1;
                while bytes[end] != quote {
                    end += if bytes[end] == b'\\' { 2 } else { 1 };
                }
                found.push((at, script[at + 1..end].to_owned()));
                at = end + 1;
            }
            _ => at += 1,
        }
    }
    found
}

/// Texts that go through `t("…")` or the two of `count(n, "…", "…")`.
fn said(name: &str, script: &str) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    let all = literals(script);
    for (n, (at, text)) in all.iter().enumerate() {
        let before = &script[..*at];
        if before.ends_with(" t(")
            || before.ends_with("(t(")
            || before.ends_with("[t(")
            || before.ends_with("{t(")
        {
            texts.insert(text.clone());
        } else if let Some(call) = before
            .rfind("count(")
            .filter(|c| !before[*c..].contains('"'))
        {
            assert!(!before[call..].contains('\n'), "{name}: count over lines");
            texts.insert(all[n + 1].1.clone());
        }
    }
    texts
}

/// Something that a person would read: begins like a sentence.
fn reads_like_words(text: &str) -> bool {
    let text = text.trim_start();
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_uppercase())
        && letters
            .next()
            .is_some_and(|c| c.is_ascii_lowercase() || c == ' ')
        && text.bytes().filter(u8::is_ascii_lowercase).count() > 2
}

/// Names that look like sentences.
const NAMES: &[&str] = &[
    "AbortError",
    "Escape",
    "HX-History-Restore-Request",
    "Enter",
    "Home",
    "End",
    "ArrowDown",
    "ArrowUp",
    "Last-Event-ID",
];

#[test]
fn every_text_of_the_scripts_is_there_in_german() {
    let german = german();
    let mut used = BTreeSet::new();
    for (name, script) in SCRIPTS {
        for text in said(name, script) {
            let translated = german.get(&text);
            assert!(
                translated.is_some(),
                "{name} says {text:?}, which words-de.json does not have"
            );
            used.insert(text);
        }
    }
    for (english, value) in &german {
        let forms: Vec<&str> = match value {
            serde_json::Value::String(text) => vec![text],
            serde_json::Value::Object(forms) => {
                assert!(
                    forms.contains_key("one") && forms.contains_key("other"),
                    "{english}"
                );
                forms.values().filter_map(|v| v.as_str()).collect()
            }
            other => panic!("{english}: {other}"),
        };
        let mine: BTreeSet<_> = places(english).map(|(_, n)| n).collect();
        for text in forms {
            assert!(!text.trim().is_empty(), "{english}");
            let theirs: BTreeSet<_> = places(text).map(|(_, n)| n).collect();
            let fits = theirs.is_subset(&mine)
                && mine
                    .difference(&theirs)
                    .all(|n| *n == "n" && value.is_object());
            assert!(fits, "{english}: {text}");
        }
    }
    let scripts_of_others = [
        include_str!("../assets/approve.js"),
        include_str!("../assets/activity.js"),
    ];
    for english in german.keys() {
        let elsewhere = scripts_of_others.iter().any(|s| s.contains(english));
        assert!(
            used.contains(english) || elsewhere,
            "nobody says {english:?}"
        );
    }
}

#[test]
fn no_text_of_the_scripts_is_in_english_only() {
    for (name, script) in SCRIPTS {
        let said = said(name, script);
        for (at, text) in literals(script) {
            let line = script[..at].lines().count();
            let one_of_two = script[..at]
                .rfind("count(")
                .is_some_and(|c| !script[c..at].contains(')'));
            assert!(
                !reads_like_words(&text)
                    || said.contains(&text)
                    || NAMES.contains(&text.as_str())
                    || one_of_two,
                "{name}:{line}: {text:?} is not said through `t`"
            );
        }
    }
    assert!(
        reads_like_words("Try again") && reads_like_words("The {x}") && !reads_like_words("GET")
    );
}
