//! What may stand in the way of a change: paths, quotas, what this build cannot do, what others need.

use std::collections::{BTreeMap, BTreeSet};

use portico_package::{Digest, PackageId, Release, Version, VersionRange, manifest::Feature};

use super::{Action, Change, build::Planned};
use crate::{
    Installed, Inventory, Policy, Refusal, effective,
    inventory::{Origin, State},
    resolve::unmet_by_portal,
    routes::{self, Occupant},
    text::{bytes, wanted},
};

/// Previous releases that stay for rollback.
pub(super) const KEPT_RELEASES: usize = 5;

/// Whether this build can run the release at all, part by part and by name.
pub(super) fn can_run(policy: &Policy, release: &Release) -> Vec<Refusal> {
    let manifest = &release.manifest;
    let id = &manifest.id;
    let mut refusals: Vec<Refusal> = unmet_by_portal(policy, release)
        .iter()
        .map(|unmet| {
            let message = format!("`{id}` {} {unmet}.", manifest.version);
            Refusal::new(unmet.code(), id, message).blocked_by([unmet.blocker()])
        })
        .collect();
    for feature in manifest.declared_features() {
        let (code, blocker, also) = match feature {
            Feature::Runtime(kind) if policy.runtimes.contains(&kind) => continue,
            Feature::Runtime(kind) => {
                let runs: Vec<_> = policy.runtimes.iter().map(|kind| kind.as_str()).collect();
                (
                    "unsupported-runtime",
                    kind.as_str(),
                    format!(" it runs {},", runs.join(" and ")),
                )
            }
            Feature::Migrations => ("unsupported-feature", "migrations", String::new()),
            Feature::Handlers => ("unsupported-feature", "handlers", String::new()),
            Feature::Documentation(kind) => ("unsupported-feature", kind.as_str(), String::new()),
        };
        let message = format!(
            "`{id}` {} {feature}. This portal cannot do that yet,{also} and it installs no package without a part \
             of it.",
            manifest.version
        );
        refusals.push(Refusal::new(code, id, message).blocked_by([blocker.to_owned()]));
    }
    refusals
}

/// Paths: well formed, nobody else's, the portal's own left alone.
pub(super) fn paths(policy: &Policy, inventory: &Inventory, planned: &[Planned]) -> Vec<Refusal> {
    let arriving: Vec<&Planned> = planned
        .iter()
        .filter(|p| {
            matches!(
                p.change.action,
                Action::Install | Action::Upgrade | Action::Rollback
            )
        })
        .collect();
    let mut refusals = Vec::new();
    let mut occupants: Vec<Occupant> = Vec::new();
    for planned in &arriving {
        let manifest = &planned.release.manifest;
        let mount = &planned.change.mount;
        if effective::is_link(manifest) {
            if !(mount.starts_with("https://") || mount.starts_with("http://")) {
                let message = format!(
                    "`{}` is a link and leads to `{mount}`; a link needs an address that begins with https:// or http://.",
                    manifest.id
                );
                refusals.push(
                    Refusal::new("invalid-config", &manifest.id, message)
                        .blocked_by(["/path".into()]),
                );
            }
            continue;
        }
        refusals.extend(routes::check_own(manifest, mount));
        occupants.push(Occupant::arriving(
            &manifest.id,
            manifest.name.as_str(),
            mount,
            manifest,
        ));
    }
    let segments: BTreeSet<String> = occupants
        .iter()
        .map(|o| routes::first_segment(&o.mount).to_owned())
        .collect();
    let stays = |id: &PackageId| planned.iter().all(|p| p.change.package != *id);
    let mut others: Vec<Occupant> = Vec::new();
    for (id, installed) in &inventory.installed {
        // Two can only meet below one first segment; looking at no others keeps a plan cheap beside thousands.
        if stays(id) && segments.contains(routes::first_segment(&installed.mount)) {
            let manifest = &installed.release.manifest;
            if !effective::is_link(manifest) {
                others.push(Occupant::package(
                    id,
                    manifest.name.as_str(),
                    &installed.mount,
                    manifest,
                ));
            }
        }
    }
    for (path, owner) in &policy.static_routes {
        let there = inventory.installed.contains_key(owner);
        if !there && path.starts_with('/') && segments.contains(routes::first_segment(path)) {
            others.push(Occupant::configured(owner, path));
        }
    }
    for (at, arriving) in occupants.iter().enumerate() {
        let beside = others.iter().chain(&occupants[..at]);
        refusals.extend(beside.filter_map(|other| arriving.conflict_with(other)));
    }
    refusals
}

/// Limits of the tenant, with numbers. Returns the bytes that the plan adds.
pub(super) fn quotas(
    policy: &Policy,
    inventory: &Inventory,
    package: &PackageId,
    origin: Origin,
    planned: &[Planned],
    refusals: &mut Vec<Refusal>,
) -> u64 {
    let added = planned
        .iter()
        .filter(|p| p.change.action == Action::Install)
        .count() as u64;
    let there = inventory
        .installed
        .values()
        .filter(|p| p.origin == Origin::Installed)
        .count() as u64;
    if let Some(limit) = policy.max_microsites
        && origin == Origin::Installed
        && added > 0
        && there + added > limit
    {
        let message = format!(
            "This tenant may have {limit} installed microsites and has {there}; this adds {added}. Remove some, or \
             raise max_microsites_per_tenant."
        );
        refusals.push(Refusal::new("quota-microsites", package, message));
    }
    let before = stored(inventory.installed.values().map(|p| kept_of(p, None)));
    let after = {
        let gone = |id: &PackageId| planned.iter().any(|p| p.change.package == *id);
        let untouched = inventory
            .installed
            .iter()
            .filter(|(id, _)| !gone(id))
            .map(|(_, p)| kept_of(p, None));
        let touched = planned
            .iter()
            .filter(|p| p.change.action != Action::Remove)
            .map(|p| {
                let installed = inventory.installed.get(&p.change.package);
                installed.map_or_else(|| vec![&*p.release], |now| kept_of(now, Some(&p.release)))
            });
        stored(untouched.chain(touched))
    };
    let sum =
        |stored: &BTreeMap<Digest, u64>| stored.values().fold(0u64, |a, b| a.saturating_add(*b));
    let adds = after
        .iter()
        .filter(|(digest, _)| !before.contains_key(*digest))
        .fold(0u64, |a, (_, size)| a.saturating_add(*size));
    if let Some(limit) = policy.max_storage
        && adds > 0
        && sum(&after) > limit
    {
        let message = format!(
            "This tenant may store {} and stores {}, kept versions included; this adds {}. Remove something, or \
             raise max_storage_per_tenant.",
            bytes(limit),
            bytes(sum(&before)),
            bytes(adds)
        );
        refusals.push(Refusal::new("quota-storage", package, message));
    }
    adds
}

fn stored<'a>(kept: impl Iterator<Item = Vec<&'a Release>>) -> BTreeMap<Digest, u64> {
    kept.flatten()
        .map(|release| (release.digest, release.size))
        .collect()
}

/// What is stored for an installation once `next` serves.
fn kept_of<'a>(installed: &'a Installed, next: Option<&'a Release>) -> Vec<&'a Release> {
    let mut kept: Vec<&Release> = next.into_iter().collect();
    let before = std::iter::once(&installed.release)
        .chain(&installed.previous)
        .map(|release| &**release);
    kept.extend(before.filter(|release| next.is_none_or(|next| next.digest != release.digest)));
    kept.truncate(1 + KEPT_RELEASES);
    kept
}

/// Who requires `id`, of those that `counts` counts.
pub(super) fn dependents<'a>(
    inventory: &'a Inventory,
    id: &'a PackageId,
    counts: impl Fn(&Installed) -> bool + 'a,
) -> impl Iterator<Item = (&'a PackageId, &'a VersionRange)> {
    inventory
        .installed
        .iter()
        .filter_map(move |(other, installed)| {
            let range = installed.release.manifest.requires.microsites.get(id)?;
            (other != id && counts(installed)).then_some((other, range))
        })
}

/// A refusal that names who needs the package; `None` when nobody does.
pub(super) fn needed_by(
    id: &PackageId,
    needing: &[(&PackageId, &VersionRange)],
    what: &str,
    way_out: &str,
) -> Option<Refusal> {
    if needing.is_empty() {
        return None;
    }
    let names: Vec<_> = needing
        .iter()
        .map(|(other, range)| format!("`{other}` (requires {})", wanted(id, range)))
        .collect();
    let message = format!(
        "`{id}` {what}, because it is needed by {}. {way_out}",
        names.join(" and ")
    );
    Some(
        Refusal::new("dependents", id, message)
            .blocked_by(needing.iter().map(|(other, _)| other.to_string())),
    )
}

/// What a package that is switched on again finds missing.
pub(super) fn unmet_dependencies(inventory: &Inventory, installed: &Installed) -> Vec<Refusal> {
    let manifest = &installed.release.manifest;
    let mut refusals = Vec::new();
    for (other, range) in &manifest.requires.microsites {
        let refusal = match inventory.installed.get(other) {
            None => {
                let message = format!(
                    "`{}` requires {}, which is not installed. Install it first.",
                    manifest.id,
                    wanted(format!("`{other}`"), range)
                );
                Refusal::new("missing-dependency", &manifest.id, message)
            }
            Some(there) if there.state == State::Disabled => {
                let message = format!(
                    "`{}` requires `{other}`, which is switched off. Switch `{other}` on first.",
                    manifest.id
                );
                Refusal::new("invalid-state", &manifest.id, message)
            }
            Some(there) if !range.matches(version(there)) => {
                let message = format!(
                    "`{}` requires {}, and {} is installed.",
                    manifest.id,
                    wanted(format!("`{other}`"), range),
                    version(there)
                );
                Refusal::new("unsatisfiable", &manifest.id, message)
            }
            Some(_) => continue,
        };
        refusals.push(refusal.blocked_by([other.to_string()]));
    }
    refusals
}

fn version(installed: &Installed) -> &Version {
    &installed.release.manifest.version
}

/// Routes and navigation of a change, as they appear and go.
pub(super) fn difference(
    change: &mut Change,
    before: (Vec<String>, Vec<String>),
    after: (Vec<String>, Vec<String>),
) {
    let missing = |of: &[String], from: &[String]| -> Vec<String> {
        of.iter()
            .filter(|entry| !from.contains(entry))
            .cloned()
            .collect()
    };
    change.routes_added = missing(&after.0, &before.0);
    change.routes_removed = missing(&before.0, &after.0);
    change.navigation_added = missing(&after.1, &before.1);
    change.navigation_removed = missing(&before.1, &after.1);
}
