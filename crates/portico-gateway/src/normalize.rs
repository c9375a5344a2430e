//! Request paths, decoded once and refused when two readers could disagree about them.

use std::borrow::Cow;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPath {
    /// `*` or a full URL where a path is needed.
    #[error("the path must start with `/`")]
    NotAbsolute,
    /// Longer than any route.
    #[error("the path is longer than {MAX_PATH} bytes")]
    TooLong,
    /// `%zz`, `%1`.
    #[error("`%` must be followed by two hexadecimal digits")]
    Escape,
    /// Bytes that are no text.
    #[error("the path is not UTF-8")]
    NotText,
    /// NUL and other control characters.
    #[error("the path contains a control character")]
    Control,
    /// `\`, which some systems read as `/`.
    #[error("the path contains a backslash")]
    Backslash,
    /// `%2f`, which is a separator only for some.
    #[error("the path contains an encoded slash")]
    EncodedSlash,
    /// `..`, `.`, written in any way.
    #[error("the path contains a `.` or `..` segment")]
    Dots,
    /// `//`.
    #[error("the path contains an empty segment")]
    EmptySegment,
}

/// Longest path that is looked at, in bytes as sent.
const MAX_PATH: usize = 4096;

/// The path with every escape decoded exactly once. What is still an escape afterwards (`%252e`) is plain text.
pub(crate) fn normalize(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    if !raw.starts_with('/') {
        return Err(BadPath::NotAbsolute);
    }
    if raw.len() > MAX_PATH {
        return Err(BadPath::TooLong);
    }
    let path = if raw.contains('%') {
        Cow::Owned(decode(raw)?)
    } else {
        Cow::Borrowed(raw)
    };
    check(&path)?;
    Ok(path)
}

fn decode(raw: &str) -> Result<String, BadPath> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| {
            b.and_then(|b| (b as char).to_digit(16))
                .ok_or(BadPath::Escape)
        };
        let decoded = (digit(bytes.next())? << 4 | digit(bytes.next())?) as u8;
        if decoded == b'/' {
            return Err(BadPath::EncodedSlash);
        }
        out.push(decoded);
    }
    String::from_utf8(out).map_err(|_| BadPath::NotText)
}

fn check(path: &str) -> Result<(), BadPath> {
    for byte in path.bytes() {
        match byte {
            0..=0x1f | 0x7f => return Err(BadPath::Control),
            b'\\' => return Err(BadPath::Backslash),
            _ => {}
        }
    }
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err(BadPath::Dots),
            // `/` and a slash at the end are fine.
            "" if segments.peek().is_some() => return Err(BadPath::EmptySegment),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn table() {
        for (raw, expected) in [
            ("/", Ok("/")),
            ("/a/b/", Ok("/a/b/")),
            ("/a%20b", Ok("/a b")),
            ("/%C3%BC", Ok("/ü")),
            ("/%252e%252e/x", Ok("/%2e%2e/x")),
            ("/a..b/...", Ok("/a..b/...")),
            ("/100%25", Ok("/100%")),
            ("", Err(BadPath::NotAbsolute)),
            ("*", Err(BadPath::NotAbsolute)),
            ("a/b", Err(BadPath::NotAbsolute)),
            ("/..", Err(BadPath::Dots)),
            ("/../etc/passwd", Err(BadPath::Dots)),
            ("/a/../b", Err(BadPath::Dots)),
            ("/a/./b", Err(BadPath::Dots)),
            ("/a/.", Err(BadPath::Dots)),
            ("/a/%2e%2e/b", Err(BadPath::Dots)),
            ("/a/%2E./b", Err(BadPath::Dots)),
            ("/a/.%2e", Err(BadPath::Dots)),
            ("/a%2fb", Err(BadPath::EncodedSlash)),
            ("/a%2F..%2Fb", Err(BadPath::EncodedSlash)),
            ("/a\\b", Err(BadPath::Backslash)),
            ("/a%5cb", Err(BadPath::Backslash)),
            ("/..%5c..%5c", Err(BadPath::Backslash)),
            ("/a%00", Err(BadPath::Control)),
            ("/a%0d%0aset-cookie:x", Err(BadPath::Control)),
            ("/a%7f", Err(BadPath::Control)),
            ("/a%", Err(BadPath::Escape)),
            ("/a%4", Err(BadPath::Escape)),
            ("/a%zz", Err(BadPath::Escape)),
            ("/a%+1", Err(BadPath::Escape)),
            ("/%ff", Err(BadPath::NotText)),
            ("/%c0%ae%c0%ae/", Err(BadPath::NotText)),
            ("//evil.example", Err(BadPath::EmptySegment)),
            ("/a//b", Err(BadPath::EmptySegment)),
        ] {
            let got = normalize(raw);
            assert_eq!(got.as_deref().map_err(|e| *e), expected, "{raw}");
        }
        assert_eq!(
            normalize(&format!("/{}", "a".repeat(MAX_PATH))),
            Err(BadPath::TooLong)
        );
    }

    proptest! {
        #[test]
        fn never_lets_a_way_up_through(raw in "/[a-z./%25cCeEfF\\\\]{0,24}") {
            if let Ok(path) = normalize(&raw) {
                prop_assert!(path.starts_with('/'));
                prop_assert!(path.split('/').all(|s| s != ".." && s != "."));
                prop_assert!(!path.contains('\\') && !path.contains("//"));
            }
        }
    }
}
