//! From what is installed to what requests are routed by.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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
            levels: imbl::OrdMap::new(),
            gone: imbl::OrdMap::new(),
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
        let navigation = navigation(&prev.navigation, &packages, &changed);
        let mut next = Self {
            tenant: inventory.tenant.clone(),
            generation: inventory.generation,
            mounts: prev.mounts.clone(),
            levels: prev.levels.clone(),
            gone: prev.gone.clone(),
            packages,
            navigation,
        };
        next.bury(prev, &inventory.removed, &mut changed);
        next.mount(prev, &changed);
        next
    }

    /// Most segments that any mount has.
    pub(super) fn depth(&self) -> usize {
        self.levels.get_max().map_or(0, |(depth, _)| *depth)
    }

    /// Takes over what is gone; packages whose trace changed join `changed`.
    fn bury(
        &mut self,
        prev: &Self,
        removed: &BTreeMap<PackageId, Removed>,
        changed: &mut BTreeSet<PackageId>,
    ) {
        for (id, (path, removal)) in &prev.gone {
            let stays = !self.packages.contains_key(id)
                && removed.get(id).is_some_and(|now| {
                    now.removed_at == removal.at
                        && now.name == removal.name
                        && now.removed_by == removal.by
                        && effective::normalise_mount(&now.mount) == **path
                });
            if !stays {
                self.gone.remove(id);
                changed.insert(id.clone());
            }
        }
        for (id, gone) in removed {
            let shown = !self.packages.contains_key(id) && gone.mount.starts_with('/');
            if !shown || self.gone.contains_key(id) {
                continue;
            }
            let removal = Removal {
                package: id.clone(),
                name: gone.name.clone(),
                by: gone.removed_by.clone(),
                at: gone.removed_at,
            };
            let path = effective::normalise_mount(&gone.mount).into();
            self.gone.insert(id.clone(), (path, Arc::new(removal)));
            changed.insert(id.clone());
        }
    }

    /// Where `id` wants to answer.
    fn claim(&self, id: &PackageId) -> Option<&Arc<str>> {
        match self.packages.get(id) {
            Some(view) => {
                let local = view.mount.is_empty() || view.mount.starts_with('/');
                (local && !effective::is_link(&view.manifest)).then_some(&view.mount)
            }
            None => self.gone.get(id).map(|(path, _)| path),
        }
    }

    /// Decides anew who answers at the paths that changed packages had or have. No other path is looked at.
    fn mount(&mut self, prev: &Self, changed: &BTreeSet<PackageId>) {
        let mut claims = BTreeMap::<Arc<str>, BTreeSet<PackageId>>::new();
        for id in changed {
            for path in [prev.claim(id), self.claim(id)].into_iter().flatten() {
                let standing = || match self.mounts.get(path) {
                    Some(mount) => mount.claimants(),
                    None => BTreeSet::new(),
                };
                claims
                    .entry(Arc::clone(path))
                    .or_insert_with(standing)
                    .insert(id.clone());
            }
        }
        for (path, mut ids) in claims {
            ids.retain(|id| self.claim(id) == Some(&path));
            let owner = self.owner(&ids);
            let before = self.mounts.contains_key(&path);
            if before != owner.is_some() {
                self.count(segments(&path), owner.is_some());
            }
            let Some(owner) = owner else {
                self.mounts.remove(&path);
                continue;
            };
            let mount = Mount {
                others: ids.into_iter().filter(|id| id != owner.id()).collect(),
                path: Arc::clone(&path),
                owner,
            };
            self.mounts.insert(path, mount);
        }
    }

    /// Packages stand before what is gone, the first by id before the others, and what went last before what
    /// went earlier.
    fn owner(&self, ids: &BTreeSet<PackageId>) -> Option<MountOwner> {
        if let Some(view) = ids.iter().find_map(|id| self.packages.get(id)) {
            return Some(MountOwner::Package(Arc::clone(view)));
        }
        let gone = ids.iter().filter_map(|id| self.gone.get(id));
        gone.map(|(_, removal)| removal)
            .reduce(|a, b| if b.at > a.at { b } else { a })
            .map(|removal| MountOwner::Removed(Arc::clone(removal)))
    }

    /// One mount more, or one less, at this depth.
    fn count(&mut self, depth: usize, more: bool) {
        let now = self.levels.get(&depth).copied().unwrap_or(0);
        match if more { now + 1 } else { now.saturating_sub(1) } {
            0 => self.levels.remove(&depth),
            count => self.levels.insert(depth, count),
        };
    }
}

impl Mount {
    fn claimants(&self) -> BTreeSet<PackageId> {
        let others = self.others.iter().cloned();
        others.chain([self.owner.id().clone()]).collect()
    }
}

impl MountOwner {
    fn id(&self) -> &PackageId {
        match self {
            Self::Package(view) => &view.id,
            Self::Removed(removal) => &removal.package,
        }
    }
}

fn segments(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'/').count()
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
