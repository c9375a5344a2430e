//! Static files of packages: types, compressed forms, and the check of SVG images.

use std::io::Write;

use bytes::Bytes;
use portico_host::{Asset, AssetSet, StagedPackage};
use portico_package::Digest;

use crate::css;

/// Every file below the package's folder of static files, by its path there, compressed where that is smaller;
/// style is wrapped into the package's own layer and scope. Takes CPU time: not for the request path.
/// Files of types that are not served, and style that does not pass the check, are left out.
pub fn package_assets(package: &StagedPackage) -> AssetSet {
    let folder = package.manifest.files.static_files();
    package
        .files
        .iter()
        .filter_map(|(path, bytes)| {
            let name = path.strip_prefix(folder)?;
            let content_type = content_type(name)?;
            let bytes = if content_type == CSS {
                let source = std::str::from_utf8(bytes).ok()?;
                css::check(&package.manifest.id, source).ok()?;
                Bytes::from(css::wrap(&package.manifest.id, source))
            } else {
                bytes.clone()
            };
            Some((name.to_owned(), asset(bytes, content_type)))
        })
        .collect()
}

pub(crate) const CSS: &str = "text/css; charset=utf-8";

/// The content type of a file that may be served from a package's folder; `None` refuses it.
/// HTML, scripts and XML are not there: the same origin serves the shell.
pub(crate) fn content_type(name: &str) -> Option<&'static str> {
    let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match extension.as_str() {
        "css" => CSS,
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "txt" | "md" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" | "map" => "application/json",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        _ => return None,
    })
}

/// Makes an asset, with its compressed forms where they are smaller.
pub(crate) fn asset(bytes: Bytes, content_type: &'static str) -> Asset {
    let text = content_type.starts_with("text/")
        || matches!(
            content_type,
            "image/svg+xml" | "application/json" | "font/ttf" | "font/otf" | "text/javascript"
        );
    let smaller = |packed: Vec<u8>| (packed.len() + 32 < bytes.len()).then(|| Bytes::from(packed));
    let worth = text && bytes.len() > 256;
    let gzip = if worth {
        gzip(&bytes).and_then(smaller)
    } else {
        None
    };
    let brotli = if worth {
        brotli(&bytes).and_then(smaller)
    } else {
        None
    };
    let etag = format!("\"{}\"", &Digest::of(&bytes).hex()[..32]);
    Asset {
        bytes,
        gzip,
        brotli,
        content_type,
        etag,
    }
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

fn brotli(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    // Quality 11 takes seconds on megabytes; 9 is near it and quick.
    let quality = if bytes.len() < 256 << 10 { 11 } else { 9 };
    let params = brotli::enc::BrotliEncoderParams {
        quality,
        lgwin: 22,
        size_hint: bytes.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &params).ok()?;
    Some(out)
}

/// Checks an SVG file: elements and attributes that draw, nothing that runs or fetches.
/// Answers byte offset, message and hint.
pub(crate) fn check_svg(source: &str) -> Result<(), (usize, String, String)> {
    let complain = |at: usize, message: String, hint: &str| Err((at, message, hint.to_owned()));
    let mut at = 0;
    while let Some(n) = source[at..].find('<') {
        let start = at + n;
        let rest = &source[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            let Some(end) = comment.find("-->") else {
                return complain(start, "a comment that is not closed".into(), "write `-->`");
            };
            at = start + 4 + end + 3;
            continue;
        }
        if rest.starts_with("<?xml ") {
            let Some(end) = rest.find("?>") else {
                return complain(start, "`<?` that is not closed".into(), "write `?>`");
            };
            at = start + end + 2;
            continue;
        }
        if rest.starts_with("<!") || rest.starts_with("<?") {
            return complain(
                start,
                "a declaration".into(),
                "remove DOCTYPE, entities, CDATA and processing instructions",
            );
        }
        let Some(end) = tag_end(rest) else {
            return complain(start, "a tag that is not finished".into(), "write `>`");
        };
        let inner = rest[1..end].trim_start_matches('/').trim_end_matches('/');
        let name_end = inner
            .find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(inner.len());
        let name = inner[..name_end].to_ascii_lowercase();
        if !SVG_ELEMENTS.contains(&name.as_str()) {
            return complain(
                start,
                format!("<{name}> in an SVG image"),
                "only elements that draw are taken: no script, style, foreignObject, animation or links",
            );
        }
        if let Err(message) = svg_attributes(&inner[name_end..]) {
            return complain(
                start,
                message,
                "only attributes that draw are taken: no on…, style, or references to elsewhere",
            );
        }
        at = start + end + 1;
    }
    if source.contains("<svg") {
        Ok(())
    } else {
        complain(0, "no <svg> in it".into(), "save an SVG image")
    }
}

const SVG_ELEMENTS: &[&str] = &[
    "svg",
    "g",
    "path",
    "circle",
    "ellipse",
    "rect",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "textpath",
    "title",
    "desc",
    "defs",
    "symbol",
    "use",
    "lineargradient",
    "radialgradient",
    "stop",
    "clippath",
    "mask",
    "pattern",
    "marker",
    "filter",
    "fegaussianblur",
    "feoffset",
    "feblend",
    "feflood",
    "fecomposite",
    "femerge",
    "femergenode",
    "fecolormatrix",
    "fedropshadow",
    "metadata",
];

/// Where the tag that `rest` begins with ends: the first `>` outside of quotes.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at),
            (Some(q), b) if q == b => quote = None,
            _ => {}
        }
    }
    None
}

fn svg_attributes(text: &str) -> Result<(), String> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once('=') else {
            return Err(format!(
                "`{}` without a value",
                rest.chars().take(40).collect::<String>()
            ));
        };
        let name = name.trim().to_ascii_lowercase();
        let after = after.trim_start();
        let quote = after
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''))
            .ok_or_else(|| format!("`{name}` without quotes"))?;
        let (value, left) = after[1..]
            .split_once(quote)
            .ok_or_else(|| format!("the value of `{name}` is not closed"))?;
        let plain = name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b':' | b'_'));
        let namespace = name == "xmlns" || name.starts_with("xmlns:");
        if !plain
            || name.starts_with("on")
            || name == "style"
            || (name.contains(':')
                && !namespace
                && !matches!(name.as_str(), "xml:space" | "xml:lang" | "xlink:href"))
        {
            return Err(format!("the attribute `{name}`"));
        }
        let value = value.trim().to_ascii_lowercase();
        let reference = matches!(name.as_str(), "href" | "xlink:href" | "src");
        let elsewhere = value.replace("url(#", "").contains("url(")
            || value.contains("javascript:")
            || (value.contains('&') && (reference || value.contains("url")));
        if !namespace && (elsewhere || (reference && !value.starts_with('#'))) {
            return Err(format!("`{name}` leads elsewhere"));
        }
        rest = left.trim_start();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_draw_are_taken() {
        let svg = "<?xml version=\"1.0\"?>\n<!-- x --><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 8 8\"><defs><linearGradient id=\"a\"><stop offset='0'/></linearGradient></defs><path d=\"M0 0h8\" fill=\"url(#a)\"/><use href=\"#a\"/></svg>";
        assert_eq!(check_svg(svg), Ok(()));
    }

    #[test]
    fn images_that_run_or_fetch_are_refused() {
        for bad in [
            "<svg><script>alert(1)</script></svg>",
            "<svg onload=\"alert(1)\"/>",
            "<svg><foreignObject><body/></foreignObject></svg>",
            "<svg><a href=\"javascript:alert(1)\"><text>x</text></a></svg>",
            "<svg><use href=\"https://evil.example/x.svg#a\"/></svg>",
            "<svg><use xlink:href=\"data:image/svg+xml,x\"/></svg>",
            "<svg><image href=\"x.png\"/></svg>",
            "<svg><animate attributeName=\"href\" to=\"x\"/></svg>",
            "<svg><set attributeName=\"onclick\" to=\"x\"/></svg>",
            "<svg><style>*{}</style></svg>",
            "<svg style=\"background:url(x)\"/>",
            "<svg fill=\"url(https://evil.example)\"/>",
            "<!DOCTYPE svg [<!ENTITY x \"y\">]><svg/>",
            "<svg><![CDATA[<script>]]></svg>",
            "<?xml-stylesheet href=\"x\"?><svg/>",
            "<svg x=1/>",
            "<svg xlink:show=\"x\"/>",
            "<html><body/></html>",
            "<svg a=\"x\" on\u{0}load=\"y\"/>",
        ] {
            assert!(check_svg(bad).is_err(), "taken: {bad}");
        }
    }

    #[test]
    fn compressed_forms_are_kept_only_when_smaller() {
        let text = asset(Bytes::from("a { color: red }\n".repeat(200)), CSS);
        let (gz, br) = (text.gzip.clone().unwrap(), text.brotli.clone().unwrap());
        assert!(gz.len() < 400 && br.len() < gz.len());
        let mut back = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gz[..]), &mut back).unwrap();
        assert_eq!(back, text.bytes);
        assert!(
            asset(Bytes::from_static(&[7; 4000]), "image/png")
                .gzip
                .is_none()
        );
        assert!(asset(Bytes::from_static(b"tiny"), CSS).gzip.is_none());
        assert_eq!(content_type("a/b.html"), None);
        assert_eq!(content_type("x.js"), None);
        assert_eq!(content_type("no-extension"), None);
    }
}
