//! From a path to who answers.

use std::sync::Arc;

use portico_package::manifest::{Method, Page};

use super::{MountOwner, PackageView, Removal, TenantSnapshot};

/// What a path leads to.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// A page of a package that serves.
    Page {
        /// Whose.
        package: &'a Arc<PackageView>,
        /// Which.
        page: Arc<Page>,
        /// Path parameters, raw, in the order of the path.
        params: Vec<(String, String)>,
    },
    /// The package serves, but has no such page (or not with this method).
    NoSuchPage {
        /// Whose path it is.
        package: &'a Arc<PackageView>,
        /// The page is there for another method.
        method_not_allowed: bool,
    },
    /// The package does not serve now.
    Off {
        /// Whose path it is.
        package: &'a Arc<PackageView>,
    },
    /// The package was removed.
    Gone {
        /// What was here.
        removal: &'a Arc<Removal>,
    },
    /// Nobody is here.
    Nothing,
}

impl TenantSnapshot {
    /// Longest prefix wins; `method` is `GET` (also for HEAD) or `POST`. `path` is the decoded, normalised
    /// request path; a trailing slash makes no difference.
    ///
    /// A path below a removed package that a page of a living one answers is that page's.
    pub fn lookup(&self, method: Method, path: &str) -> Lookup<'_> {
        let path = path.trim_end_matches('/');
        let mut end = end_of_segments(path, self.depth());
        let mut gone = None;
        loop {
            match self.mounts.get(&path[..end]).map(|mount| &mount.owner) {
                Some(MountOwner::Package(package)) => {
                    let found = package.lookup(method, &path[end..]);
                    match gone {
                        Some(removal) if !matches!(found, Lookup::Page { .. }) => {
                            return Lookup::Gone { removal };
                        }
                        _ => return found,
                    }
                }
                Some(MountOwner::Removed(removal)) => gone = gone.or(Some(removal)),
                None => {}
            }
            match path[..end].rfind('/') {
                Some(slash) => end = slash,
                None => break,
            }
        }
        gone.map_or(Lookup::Nothing, |removal| Lookup::Gone { removal })
    }
}

impl PackageView {
    fn lookup<'a>(self: &'a Arc<Self>, method: Method, below: &str) -> Lookup<'a> {
        if !self.serves() {
            return Lookup::Off { package: self };
        }
        let below = if below.is_empty() { "/" } else { below };
        let Ok(found) = self.pages.at(below) else {
            return Lookup::NoSuchPage {
                package: self,
                method_not_allowed: false,
            };
        };
        match found.value.iter().find(|page| page.method == method) {
            Some(page) => Lookup::Page {
                package: self,
                page: Arc::clone(page),
                params: found
                    .params
                    .iter()
                    .map(|(k, v)| (k.to_owned(), v.to_owned()))
                    .collect(),
            },
            None => Lookup::NoSuchPage {
                package: self,
                method_not_allowed: true,
            },
        }
    }
}

/// Where the first `count` segments of `path` end, so that no more prefixes are tried than mounts are deep:
/// a hostile path of ten thousand slashes costs the same as a short one.
fn end_of_segments(path: &str, count: usize) -> usize {
    path.bytes()
        .enumerate()
        .filter(|(_, byte)| *byte == b'/')
        .nth(count)
        .map_or(path.len(), |(at, _)| at)
}
