//! From a solution to steps: what changes, dependencies first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portico_package::{PackageId, Release};

use super::{Resolution, Step, Universe, unmet_by_portal};
use crate::{Refusal, inventory::State, text::wanted};

/// The changes of a solution in the order in which they are done.
pub(super) fn ordered(
    universe: &Universe<'_>,
    chosen: BTreeMap<PackageId, Arc<Release>>,
) -> Result<Resolution, Vec<Refusal>> {
    let mut walk = Walk {
        universe,
        chosen: &chosen,
        path: Vec::new(),
        done: BTreeSet::new(),
        steps: Vec::new(),
    };
    // First the goal with all that it requires, then what is upgraded only so that it goes on fitting.
    for id in std::iter::once(universe.goal.package).chain(chosen.keys()) {
        walk.visit(id)?;
    }
    let steps = walk.steps;
    let off = switched_off(universe, &steps);
    if off.is_empty() {
        Ok(Resolution {
            notices: passed_over(universe, &steps),
            steps,
        })
    } else {
        Err(off)
    }
}

struct Walk<'a> {
    universe: &'a Universe<'a>,
    chosen: &'a BTreeMap<PackageId, Arc<Release>>,
    path: Vec<PackageId>,
    done: BTreeSet<PackageId>,
    steps: Vec<Step>,
}

impl Walk<'_> {
    fn visit(&mut self, id: &PackageId) -> Result<(), Vec<Refusal>> {
        if let Some(at) = self.path.iter().position(|other| other == id) {
            // One that is installed already is left alone: refusing would not undo it.
            let comes_about = self.path[at..].iter().any(|id| self.changes(id));
            return if comes_about {
                Err(vec![self.cycle(at)])
            } else {
                Ok(())
            };
        }
        let Some(release) = self.chosen.get(id).or(self.universe.installed(id)) else {
            return Ok(());
        };
        if !self.done.insert(id.clone()) {
            return Ok(());
        }
        self.path.push(id.clone());
        for other in release.manifest.requires.microsites.keys() {
            self.visit(other)?;
        }
        self.path.pop();
        if self.changes(id) {
            let because = (id != self.universe.goal.package).then(|| self.because(release));
            self.steps.push(Step {
                release: Arc::clone(release),
                because,
            });
        }
        Ok(())
    }

    fn changes(&self, id: &PackageId) -> bool {
        self.chosen
            .get(id)
            .is_some_and(|release| !self.universe.is_installed(release))
            || id == self.universe.goal.package
    }

    fn cycle(&self, at: usize) -> Refusal {
        let blockers: Vec<String> = self.path[at..].iter().map(PackageId::to_string).collect();
        let first = blockers.first().cloned().unwrap_or_default();
        let message = format!(
            "These packages require each other in a circle: {} → {first}. None of them could be started \
             first; their authors have to break the circle.",
            blockers.join(" → ")
        );
        Refusal::new("dependency-cycle", self.universe.goal.package, message).blocked_by(blockers)
    }

    fn because(&self, release: &Release) -> String {
        let id = &release.manifest.id;
        let requirer = self.chosen.iter().find_map(|(other, by)| {
            let range = by.manifest.requires.microsites.get(id)?;
            let needed = self
                .universe
                .installed(id)
                .is_none_or(|now| !range.matches(&now.manifest.version));
            needed.then(|| format!("{other} requires {}", wanted(id, range)))
        });
        requirer.unwrap_or_else(|| match self.universe.installed(id) {
            Some(now) => format!(
                "{id} {} does not fit the others' new versions",
                now.manifest.version
            ),
            None => "another package requires it".into(),
        })
    }
}

/// Something that a step needs and that somebody switched off: it stays off until somebody switches it on.
fn switched_off(universe: &Universe<'_>, steps: &[Step]) -> Vec<Refusal> {
    let installed = &universe.world.inventory.installed;
    let is_off = |id: &PackageId| {
        installed
            .get(id)
            .is_some_and(|p| p.state == State::Disabled)
    };
    let mut refusals = Vec::new();
    for step in steps {
        let manifest = &step.release.manifest;
        if is_off(&manifest.id) {
            continue;
        }
        for other in manifest
            .requires
            .microsites
            .keys()
            .filter(|other| is_off(other))
        {
            let message = format!(
                "`{}` requires `{other}`, which is switched off. Switch `{other}` on first.",
                manifest.id
            );
            refusals.push(
                Refusal::new("invalid-state", &manifest.id, message)
                    .blocked_by([other.to_string()]),
            );
        }
    }
    refusals
}

/// Why the goal did not get its newest candidate.
fn passed_over(universe: &Universe<'_>, steps: &[Step]) -> Vec<String> {
    let goal = universe.goal.package;
    let Some(taken) = steps.iter().find(|step| step.release.manifest.id == *goal) else {
        return Vec::new();
    };
    let newer = universe
        .candidates(goal)
        .iter()
        .rev()
        .filter(|release| release.manifest.version.pre.is_empty())
        .find(|release| release.manifest.version > taken.release.manifest.version);
    let Some(newer) = newer else {
        return Vec::new();
    };
    let unmet = unmet_by_portal(universe.world.policy, newer);
    let why = match unmet.first() {
        Some(unmet) => unmet.to_string(),
        None => "does not fit what it requires or what is installed".into(),
    };
    vec![format!(
        "{goal} {} is newer, but {why}.",
        newer.manifest.version
    )]
}
