//! Where things stand in the file.

use std::{collections::BTreeMap, fmt};

use portico_package::{Diagnostic, Severity, yaml::Place};

/// Where the values of a configuration stand, for what is found out later (a path that is taken, a
/// package that no registry has). Positions never make two configurations different.
#[derive(Clone, Default)]
pub struct Positions {
    pub(crate) file: String,
    pub(crate) places: BTreeMap<String, Place>,
}

impl PartialEq for Positions {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Positions({}, {} places)", self.file, self.places.len())
    }
}

impl Positions {
    /// The place of `path` (`microsites[2].path`), or of the nearest thing around it.
    pub fn place(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(place);
            }
            path = match path.rfind(['.', '[']) {
                Some(end) => &path[..end],
                None if path.is_empty() => return None,
                None => "",
            };
        }
    }

    /// A finding about `path`, with its place in the file.
    pub fn diagnostic(
        &self,
        severity: Severity,
        path: &str,
        code: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Diagnostic {
        let place = self.place(path);
        Diagnostic {
            severity,
            code: code.into(),
            file: self.file.clone(),
            line: place.map_or(1, |p| p.at.line),
            column: place.map_or(1, |p| p.at.column),
            path: path.into(),
            text: place.map(|p| p.text.clone()).unwrap_or_default(),
            message: message.into(),
            hint,
        }
    }
}
