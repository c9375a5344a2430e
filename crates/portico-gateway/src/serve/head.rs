//! What a request over plain HTTP/1.1 is, as far as that must be known before hyper sees it.

use std::mem::MaybeUninit;

use crate::conditions::Accepts;

/// Headers that are looked at; hyper decides about requests with more.
const MAX_HEADERS: usize = 64;

/// How a request begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'b> {
    /// Not all of it is there yet.
    Partial,
    /// Maybe a file, asked for in the plainest way: no condition, no range, nothing to be told but the file.
    File(Ask<'b>),
    /// Something else: how many bytes head and body have together.
    Message(u64),
    /// Where it ends cannot be told from here, or the connection ends or changes with it.
    Last,
}

/// A file that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ask<'b> {
    /// Bytes of the head.
    pub(super) length: usize,
    /// Without query, not decoded.
    pub(super) path: &'b str,
    pub(super) accepts: Accepts,
    /// HEAD: the answer has no body.
    pub(super) is_head: bool,
}

impl<'b> Head<'b> {
    /// Reads the first request of `bytes`. What this does not understand exactly as hyper does is `Last`: two
    /// readers that disagree about where a request ends would be a way to smuggle one.
    pub(super) fn read(bytes: &'b [u8]) -> Self {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Self::Partial,
            Err(_) => return Self::Last,
        };
        let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version)
        else {
            return Self::Last;
        };
        let Some(asked) = Asked::of(request.headers) else {
            return Self::Last;
        };
        if asked.body == 0
            && asked.is_plain
            && matches!(method, "GET" | "HEAD")
            && (target.starts_with("/assets/") || target.starts_with("/theme/"))
        {
            return Self::File(Ask {
                length,
                path: target.split(['?', '#']).next().unwrap_or(target),
                accepts: asked.accepts,
                is_head: method == "HEAD",
            });
        }
        if method == "CONNECT" {
            return Self::Last;
        }
        (length as u64)
            .checked_add(asked.body)
            .map_or(Self::Last, Self::Message)
    }
}

/// What the headers say.
struct Asked {
    body: u64,
    accepts: Accepts,
    is_plain: bool,
}

impl Asked {
    /// Nothing when the request does not stand for itself.
    fn of(headers: &[httparse::Header<'_>]) -> Option<Self> {
        let mut asked = Self {
            body: 0,
            accepts: Accepts::default(),
            is_plain: true,
        };
        let mut has_length = false;
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // By length first: most headers are none of these.
            match header.name.len() {
                5 if is("range") => asked.is_plain = false,
                6 if is("expect") => asked.is_plain = false,
                7 if is("upgrade") => return None,
                8 if is("if-match") || is("if-range") => asked.is_plain = false,
                10 if is("connection") && !header.value.eq_ignore_ascii_case(b"keep-alive") => {
                    return None;
                }
                13 if is("if-none-match") => asked.is_plain = false,
                14 if is("content-length") => {
                    if has_length {
                        return None;
                    }
                    has_length = true;
                    asked.body = number(header.value)?;
                }
                15 if is("accept-encoding") => {
                    asked
                        .accepts
                        .read(std::str::from_utf8(header.value).unwrap_or_default());
                }
                17 if is("transfer-encoding") => return None,
                19 if is("if-unmodified-since") => asked.is_plain = false,
                _ => {}
            }
        }
        Some(asked)
    }
}

/// Digits and nothing else.
fn number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.len() < 19 && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Head<'_> {
        Head::read(text.as_bytes())
    }

    #[test]
    fn files_asked_for_plainly() {
        let text = "GET /assets/ab/x.css?v=1 HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br;q=0\r\nConnection: keep-alive\r\n\r\nGET /";
        let Head::File(ask) = read(text) else {
            panic!("{:?}", read(text))
        };
        assert_eq!(&text[ask.length..], "GET /");
        assert_eq!((ask.path, ask.is_head), ("/assets/ab/x.css", false));
        assert_eq!(
            ask.accepts,
            Accepts {
                brotli: false,
                gzip: true
            }
        );
        assert!(matches!(
            read("HEAD /theme/a.css HTTP/1.1\r\n\r\n"),
            Head::File(Ask { is_head: true, .. })
        ));
    }

    #[test]
    fn everything_else() {
        let head = |lines: &str| format!("GET /assets/ab/x HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
        let total = |text: &str| Head::Message(text.len() as u64);
        for lines in [
            "range: bytes=0-1\r\n",
            "IF-NONE-MATCH: \"x\"\r\n",
            "if-range: \"x\"\r\n",
            "if-match: *\r\n",
            "expect: 100-continue\r\n",
        ] {
            assert_eq!(read(&head(lines)), total(&head(lines)), "{lines}");
        }
        let with_body = head("content-length: 12\r\n");
        assert_eq!(read(&with_body), Head::Message(with_body.len() as u64 + 12));
        assert_eq!(
            read("GET / HTTP/1.1\r\n\r\nmore"),
            Head::Message("GET / HTTP/1.1\r\n\r\n".len() as u64)
        );
    }

    #[test]
    fn what_might_be_read_otherwise_is_left_to_hyper() {
        for text in [
            "GET /assets/ab/x HTTP/1.0\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length:\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
            "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET / HTTP/1.1\r\nbad header : x\r\n\r\n",
            "\0\0\0\0",
        ] {
            assert_eq!(read(text), Head::Last, "{text}");
        }
    }

    #[test]
    fn halves() {
        let whole = "GET /assets/ab/x HTTP/1.1\r\nhost: a\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Head::Partial, "{end}");
        }
    }
}
