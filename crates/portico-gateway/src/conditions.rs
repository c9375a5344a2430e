//! Small readers of request headers.

use http::{HeaderMap, HeaderName, header};

/// What a client can unpack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepts {
    pub(crate) brotli: bool,
    pub(crate) gzip: bool,
}

impl Accepts {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut accepts = Self::default();
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            accepts.read(value.to_str().unwrap_or_default());
        }
        accepts
    }

    /// Takes in the value of one `accept-encoding`.
    pub(crate) fn read(&mut self, value: &str) {
        for item in value.split(',') {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let allowed = !is_zero(parameters);
            match name.trim() {
                name if name.eq_ignore_ascii_case("br") => self.brotli = allowed,
                name if name.eq_ignore_ascii_case("gzip") => self.gzip = allowed,
                _ => {}
            }
        }
    }
}

/// Whether parameters of an `accept-*` item say `q=0`.
fn is_zero(parameters: &str) -> bool {
    parameters.split(';').any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        name.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0_f32)
    })
}

/// Whether `if-none-match` names `etag` (weak comparison).
pub(crate) fn none_match(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value
            .to_str()
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

/// Whether `if-match`, when there is one, names `etag` (strong comparison).
pub(crate) fn may_match(headers: &HeaderMap, etag: &str) -> bool {
    let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
    values.peek().is_none()
        || values.any(|value| {
            let tags = value.to_str().unwrap_or_default().split(',');
            tags.map(str::trim).any(|tag| tag == "*" || tag == etag)
        })
}

/// A header as text, empty when it is missing or no text.
pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers
        .get(name)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
}

/// The cookie that holds a person's own choice.
const LANGUAGE: &str = "portico-lang";

/// Languages that a person wants, best first: the cookie's, then those of `accept-language`.
pub fn wanted_languages(headers: &HeaderMap) -> Vec<String> {
    let mut wanted = languages(text(headers, &header::ACCEPT_LANGUAGE));
    let chosen = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == LANGUAGE)
        .and_then(|(_, value)| languages(value).into_iter().next());
    if let Some(chosen) = chosen {
        wanted.retain(|tag| *tag != chosen);
        wanted.insert(0, chosen);
    }
    wanted
}

/// Languages of `accept-language`, best first; nothing for none.
pub(crate) fn languages(accept: &str) -> Vec<String> {
    let mut found: Vec<(f32, &str)> = accept
        .split(',')
        .take(16)
        .filter_map(|item| {
            let (tag, parameters) = item.split_once(';').unwrap_or((item, ""));
            let quality = parameters
                .trim()
                .strip_prefix("q=")
                .map_or(Some(1.0), |q| q.trim().parse().ok())
                .filter(|q| (0.0..=1.0).contains(q) && *q > 0.0)?;
            let tag = tag.trim();
            let ok = (1..=35).contains(&tag.len())
                && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            ok.then_some((quality, tag))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
        .into_iter()
        .map(|(_, tag)| tag.to_ascii_lowercase())
        .collect()
}

/// Whether the client would rather read a problem as JSON than a page.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    let accept = text(headers, &header::ACCEPT);
    if accept.contains("json") && !accept.contains("text/html") {
        return true;
    }
    // A browser that loads an image or a script cannot show a page.
    let dest = text(headers, &HeaderName::from_static("sec-fetch-dest"));
    !matches!(dest, "" | "document" | "iframe" | "frame" | "empty")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn encodings() {
        for (value, brotli, gzip) in [
            ("gzip, deflate, br, zstd", true, true),
            ("br;q=1.0, gzip;q=0.8, *;q=0.1", true, true),
            ("gzip;q=0, br;q=0.0", false, false),
            ("GZIP; Q=0.5", false, true),
            ("identity", false, false),
            ("xgzip, brx", false, false),
            ("*", false, false),
        ] {
            assert_eq!(
                Accepts::of(&with("accept-encoding", value)),
                Accepts { brotli, gzip },
                "{value}"
            );
        }
    }

    #[test]
    fn etags() {
        for (value, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            assert_eq!(
                none_match(&with("if-none-match", value), "\"a\""),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn languages_by_quality() {
        assert_eq!(
            languages("en;q=0.5, de-CH, fr;q=0.9, x;q=0, <script>"),
            ["de-ch", "fr", "en"]
        );
        assert!(languages("").is_empty());
        let mut headers = with("accept-language", "en, fr;q=0.9, de;q=0.8");
        headers.insert(
            header::COOKIE,
            HeaderValue::from_static("a=b; portico-lang=de; c=d"),
        );
        assert_eq!(wanted_languages(&headers), ["de", "en", "fr"]);
        headers.insert(
            header::COOKIE,
            HeaderValue::from_static("portico-lang=<script>"),
        );
        assert_eq!(wanted_languages(&headers), ["en", "fr", "de"]);
    }

    #[test]
    fn json_or_page() {
        assert!(wants_json(&with("accept", "application/json")));
        assert!(wants_json(&with(
            "accept",
            "application/problem+json, application/json"
        )));
        assert!(!wants_json(&with(
            "accept",
            "text/html,application/json;q=0.9"
        )));
        assert!(!wants_json(&with("accept", "*/*")));
        assert!(wants_json(&with("sec-fetch-dest", "image")));
        assert!(!wants_json(&HeaderMap::new()));
    }
}
