//! Values of attributes: what stands there literally is checked, what an expression writes goes through a
//! filter that cannot leave its place.

use crate::template::rules::Rule;

/// Stands for the output of an expression in a collected value.
pub(crate) const EXPRESSION: char = '\u{E000}';

const RESERVED: &[u8] = b"portico-";

/// Where the pages of the package that is checked live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    /// The manifest's path, `/logstream`.
    pub(crate) mount: String,
}

impl Area {
    /// Whether `text` begins with the package's own path; answers the rest.
    fn own<'t>(&self, text: &'t str) -> Option<&'t str> {
        let rest = text
            .strip_prefix(self.mount.as_str())
            .filter(|_| self.mount.len() > 1)?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
    }
}

/// What was found in a value: message and hint.
pub(crate) type Complaint = (String, String);

fn complain<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Complaint> {
    Err((message.into(), hint.into()))
}

/// A value that is being read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Text that nobody interprets.
    Free {
        /// Whether it is of SVG.
        paint: bool,
        last: [u8; 4],
    },
    /// Words none of which may be the shell's.
    Words {
        /// Set of states the current word may be in: bit `n` = the first `n` bytes of `portico-`, bit 8 = safe.
        states: u16,
        /// Whether spaces separate words.
        many: bool,
    },
    /// An address.
    Url(Url),
    /// Collected and checked at its end; `\u{E000}` stands for an expression.
    Whole(String),
}

/// An address that is being read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Url {
    /// Nothing but literal text so far.
    Start(String),
    /// It is known where it leads; what follows is path, or query and fragment.
    Led {
        /// Past the first `?` or `#`.
        query: bool,
    },
}

/// What the scanner must do with an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pipe {
    /// Through the filter.
    Filter(&'static str),
    /// It must be a call of one of these functions (first of the pair); the second is written.
    Lead(&'static [(&'static str, &'static str)]),
}

/// What to do with the text of a finished value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Leave it.
    Keep,
    /// Leave it; the address leads out of the portal.
    KeepExternal,
    /// The value begins with the package's own path: write the mount instead of the first `n` bytes.
    Mount(usize),
    /// Leave the attribute out.
    Drop,
    /// Write this (escaped) value.
    Replace(&'static str),
}

/// What boosted links and forms do; the shell's body says the same.
pub(crate) const BOOST: &str =
    r##"{"target":"#portico-main","select":"#portico-main","swap":"outerHTML","transition":true}"##;

impl Value {
    /// An empty value under `rule`.
    pub(crate) fn new(rule: Rule) -> Self {
        match rule {
            Rule::Text | Rule::Flag => Self::Free {
                paint: false,
                last: [0; 4],
            },
            Rule::Paint => Self::Free {
                paint: true,
                last: [0; 4],
            },
            Rule::Id => Self::Words {
                states: 1,
                many: false,
            },
            Rule::Words => Self::Words {
                states: 1,
                many: true,
            },
            Rule::Href | Rule::ImageSource | Rule::Own => Self::Url(Url::Start(String::new())),
            _ => Self::Whole(String::new()),
        }
    }

    /// Takes literal text (a run without the closing quote).
    pub(crate) fn literal(&mut self, rule: Rule, text: &str) -> Result<(), Complaint> {
        if let Some(c) = text
            .chars()
            .find(|c| *c == '<' || (c.is_control() && !matches!(c, '\t' | '\n' | '\r')))
        {
            return complain(
                format!("`{}` in the value of an attribute", c.escape_default()),
                "write `&lt;` for `<`",
            );
        }
        match self {
            Self::Free { paint, last } => {
                for b in text.bytes() {
                    if *paint && *last == *b"url(" && b != b'#' {
                        return complain(
                            "a reference to elsewhere",
                            "`url(#id)` inside the same SVG is taken",
                        );
                    }
                    *last = [last[1], last[2], last[3], b.to_ascii_lowercase()];
                }
                if *paint && (text.contains('&') || text.contains('\\')) {
                    return complain(
                        "a character reference in an attribute of SVG",
                        "write the character",
                    );
                }
                Ok(())
            }
            Self::Words { states, many } => words(states, *many, text),
            Self::Url(url) => {
                url_characters(text)?;
                match url {
                    Url::Start(buffer) => {
                        buffer.push_str(text);
                        Ok(())
                    }
                    Url::Led { query } => {
                        if !*query {
                            let path = text.split(['?', '#']).next().unwrap_or_default();
                            dots(path)?;
                            *query = path.len() < text.len();
                        }
                        Ok(())
                    }
                }
            }
            Self::Whole(buffer) => {
                if text.contains(EXPRESSION) {
                    return complain("a private-use character", "leave it out");
                }
                let _ = rule;
                buffer.push_str(text);
                Ok(())
            }
        }
    }

    /// Takes an expression.
    pub(crate) fn expression(
        &mut self,
        rule: Rule,
        area: &Area,
    ) -> Result<(Pipe, Option<Verdict>), Complaint> {
        let plain = |filter| Ok((Pipe::Filter(filter), None));
        match self {
            Self::Free { paint: true, last } => {
                if last == b"url(" {
                    return complain("a reference that is an expression", "write `url(#id)` out");
                }
                *last = [0; 4];
                plain("__paint")
            }
            Self::Free { .. } => plain("__attr"),
            Self::Words { states, many } => {
                // A filter makes sure that no word of the output is, or could become, one of the shell's;
                // so only a word that already began like one is in danger.
                if *states & 0b1111_1110 != 0 {
                    return complain(
                        "an expression right behind text that begins like `portico-`",
                        "write another prefix, such as `row-{{ … }}`",
                    );
                }
                *states = if *states & 1 != 0 { 1 | SAFE } else { SAFE };
                if *many {
                    *states |= 1;
                    plain("__words")
                } else {
                    plain("__ident")
                }
            }
            Self::Url(url) => match url {
                Url::Start(buffer) if buffer.is_empty() => {
                    *url = Url::Led { query: false };
                    Ok((Pipe::Lead(leads(rule)), None))
                }
                Url::Start(buffer) => {
                    let buffer = std::mem::take(buffer);
                    let verdict = lead(rule, &buffer, true, area)?;
                    let query = buffer.contains(['?', '#']);
                    *url = Url::Led { query };
                    Ok((
                        Pipe::Filter(if query { "__query" } else { "__path" }),
                        Some(verdict),
                    ))
                }
                Url::Led { query: true } => plain("__query"),
                Url::Led { query: false } => plain("__path"),
            },
            Self::Whole(buffer) => {
                let filter = match rule {
                    Rule::Json => "__json",
                    Rule::Selector | Rule::SelectOob | Rule::Name => "__ident",
                    Rule::Question => "__attr",
                    Rule::OwnOrFlag if buffer.is_empty() => {
                        buffer.push(EXPRESSION);
                        return Ok((Pipe::Lead(leads(Rule::Own)), None));
                    }
                    Rule::OwnOrFlag => {
                        if buffer.contains(['?', '#']) {
                            "__query"
                        } else {
                            "__path"
                        }
                    }
                    _ => return complain("an expression in this attribute", "write the value out"),
                };
                buffer.push(EXPRESSION);
                plain(filter)
            }
        }
    }

    /// Whether statements (`{% if %}`) may stand at this point of the value; `looping` asks for `{% for %}`.
    pub(crate) fn statement(
        &mut self,
        rule: Rule,
        looping: bool,
        area: &Area,
    ) -> Result<Option<Verdict>, Complaint> {
        match self {
            Self::Free { .. } => Ok(None),
            Self::Words { many: true, .. } if !looping => Ok(None),
            Self::Url(Url::Start(buffer)) if !looping && buffer.contains(['?', '#']) => {
                let buffer = std::mem::take(buffer);
                let verdict = lead(rule, &buffer, true, area)?;
                *self = Self::Url(Url::Led { query: true });
                Ok(Some(verdict))
            }
            Self::Url(Url::Led { query: true }) if !looping => Ok(None),
            _ => complain(
                "a statement in the value of this attribute",
                "put `{% if %}` around the whole attribute, or write `{{ a if condition else b }}`",
            ),
        }
    }

    /// What both ways of a branch have in common; `None` when they cannot meet.
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Free { paint, .. }, Self::Free { .. }) => Self::Free {
                paint: *paint,
                last: [0; 4],
            },
            (Self::Words { states: a, many }, Self::Words { states: b, .. }) => Self::Words {
                states: a | b,
                many: *many,
            },
            (a, b) if a == b => a.clone(),
            _ => return None,
        })
    }

    /// The value is complete.
    pub(crate) fn finish(self, rule: Rule, area: &Area) -> Result<Verdict, Complaint> {
        match self {
            Self::Free { .. } | Self::Words { .. } | Self::Url(Url::Led { .. }) => {
                Ok(Verdict::Keep)
            }
            Self::Url(Url::Start(buffer)) => lead(rule, &buffer, false, area),
            Self::Whole(text) => super::htmx::whole(rule, &text, area),
        }
    }
}

const SAFE: u16 = 1 << 8;

/// Runs the automaton that finds words that begin with `portico-`.
fn words(states: &mut u16, many: bool, text: &str) -> Result<(), Complaint> {
    for c in text.chars() {
        if c.is_ascii_whitespace() {
            if !many {
                return complain("a space in an id", "write one word");
            }
            *states = 1;
            continue;
        }
        if !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | '/')) {
            return complain(
                format!("`{c}` in a name"),
                "names are made of letters, digits, `-` and `_`",
            );
        }
        let mut next = 0;
        for (n, letter) in RESERVED.iter().enumerate() {
            if *states & (1 << n) != 0 {
                let matches = letter.eq_ignore_ascii_case(&(c as u8));
                next |= if matches { 1 << (n + 1) } else { SAFE };
                if matches && n == 7 {
                    return complain(
                        "a name that begins with `portico-`",
                        "those are the portal's own",
                    );
                }
            }
        }
        if *states & SAFE != 0 {
            next |= SAFE;
        }
        *states = next;
    }
    Ok(())
}

/// Characters that stand for themselves in an address.
pub(crate) fn url_characters(text: &str) -> Result<(), Complaint> {
    if let Some(c) = text.chars().find(|c| {
        c.is_ascii_whitespace()
            || c.is_control()
            || matches!(c, '\\' | '"' | '\'' | '`' | '{' | '}' | '|' | '^')
    }) {
        return complain(
            format!("`{}` in an address", c.escape_default()),
            "percent-encode it",
        );
    }
    references(text)?;
    // Browsers take `%2e%2e` for `..`.
    if text.to_ascii_lowercase().contains("%2e") {
        return complain("an encoded dot in an address", "write the path plainly");
    }
    Ok(())
}

/// Refuses character references other than `&amp;`, and ampersands that a browser might take for one.
pub(crate) fn references(text: &str) -> Result<(), Complaint> {
    for (at, _) in text.match_indices('&') {
        let rest = &text[at + 1..];
        // In a value, letters and digits before `=` are never taken for a reference: `?a=1&copy=2`.
        let name = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let key = name > 0 && rest[name..].starts_with('=');
        if rest.starts_with("amp;") || key || (name == 0 && !rest.starts_with('#')) {
            continue;
        }
        return complain(
            "a character reference in a value that is checked",
            "write `&amp;` for `&`, and other characters plainly",
        );
    }
    Ok(())
}

/// Refuses path segments of dots, whole or next to an expression.
pub(crate) fn dots(path: &str) -> Result<(), Complaint> {
    if path
        .split('/')
        .any(|s| !s.is_empty() && s.bytes().all(|b| b == b'.'))
    {
        return complain("a path segment made of dots", "write the whole path");
    }
    Ok(())
}

/// Functions that may make the beginning of an address.
fn leads(rule: Rule) -> &'static [(&'static str, &'static str)] {
    match rule {
        Rule::Href => &[("url", "__url"), ("asset", "__asset"), ("link", "__link")],
        // A browser asks for images by itself, so they lead to files only.
        Rule::ImageSource => &[
            ("asset", "__asset"),
            ("image", "__image"),
            ("link", "__image"),
        ],
        _ => &[("url", "__url")],
    }
}

/// Decides where the literal `text` at the beginning of an address leads; `follows` tells that something follows.
pub(crate) fn lead(
    rule: Rule,
    text: &str,
    follows: bool,
    area: &Area,
) -> Result<Verdict, Complaint> {
    let text = text.replace("&amp;", "&");
    let path = text.split(['?', '#']).next().unwrap_or_default();
    if let Some(rest) = area.own(&text) {
        if follows && rest.is_empty() {
            return complain(
                "an expression right behind the package's path",
                "write a `/` or `?` between them",
            );
        }
        dots(path)?;
        return Ok(Verdict::Mount(area.mount.len()));
    }
    if text.is_empty() || text.starts_with('?') {
        return Ok(Verdict::Keep);
    }
    let absolute = |text: &str| text.starts_with('/') && !text[1..].starts_with('/');
    match rule {
        Rule::Href | Rule::ImageSource | Rule::Own
            if text.starts_with('#') && rule == Rule::Href =>
        {
            Ok(Verdict::Keep)
        }
        Rule::Href if absolute(&text) => {
            dots(path)?;
            if follows && path == "/" {
                return complain(
                    "an address whose first part is an expression",
                    "write the path out, or use `link(…)`",
                );
            }
            Ok(Verdict::Keep)
        }
        Rule::Href if text.starts_with("https://") => {
            let host = text["https://".len()..]
                .split(['/', '?', '#'])
                .next()
                .unwrap_or_default();
            let complete = "https://".len() + host.len() < text.len();
            if host.is_empty() || host.contains('@') || (follows && !complete) {
                return complain(
                    "a link without a host of its own",
                    "write `https://host/` out before the first expression",
                );
            }
            Ok(Verdict::KeepExternal)
        }
        Rule::Href if text.starts_with("mailto:") => Ok(Verdict::KeepExternal),
        Rule::ImageSource if text.starts_with("data:") => {
            let ok = ["png", "jpeg", "gif", "webp"].iter().any(|t| {
                text.strip_prefix("data:image/")
                    .and_then(|r| r.strip_prefix(t))
                    .is_some_and(|r| r.starts_with(";base64,"))
            });
            if ok {
                Ok(Verdict::Keep)
            } else {
                complain(
                    "this kind of `data:` address",
                    "data:image/png, jpeg, gif and webp are taken",
                )
            }
        }
        Rule::ImageSource if absolute(&text) && text.starts_with("/assets/") => {
            dots(path)?;
            Ok(Verdict::Keep)
        }
        _ => complain(
            format!(
                "an address outside of the package: `{}`",
                text.chars().take(60).collect::<String>()
            ),
            match rule {
                Rule::Href => format!(
                    "use `{}/…`, `{{{{ url(\"/…\") }}}}`, a path of the portal, or https://",
                    area.mount
                ),
                Rule::ImageSource => {
                    "use `{{ asset(\"name.svg\") }}` for files in static/".to_owned()
                }
                _ => format!("use `{}/…` or `{{{{ url(\"/…\") }}}}`", area.mount),
            },
        ),
    }
}
