//! Paths: what the portal owns, what is well formed, what collides.

use portico_package::{Manifest, PackageId};

use crate::{Refusal, effective};

/// First segments that belong to the portal itself.
pub const RESERVED: &[&str] = &[
    "api",
    "auth",
    "assets",
    "healthz",
    "readyz",
    "metrics",
    "theme",
    "p",
    "plugins",
    "activity",
    "settings",
    "favicon.ico",
    "robots.txt",
    ".well-known",
    "csp",
];

/// Paths listed in one refusal.
const SHOWN: usize = 5;

/// The first segment of a path: `docs` of `/docs/handlers`.
pub fn first_segment(path: &str) -> &str {
    path.trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default()
}

/// Whether a mount is a path that a package may live at, as far as its form goes.
pub fn is_well_formed(mount: &str) -> bool {
    let segment = |s: &str| {
        !s.is_empty()
            && s != "."
            && s != ".."
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
    };
    let depth = mount.matches('/').count();
    mount.len() <= 256
        && (1..=16).contains(&depth)
        && mount
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(segment))
}

/// What is wrong with a package's own paths: their form, the portal's own segments, pages that collide.
pub(crate) fn check_own(manifest: &Manifest, mount: &str) -> Vec<Refusal> {
    let id = &manifest.id;
    let own_place = mount == format!("/plugins/{id}");
    if mount.is_empty() || (RESERVED.contains(&first_segment(mount)) && !own_place) {
        let path = if mount.is_empty() { "/" } else { mount };
        let message = format!(
            "`{id}` cannot live at `{path}`: that path belongs to the portal. Its author or the configuration has \
             to give it another one."
        );
        return vec![Refusal::new("route-conflict", id, message).blocked_by(["portal".to_owned()])];
    }
    if !is_well_formed(mount) {
        let message = format!(
            "`{id}` cannot live at `{mount}`: a path begins with `/` and its segments are made of letters, digits, \
             `-`, `_`, `.` and `~`."
        );
        return vec![Refusal::new("invalid-config", id, message).blocked_by(["/path".to_owned()])];
    }
    let mut router = matchit::Router::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut refusals = Vec::new();
    for page in effective::pages(manifest).iter() {
        let path = effective::join("", &page.path);
        if !seen.insert((path.clone(), format!("{:?}", page.method))) {
            refusals.push(own_collision(id, &path, "is declared twice"));
        } else if router.insert(path.clone(), path.clone()).is_err()
            && !seen
                .iter()
                .any(|(other, method)| *other == path && *method != format!("{:?}", page.method))
        {
            refusals.push(own_collision(
                id,
                &path,
                "collides with another of its pages, or is not a pattern",
            ));
        }
    }
    refusals
}

fn own_collision(id: &PackageId, path: &str, how: &str) -> Refusal {
    let message = format!("The page `{path}` of `{id}` {how}. Its author has to change that.");
    Refusal::new("route-conflict", id, message).blocked_by([id.to_string()])
}

/// Somebody who has paths.
pub(crate) struct Occupant {
    id: PackageId,
    /// How a sentence calls it.
    called: String,
    pub(crate) mount: String,
    routes: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Installed,
    Arriving,
    Configured,
}

impl Occupant {
    /// A package that is installed.
    pub(crate) fn package(id: &PackageId, name: &str, mount: &str, manifest: &Manifest) -> Self {
        let mount = effective::normalise_mount(mount);
        Self {
            id: id.clone(),
            called: if name == id.as_str() {
                format!("`{id}`")
            } else {
                format!("`{id}` ({name})")
            },
            routes: effective::routes(manifest, &mount),
            mount,
            kind: Kind::Installed,
        }
    }

    /// A package that the same plan brings.
    pub(crate) fn arriving(id: &PackageId, name: &str, mount: &str, manifest: &Manifest) -> Self {
        Self {
            kind: Kind::Arriving,
            ..Self::package(id, name, mount, manifest)
        }
    }

    /// A path that the configuration gives to a package that need not be there yet.
    pub(crate) fn configured(owner: &PackageId, path: &str) -> Self {
        let mount = effective::normalise_mount(path);
        Self {
            id: owner.clone(),
            called: format!("the static microsite `{owner}` of the configuration"),
            routes: vec![mount.clone()],
            mount,
            kind: Kind::Configured,
        }
    }

    /// A refusal that names both owners, if both want a path. One below the other is no conflict, as long as the
    /// inner one takes no page of the outer one.
    pub(crate) fn conflict_with(&self, other: &Self) -> Option<Refusal> {
        if self.id == other.id {
            return None;
        }
        let below = |path: &str, mount: &str| {
            path.strip_prefix(mount)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let mut paths: Vec<&String> = self
            .routes
            .iter()
            .filter(|r| other.routes.contains(r))
            .collect();
        if below(&self.mount, &other.mount) {
            paths.extend(
                other
                    .routes
                    .iter()
                    .filter(|route| below(route, &self.mount)),
            );
        }
        if below(&other.mount, &self.mount) {
            paths.extend(
                self.routes
                    .iter()
                    .filter(|route| below(route, &other.mount)),
            );
        }
        paths.sort();
        paths.dedup();
        if paths.is_empty() {
            return None;
        }
        let shown: Vec<_> = paths
            .iter()
            .take(SHOWN)
            .map(|path| format!("`{path}`"))
            .collect();
        let more = match paths.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let way_out = match other.kind {
            Kind::Configured => {
                "Change the path in the configuration, or do without one of them.".to_owned()
            }
            Kind::Arriving => "One of them needs another path in the configuration.".to_owned(),
            Kind::Installed => {
                format!(
                    "Remove `{}` first, or give one of them another path in the configuration.",
                    other.id
                )
            }
        };
        let verb = if paths.len() == 1 {
            "belongs"
        } else {
            "belong"
        };
        let message = format!(
            "{}{more} {verb} to {}, so {} cannot have {}. {way_out}",
            shown.join(", "),
            other.called,
            self.called,
            if paths.len() == 1 { "it" } else { "them" },
        );
        Some(Refusal::new("route-conflict", &self.id, message).blocked_by([other.id.to_string()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_plain_paths() {
        for good in ["/docs", "/docs/handlers/python", "/a.b/c~d_e-f", "/Docs"] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in [
            "", "/", "docs", "/docs/", "//docs", "/a//b", "/..", "/a/./b", "/a b", "/ä", "/{id}",
            "/a?b",
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
