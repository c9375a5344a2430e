//! Files that are served as they are: prepared once, shared by every request.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

/// One file, with its compressed forms. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The file as it is.
    pub bytes: Bytes,
    /// gzip, when that is smaller.
    pub gzip: Option<Bytes>,
    /// Brotli, when that is smaller.
    pub brotli: Option<Bytes>,
    /// Value of `content-type`.
    pub content_type: &'static str,
    /// Value of `etag`, with its quotes.
    pub etag: String,
}

/// Files of one package (or of the shell) by path: for a package the path below its folder of static files.
pub type AssetSet = HashMap<String, Asset>;

/// Files of the shell, by request path. Synchronous and in memory: it is on the request path.
pub trait ShellFiles: Send + Sync + 'static {
    /// The file at `path`, such as `/assets/shell/0123456789ab-shell.js` or `/theme/0123456789ab.css`.
    fn get(&self, path: &str) -> Option<Arc<Asset>>;
}
