//! From what is installed to what requests are routed by.

use std::{collections::BTreeSet, sync::Arc};

use portico_package::{PackageId, Text, manifest::Method};

use super::{Mount, MountOwner, NavigationEntry, PackageView, Removal, TenantSnapshot};
use crate::{
    Installed, Inventory, TenantId, effective,
    inventory::{Origin, Removed},
};

/// Sections of the navigation, in the order in which the shell draws them.
const SECTIONS: [&str; 4] = ["core", "installed", "docs", "admin"];

impl TenantSnapshot {
    /// A tenant with nothing installed, before its first generation.
    pub fn empty(tenant: TenantId) -> Self {
        Self {
            tenant,
            generation: 0,
            mounts: imbl::HashMap::new(),
            depth: 0,
            packages: imbl::OrdMap::new(),
            navigation: Arc::from([]),
        }
    }

    /// Compiles what is installed.
    pub fn compile(inventory: &Inventory) -> Self {
        Self::apply(&Self::empty(inventory.tenant.clone()), inventory)
    }

    /// Compiles what is installed, reusing everything of `prev` that did not change: the cost of an activation
    /// is that of comparing, not of building, what stands beside it.
    pub fn apply(prev: &Self, inventory: &Inventory) -> Self {
        let mut packages = prev.packages.clone();
        let mut changed = BTreeSet::new();
        for id in prev.packages.keys() {
            if !inventory.installed.contains_key(id) {
                packages.remove(id);
                changed.insert(id.clone());
            }
        }
        for (id, installed) in &inventory.installed {
            if prev
                .packages
                .get(id)
                .is_none_or(|view| !view.is_of(installed))
            {
                packages.insert(id.clone(), Arc::new(PackageView::of(id, installed)));
                changed.insert(id.clone());
            }
        }
        let mounts = mounts(prev, &packages, &inventory.removed, &changed);
        Self {
            tenant: inventory.tenant.clone(),
            generation: inventory.generation,
            depth: mounts
                .values()
                .map(|m| segments(&m.path))
                .max()
                .unwrap_or(0),
            mounts,
            navigation: navigation(&prev.navigation, &packages, &changed),
            packages,
        }
    }
}

fn segments(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'/').count()
}

/// Who answers where. Packages stand before tombstones, and a newer tombstone before an older one.
fn mounts(
    prev: &TenantSnapshot,
    packages: &imbl::OrdMap<PackageId, Arc<PackageView>>,
    removed: &std::collections::BTreeMap<PackageId, Removed>,
    changed: &BTreeSet<PackageId>,
) -> imbl::HashMap<Arc<str>, Mount> {
    let mut mounts = prev.mounts.clone();
    for (path, mount) in &prev.mounts {
        let stays = match &mount.owner {
            MountOwner::Package(view) => !changed.contains(&view.id),
            MountOwner::Removed(_) => false,
        };
        if !stays {
            mounts.remove(path);
        }
    }
    for view in packages.values() {
        if view.mount.is_empty() || view.mount.starts_with('/') {
            let path = &view.mount;
            if !mounts.contains_key(path) && !effective::is_link(&view.manifest) {
                let owner = MountOwner::Package(Arc::clone(view));
                mounts.insert(
                    Arc::clone(path),
                    Mount {
                        path: Arc::clone(path),
                        owner,
                    },
                );
            }
        }
    }
    for (id, gone) in removed {
        if packages.contains_key(id) || !gone.mount.starts_with('/') {
            continue;
        }
        let path: Arc<str> = effective::normalise_mount(&gone.mount).into();
        let free = match mounts.get(&path).map(|mount| &mount.owner) {
            None => true,
            Some(MountOwner::Package(_)) => false,
            Some(MountOwner::Removed(other)) => other.at < gone.removed_at,
        };
        if free {
            let removal = Removal {
                package: id.clone(),
                name: gone.name.clone(),
                by: gone.removed_by.clone(),
                at: gone.removed_at,
            };
            let owner = MountOwner::Removed(Arc::new(removal));
            mounts.insert(Arc::clone(&path), Mount { path, owner });
        }
    }
    mounts
}

/// The navigation of everybody, in order. Entries of packages that did not change are shared, not rebuilt.
fn navigation(
    prev: &Arc<[Arc<NavigationEntry>]>,
    packages: &imbl::OrdMap<PackageId, Arc<PackageView>>,
    changed: &BTreeSet<PackageId>,
) -> Arc<[Arc<NavigationEntry>]> {
    if changed.is_empty() {
        return Arc::clone(prev);
    }
    let mut entries: Vec<_> = prev
        .iter()
        .filter(|entry| !changed.contains(&entry.microsite_id))
        .cloned()
        .collect();
    for view in changed.iter().filter_map(|id| packages.get(id)) {
        entries.extend(view.navigation.iter().cloned());
    }
    entries.sort_by(|a, b| {
        let key = |e: &NavigationEntry| (section_rank(&e.section), e.order);
        key(a)
            .cmp(&key(b))
            .then_with(|| a.name.cmp(&b.name))
            .then_with(|| a.id.cmp(&b.id))
    });
    entries.into()
}

fn section_rank(section: &str) -> usize {
    SECTIONS
        .iter()
        .position(|known| *known == section)
        .unwrap_or(SECTIONS.len())
}

impl PackageView {
    fn of(id: &PackageId, installed: &Installed) -> Self {
        let release = &installed.release;
        let manifest = &release.manifest;
        let overrides = &installed.overrides;
        let mut view = Self {
            id: id.clone(),
            version: manifest.version.clone(),
            digest: release.digest,
            name: overrides
                .name
                .clone()
                .unwrap_or_else(|| manifest.name.as_str().to_owned()),
            icon: overrides
                .icon
                .as_ref()
                .or(manifest.icon.as_ref())
                .map(|icon| effective::icon_url(manifest, icon, &release.digest)),
            mount: mount_of(installed).into(),
            runtime: manifest.runtime.kind,
            state: installed.state,
            reason: installed.reason.clone(),
            changed_at: installed.changed_at,
            grants: Arc::new(installed.grants.clone()),
            config: Arc::new(installed.config.clone()),
            manifest: Arc::new(manifest.clone()),
            origin: installed.origin,
            overrides: overrides.clone(),
            generation: installed.generation,
            pages: pages(manifest),
            navigation: Vec::new(),
        };
        if view.serves() {
            view.navigation = entries(&view, installed)
                .into_iter()
                .map(Arc::new)
                .collect();
        }
        view
    }

    /// Whether this view is what `installed` would compile to.
    fn is_of(&self, installed: &Installed) -> bool {
        self.generation == installed.generation
            && self.digest == installed.release.digest
            && self.version == installed.release.manifest.version
            && self.state == installed.state
            && self.changed_at == installed.changed_at
            && self.origin == installed.origin
            && *self.mount == *mount_of(installed)
            && self.reason == installed.reason
            && self.overrides == installed.overrides
            && *self.grants == installed.grants
            && *self.config == installed.config
    }
}

fn mount_of(installed: &Installed) -> &str {
    if effective::is_link(&installed.release.manifest) {
        &installed.mount
    } else {
        installed.mount.trim_end_matches('/')
    }
}

fn pages(
    manifest: &portico_package::Manifest,
) -> matchit::Router<Vec<Arc<portico_package::manifest::Page>>> {
    let mut by_path = indexmap::IndexMap::<String, Vec<_>>::new();
    for page in effective::pages(manifest).iter() {
        by_path
            .entry(effective::join("", &page.path))
            .or_default()
            .push(Arc::new(page.clone()));
    }
    let mut router = matchit::Router::new();
    for (path, pages) in by_path {
        // A pattern that collides with an earlier one is refused when the plan is made; here the first stays.
        let _ = router.insert(path, pages);
    }
    router
}

/// A package's navigation. The configuration's name, icon and order go to the entry that opens the package.
fn entries(view: &PackageView, installed: &Installed) -> Vec<NavigationEntry> {
    let manifest = &view.manifest;
    let items = manifest.effective_navigation();
    let main = effective::main_entry(&items);
    let link = effective::is_link(manifest);
    let of_page = |path: &str| {
        let pages = &manifest.contributes.pages;
        let page = pages
            .iter()
            .find(|page| page.method == Method::Get && page.path == path);
        page.and_then(|page| page.permission.clone())
    };
    let mut entries: Vec<NavigationEntry> = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let is_main = at == main;
        let over = if is_main {
            view.overrides.clone()
        } else {
            Default::default()
        };
        let id = if is_main {
            view.id.to_string()
        } else {
            format!("{}:{}", view.id, item.path)
        };
        if entries.iter().any(|entry| entry.id == id) {
            continue;
        }
        let own_icon = item
            .icon
            .as_ref()
            .map(|icon| effective::icon_url(manifest, icon, &view.digest));
        entries.push(NavigationEntry {
            id,
            microsite_id: view.id.clone(),
            names: over
                .name
                .is_none()
                .then(|| item.title.clone())
                .filter(|title| matches!(title, Text::Localised(_))),
            name: over.name.unwrap_or_else(|| item.title.as_str().to_owned()),
            icon: if over.icon.is_some() {
                view.icon.clone()
            } else {
                own_icon.or(view.icon.clone())
            },
            path: if link {
                view.mount.to_string()
            } else {
                effective::join(&view.mount, &item.path)
            },
            section: item
                .section
                .clone()
                .unwrap_or_else(|| default_section(installed).to_owned()),
            order: over.order.unwrap_or(item.order),
            external: link,
            permission: item
                .permission
                .clone()
                .or_else(|| of_page(&item.path))
                .map(String::from),
        });
    }
    entries
}

fn default_section(installed: &Installed) -> &'static str {
    let first_party = installed.release.registry == effective::BUNDLED_REGISTRY;
    if first_party || installed.origin != Origin::Installed {
        "core"
    } else {
        "installed"
    }
}
