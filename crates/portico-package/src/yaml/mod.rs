//! YAML with positions: the tree that every authoring format is read from.
//!
//! Scalars keep their text, so that `2.10` stays `2.10`. What makes YAML dangerous or surprising is
//! refused with its place: aliases, tags of applications, several documents, duplicate keys, keys
//! that are not words, deep nesting, very many values.
//!
//! [`parse`] makes the tree, [`Reader`] reads typed values from it and collects every mistake.

mod fields;
mod reader;

pub use fields::Fields;
pub use reader::{Field, Place, Reader, nearest};

use std::collections::{HashMap, hash_map};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::{Diagnostic, Diagnostics, Severity};

/// Longest file that is read, bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 48;
/// Most values (scalars, lists, mappings) of a file.
pub const MAX_NODES: usize = 50_000;
/// Most findings of a file that are kept.
const MAX_FINDINGS: usize = 200;

/// A place in a file, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// One value and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub at: Position,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, number, boolean or nothing.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file, each key once.
    Map(Vec<Entry>),
}

/// A scalar as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its text, without quotes.
    pub text: String,
    /// Whether it can only be a text (quoted, a block, or tagged `!!str`).
    pub quoted: bool,
}

/// One key of a mapping with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub at: Position,
    /// What it maps to.
    pub value: Node,
}

impl Scalar {
    /// Whether it says "nothing": empty, `~` or `null` without quotes.
    pub fn is_null(&self) -> bool {
        !self.quoted && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The boolean that it is, by the YAML 1.2 core schema.
    pub fn as_bool(&self) -> Option<bool> {
        match self.text.as_str() {
            _ if self.quoted => None,
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// The JSON value that it is, by the YAML 1.2 core schema. Numbers that JSON cannot hold are `None`.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::{Number, Value};
        if self.is_null() {
            return Some(Value::Null);
        }
        if let Some(b) = self.as_bool() {
            return Some(Value::Bool(b));
        }
        if self.quoted || !looks_numeric(&self.text) {
            return Some(Value::String(self.text.clone()));
        }
        let (radix, digits) = match (self.text.strip_prefix("0x"), self.text.strip_prefix("0o")) {
            (Some(hex), _) => (16, hex),
            (_, Some(octal)) => (8, octal),
            _ => (10, self.text.as_str()),
        };
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        if let Ok(n) = u64::from_str_radix(digits, radix) {
            return Some(Value::Number(n.into()));
        }
        if let Ok(n) = i64::from_str_radix(digits, radix) {
            return Some(Value::Number(n.into()));
        }
        if radix != 10 || digits.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            return None;
        }
        digits
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
    }
}

/// Whether a plain scalar is a number of the core schema: `12`, `-1.5`, `1e3`, `0xff`, `.inf`.
fn looks_numeric(text: &str) -> bool {
    let all = |s: &str, f: fn(&u8) -> bool| !s.is_empty() && s.as_bytes().iter().all(f);
    if let Some(hex) = text.strip_prefix("0x") {
        return all(hex, u8::is_ascii_hexdigit);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return all(octal, |b| matches!(b, b'0'..=b'7'));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['-', '+']).unwrap_or(e))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| all(e, u8::is_ascii_digit))
}

impl Node {
    /// What people call it.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(s) if s.is_null() => "nothing",
            Value::Scalar(s) if s.as_bool().is_some() => "a boolean",
            Value::Scalar(s) if !s.quoted && looks_numeric(&s.text) => "a number",
            Value::Scalar(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value as an excerpt for messages: a scalar's text, shortened.
    pub fn excerpt(&self) -> String {
        match &self.value {
            Value::Scalar(s) => shortened(&s.text),
            Value::List(_) => "[…]".into(),
            Value::Map(_) => "{…}".into(),
        }
    }

    /// The value of `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }
}

/// At most 80 characters of one line.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    let mut short: String = line.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Reads one document. Where the text is no YAML at all there is no tree; other mistakes leave a
/// tree without the offending parts, so that the rest can still be checked.
pub fn parse(file: &str, text: &str) -> (Option<Node>, Diagnostics) {
    let mut builder = Builder {
        file,
        findings: Vec::new(),
        open: Vec::new(),
        root: None,
        nodes: 0,
    };
    if text.len() > MAX_BYTES {
        let start = Position { line: 1, column: 1 };
        builder.error(
            start,
            "too-large",
            "",
            format!("the file is larger than {MAX_BYTES} bytes"),
            None,
        );
        return (None, Diagnostics(builder.findings));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let complete = builder.read(text);
    let root = if complete { builder.root.take() } else { None };
    (root, Diagnostics(builder.findings))
}

/// Builds the tree without recursion: `open` is the way from the root to the current collection.
struct Builder<'a> {
    file: &'a str,
    findings: Vec<Diagnostic>,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

enum Open {
    List {
        at: Position,
        items: Vec<Node>,
    },
    Map {
        at: Position,
        entries: Vec<Entry>,
        /// Line of every key so far: a hostile file has very many.
        lines: HashMap<String, usize>,
        key: Option<Key>,
    },
}

enum Key {
    Good {
        text: String,
        at: Position,
    },
    /// Refused already; its value is read and dropped.
    Refused,
}

impl Builder<'_> {
    /// False when there is nothing to go on with.
    fn read(&mut self, text: &str) -> bool {
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(e) => {
                    let at = Position {
                        line: e.marker().line(),
                        column: e.marker().col() + 1,
                    };
                    let offending = text.lines().nth(at.line.saturating_sub(1)).unwrap_or("");
                    let message = format!("this is not YAML: {}", e.info());
                    self.error(at, "syntax", offending.trim(), message, None);
                    return false;
                }
            };
            let at = position(span);
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let message = "a second document begins here, and a file holds one".into();
                        self.error(at, "several-documents", "---", message, None);
                        return true;
                    }
                }
                Event::Alias(_) => {
                    let hint = "write the value out".into();
                    let message = "aliases (`*name`) are not read".into();
                    self.error(at, "alias", "*", message, Some(hint));
                    self.put(null(at));
                }
                Event::Scalar(text, style, _, tag) => {
                    let tagged_text = self.tag(at, tag.as_deref());
                    let quoted = style != ScalarStyle::Plain || tagged_text;
                    let scalar = Scalar {
                        text: text.into_owned(),
                        quoted,
                    };
                    self.put(Node {
                        value: Value::Scalar(scalar),
                        at,
                    });
                }
                Event::SequenceStart(_, tag) => {
                    self.tag(at, tag.as_deref());
                    self.open.push(Open::List {
                        at,
                        items: Vec::new(),
                    });
                }
                Event::MappingStart(_, tag) => {
                    self.tag(at, tag.as_deref());
                    self.open.push(Open::Map {
                        at,
                        entries: Vec::new(),
                        lines: HashMap::new(),
                        key: None,
                    });
                }
                Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                    Some(Open::List { at, items }) => {
                        self.put(Node {
                            value: Value::List(items),
                            at,
                        });
                    }
                    Some(Open::Map { at, entries, .. }) => {
                        self.put(Node {
                            value: Value::Map(entries),
                            at,
                        });
                    }
                    None => {}
                },
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Nothing => {}
            }
            self.nodes += 1;
            if self.open.len() > MAX_DEPTH || self.nodes > MAX_NODES {
                let (code, what) = if self.nodes > MAX_NODES {
                    (
                        "too-large",
                        format!("the file holds more than {MAX_NODES} values"),
                    )
                } else {
                    (
                        "too-deep",
                        format!("the file is nested deeper than {MAX_DEPTH} levels"),
                    )
                };
                self.error(at, code, "", what, None);
                return false;
            }
        }
        true
    }

    /// Puts a finished node where it belongs.
    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => {
                self.root.get_or_insert(node);
            }
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map {
                entries,
                lines,
                key,
                ..
            }) => match key.take() {
                Some(Key::Good { text, at }) => entries.push(Entry {
                    key: text,
                    at,
                    value: node,
                }),
                Some(Key::Refused) => {}
                None => match Self::key(lines, &node) {
                    Ok(text) => *key = Some(Key::Good { text, at: node.at }),
                    Err((code, message)) => {
                        *key = Some(Key::Refused);
                        self.error(node.at, code, &node.excerpt(), message, None);
                    }
                },
            },
        }
    }

    /// The text of a key, or why it is none.
    fn key(
        lines: &mut HashMap<String, usize>,
        node: &Node,
    ) -> Result<String, (&'static str, String)> {
        let text = match &node.value {
            Value::Scalar(s) if s.quoted || !s.is_null() => s.text.clone(),
            _ => {
                return Err((
                    "wrong-key",
                    format!("a key is a word, and this is {}", node.kind()),
                ));
            }
        };
        match lines.entry(text.clone()) {
            hash_map::Entry::Occupied(first) => {
                let (text, line) = (shortened(&text), first.get());
                let message =
                    format!("`{text}` stands here a second time; the first is on line {line}");
                Err(("duplicate-key", message))
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(node.at.line);
                Ok(text)
            }
        }
    }

    /// Refuses tags that are not YAML's own; true for `!!str`.
    fn tag(&mut self, at: Position, tag: Option<&Tag>) -> bool {
        let Some(tag) = tag else { return false };
        if tag.is_yaml_core_schema() {
            return tag.suffix == "str";
        }
        let text = format!("{}{}", tag.handle, tag.suffix);
        self.error(
            at,
            "tag",
            &text,
            "tags are not read".into(),
            Some("leave it away".into()),
        );
        false
    }

    fn error(
        &mut self,
        at: Position,
        code: &str,
        text: &str,
        message: String,
        hint: Option<String>,
    ) {
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        self.findings.push(Diagnostic {
            severity: Severity::Error,
            code: code.into(),
            file: self.file.into(),
            line: at.line,
            column: at.column,
            path: String::new(),
            text: shortened(text),
            message,
            hint,
        });
    }
}

fn position(span: Span) -> Position {
    Position {
        line: span.start.line().max(1),
        column: span.start.col() + 1,
    }
}

fn null(at: Position) -> Node {
    Node {
        value: Value::Scalar(Scalar {
            text: String::new(),
            quoted: false,
        }),
        at,
    }
}

#[cfg(test)]
mod tests;
