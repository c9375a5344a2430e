//! Style of packages: checked so that it stays inside the wrapper, then wrapped.
//!
//! The wrapper puts it below the shell's style and around the package's own content only:
//! `@layer package { @scope ([data-package="id"]) { … } }`. The check makes sure that nothing in the file ends
//! the wrapper early or fetches from elsewhere.

use portico_package::PackageId;

/// A finding at a byte offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) at: usize,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Checks the text of a style sheet of package `id`; all findings at once.
///
/// Names of fonts, animations and registered properties are the document's, not the layer's, so they must begin
/// with the package's id: else a package could give the approval dialog another font.
pub(crate) fn check(id: &PackageId, source: &str) -> Result<(), Vec<Found>> {
    let mut found = Vec::new();
    // With the hyphen no id is the beginning of a name that systems bring (`Segoe UI`).
    let prefix = if id.as_str().starts_with("portico") {
        format!("x-{id}-")
    } else {
        format!("{id}-")
    };
    let mut open: Vec<(char, usize)> = Vec::new();
    let bytes = source.as_bytes();
    let mut at = 0;
    let mut complain = |at: usize, message: &str, hint: &str| {
        found.push(Found {
            at,
            message: message.to_owned(),
            hint: hint.to_owned(),
        });
    };
    while at < bytes.len() {
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'*') => match source[at + 2..].find("*/") {
                Some(n) => at += n + 4,
                None => {
                    complain(at, "a comment that is not closed", "write `*/`");
                    break;
                }
            },
            quote @ (b'"' | b'\'') => match string_end(bytes, at) {
                Some(end) => at = end,
                None => {
                    complain(
                        at,
                        "a string that is not closed on its line",
                        if quote == b'"' {
                            "write `\"`"
                        } else {
                            "write `'`"
                        },
                    );
                    break;
                }
            },
            b @ (b'{' | b'(' | b'[') => {
                open.push((char::from(b), at));
                at += 1;
            }
            b @ (b'}' | b')' | b']') => {
                let expected = match b {
                    b'}' => '{',
                    b')' => '(',
                    _ => '[',
                };
                match open.pop() {
                    Some((c, _)) if c == expected => at += 1,
                    _ => {
                        complain(
                            at,
                            &format!("`{}` closes nothing", char::from(b)),
                            "every brace, bracket and parenthesis must have its partner",
                        );
                        break;
                    }
                }
            }
            b'@' => {
                let name = identifier(source, at + 1);
                match name.to_ascii_lowercase().as_str() {
                    "media" | "supports" | "container" | "starting-style" => {}
                    "keyframes" | "property" => {
                        let rest = source[at + 1 + name.len()..].trim_start();
                        let named = rest.trim_start_matches(['"', '\'', '-']);
                        if !named.starts_with(&prefix) {
                            complain(
                                at,
                                &format!("`@{name}` with a name that others may use"),
                                &format!("begin the name with `{prefix}`"),
                            );
                        }
                    }
                    "font-face" => {
                        let block = source[at..]
                            .split('}')
                            .next()
                            .unwrap_or_default()
                            .to_ascii_lowercase();
                        let families: Vec<&str> = block.split("font-family").skip(1).collect();
                        let own = |f: &&str| {
                            let value = f.trim_start().strip_prefix(':').unwrap_or_default();
                            value
                                .trim_start()
                                .trim_start_matches(['"', '\''])
                                .starts_with(&prefix)
                        };
                        if families.is_empty() || !families.iter().all(own) {
                            complain(
                                at,
                                "a font with a name that others may use",
                                &format!("call it `font-family: \"{prefix}…\"`"),
                            );
                        }
                    }
                    "import" | "charset" | "namespace" => {
                        complain(at, &format!("`@{name}`"), "write everything into this file")
                    }
                    "layer" | "scope" => complain(
                        at,
                        &format!("`@{name}`"),
                        "the portal puts the style of a package into a layer and a scope of its own",
                    ),
                    _ => complain(
                        at,
                        &format!("`@{name}`"),
                        "@media, @supports, @container, @keyframes, @font-face, @property and @starting-style are taken",
                    ),
                }
                at += 1 + name.len();
            }
            b'\\' => {
                complain(at, "an escape outside of a string", "write the character");
                at += 2;
            }
            b'<' | 0 => {
                complain(
                    at,
                    &format!("`{}`", char::from(bytes[at]).escape_default()),
                    "this does not belong into a style sheet",
                );
                at += 1;
            }
            b if b.is_ascii_alphabetic() || b == b'-' || b == b'_' => {
                let name = identifier(source, at);
                let end = at + name.len();
                if bytes.get(end) == Some(&b'(') {
                    match name.to_ascii_lowercase().as_str() {
                        "url" | "src" => match address(source, end + 1) {
                            Ok(next) => {
                                at = next;
                                continue;
                            }
                            Err(message) => complain(
                                at,
                                &message,
                                "files of this package by relative name (`url(\"logo.svg\")`), or data:image/…;base64",
                            ),
                        },
                        "image-set" | "-webkit-image-set" | "image" | "cross-fade" | "element"
                        | "expression" | "-moz-element" => {
                            complain(
                                at,
                                &format!("`{name}(…)`"),
                                "use `url(\"file\")` of this package",
                            );
                        }
                        _ => {}
                    }
                }
                if matches!(
                    name.to_ascii_lowercase().as_str(),
                    "behavior" | "-moz-binding" | "-ms-behavior"
                ) {
                    complain(at, &format!("`{name}`"), "remove it");
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if let Some((c, at)) = open.first().filter(|_| found.is_empty()) {
        found.push(Found {
            at: *at,
            message: format!("`{c}` is not closed"),
            hint: "close it".to_owned(),
        });
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// Wraps checked style.
pub(crate) fn wrap(id: &PackageId, source: &str) -> String {
    format!("@layer package {{\n@scope ([data-package=\"{id}\"]) {{\n{source}\n}}\n}}\n")
}

fn identifier(source: &str, at: usize) -> &str {
    let rest = &source[at..];
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii()))
        .unwrap_or(rest.len());
    &rest[..end]
}

fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let quote = bytes[at];
    let mut i = at + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            b'\n' | b'\r' | 0x0c => return None,
            b if b == quote => return Some(i + 1),
            _ => i += 1,
        }
    }
    None
}

/// Checks what stands in `url(…)` from `at`; answers where it ends.
fn address(source: &str, at: usize) -> Result<usize, String> {
    let rest = source[at..].trim_start_matches([' ', '\t', '\n', '\r']);
    let start = source.len() - rest.len();
    let (text, end) = match rest.as_bytes().first() {
        Some(b'"' | b'\'') => {
            let end = string_end(source.as_bytes(), start).ok_or("a string that is not closed")?;
            (&source[start + 1..end - 1], end)
        }
        _ => {
            let n = rest.find(')').ok_or("`url(` that is not closed")?;
            (
                rest[..n].trim_end_matches([' ', '\t', '\n', '\r']),
                start + n,
            )
        }
    };
    let close = source[end..].trim_start_matches([' ', '\t', '\n', '\r']);
    if !close.starts_with(')') {
        return Err("`url(` that is not closed".to_owned());
    }
    let end = source.len() - close.len() + 1;
    let data = ["png", "jpeg", "gif", "webp"]
        .iter()
        .any(|t| text.starts_with(&format!("data:image/{t};base64,")));
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
        && !text.starts_with('/')
        && !text
            .split('/')
            .any(|s| s.is_empty() || s.bytes().all(|b| b == b'.'));
    let base64 = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b':' | b';' | b','));
    if plain || (data && base64) {
        Ok(end)
    } else {
        Err(format!(
            "`url({})`",
            text.chars().take(60).collect::<String>()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> PackageId {
        "demo".parse().unwrap()
    }

    #[test]
    fn names_of_the_document_carry_the_package() {
        let css = "@font-face { font-family: \"demo-Sans\"; src: url(a.woff2) }\n@keyframes demo-in { to { opacity: 1 } }\n@property --demo-x { syntax: '*'; inherits: false }";
        assert_eq!(check(&id(), css), Ok(()));
    }

    #[test]
    fn plain_style_is_taken_and_wrapped() {
        let css = ".a > b:hover { color: var(--x); background: url(\"img/a.png\") }\n/* } */\n@media (min-width: 40em) { .b::after { content: \"}\\\"\" } }\n.c { position: fixed; inset: 0 }";
        assert_eq!(check(&id(), css), Ok(()));
        let id: PackageId = "demo".parse().unwrap();
        assert!(
            wrap(&id, css).starts_with("@layer package {\n@scope ([data-package=\"demo\"]) {\n.a")
        );
    }

    #[test]
    fn what_leaves_the_wrapper_or_fetches_is_refused() {
        for bad in [
            "@import url(x.css);",
            "@import 'x.css';",
            "@charset 'x';",
            "} body { display: none } .x {",
            "}}} #portico-rail { display: none } @layer a { @scope (b) {",
            ".a { color: red",
            ".a { background: url(https://evil.example/x.png) }",
            ".a { background: url(//evil.example/x.png) }",
            ".a { background: URL( '/other/x.png' ) }",
            ".a { background: url(../../x.png) }",
            ".a { background: u\\72l(https://evil.example/) }",
            ".a { background: url(data:text/html,x) }",
            ".a { background: url(data:image/svg+xml;base64,PHN2Zz4=) }",
            ".a { background: image-set('https://evil.example/x' 1x) }",
            ".a { background: -webkit-image-set(url(x.png) 1x) }",
            ".a { width: expression(alert(1)) }",
            ".a { behavior: url(x.htc) }",
            "@layer shell { .x { color: red } }",
            "@scope (body) { :scope { display: none } }",
            "@font-face { src: url(https://evil.example/f.woff2) }",
            ".a { content: \"x\n } body { display:none } }",
            "/* open",
            ".a { background: url(a\"b) }",
            ".a[title=\"x] { } body { }",
            "</style><script>",
            ".a { color: red; } ]",
            "@page { margin: 0 }",
            "@font-face { font-family: \"Segoe UI\"; src: url(a.woff2) }",
            "@font-face { font-family: demo-x; font-family: Roboto; src: url(a.woff2) }",
            "@font-face { font-family: \"\\53 egoe UI\"; src: url(a.woff2) }",
            "@font-face { src: url(a.woff2) }",
            "@font-face { font-family: \"demo Sans\"; src: url(a.woff2) }",
            "@keyframes portico-in { to { visibility: hidden } }",
            "@keyframes \"other\" { to { opacity: 0 } }",
            "@property --accent { syntax: '<color>'; inherits: false; initial-value: red }",
            "@namespace x url(y);",
            ".a { background: url( }",
        ] {
            assert!(check(&id(), bad).is_err(), "taken: {bad}");
        }
    }

    #[test]
    fn findings_say_where() {
        let found = check(&id(), ".a { }\n@import 'x';").unwrap_err();
        assert_eq!(found[0].at, 7);
        assert_eq!(found[0].message, "`@import`");
    }
}
