//! Typed reading of a [`Node`] tree that finds every mistake of a file in one go.
//!
//! The keys that are asked for are the keys that there are: whatever else stands in a mapping is
//! reported by [`Fields::finish`] with the nearest key that was asked for.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    str::FromStr,
};

use super::{Fields, MAX_FINDINGS, Node, Position, Value, shortened};
use crate::{Diagnostic, Diagnostics, Severity, Text};

/// Collects the findings of one file.
pub struct Reader {
    file: String,
    findings: RefCell<Vec<Diagnostic>>,
    /// Every value that was read, by its path in the document.
    pub(super) places: RefCell<BTreeMap<String, Place>>,
    /// Keys asked for, by the path of their mapping, list places written `[]`.
    pub(super) keys: RefCell<BTreeMap<String, BTreeSet<&'static str>>>,
}

/// Where something stands and what is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub at: Position,
    /// Path in the document, `microsite.requires.microsites[0]`.
    pub path: String,
    /// The text there, shortened.
    pub text: String,
}

impl Reader {
    /// A reader of a file, under the name that messages give it.
    pub fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            findings: RefCell::default(),
            places: RefCell::default(),
            keys: RefCell::default(),
        }
    }

    /// Parses `text`; what is wrong with it is among the findings.
    pub fn parse(&self, text: &str) -> Option<Node> {
        let (node, findings) = super::parse(&self.file, text);
        self.findings.borrow_mut().extend(findings.0);
        node
    }

    /// The document itself, to be read.
    pub fn root<'a>(&'a self, node: &'a Node) -> Field<'a> {
        self.field(node, String::new())
    }

    /// Adds a finding at `place`.
    pub fn report(
        &self,
        severity: Severity,
        place: &Place,
        code: &str,
        message: String,
        hint: Option<String>,
    ) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() > MAX_FINDINGS {
            return;
        }
        let full = findings.len() == MAX_FINDINGS;
        let (code, message, hint) = match full {
            true => (
                "too-many",
                "there are more mistakes than are shown".into(),
                None,
            ),
            false => (code, message, hint),
        };
        findings.push(Diagnostic {
            severity,
            code: code.into(),
            file: self.file.clone(),
            line: place.at.line,
            column: place.at.column,
            path: place.path.clone(),
            text: place.text.clone(),
            message,
            hint,
        });
    }

    /// The place of `path`, or of the nearest thing around it that stands in the file.
    /// Paths are tried with each of `prefixes` in front; the one that is found deepest wins.
    pub fn place(&self, path: &str, prefixes: &[&str]) -> Place {
        let places = self.places.borrow();
        let mut best: Option<(usize, &Place)> = None;
        for prefix in prefixes {
            let full = format!("{prefix}{path}");
            let mut at = full.as_str();
            loop {
                // A prefix alone proves nothing: `microsite` is around everything.
                let depth = at.len().saturating_sub(prefix.len());
                if let Some(place) = places.get(at) {
                    if best.is_none_or(|(deepest, _)| depth > deepest) {
                        best = Some((depth, place));
                    }
                    break;
                }
                match at.rfind(['.', '[']) {
                    Some(end) => at = &at[..end],
                    None if at.is_empty() => break,
                    None => at = "",
                }
            }
        }
        best.map_or_else(
            || Place {
                at: Position { line: 1, column: 1 },
                path: path.into(),
                text: String::new(),
            },
            |(_, place)| place.clone(),
        )
    }

    /// The keys asked for so far, by the path of their mapping (`microsite.pages[]`): with a
    /// document in which everything stands, the keys that the format has.
    pub fn known_keys(&self) -> BTreeMap<String, BTreeSet<&'static str>> {
        self.keys.borrow().clone()
    }

    /// Whether an error was found so far.
    pub fn has_errors(&self) -> bool {
        self.findings
            .borrow()
            .iter()
            .any(|d| d.severity == Severity::Error)
    }

    /// The findings, in order of position.
    pub fn into_diagnostics(self) -> Diagnostics {
        self.into_parts().0
    }

    /// The findings, in order of position, and the place of every value that was read, by its path.
    pub fn into_parts(self) -> (Diagnostics, BTreeMap<String, Place>) {
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|d| (d.line, d.column));
        (Diagnostics(findings), self.places.into_inner())
    }

    pub(super) fn field<'a>(&'a self, node: &'a Node, path: String) -> Field<'a> {
        let place = Place {
            at: node.at,
            path: path.clone(),
            text: node.excerpt(),
        };
        self.places.borrow_mut().insert(path.clone(), place);
        Field {
            reader: self,
            node,
            path,
        }
    }
}

/// One value of the document.
#[derive(Clone)]
pub struct Field<'a> {
    reader: &'a Reader,
    /// The value.
    pub node: &'a Node,
    /// Its path in the document.
    pub path: String,
}

impl<'a> Field<'a> {
    /// Where it stands.
    pub fn place(&self) -> Place {
        Place {
            at: self.node.at,
            path: self.path.clone(),
            text: self.node.excerpt(),
        }
    }

    /// Reports it as wrong.
    pub fn error(&self, code: &str, message: impl Into<String>, hint: Option<String>) {
        self.reader
            .report(Severity::Error, &self.place(), code, message.into(), hint);
    }

    /// Reports something about it that does not refuse the file.
    pub fn warning(&self, code: &str, message: impl Into<String>, hint: Option<String>) {
        self.reader
            .report(Severity::Warning, &self.place(), code, message.into(), hint);
    }

    fn wrong_type(&self, expected: &str, hint: Option<String>) {
        let found = self.node.kind();
        let name = if self.path.is_empty() {
            "the file".into()
        } else {
            format!("`{}`", self.path)
        };
        self.error(
            "wrong-type",
            format!("{name} should be {expected}, and this is {found}"),
            hint,
        );
    }

    /// Its text; numbers and booleans as they are written.
    pub fn string(&self) -> Option<String> {
        match &self.node.value {
            Value::Scalar(s) if !s.is_null() => Some(s.text.clone()),
            _ => {
                self.wrong_type("a text", None);
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn bool(&self) -> Option<bool> {
        if let Value::Scalar(s) = &self.node.value {
            if let Some(b) = s.as_bool() {
                return Some(b);
            }
            let meant = match s.text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "1" | "true" => Some("write `true`"),
                "no" | "off" | "0" | "false" => Some("write `false`"),
                _ => None,
            };
            self.wrong_type("`true` or `false`", meant.map(Into::into));
        } else {
            self.wrong_type("`true` or `false`", None);
        }
        None
    }

    /// A whole number in `range`.
    pub fn integer(&self, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let number = match &self.node.value {
            Value::Scalar(s) => s.to_json().and_then(|v| v.as_i64()),
            _ => None,
        };
        let Some(number) = number else {
            self.wrong_type("a whole number", None);
            return None;
        };
        if !range.contains(&number) {
            let message = format!(
                "`{}` is {number}, outside {} to {}",
                self.path,
                range.start(),
                range.end()
            );
            self.error("invalid-value", message, None);
            return None;
        }
        Some(number)
    }

    /// Its text, parsed; the parser's own error is the message.
    pub fn parse<T>(&self) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.string()?
            .parse()
            .map_err(|e: T::Err| self.error("invalid-value", e.to_string(), None))
            .ok()
    }

    /// As [`parse`](Self::parse), for a text that must not be shown.
    pub fn parse_secret<T>(&self) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.string();
        let place = Place {
            text: "***".into(),
            ..self.place()
        };
        self.reader
            .places
            .borrow_mut()
            .insert(self.path.clone(), place.clone());
        text?
            .parse()
            .map_err(|e: T::Err| {
                let message = e.to_string();
                self.reader
                    .report(Severity::Error, &place, "invalid-value", message, None);
            })
            .ok()
    }

    /// One of `choices`.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` cannot be `{}`", self.path, shortened(&text));
        self.error("unknown-value", message, Some(suggest(&text, &words)));
        None
    }

    /// A sentence for people: a text, or one per language.
    pub fn text(&self) -> Option<Text> {
        match &self.node.value {
            Value::Scalar(_) => self.string().map(Text::Plain),
            Value::Map(_) => {
                let fields = self.map()?;
                let mut by_language = BTreeMap::new();
                for (tag, field) in fields.entries() {
                    let good = !tag.is_empty()
                        && tag.len() <= 35
                        && tag.split('-').all(|part| {
                            (1..=8).contains(&part.len())
                                && part.bytes().all(|b| b.is_ascii_alphanumeric())
                        });
                    if !good {
                        let hint = Some("write a tag such as `en` or `pt-BR`".into());
                        field.error("invalid-value", format!("`{tag}` is not a language"), hint);
                    }
                    if let Some(text) = field.string() {
                        by_language.insert(tag.to_owned(), text);
                    }
                }
                if by_language.is_empty() {
                    self.wrong_type("a text, or a text per language", None);
                    return None;
                }
                Some(Text::Localised(by_language))
            }
            Value::List(_) => {
                self.wrong_type("a text, or a text per language", None);
                None
            }
        }
    }

    /// The items of a list.
    pub fn list(&self) -> Option<Vec<Field<'a>>> {
        match &self.node.value {
            Value::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, node)| self.reader.field(node, format!("{}[{i}]", self.path)))
                    .collect(),
            ),
            _ => {
                self.wrong_type("a list", Some("begin each item with `- `".into()));
                None
            }
        }
    }

    /// The texts of a list.
    pub fn strings(&self) -> Option<Vec<String>> {
        Some(self.list()?.iter().filter_map(Field::string).collect())
    }

    /// The keys of a mapping.
    pub fn map(&self) -> Option<Fields<'a>> {
        match &self.node.value {
            Value::Map(entries) => Some(Fields::new(self.reader, entries, self.clone())),
            _ => {
                self.wrong_type("a mapping", None);
                None
            }
        }
    }

    /// The value as JSON. Numbers that JSON cannot hold are reported.
    pub fn json(&self) -> Option<serde_json::Value> {
        Some(match &self.node.value {
            Value::Scalar(s) => match s.to_json() {
                Some(value) => value,
                None => {
                    self.error(
                        "invalid-value",
                        "this number is too large or no number",
                        None,
                    );
                    return None;
                }
            },
            Value::List(_) => {
                let items: Option<Vec<_>> = self.list()?.iter().map(Field::json).collect();
                serde_json::Value::Array(items?)
            }
            Value::Map(_) => {
                let fields = self.map()?;
                let entries: Option<serde_json::Map<_, _>> = fields
                    .entries()
                    .map(|(key, field)| Some((key.to_owned(), field.json()?)))
                    .collect();
                serde_json::Value::Object(entries?)
            }
        })
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Whether it is a mapping.
    pub fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }
}

/// "did you mean …", or the choices there are.
pub(super) fn suggest(word: &str, choices: &[&str]) -> String {
    match nearest(word, choices.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", choices.join(", ")),
    }
}

/// The choice that `word` was most likely meant to be, if one is near enough.
pub fn nearest<'c>(word: &str, choices: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Distances are quadratic, and nobody mistypes a word this long.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    let choices: Vec<&str> = choices.into_iter().collect();
    let near = choices
        .iter()
        .map(|choice| {
            (
                strsim::damerau_levenshtein(&word, &choice.to_lowercase()),
                choice,
            )
        })
        .filter(|(distance, choice)| *distance <= (choice.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, choice)| *choice);
    // `microsite_type` for `type`, `url` for `registry_url`.
    let part = |long: &str, short: &str| {
        long.strip_suffix(short)
            .is_some_and(|rest| rest.ends_with(['_', '-']))
    };
    near.or_else(|| {
        choices
            .into_iter()
            .find(|c| part(&word, c) || part(c, &word))
    })
}
