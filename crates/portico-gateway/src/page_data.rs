//! The data of a page: which paths it asks, what came back, and titles made from it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use portico_host::capability::CapabilityError;
use serde_json::{Value, json};

type Fields = [(String, String)];

/// Everything but what RFC 3986 calls unreserved.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Fields that are read from one query or form.
const MAX_FIELDS: usize = 256;

/// Decodes `application/x-www-form-urlencoded`.
pub(crate) fn fields(text: &[u8]) -> Vec<(String, String)> {
    let decode = |part: &[u8]| {
        let spaced: Vec<u8> = part
            .iter()
            .map(|b| if *b == b'+' { b' ' } else { *b })
            .collect();
        percent_decode(&spaced).decode_utf8_lossy().into_owned()
    };
    text.split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .take(MAX_FIELDS)
        .map(|pair| {
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            (
                decode(&pair[..at]),
                decode(pair.get(at + 1..).unwrap_or_default()),
            )
        })
        .collect()
}

/// Fills the `{name}` of a data path. A query parameter whose placeholder has no value is left out; a
/// path segment without one makes the whole path `None`.
pub(crate) fn fill(template: &str, params: &Fields, query: &Fields) -> Option<String> {
    let value = |name: &str| {
        let find = |fields: &'_ Fields| {
            fields
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
        };
        find(params).or_else(|| find(query))
    };
    let (path, parameters) = template.split_once('?').unwrap_or((template, ""));
    let mut filled = String::with_capacity(template.len() + 16);
    replace(path, &mut filled, &|name| {
        // A dot segment would lead to another path than the manifest names.
        value(name).filter(|v| !matches!(v.as_str(), "" | "." | ".."))
    })?;
    let mut separator = '?';
    for parameter in parameters.split('&').filter(|p| !p.is_empty()) {
        let mut one = String::new();
        if replace(parameter, &mut one, &|name| value(name)).is_some() {
            filled.push(separator);
            filled.push_str(&one);
            separator = '&';
        }
    }
    Some(filled)
}

fn replace(
    template: &str,
    into: &mut String,
    value: &dyn Fn(&str) -> Option<String>,
) -> Option<()> {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        into.push_str(before);
        into.extend(utf8_percent_encode(&value(name)?, COMPONENT));
        rest = after;
    }
    into.push_str(rest);
    Some(())
}

/// What a template sees of a call that failed.
pub(crate) fn refusal(refused: &CapabilityError) -> Value {
    let (code, status) = match refused {
        CapabilityError::Denied(_) => ("permission-missing", 403),
        CapabilityError::NotFound(_) => ("not-found", 404),
        CapabilityError::Quota(_) => ("over-quota", 429),
        CapabilityError::Failed(_) => ("failed", 502),
    };
    error(code, status, &refused.to_string())
}

/// The same, for a call that was not made.
pub(crate) fn error(code: &str, status: u16, message: &str) -> Value {
    json!({ "error": { "code": code, "status": status, "message": message } })
}

/// Fills `{item.name}` of a title from the page's data and parameters; what is not there is left out.
pub(crate) fn title(template: &str, data: &[(String, Value)], params: &Fields) -> String {
    let mut title = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, (name, after))) = rest
        .split_once('{')
        .and_then(|(before, after)| Some((before, after.split_once('}')?)))
    {
        title.push_str(before);
        if let Some((_, value)) = params.iter().find(|(n, _)| n == name) {
            title.push_str(value);
        } else {
            match find(name, data) {
                Some(Value::String(text)) => title.push_str(text),
                Some(Value::Number(number)) => title.push_str(&number.to_string()),
                _ => {}
            }
        }
        rest = after;
    }
    title.push_str(rest);
    title
}

fn find<'d>(name: &str, data: &'d [(String, Value)]) -> Option<&'d Value> {
    let mut words = name.split('.');
    let first = words.next()?;
    let value = data.iter().find(|(n, _)| n == first).map(|(_, v)| v)?;
    words.try_fold(value, |value, word| value.get(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn forms() {
        assert_eq!(
            fields(b"q=a+b%26c&empty=&flag&%C3%BC=%ff&&=x"),
            pairs(&[
                ("q", "a b&c"),
                ("empty", ""),
                ("flag", ""),
                ("ü", "\u{fffd}"),
                ("", "x")
            ])
        );
        assert_eq!(fields("a=1&".repeat(1000).as_bytes()).len(), MAX_FIELDS);
    }

    #[test]
    fn paths() {
        let params = pairs(&[("id", "a/b")]);
        let query = pairs(&[("q", "x&y=z"), ("id", "from-query"), ("up", "..")]);
        for (template, expected) in [
            ("/api/portal/config", Some("/api/portal/config")),
            (
                "/api/portal/microsites/{id}",
                Some("/api/portal/microsites/a%2Fb"),
            ),
            (
                "/api/a?q={q}&category={category}",
                Some("/api/a?q=x%26y%3Dz"),
            ),
            (
                "/api/a?limit=5&category={category}&q={q}",
                Some("/api/a?limit=5&q=x%26y%3Dz"),
            ),
            ("/api/a?category={category}", Some("/api/a")),
            ("/api/{missing}/x", None),
            ("/api/{up}/x", None),
            ("/api/{broken", None),
        ] {
            assert_eq!(
                fill(template, &params, &query).as_deref(),
                expected,
                "{template}"
            );
        }
    }

    #[test]
    fn titles() {
        let data = vec![(
            "item".to_owned(),
            json!({"name": "Log <b>", "n": 3, "list": []}),
        )];
        for (template, expected) in [
            ("Plain", "Plain"),
            ("{item.name}", "Log <b>"),
            ("{item.n} of {id}", "3 of 7"),
            ("a{item.missing.deep}b{item.list}c{x}", "abc"),
            ("open {item", "open {item"),
        ] {
            assert_eq!(
                title(template, &data, &pairs(&[("id", "7")])),
                expected,
                "{template}"
            );
        }
    }
}
