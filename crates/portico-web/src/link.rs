//! Addresses that come from values.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use portico_package::Digest;

/// Everything but unreserved characters.
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// What cannot stand in a path with query and fragment.
const ADDRESS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'\'')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A value as one part of a path: never more than one segment, never `.` or `..`.
pub(crate) fn path_part(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|b| b == b'.') {
        return "_".repeat(text.len().min(8));
    }
    utf8_percent_encode(text, PART).to_string()
}

/// A value as one part of a query.
pub(crate) fn query_part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

/// An address below `mount`: `/search?q=x` becomes `/logstream/search?q=x`.
pub(crate) fn own(mount: &str, path: &str) -> String {
    let mount = mount.trim_end_matches('/');
    let (path, rest) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    let path = clean(path);
    let path = match path.as_str() {
        "" | "/" => {
            if mount.is_empty() {
                "/"
            } else {
                ""
            }
        }
        path => path,
    };
    let slash = if path.is_empty() || path.starts_with('/') {
        ""
    } else {
        "/"
    };
    format!("{mount}{slash}{path}{}", utf8_percent_encode(rest, ADDRESS))
}

/// The address of a file in the package's folder of static files.
pub(crate) fn asset(digest: &Digest, file: &str) -> String {
    format!(
        "/assets/{}/{}",
        digest.hex(),
        clean(file.trim_start_matches('/'))
    )
}

/// The address of a served file; anything else is no image. A browser asks for images by itself, so they must
/// not lead to addresses that do something (`/auth/sign-in?token=…`).
pub(crate) fn image(target: &str) -> String {
    let address = anywhere(target);
    if address.starts_with("/assets/") {
        address
    } else {
        String::new()
    }
}

/// A same-origin path or an `https` address; anything else leads nowhere (`#`).
pub(crate) fn anywhere(target: &str) -> String {
    let target = target.trim();
    let local = target.starts_with('/') && !target.starts_with("//") && !target.starts_with("/\\");
    if local {
        let (path, rest) = target.split_at(target.find(['?', '#']).unwrap_or(target.len()));
        let path = clean(path);
        // `clean` turns `/\host` and the like into plain characters, but an empty first segment stays one.
        if path.starts_with("//") {
            return "#".to_owned();
        }
        return format!("{path}{}", utf8_percent_encode(rest, ADDRESS));
    }
    if target
        .get(..8)
        .is_some_and(|s| s.eq_ignore_ascii_case("https://"))
        && target.len() > 8
    {
        return utf8_percent_encode(target, ADDRESS).to_string();
    }
    "#".to_owned()
}

/// A path without segments of dots, plain or encoded, and without characters that browsers read as others.
fn clean(path: &str) -> String {
    path.split('/')
        .map(|segment| {
            let plain = segment.to_ascii_lowercase().replace("%2e", ".");
            if !plain.is_empty() && plain.bytes().all(|b| b == b'.') {
                "_".to_owned()
            } else {
                utf8_percent_encode(segment, ADDRESS).to_string()
            }
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_where_they_belong() {
        assert_eq!(own("/m", "/search?q=a b"), "/m/search?q=a%20b");
        assert_eq!(own("/m", "/"), "/m");
        assert_eq!(own("/m", "x"), "/m/x");
        assert_eq!(own("/", "/x"), "/x");
        assert_eq!(own("/", "/"), "/");
        for hostile in ["/../auth", "/%2e%2E/auth", "/..", "\\..\\auth", "../../x"] {
            let url = own("/m", hostile);
            assert!(
                url.starts_with("/m/") && !url.split('/').any(|s| s == "..") && !url.contains('\\'),
                "{url}"
            );
        }
        assert_eq!(anywhere("//evil.example"), "#");
        assert_eq!(anywhere("/\\evil.example"), "#");
        assert_eq!(anywhere("javascript:alert(1)"), "#");
        assert_eq!(anywhere("data:text/html,x"), "#");
        assert_eq!(anywhere(" /dash?x=\" y"), "/dash?x=%22%20y");
        assert_eq!(
            anywhere("https://example.com/a'b"),
            "https://example.com/a%27b"
        );
        assert_eq!(anywhere("/\t/evil.example"), "/%09/evil.example");
        assert_eq!(image("/assets/ab/icon.svg"), "/assets/ab/icon.svg");
        assert_eq!(image("/auth/sign-in?token=x"), "");
        assert!(!image("/assets/../auth/sign-in").contains(".."));
        assert_eq!(path_part(".."), "__");
        assert_eq!(path_part("a/../b?c"), "a%2F..%2Fb%3Fc");
        assert_eq!(path_part("1.2.3"), "1.2.3");
    }
}
