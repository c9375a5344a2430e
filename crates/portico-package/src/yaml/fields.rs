//! The keys of a mapping, read one by one.

use std::cell::RefCell;

use super::{
    Entry, Place, Value,
    reader::{Field, Reader, suggest},
    shortened,
};
use crate::Severity;

/// The keys of one mapping.
pub struct Fields<'a> {
    reader: &'a Reader,
    entries: &'a [Entry],
    field: Field<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(reader: &'a Reader, entries: &'a [Entry], field: Field<'a>) -> Self {
        Self {
            reader,
            entries,
            field,
            asked: RefCell::default(),
        }
    }

    /// The value of `key`; a key that is there with nothing behind it counts as missing.
    pub fn get(&self, key: &'static str) -> Option<Field<'a>> {
        self.ask(key);
        self.entries
            .iter()
            .find(|e| e.key == key)
            .and_then(|e| self.entry(e))
    }

    /// The value of `key`, or a finding that it is missing.
    pub fn require(&self, key: &'static str) -> Option<Field<'a>> {
        let field = self.get(key);
        if field.is_none() {
            let name = self.child(key);
            let place = self.entries.iter().find(|e| e.key == key).map_or_else(
                || self.field.place(),
                |e| Place {
                    at: e.at,
                    path: name.clone(),
                    text: key.into(),
                },
            );
            self.reader.report(
                Severity::Error,
                &place,
                "missing-key",
                format!("`{name}` is missing"),
                None,
            );
        }
        field
    }

    /// Text of `key`.
    pub fn string(&self, key: &'static str) -> Option<String> {
        self.get(key).and_then(|f| f.string())
    }

    /// Boolean of `key`.
    pub fn bool(&self, key: &'static str) -> Option<bool> {
        self.get(key).and_then(|f| f.bool())
    }

    /// Whether `key` stands here, even with nothing behind it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|e| e.key == key)
    }

    /// Every key with its value, for mappings whose keys are names of the author.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> + '_ {
        self.entries.iter().map(|e| {
            (
                e.key.as_str(),
                self.reader.field(&e.value, self.child(&e.key)),
            )
        })
    }

    /// The mapping itself.
    pub fn field(&self) -> &Field<'a> {
        &self.field
    }

    /// Adds a finding at the key itself rather than at its value.
    pub fn report_key(
        &self,
        severity: Severity,
        key: &str,
        code: &str,
        message: String,
        hint: Option<String>,
    ) {
        let place = self.entries.iter().find(|e| e.key == key).map_or_else(
            || self.field.place(),
            |e| Place {
                at: e.at,
                path: self.child(key),
                text: key.into(),
            },
        );
        self.reader.report(severity, &place, code, message, hint);
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for entry in self
            .entries
            .iter()
            .filter(|e| !asked.contains(&e.key.as_str()))
        {
            let key = shortened(&entry.key);
            let place = Place {
                at: entry.at,
                path: self.child(&entry.key),
                text: key.clone(),
            };
            self.reader.report(
                Severity::Error,
                &place,
                "unknown-key",
                format!("unknown key `{key}`"),
                Some(suggest(&entry.key, &asked)),
            );
        }
    }

    fn entry(&self, entry: &'a Entry) -> Option<Field<'a>> {
        let path = self.child(&entry.key);
        match &entry.value.value {
            Value::Scalar(s) if s.is_null() => {
                let place = Place {
                    at: entry.at,
                    path: path.clone(),
                    text: entry.key.clone(),
                };
                self.reader.places.borrow_mut().insert(path, place);
                None
            }
            _ => Some(self.reader.field(&entry.value, path)),
        }
    }

    fn ask(&self, key: &'static str) {
        self.asked.borrow_mut().push(key);
        let mut keys = self.reader.keys.borrow_mut();
        keys.entry(general(&self.field.path))
            .or_default()
            .insert(key);
    }

    fn child(&self, key: &str) -> String {
        let key = shortened(key);
        if self.field.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.field.path)
        }
    }
}

/// `a[3].b` → `a[].b`.
fn general(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        out.push(c);
    }
    out
}
