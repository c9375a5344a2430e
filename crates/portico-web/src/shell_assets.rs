//! The shell's own files, embedded; each name carries its digest, so that it can be kept for ever.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use include_dir::{Dir, include_dir};
use portico_host::Asset;
use portico_package::Digest;

use crate::package_assets::asset;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/assets");

/// Files that the document names itself; the others are loaded when they are needed.
const IN_THE_DOCUMENT: [&str; 4] = ["favicon.svg", "shell.css", "shell.js", "theme.js"];

/// Files of the shell by request path.
#[derive(Debug)]
pub struct ShellAssets {
    by_path: HashMap<String, File>,
    paths: HashMap<&'static str, String>,
    modules: String,
    /// Inner SVG of each symbol of `icons.svg`.
    icons: HashMap<&'static str, &'static str>,
}

#[derive(Debug)]
struct File {
    bytes: Bytes,
    content_type: &'static str,
    // Compressed at first use: a portal that starts should not wait for it.
    asset: OnceLock<Arc<Asset>>,
}

impl ShellAssets {
    /// The embedded files.
    pub fn embedded() -> &'static Self {
        static ASSETS: OnceLock<ShellAssets> = OnceLock::new();
        ASSETS.get_or_init(|| {
            let mut assets = Self {
                by_path: HashMap::new(),
                paths: HashMap::new(),
                modules: String::new(),
                icons: HashMap::new(),
            };
            assets.collect(&FILES, true);
            let sprite = FILES
                .get_file("icons.svg")
                .and_then(include_dir::File::contents_utf8);
            assets.icons = sprite.map(symbols).unwrap_or_default();
            let vendored: Vec<&str> = FILES
                .get_dir("vendor")
                .map(|d| d.files().filter_map(name_of).collect())
                .unwrap_or_default();
            let modules: std::collections::BTreeMap<_, _> = assets
                .paths
                .iter()
                .filter(|(name, _)| !vendored.contains(name) && !IN_THE_DOCUMENT.contains(name))
                .collect();
            // Stands inside <script>: no `<` may end it.
            assets.modules = serde_json::to_string(&modules)
                .unwrap_or_default()
                .replace('<', "\\u003c");
            assets
        })
    }

    fn collect(&mut self, dir: &'static Dir<'static>, ours: bool) {
        for file in dir.files() {
            let Some(name) = name_of(file) else { continue };
            let Some(content_type) = content_type(name) else {
                continue;
            };
            let code = ours && (name.ends_with(".js") || name.ends_with(".css"));
            let bytes = match file.contents_utf8().filter(|_| code) {
                Some(text) => Bytes::from(strip(text)),
                None => Bytes::from_static(file.contents()),
            };
            let path = format!("/assets/shell/{}-{name}", &Digest::of(&bytes).hex()[..12]);
            self.paths.insert(name, path.clone());
            self.by_path.insert(
                path,
                File {
                    bytes,
                    content_type,
                    asset: OnceLock::new(),
                },
            );
        }
        dir.dirs().for_each(|d| self.collect(d, false));
    }

    /// The file at a request path.
    pub fn get(&self, path: &str) -> Option<&Arc<Asset>> {
        let file = self.by_path.get(path)?;
        Some(
            file.asset
                .get_or_init(|| Arc::new(asset(file.bytes.clone(), file.content_type))),
        )
    }

    /// The request path of a file: `shell.css` → `/assets/shell/0123456789ab-shell.css`; empty when there is no such file.
    pub fn path(&self, name: &str) -> &str {
        self.paths.get(name).map_or("", String::as_str)
    }

    /// What draws a picture of `icons.svg`, 24 × 24; empty when there is none of this name.
    pub(crate) fn icon(&self, name: &str) -> &'static str {
        self.icons.get(name).copied().unwrap_or_default()
    }

    /// Name → request path of everything that is loaded when it is needed, as JSON that may stand in a script element.
    pub(crate) fn modules(&self) -> &str {
        &self.modules
    }
}

/// Our own style and scripts without indentation and without lines that are only a comment. No string or template
/// of ours spans lines, which a test watches.
fn strip(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut comment = false;
    for line in source.lines() {
        let line = line.trim();
        comment |=
            line.starts_with("/*") && line.find("*/").is_none_or(|end| end + 2 == line.len());
        if comment {
            comment = !line.ends_with("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// The symbols of a sprite by id.
fn symbols(sprite: &'static str) -> HashMap<&'static str, &'static str> {
    sprite
        .split("<symbol id=\"")
        .skip(1)
        .filter_map(|symbol| {
            let (id, rest) = symbol.split_once('"')?;
            let inner = rest.split_once('>')?.1.split_once("</symbol>")?.0;
            Some((id, inner))
        })
        .collect()
}

fn name_of(file: &'static include_dir::File<'static>) -> Option<&'static str> {
    file.path().file_name()?.to_str()
}

fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "json" if name.starts_with("words-") => Some("application/json"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "woff2" => Some("font/woff2"),
        "png" => Some("image/png"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indentation_are_not_served() {
        let source = "/* a\n   b */\n// c\nx {\n  y: \"/* kept */\"; /* kept */\n}\n/** d */\n\n/* e */ z {}\n";
        assert_eq!(
            strip(source),
            "x {\ny: \"/* kept */\"; /* kept */\n}\n/* e */ z {}\n"
        );
        for file in FILES
            .files()
            .filter(|f| name_of(f).is_some_and(|n| n.ends_with(".js")))
        {
            for (n, line) in file.contents_utf8().unwrap().lines().enumerate() {
                assert!(
                    line.matches('`').count() % 2 == 0 && !line.ends_with('\\'),
                    "{}:{}: a text that spans lines would be changed",
                    file.path().display(),
                    n + 1
                );
            }
        }
    }

    #[test]
    fn files_are_found_by_name_and_digest() {
        let assets = ShellAssets::embedded();
        let path = assets.path("htmx.min.js");
        assert!(
            path.starts_with("/assets/shell/") && path.ends_with("-htmx.min.js"),
            "{path}"
        );
        let htmx = assets.get(path).unwrap();
        assert_eq!(htmx.content_type, "text/javascript; charset=utf-8");
        let (gzip, brotli) = (htmx.gzip.as_ref().unwrap(), htmx.brotli.as_ref().unwrap());
        assert!(brotli.len() < gzip.len() && gzip.len() < htmx.bytes.len() / 2);
        assert!(assets.get("/assets/shell/htmx.min.js").is_none());
        assert_eq!(assets.path("vendor.lock.json"), "");
        assert!(assets.icon("menu").starts_with("<path "));
        assert_eq!(assets.icon("no-such"), "");
        assert!(!assets.modules().contains("htmx.min.js"));
        assert!(assets.modules().contains("\"live.js\":\"/assets/shell/"));
        assert!(!assets.modules().contains("\"shell.js\""));
        for (name, path) in &assets.paths {
            assert!(assets.get(path).is_some(), "{name}");
        }
    }
}
