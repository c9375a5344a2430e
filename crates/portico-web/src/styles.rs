//! Which archives bring style of their own.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use portico_host::StagedPackage;
use portico_package::Digest;

/// Archives with a `style.css`, shared between the static back end, which learns them, and the shell, which
/// links them. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Styles(Arc<RwLock<HashSet<Digest>>>);

impl Styles {
    /// Remembers whether the package has style.
    pub fn learn(&self, package: &StagedPackage) {
        let file = format!("{}style.css", package.manifest.files.static_files());
        if package.files.contains_key(&file) {
            self.0
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(package.digest);
        }
    }

    /// Forgets an archive that is not installed any more.
    pub fn forget(&self, digest: &Digest) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(digest);
    }

    /// Whether the archive has style.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(digest)
    }
}
