//! Names of files inside a package.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::ArchiveError;

/// Longest name, bytes.
pub const MAX_LENGTH: usize = 255;

/// Why a name is refused. The text ends a sentence that begins with the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// No bytes.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_LENGTH`] bytes.
    #[error("is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// Some bytes are no UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A NUL in the middle: what one program reads as the end, another reads on.
    #[error("holds a NUL")]
    Nul,
    /// A control character.
    #[error("holds a control character")]
    Control,
    /// A separator on some systems.
    #[error("holds a backslash; write `/` between folders")]
    Backslash,
    /// A drive or a stream on some systems.
    #[error("holds a colon")]
    Colon,
    /// Begins with `/`.
    #[error("is absolute")]
    Absolute,
    /// A part is `.` or `..`.
    #[error("has a part `.` or `..`")]
    Dots,
    /// Two `/` in a row, or one at the end of a file's name.
    #[error("has an empty part")]
    EmptyPart,
    /// Some systems drop dots and spaces at the end, so that two names become one.
    #[error("has a part that ends with a dot or a space")]
    TrailingDotOrSpace,
}

/// Checks the name of a file: relative, `/` between folders, nothing that any system could read
/// as another place or another file.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(name: &[u8]) -> Result<&str, BadName> {
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    if name.len() > MAX_LENGTH {
        return Err(BadName::TooLong);
    }
    if name.contains(&0) {
        return Err(BadName::Nul);
    }
    let name = std::str::from_utf8(name).map_err(|_| BadName::NotUtf8)?;
    if name.chars().any(char::is_control) {
        return Err(BadName::Control);
    }
    if name.contains('\\') {
        return Err(BadName::Backslash);
    }
    if name.contains(':') {
        return Err(BadName::Colon);
    }
    if name.starts_with('/') {
        return Err(BadName::Absolute);
    }
    for part in name.split('/') {
        match part {
            "" => return Err(BadName::EmptyPart),
            "." | ".." => return Err(BadName::Dots),
            _ if part.ends_with(['.', ' ']) => return Err(BadName::TrailingDotOrSpace),
            _ => {}
        }
    }
    Ok(name)
}

/// What `name` is called on a system that ignores case and composes characters. Two files of a
/// package may not share it.
fn folded(name: &str) -> String {
    name.nfc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect()
}

/// Checks the name of a file that an author brings.
pub(super) fn authors_name(name: &str) -> Result<(), ArchiveError> {
    let why = match check(name.as_bytes()) {
        Ok(_) if folded(name).split('/').next() == Some("portico") => {
            return Err(ArchiveError::ReservedName { name: name.into() });
        }
        Ok(_) => return Ok(()),
        Err(why) => why,
    };
    Err(ArchiveError::Name {
        name: name.escape_debug().take(120).collect(),
        why,
    })
}

/// The names so far, as a system sees them that ignores case.
#[derive(Default)]
pub(super) struct Names {
    /// Folded name → name, and whether it is a folder.
    seen: BTreeMap<String, (String, bool)>,
}

impl Names {
    pub(super) fn file(&mut self, name: &str) -> Result<(), ArchiveError> {
        self.parents(name)?;
        match self.seen.insert(folded(name), (name.into(), false)) {
            None => Ok(()),
            Some((_, true)) => Err(ArchiveError::FileIsFolder { name: name.into() }),
            Some((first, false)) => Err(ArchiveError::SameName {
                first,
                second: name.into(),
            }),
        }
    }

    pub(super) fn folder(&mut self, name: &str) -> Result<(), ArchiveError> {
        self.parents(name)?;
        let seen = self
            .seen
            .entry(folded(name))
            .or_insert_with(|| (name.into(), true));
        match seen {
            (_, false) => Err(ArchiveError::FileIsFolder { name: name.into() }),
            (first, true) if first != name => Err(ArchiveError::SameName {
                first: first.clone(),
                second: name.into(),
            }),
            _ => Ok(()),
        }
    }

    fn parents(&mut self, name: &str) -> Result<(), ArchiveError> {
        match name.rsplit_once('/') {
            Some((parent, _)) => self.folder(parent),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_one_place_everywhere_pass() {
        for name in [
            "a",
            "templates/index.html",
            ".well-known/x",
            "über/日本.txt",
            "a b/c d",
        ] {
            assert_eq!(check(name.as_bytes()), Ok(name));
        }
        assert!(check("x".repeat(255).as_bytes()).is_ok());
    }

    #[test]
    fn every_other_name_is_refused() {
        let table: [(&[u8], BadName); 20] = [
            (b"", BadName::Empty),
            (b"../x", BadName::Dots),
            (b"..", BadName::Dots),
            (b"a/../../x", BadName::Dots),
            (b"./a", BadName::Dots),
            (b"/etc/passwd", BadName::Absolute),
            (b"//x", BadName::Absolute),
            (b"a//b", BadName::EmptyPart),
            (b"a/", BadName::EmptyPart),
            (b"..\\x", BadName::Backslash),
            (b"a\\b", BadName::Backslash),
            (b"C:/x", BadName::Colon),
            (b"a\0b", BadName::Nul),
            (b"a\nb", BadName::Control),
            (b"a\x7f", BadName::Control),
            (b"a.", BadName::TrailingDotOrSpace),
            (b"a /b", BadName::TrailingDotOrSpace),
            (b"a/b ", BadName::TrailingDotOrSpace),
            (b"a/...", BadName::TrailingDotOrSpace),
            (b"\xff\xfe", BadName::NotUtf8),
        ];
        for (name, why) in table {
            assert_eq!(check(name), Err(why), "{}", name.escape_ascii());
        }
        assert_eq!(check("x".repeat(256).as_bytes()), Err(BadName::TooLong));
    }

    #[test]
    fn case_and_composition_fold() {
        assert_eq!(folded("A/É.txt"), folded("a/e\u{301}.TXT"));
        assert_eq!(folded("straße"), folded("STRASSE"));
        assert_ne!(folded("a"), folded("b"));
    }
}
