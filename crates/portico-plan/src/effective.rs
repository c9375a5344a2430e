//! What a manifest comes to once what it leaves out is filled in: mount, pages, routes, navigation.

use std::borrow::Cow;

use portico_package::{
    Digest, Manifest,
    manifest::{MicrositeType, NavigationItem, Page, RuntimeKind, check::is_file_icon},
};

use crate::inventory::Overrides;

/// Name of the registry inside the binary; what comes from it is first-party.
pub const BUNDLED_REGISTRY: &str = "bundled";

/// Whether the package is only a link to somewhere else.
pub fn is_link(manifest: &Manifest) -> bool {
    manifest.microsite_type == MicrositeType::External
        || manifest.runtime.kind == RuntimeKind::External
}

/// Where the package lives when nobody says otherwise: its own path, else `/plugins/<id>`; for a link, its URL.
pub fn mount(manifest: &Manifest) -> String {
    match &manifest.path {
        Some(path) if is_link(manifest) => path.clone(),
        Some(path) => normalise_mount(path),
        None if is_link(manifest) => String::new(),
        None => format!("/plugins/{}", manifest.id),
    }
}

/// A mount as it is compared and routed: no trailing slash; the root is the empty text.
pub fn normalise_mount(path: &str) -> String {
    path.trim_end_matches('/').to_owned()
}

/// The pages there are. A link has none.
pub fn pages(manifest: &Manifest) -> Cow<'_, [Page]> {
    if is_link(manifest) {
        Cow::Borrowed(&[])
    } else {
        manifest.effective_pages()
    }
}

/// Every path that the package takes when it lives at `mount`: the mount itself and its pages, sorted.
pub fn routes(manifest: &Manifest, mount: &str) -> Vec<String> {
    if is_link(manifest) {
        return Vec::new();
    }
    let mut routes: Vec<String> = pages(manifest)
        .iter()
        .map(|p| join(mount, &p.path))
        .collect();
    routes.push(join(mount, "/"));
    routes.sort();
    routes.dedup();
    routes
}

/// The entry that opens the package: the one for `/`, else the first.
pub fn main_entry(items: &[NavigationItem]) -> usize {
    items.iter().position(|item| item.path == "/").unwrap_or(0)
}

/// The navigation as people read it.
pub fn navigation_names(manifest: &Manifest, overrides: &Overrides) -> Vec<String> {
    let items = manifest.effective_navigation();
    let main = main_entry(&items);
    let named = items
        .iter()
        .enumerate()
        .map(|(at, item)| match &overrides.name {
            Some(name) if at == main => name.clone(),
            _ => item.title.as_str().to_owned(),
        });
    named.collect()
}

/// A page's path below a mount: `/logstream` and `/search` are `/logstream/search`.
pub fn join(mount: &str, path: &str) -> String {
    let mount = mount.trim_end_matches('/');
    match path.trim_end_matches('/') {
        "" if mount.is_empty() => "/".into(),
        "" => mount.into(),
        below if below.starts_with('/') => format!("{mount}{below}"),
        below => format!("{mount}/{below}"),
    }
}

/// How people see an icon: an emoji as it is, a file of the package by the URL of its asset.
pub fn icon_url(manifest: &Manifest, icon: &str, digest: &Digest) -> String {
    if !is_file_icon(icon) {
        return icon.to_owned();
    }
    let folder = manifest.files.static_files();
    let file = icon.trim_start_matches('/');
    format!(
        "/assets/{}/{}",
        digest.hex(),
        file.strip_prefix(folder).unwrap_or(file)
    )
}
