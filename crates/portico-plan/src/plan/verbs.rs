//! What each verb comes to, before anything is checked that all have in common.

use std::sync::Arc;

use portico_package::{PackageId, Release, Version, VersionRange};

use super::{
    Action,
    build::{Draft, version},
    checks::{self, KEPT_RELEASES},
};
use crate::{
    Installed,
    inventory::{Origin, State},
    nearest::nearest,
    resolve::{Offer, newest_first, offer},
};

impl Draft<'_> {
    pub(super) fn install(&mut self) {
        let id = self.id();
        if let Some(installed) = self.installed {
            let adopts =
                self.request.origin == Origin::Config && installed.origin == Origin::Default;
            return if adopts {
                self.upgrade()
            } else {
                self.already_installed(installed)
            };
        }
        let offer = offer(self.world, id, self.request.registry.as_deref());
        let candidates = wanted(&offer.releases, self.request.version.as_ref());
        if candidates.is_empty() {
            return self.not_found(&offer);
        }
        if self.request.registry.is_none()
            && let Some(registry) = &offer.registry
            && !offer.elsewhere.is_empty()
        {
            let others: Vec<_> = offer.elsewhere.iter().map(String::as_str).collect();
            self.notices.push(format!(
                "This is {id} of the registry {registry}; {} has a package of the same name.",
                others.join(" and ")
            ));
        }
        self.resolved(candidates, Action::Install);
    }

    fn already_installed(&mut self, installed: &Installed) {
        let id = self.id();
        let now = version(installed);
        let message = if self.request.origin == Origin::Config {
            format!(
                "`{id}` {now} was installed by people. Remove it first, or take its entry out of the configuration."
            )
        } else {
            let newer = self.newer_than(now, None);
            match newer.last() {
                Some(newest) if installed.origin != Origin::Config => format!(
                    "`{id}` {now} is already installed. Upgrade it to get {}.",
                    newest.manifest.version
                ),
                _ => format!("`{id}` {now} is already installed, and nothing newer is on offer."),
            }
        };
        self.refuse("already-installed", message);
    }

    fn not_found(&mut self, offer: &Offer) {
        let id = self.id();
        let pinned = self.request.registry.as_deref();
        let place = pinned.map_or_else(
            || "No registry has".into(),
            |name| format!("The registry {name} does not have"),
        );
        let message = if !offer.releases.is_empty() {
            let there = newest_first(&offer.releases);
            match &self.request.version {
                Some(range) => format!("`{id}` has no version {range}. There is {there}."),
                None => {
                    format!("`{id}` has only pre-releases: {there}. Ask for one by its version.")
                }
            }
        } else if !offer.elsewhere.is_empty() {
            let others: Vec<_> = offer.elsewhere.iter().map(String::as_str).collect();
            format!("{place} `{id}`; {} has it.", others.join(" and "))
        } else {
            let ids = self.world.catalogue.ids();
            match nearest(id.as_str(), ids.iter().map(PackageId::as_str)) {
                Some(near) => format!("{place} `{id}`. Did you mean `{near}`?"),
                None => format!(
                    "{place} `{id}`. Look for it in the marketplace, or add the registry that has it."
                ),
            }
        };
        self.refuse("not-found", message);
    }

    /// Releases on offer above `now`, ascending, without pre-releases unless the range asks for them.
    fn newer_than(&self, now: &Version, range: Option<&VersionRange>) -> Vec<Arc<Release>> {
        let offer = offer(self.world, self.id(), self.request.registry.as_deref());
        let mut releases = wanted(&offer.releases, range);
        releases.retain(|release| release.manifest.version > *now);
        releases
    }

    pub(super) fn upgrade(&mut self) {
        let Some(installed) = self.installed else {
            return self.not_installed();
        };
        let id = self.id();
        let now = version(installed);
        let range = self.request.version.as_ref();
        let newer = self.newer_than(now, range);
        if newer.is_empty() {
            if range.is_none_or(|range| fits(range, now)) && self.changes_settings(installed) {
                let change = self.change(Action::Upgrade, &installed.release, None);
                self.planned.push(change);
                return;
            }
            return self.nothing_newer(installed);
        }
        let against: Vec<_> = checks::dependents(self.world.inventory, id, |_| true)
            .filter(|(_, range)| range.matches(now))
            .filter(|(_, range)| {
                !newer
                    .iter()
                    .any(|release| range.matches(&release.manifest.version))
            })
            .collect();
        let what = format!("cannot go to {}", newest_first(&newer));
        let way_out = "Upgrade or remove what needs the older version first.";
        if let Some(refusal) = checks::needed_by(id, &against, &what, way_out) {
            self.refusals.push(refusal);
            return;
        }
        self.resolved(newer, Action::Upgrade);
        if installed.state == State::Disabled {
            self.notices
                .push(format!("{id} is switched off and stays so."));
        }
    }

    /// Whether the request says something about settings, path or name that is not so yet.
    fn changes_settings(&self, installed: &Installed) -> bool {
        let request = self.request;
        let adopts = request.origin == Origin::Config && installed.origin == Origin::Default;
        let overrides = request
            .overrides
            .as_ref()
            .is_some_and(|wanted| *wanted != installed.overrides);
        let settled = self.settled(&installed.release, Some(installed));
        adopts
            || overrides
            || self.mount_of(&installed.release, Some(installed)) != installed.mount
            || settled.value != installed.config
            || !settled.refusals.is_empty()
    }

    fn nothing_newer(&mut self, installed: &Installed) {
        let id = self.id();
        let now = version(installed);
        let offer = offer(self.world, id, self.request.registry.as_deref());
        let message = match self.request.version.as_ref() {
            Some(range)
                if wanted(&offer.releases, Some(range))
                    .iter()
                    .any(|r| r.manifest.version < *now) =>
            {
                let message = format!("`{id}` {now} is newer than {range}. To go back, roll back.");
                return self.refuse("invalid-state", message);
            }
            Some(range) if !fits(range, now) => {
                let there = match newest_first(&offer.releases) {
                    none if none.is_empty() => "nothing is on offer".to_owned(),
                    there => format!("there is {there}"),
                };
                let message =
                    format!("`{id}` has no version {range}; {there}, and {now} is installed.");
                return self.refuse("not-found", message);
            }
            _ => format!("`{id}` {now} is already the newest version there is."),
        };
        self.refuse("already-installed", message);
    }

    pub(super) fn rollback(&mut self) {
        let Some(installed) = self.installed else {
            return self.not_installed();
        };
        let id = self.id();
        let now = version(installed);
        let range = self.request.version.as_ref();
        if range.is_some_and(|range| fits(range, now) && exact(range).is_some()) {
            return self.refuse("invalid-state", format!("`{id}` is at {now} already."));
        }
        let older = installed
            .previous
            .iter()
            .filter(|release| release.manifest.version < *now);
        let target = older
            .filter(|release| range.is_none_or(|range| fits(range, &release.manifest.version)))
            .max_by(|a, b| a.manifest.version.cmp(&b.manifest.version));
        let Some(target) = target else {
            let kept = newest_first(&installed.previous);
            let message = match range {
                _ if kept.is_empty() => {
                    format!(
                        "`{id}` {now} is the first version that served here; there is none to go back to."
                    )
                }
                Some(range) => format!(
                    "No version {range} of `{id}` below {now} is kept. Kept are {kept}; at most {KEPT_RELEASES} are."
                ),
                None => format!("No version of `{id}` below {now} is kept. Kept are {kept}."),
            };
            return self.refuse("no-previous-version", message);
        };
        let against: Vec<_> = checks::dependents(self.world.inventory, id, |_| true)
            .filter(|(_, range)| range.matches(now) && !range.matches(&target.manifest.version))
            .collect();
        let what = format!("cannot go back to {}", target.manifest.version);
        let way_out = "Roll back or remove what needs the newer version first.";
        if let Some(refusal) = checks::needed_by(id, &against, &what, way_out) {
            self.refusals.push(refusal);
            return;
        }
        self.resolved(vec![Arc::clone(target)], Action::Rollback);
        self.notices.push(format!(
            "The data of {id} stays as it is: a rollback changes the version that serves, not what it stored."
        ));
    }

    pub(super) fn disable(&mut self) {
        let Some(installed) = self.installed else {
            return self.not_installed();
        };
        let id = self.id();
        if installed.state == State::Disabled {
            return self.refuse("invalid-state", format!("`{id}` is switched off already."));
        }
        let needing: Vec<_> = checks::dependents(self.world.inventory, id, |other| {
            other.state != State::Disabled
        })
        .collect();
        let way_out = "Switch those off first.";
        self.refusals.extend(checks::needed_by(
            id,
            &needing,
            "cannot be switched off",
            way_out,
        ));
        let change = self.change(Action::Disable, &installed.release, None);
        self.planned.push(change);
        self.notices.push(format!(
            "{id} keeps its configuration, its grants and its data."
        ));
    }

    pub(super) fn enable(&mut self) {
        let Some(installed) = self.installed else {
            return self.not_installed();
        };
        let id = self.id();
        if installed.state != State::Disabled {
            return self.refuse("invalid-state", format!("`{id}` is switched on already."));
        }
        self.refusals
            .extend(checks::unmet_dependencies(self.world.inventory, installed));
        let change = self.change(Action::Enable, &installed.release, None);
        self.planned.push(change);
    }

    pub(super) fn uninstall(&mut self) {
        let Some(installed) = self.installed else {
            return self.not_installed();
        };
        let id = self.id();
        let needing: Vec<_> = checks::dependents(self.world.inventory, id, |_| true).collect();
        let way_out = "Remove those first.";
        self.refusals.extend(checks::needed_by(
            id,
            &needing,
            "cannot be removed",
            way_out,
        ));
        let change = self.change(Action::Remove, &installed.release, None);
        self.planned.push(change);
        self.notices.push(format!(
            "The configuration and the grants of {id} go with it, and so do its kept versions."
        ));
    }

    fn not_installed(&mut self) {
        let id = self.id();
        let message = match self.world.inventory.removed.get(id) {
            Some(gone) => format!(
                "`{id}` is not installed any more; {} removed it.",
                gone.removed_by
            ),
            None => {
                let installed = self.world.inventory.installed.keys().map(PackageId::as_str);
                match nearest(id.as_str(), installed) {
                    Some(near) => format!("`{id}` is not installed. Did you mean `{near}`?"),
                    None => format!("`{id}` is not installed."),
                }
            }
        };
        self.refuse("not-installed", message);
    }
}

/// A range that is one whole version means that version and no other.
fn exact(range: &VersionRange) -> Option<Version> {
    let text = range.to_string();
    text.trim()
        .trim_start_matches(['=', 'v'])
        .trim()
        .parse()
        .ok()
}

fn fits(range: &VersionRange, version: &Version) -> bool {
    exact(range).map_or_else(|| range.matches(version), |exact| exact == *version)
}

/// The releases that will do, ascending; pre-releases only where the range asks for them.
fn wanted(releases: &[Arc<Release>], range: Option<&VersionRange>) -> Vec<Arc<Release>> {
    let fits =
        |version: &Version| range.map_or(version.pre.is_empty(), |range| fits(range, version));
    releases
        .iter()
        .filter(|release| fits(&release.manifest.version))
        .cloned()
        .collect()
}
