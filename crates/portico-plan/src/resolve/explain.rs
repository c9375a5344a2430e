//! Why nothing fits, in sentences: who requires what, and what there is instead.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portico_package::{PackageId, Release, VersionRange};
use pubgrub::{DerivationTree, External};

use super::{Node, Places, Universe, Unmet, UnmetByPortal, newest_first, offer};
use crate::{Installed, Refusal, nearest::nearest, text::wanted};

type Tree = DerivationTree<Node, Places, UnmetByPortal>;

/// The refusals that a proof of impossibility comes to. Causes that stand alone (a package that is not there, a
/// platform that is too old) get a refusal each; requirements that contradict one another share one.
pub(super) fn refusals(universe: &Universe<'_>, tree: &Tree) -> Vec<Refusal> {
    let facts = Facts::of(universe, tree);
    let mut refusals = Vec::new();
    let mut told = BTreeSet::new();
    for edge in &facts.edges {
        if let Some(refusal) = facts.nothing_there(edge, &mut told) {
            refusals.push(refusal);
        }
    }
    for ((id, _), (releases, unmet)) in &facts.unmet {
        refusals.push(facts.portal_too_old(id, releases, unmet, &mut told));
    }
    let contradicting: Vec<&Edge> = facts
        .edges
        .iter()
        .enumerate()
        .filter(|(at, _)| !told.contains(at))
        .map(|(_, edge)| edge)
        .collect();
    if refusals.is_empty() || facts.contradict(&contradicting) {
        refusals.push(facts.contradiction(&contradicting));
    }
    refusals
}

/// Releases of one package that require another.
struct Edge {
    at: usize,
    from: PackageId,
    releases: Vec<Arc<Release>>,
    to: PackageId,
    range: VersionRange,
    places: Places,
}

struct Facts<'a> {
    universe: &'a Universe<'a>,
    edges: Vec<Edge>,
    /// By package and sentence.
    unmet: BTreeMap<(PackageId, String), NotForThisPortal>,
}

/// Releases that need something of the portal that it does not have.
type NotForThisPortal = (Vec<Arc<Release>>, Unmet);

impl<'a> Facts<'a> {
    fn of(universe: &'a Universe<'a>, tree: &Tree) -> Self {
        let mut facts = Self {
            universe,
            edges: Vec::new(),
            unmet: BTreeMap::new(),
        };
        let mut seen = BTreeSet::new();
        let mut waiting = vec![tree];
        // The proof shares its parts; each is looked at once, or a large one would take for ever.
        while let Some(tree) = waiting.pop() {
            match tree {
                DerivationTree::External(external) => facts.add(external),
                DerivationTree::Derived(derived) => {
                    for cause in [&derived.cause2, &derived.cause1] {
                        if seen.insert(Arc::as_ptr(cause)) {
                            waiting.push(cause);
                        }
                    }
                }
            }
        }
        let goal = universe.goal.package;
        facts.edges.sort_by(|a, b| {
            (a.from != *goal, &a.from, &a.to).cmp(&(b.from != *goal, &b.from, &b.to))
        });
        for (at, edge) in facts.edges.iter_mut().enumerate() {
            edge.at = at;
        }
        facts
    }

    fn add(&mut self, external: &External<Node, Places, UnmetByPortal>) {
        match external {
            External::FromDependencyOf(Node::Package(from), at, Node::Package(to), _) => {
                let mut by_range = BTreeMap::<String, Vec<Arc<Release>>>::new();
                for release in self.within(from, at) {
                    if let Some(range) = release.manifest.requires.microsites.get(to) {
                        by_range.entry(range.to_string()).or_default().push(release);
                    }
                }
                for releases in by_range.into_values() {
                    self.add_edge(from, to, releases);
                }
            }
            External::Custom(Node::Package(id), at, UnmetByPortal(all)) => {
                for unmet in all {
                    let key = (id.clone(), unmet.to_string());
                    let releases = self.within(id, at);
                    let known = self
                        .unmet
                        .entry(key)
                        .or_insert_with(|| (Vec::new(), unmet.clone()));
                    known.0.extend(releases);
                }
            }
            _ => {}
        }
    }

    fn add_edge(&mut self, from: &PackageId, to: &PackageId, releases: Vec<Arc<Release>>) {
        let range = releases
            .first()
            .and_then(|r| r.manifest.requires.microsites.get(to))
            .cloned();
        let Some(range) = range else { return };
        let known = self
            .edges
            .iter_mut()
            .find(|e| e.from == *from && e.to == *to && e.range == range);
        if let Some(known) = known {
            for release in releases {
                if known
                    .releases
                    .iter()
                    .all(|other| other.digest != release.digest)
                {
                    known.releases.push(release);
                }
            }
            return;
        }
        let places = self.universe.places(to, &range);
        self.edges.push(Edge {
            at: 0,
            from: from.clone(),
            releases,
            to: to.clone(),
            range,
            places,
        });
    }

    fn within(&self, id: &PackageId, places: &Places) -> Vec<Arc<Release>> {
        let numbered = (0u32..).zip(self.universe.candidates(id));
        numbered
            .filter(|(at, _)| places.contains(at))
            .map(|(_, release)| Arc::clone(release))
            .collect()
    }

    /// Something is required of which there is nothing, or nothing in the range.
    fn nothing_there(&self, edge: &Edge, told: &mut BTreeSet<usize>) -> Option<Refusal> {
        if edge.places != Places::empty() {
            return None;
        }
        told.insert(edge.at);
        let goal = self.universe.goal.package;
        let requirement = self.chain(edge, told);
        let there = self.universe.candidates(&edge.to);
        let to = &edge.to;
        let (code, instead) = match self.universe.world.inventory.installed.get(to) {
            None if there.is_empty() => {
                let ids = self.universe.world.catalogue.ids();
                let near = nearest(to.as_str(), ids.iter().map(PackageId::as_str));
                let hint = near.map_or_else(
                    || "Add a registry that has it, or ask its author.".to_owned(),
                    |near| format!("Did its author mean `{near}`?"),
                );
                (
                    "missing-dependency",
                    format!("no registry has `{to}`. {hint}"),
                )
            }
            None => (
                "unsatisfiable",
                format!("there is only {}.", newest_first(there)),
            ),
            Some(now) => ("unsatisfiable", self.why_it_stays(edge, now)),
        };
        let joint = if code == "missing-dependency" {
            ", and"
        } else {
            ", but"
        };
        let message = format!("{requirement}{joint} {instead}");
        Some(Refusal::new(code, goal, message).blocked_by([to.to_string()]))
    }

    /// Why an installed package does not become what is required.
    fn why_it_stays(&self, edge: &Edge, installed: &Installed) -> String {
        let to = &edge.to;
        let now = &installed.release.manifest.version;
        let offered = offer(self.universe.world, to, None).releases;
        let fits = offered
            .iter()
            .rev()
            .find(|release| edge.range.matches(&release.manifest.version));
        match fits.map(|release| &release.manifest.version) {
            Some(fitting) if fitting < now => format!(
                "`{to}` {now} is installed and is not taken back to {fitting} for this. Roll it back first."
            ),
            Some(fitting) => format!(
                "`{to}` {now} is installed and belongs to the configuration, which alone can change it to {fitting}."
            ),
            None if offered.is_empty() => {
                format!("`{to}` {now} is installed, and nothing else of it is on offer.")
            }
            None => format!(
                "`{to}` {now} is installed, and there is only {}.",
                newest_first(&offered)
            ),
        }
    }

    fn portal_too_old(
        &self,
        id: &PackageId,
        releases: &[Arc<Release>],
        unmet: &Unmet,
        told: &mut BTreeSet<usize>,
    ) -> Refusal {
        let goal = self.universe.goal.package;
        let wants = format!("{} {unmet}.", self.named(id, releases));
        let way = self.way_to(id);
        told.extend(way.iter().map(|edge| edge.at));
        let message = if way.is_empty() {
            wants
        } else {
            format!("{}; {wants}", self.told(&way))
        };
        Refusal::new(unmet.code(), goal, message).blocked_by([unmet.blocker()])
    }

    /// Whether these requirements alone leave no version of something.
    fn contradict(&self, edges: &[&Edge]) -> bool {
        edges.iter().any(|a| {
            edges
                .iter()
                .any(|b| a.to == b.to && a.places.intersection(&b.places) == Places::empty())
        })
    }

    fn contradiction(&self, edges: &[&Edge]) -> Refusal {
        let goal = self.universe.goal.package;
        let installed: BTreeSet<String> = edges
            .iter()
            .filter(|edge| {
                edge.from != *goal && edge.releases.iter().any(|r| self.universe.is_installed(r))
            })
            .map(|edge| edge.from.to_string())
            .collect();
        let facts: Vec<_> = edges.iter().map(|edge| self.clause(edge)).collect();
        let advice = match installed
            .iter()
            .map(|id| format!("`{id}`"))
            .collect::<Vec<_>>()
        {
            ids if ids.is_empty() => "Ask for another version.".to_owned(),
            ids => format!(
                "Ask for another version, or upgrade or remove {}.",
                ids.join(" and ")
            ),
        };
        let message = format!("{}. These do not go together. {advice}", join(&facts));
        let others = edges
            .iter()
            .map(|edge| edge.to.to_string())
            .filter(|id| id != goal.as_str());
        let blockers: BTreeSet<String> = if installed.is_empty() {
            others.collect()
        } else {
            installed
        };
        Refusal::new("unsatisfiable", goal, message).blocked_by(blockers)
    }

    /// How the goal comes to require what `edge` starts from, and `edge` itself.
    fn chain(&self, edge: &Edge, told: &mut BTreeSet<usize>) -> String {
        let mut way = self.way_to(&edge.from);
        told.extend(way.iter().map(|edge| edge.at));
        way.push(edge);
        self.told(&way)
    }

    fn told(&self, way: &[&Edge]) -> String {
        way.iter()
            .map(|edge| self.clause(edge))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// The requirements that lead from the goal to `id`, by the shortest way.
    fn way_to(&self, id: &PackageId) -> Vec<&Edge> {
        let goal = self.universe.goal.package;
        let mut came_by = BTreeMap::<&PackageId, &Edge>::new();
        let mut waiting = std::collections::VecDeque::from([goal]);
        while let Some(here) = waiting.pop_front() {
            for edge in self
                .edges
                .iter()
                .filter(|edge| edge.from == *here && edge.to != *goal)
            {
                if let std::collections::btree_map::Entry::Vacant(entry) = came_by.entry(&edge.to) {
                    entry.insert(edge);
                    waiting.push_back(&edge.to);
                }
            }
        }
        let mut way = Vec::new();
        let mut here = id;
        while let Some(edge) = came_by.get(here).filter(|_| here != goal) {
            way.push(*edge);
            here = &edge.from;
        }
        way.reverse();
        way
    }

    fn clause(&self, edge: &Edge) -> String {
        let verb = if edge.releases.len() == 1 {
            "requires"
        } else {
            "require"
        };
        format!(
            "{} {verb} {}",
            self.named(&edge.from, &edge.releases),
            wanted(format_args!("`{}`", edge.to), &edge.range)
        )
    }

    /// `logstream` 2.1.0, 2.0.0
    fn named(&self, id: &PackageId, releases: &[Arc<Release>]) -> String {
        let installed =
            releases.len() == 1 && releases.iter().all(|r| self.universe.is_installed(r));
        let note = if installed { " (installed)" } else { "" };
        format!("`{id}` {}{note}", newest_first(releases))
    }
}

fn join(facts: &[String]) -> String {
    match facts {
        [] => "What is required of one another here cannot be met".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}
