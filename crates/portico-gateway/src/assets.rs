//! Files, served from memory with headers that were made before anybody asked.

use std::{
    collections::HashMap,
    fmt::Write,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use portico_host::asset::{Asset, AssetSet, ShellFiles};

use crate::{
    body::Body,
    conditions::{Accepts, may_match, none_match},
    headers::NOSNIFF,
    problem::Problem,
    range::Part,
    sealed::{Sealed, is_worth_sealing},
};

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A file of a package that a browser would open as a document of the portal's own origin must not run
/// or reach anything there.
const INERT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
);

/// The files of one archive, by path.
#[derive(Debug)]
pub(crate) struct ServedSet(HashMap<Box<str>, ServedFile>);

impl ServedSet {
    pub(crate) fn of_package(assets: &AssetSet) -> Self {
        Self(
            assets
                .iter()
                .map(|(path, asset)| (path.as_str().into(), ServedFile::new(asset, Owner::Package)))
                .collect(),
        )
    }

    pub(crate) fn get(&self, path: &str) -> Option<&ServedFile> {
        self.0.get(path)
    }
}

/// Who wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Portal,
    Package,
}

/// One file, ready to be sent in each of its forms.
#[derive(Debug)]
pub(crate) struct ServedFile {
    plain: Form,
    gzip: Option<Form>,
    brotli: Option<Form>,
}

#[derive(Debug)]
pub(crate) struct Form {
    bytes: Bytes,
    etag: HeaderValue,
    /// Shared by every file of the same type, and made of static values only: cloning it allocates
    /// its table and nothing else.
    headers: Arc<HeaderMap>,
    /// Made when it is first asked for: most forms of most files never are.
    wire: OnceLock<Box<Wire>>,
}

/// What goes over a plain HTTP/1.1 connection.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Status line and headers up to the value of `date`, the last of them.
    pub(crate) head: Box<[u8]>,
    asked_before: AtomicBool,
    sealed: OnceLock<Option<Arc<Sealed>>>,
}

impl Form {
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// This form as it goes over the wire.
    pub(crate) fn wire(&self) -> &Wire {
        self.wire.get_or_init(|| {
            let mut head = format!(
                "HTTP/1.1 200 OK\r\netag: {}\r\ncontent-length: {}\r\n",
                self.etag.to_str().unwrap_or_default(),
                self.bytes.len()
            );
            for (name, value) in &*self.headers {
                // All of them are static texts.
                let _ = write!(head, "{name}: {}\r\n", value.to_str().unwrap_or_default());
            }
            head.push_str("date: ");
            Box::new(Wire {
                head: head.into_bytes().into(),
                asked_before: AtomicBool::new(false),
                sealed: OnceLock::new(),
            })
        })
    }

    /// Its bytes where the kernel can take them from, if it is large and asked for more than once.
    pub(crate) fn sealed(&self) -> Option<&Arc<Sealed>> {
        if !is_worth_sealing(&self.bytes) {
            return None;
        }
        let wire = self.wire();
        if !wire.asked_before.swap(true, Ordering::Relaxed) {
            return None;
        }
        wire.sealed
            .get_or_init(|| Sealed::new(&self.bytes).map(Arc::new))
            .as_ref()
    }
}

impl ServedFile {
    fn new(asset: &Asset, owner: Owner) -> Self {
        let compressed = asset.gzip.is_some() || asset.brotli.is_some();
        let form = |bytes: &Bytes, encoding: Option<&'static str>| Form {
            bytes: bytes.clone(),
            etag: etag(&asset.etag, encoding),
            headers: headers(asset.content_type, encoding, compressed, owner),
            wire: OnceLock::new(),
        };
        Self {
            plain: form(&asset.bytes, None),
            gzip: asset.gzip.as_ref().map(|bytes| form(bytes, Some("gzip"))),
            brotli: asset.brotli.as_ref().map(|bytes| form(bytes, Some("br"))),
        }
    }

    /// Answers GET and HEAD.
    pub(crate) fn answer(&self, method: &Method, request: &HeaderMap) -> Response<Body> {
        let form = self.choose(|| Accepts::of(request));
        let etag = form.etag.to_str().unwrap_or_default();
        let length = form.bytes.len();
        if !may_match(request, etag) {
            let detail = "the file is another one than `if-match` names";
            return Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                detail,
            )
            .response_with(&[(header::ETAG, form.etag.clone())]);
        }
        let part = match *method {
            Method::GET => Part::asked(request, length, etag),
            _ => Part::Whole,
        };
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = HeaderMap::clone(&form.headers);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, form.etag.clone());
        if request.contains_key(header::IF_NONE_MATCH) && none_match(request, etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        match part {
            _ if *method == Method::HEAD => {
                headers.insert(header::CONTENT_LENGTH, length.into());
            }
            Part::Whole => *response.body_mut() = Body::from(form.bytes.clone()),
            Part::Bytes(part) => {
                let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                if let Ok(range) = HeaderValue::try_from(range) {
                    headers.insert(header::CONTENT_RANGE, range);
                }
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                *response.body_mut() = Body::from(form.bytes.slice(part));
            }
            Part::Nothing => return unsatisfiable(length),
        }
        response
    }

    /// The form for who accepts this.
    pub(crate) fn choose(&self, accepts: impl FnOnce() -> Accepts) -> &Form {
        if self.gzip.is_none() && self.brotli.is_none() {
            return &self.plain;
        }
        let accepts = accepts();
        let brotli = self.brotli.as_ref().filter(|_| accepts.brotli);
        let gzip = self.gzip.as_ref().filter(|_| accepts.gzip);
        brotli.or(gzip).unwrap_or(&self.plain)
    }
}

fn unsatisfiable(length: usize) -> Response<Body> {
    let detail = format!("the file has {length} bytes, and the range begins behind them");
    let range = HeaderValue::try_from(format!("bytes */{length}"));
    Problem::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range-not-satisfiable",
        &detail,
    )
    .response_with(&[(
        header::CONTENT_RANGE,
        range.unwrap_or(HeaderValue::from_static("bytes */0")),
    )])
}

/// Another form is another representation, so it has another tag.
fn etag(tag: &str, encoding: Option<&str>) -> HeaderValue {
    let tag = match encoding {
        Some(encoding) => format!("{}-{encoding}\"", tag.trim_end_matches('"')),
        None => tag.to_owned(),
    };
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""))
}

fn headers(
    content_type: &'static str,
    encoding: Option<&'static str>,
    varies: bool,
    owner: Owner,
) -> Arc<HeaderMap> {
    // One more than needed for the tag. A table of 16 slots holds twelve.
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if varies {
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    if owner == Owner::Package && !is_inert(content_type) {
        headers.insert(header::CONTENT_SECURITY_POLICY, INERT);
    }
    Arc::new(headers)
}

/// Types that no browser opens as a document that can run or load anything.
fn is_inert(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match kind {
        "text/css"
        | "text/javascript"
        | "application/javascript"
        | "application/json"
        | "text/plain" => true,
        "image/svg+xml" => false,
        _ => ["image/", "font/", "audio/", "video/"]
            .iter()
            .any(|prefix| kind.starts_with(prefix)),
    }
}

/// Files of the shell, as they are served.
pub(crate) struct ShellCache {
    files: Arc<dyn ShellFiles>,
    served: ArcSwap<imbl::HashMap<Box<str>, Prepared>>,
}

/// A file, and what was made of it.
type Prepared = (Arc<Asset>, Arc<ServedFile>);

impl ShellCache {
    pub(crate) fn new(files: Arc<dyn ShellFiles>) -> Self {
        Self {
            files,
            served: ArcSwap::default(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<Arc<ServedFile>> {
        let asset = self.files.get(path)?;
        if let Some((of, served)) = self.served.load().get(path)
            && Arc::ptr_eq(of, &asset)
        {
            return Some(Arc::clone(served));
        }
        let served = Arc::new(ServedFile::new(&asset, Owner::Portal));
        self.served
            .rcu(|all| all.update(path.into(), (Arc::clone(&asset), Arc::clone(&served))));
        Some(served)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content_type: &'static str) -> ServedFile {
        let asset = Asset {
            bytes: Bytes::from_static(b"plain plain plain"),
            gzip: Some(Bytes::from_static(b"gz")),
            brotli: Some(Bytes::from_static(b"b")),
            content_type,
            etag: "\"abc\"".into(),
        };
        ServedFile::new(&asset, Owner::Package)
    }

    fn ask(
        file: &ServedFile,
        method: Method,
        headers: &[(&'static str, &'static str)],
    ) -> Response<Body> {
        let headers = headers
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect();
        file.answer(&method, &headers)
    }

    #[test]
    fn forms_have_their_own_tags() {
        let file = file("text/css");
        for (accept, encoding, tag, body) in [
            ("", None, "\"abc\"", &b"plain plain plain"[..]),
            ("gzip", Some("gzip"), "\"abc-gzip\"", b"gz"),
            ("gzip, br", Some("br"), "\"abc-br\"", b"b"),
            ("gzip, br;q=0", Some("gzip"), "\"abc-gzip\"", b"gz"),
        ] {
            let response = ask(&file, Method::GET, &[("accept-encoding", accept)]);
            assert_eq!(
                response
                    .headers()
                    .get(header::CONTENT_ENCODING)
                    .map(|v| v.to_str().unwrap()),
                encoding
            );
            assert_eq!(response.headers()[header::ETAG], tag);
            assert_eq!(response.headers()[header::VARY], "Accept-Encoding");
            assert_eq!(response.body().whole().unwrap(), body);
        }
    }

    #[test]
    fn not_modified_only_for_the_form_that_would_be_sent() {
        let file = file("text/css");
        let gzip = ("accept-encoding", "gzip");
        let same = ask(
            &file,
            Method::GET,
            &[gzip, ("if-none-match", "\"x\", W/\"abc-gzip\"")],
        );
        assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
        assert!(same.body().whole().is_none());
        let other = ask(&file, Method::GET, &[gzip, ("if-none-match", "\"abc\"")]);
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn head_tells_the_length_and_sends_nothing() {
        let response = ask(&file("text/css"), Method::HEAD, &[]);
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "17");
        assert!(response.body().whole().is_none());
    }

    #[test]
    fn what_opens_as_a_document_is_inert() {
        for (content_type, policy) in [
            ("text/html; charset=utf-8", true),
            ("image/svg+xml", true),
            ("application/xhtml+xml", true),
            ("text/xml", true),
            ("application/pdf", true),
            ("application/octet-stream", true),
            ("text/javascript", false),
            ("text/css; charset=utf-8", false),
            ("image/png", false),
            ("font/woff2", false),
        ] {
            let response = ask(&file(content_type), Method::GET, &[]);
            let found = response.headers().get(header::CONTENT_SECURITY_POLICY);
            assert_eq!(found.is_some(), policy, "{content_type}");
            assert_eq!(
                response.headers()[header::X_CONTENT_TYPE_OPTIONS],
                "nosniff"
            );
        }
    }
}
