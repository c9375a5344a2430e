//! Which versions fit together, with an explanation when none do.
//!
//! The solver sees each package as a short list of candidates, ascending, and versions as places in that list; so
//! the rules of ranges (pre-releases!) stay in [`VersionRange::matches`](portico_package::VersionRange::matches)
//! alone. What is installed takes part as candidates that are preferred, and as requirements that must keep holding.

mod explain;
mod offer;
mod order;

use std::{
    cell::Cell,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use portico_package::{PackageId, Release, Version, VersionRange};
use pubgrub::{
    Dependencies, DependencyProvider, PackageResolutionStatistics, PubGrubError, Ranges,
};

pub use offer::{Offer, newest_first, offer};

use crate::{
    Inventory, Policy, Refusal,
    inventory::{Catalogue, Origin},
};

/// Decisions after which the search is given up: hostile metadata must not hold the planner.
const MAX_DECISIONS: u32 = 200_000;

/// What a resolution is made from.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// What admins want, and what this build can do.
    pub policy: &'a Policy,
    /// What is installed.
    pub inventory: &'a Inventory,
    /// What there is.
    pub catalogue: &'a dyn Catalogue,
}

/// What shall be there.
pub struct Goal<'a> {
    /// Which package.
    pub package: &'a PackageId,
    /// Releases of it that will do; the newest that fits is taken.
    pub candidates: Vec<Arc<Release>>,
    /// Who asks: only the configuration may move what the configuration owns.
    pub origin: Origin,
}

/// What has to change, dependencies first.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// The changes.
    pub steps: Vec<Step>,
    /// Why something newer was not taken.
    pub notices: Vec<String>,
}

/// One release that is not installed now and has to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which.
    pub release: Arc<Release>,
    /// `logstream_analytics requires sz_schedules >=1.0.0`; `None` for the goal.
    pub because: Option<String>,
}

/// Finds releases that fit together and with everything installed.
pub fn resolve(world: World<'_>, goal: &Goal<'_>) -> Result<Resolution, Vec<Refusal>> {
    let universe = Universe::new(world, goal);
    match pubgrub::resolve(&universe, Node::Root, 0u32) {
        Ok(solution) => {
            let chosen = solution
                .into_iter()
                .filter_map(|(node, at)| match node {
                    Node::Root => None,
                    Node::Package(id) => {
                        let release = Arc::clone(universe.candidates(&id).get(at as usize)?);
                        Some((id, release))
                    }
                })
                .collect();
            order::ordered(&universe, chosen)
        }
        Err(PubGrubError::NoSolution(tree)) => Err(explain::refusals(&universe, &tree)),
        Err(_) => Err(vec![Refusal::new(
            "unsatisfiable",
            goal.package,
            format!(
                "The requirements of `{}` are too tangled to be worked out. Ask for one exact version.",
                goal.package
            ),
        )]),
    }
}

/// Why a release does not go with this portal, whatever else is installed; empty when it does.
pub fn unmet_by_portal(policy: &Policy, release: &Release) -> Vec<Unmet> {
    let requires = &release.manifest.requires;
    let mut unmet = Vec::new();
    if let Some(range) = &requires.platform_version
        && !policy
            .platform_versions
            .iter()
            .any(|version| range.matches(version))
    {
        unmet.push(Unmet::Platform {
            range: range.clone(),
            have: policy.platform_versions.clone(),
        });
    }
    for (name, range) in &requires.component_libraries {
        let have = policy.component_libraries.get(name);
        if !have.is_some_and(|version| range.matches(version)) {
            unmet.push(Unmet::Library {
                name: name.clone(),
                range: range.clone(),
                have: have.cloned(),
            });
        }
    }
    unmet
}

/// Something that a release needs of the portal itself and does not find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// A platform version.
    Platform {
        /// Asked for.
        range: VersionRange,
        /// The portal's own version first, then those that it also counts as.
        have: Vec<Version>,
    },
    /// A browser library.
    Library {
        /// Which.
        name: String,
        /// Asked for.
        range: VersionRange,
        /// The version that the shell brings, if it brings the library at all.
        have: Option<Version>,
    },
}

impl Unmet {
    /// Code of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Platform { .. } => "platform-version",
            Self::Library { .. } => "component-library",
        }
    }

    /// What stands in the way.
    pub fn blocker(&self) -> String {
        match self {
            Self::Platform { .. } => "portal".into(),
            Self::Library { name, .. } => name.clone(),
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform { range, have } => {
                write!(f, "needs platform version {range}")?;
                match have.split_first() {
                    None => Ok(()),
                    Some((own, [])) => write!(f, ", and this portal is {own}"),
                    Some((own, also)) => {
                        let also: Vec<_> = also.iter().map(Version::to_string).collect();
                        write!(
                            f,
                            ", and this portal is {own} (it also counts as {})",
                            also.join(", ")
                        )
                    }
                }
            }
            Self::Library {
                name,
                range,
                have: Some(have),
            } => {
                write!(
                    f,
                    "needs the component library {name} {range}, and this portal brings {have}"
                )
            }
            Self::Library {
                name,
                range,
                have: None,
            } => {
                write!(
                    f,
                    "needs the component library {name} {range}, which this portal does not bring"
                )
            }
        }
    }
}

/// A node of the solver's graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Node {
    /// What was asked, and that what is installed stays whole.
    Root,
    /// A package.
    Package(PackageId),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the request"),
            Self::Package(id) => write!(f, "{id}"),
        }
    }
}

/// Places in a package's list of candidates.
type Places = Ranges<u32>;

/// Everything that the solver may look at.
struct Universe<'a> {
    world: World<'a>,
    goal: &'a Goal<'a>,
    /// Candidates of every package that the goal can reach, ascending.
    reachable: BTreeMap<PackageId, Vec<Arc<Release>>>,
    /// Installed packages out of the goal's reach that require something within it, with just those requirements.
    beside: BTreeMap<PackageId, (Vec<Arc<Release>>, BTreeSet<PackageId>)>,
    /// Installed packages within reach that hold together now and must go on to.
    kept: BTreeSet<PackageId>,
    decisions: Cell<u32>,
}

impl<'a> Universe<'a> {
    fn new(world: World<'a>, goal: &'a Goal<'a>) -> Self {
        let mut reachable = BTreeMap::new();
        let mut waiting = vec![(goal.package.clone(), goal.candidates.clone())];
        while let Some((id, mut candidates)) = waiting.pop() {
            candidates.sort_by(|a, b| a.manifest.version.cmp(&b.manifest.version));
            let requires = candidates
                .iter()
                .flat_map(|r| r.manifest.requires.microsites.keys());
            let next: BTreeSet<_> = requires.cloned().collect();
            reachable.insert(id, candidates);
            for id in next {
                if !reachable.contains_key(&id) && waiting.iter().all(|(other, _)| *other != id) {
                    let candidates = candidates_of(world, &id, goal.origin);
                    waiting.push((id, candidates));
                }
            }
        }
        let mut universe = Self {
            world,
            goal,
            reachable,
            beside: BTreeMap::new(),
            kept: BTreeSet::new(),
            decisions: Cell::new(0),
        };
        universe.hold_what_is_installed();
        universe
    }

    /// What holds together now must afterwards; what is broken already is nobody's obstacle.
    fn hold_what_is_installed(&mut self) {
        let installed = &self.world.inventory.installed;
        for (id, package) in installed {
            if id == self.goal.package {
                continue;
            }
            let requires = &package.release.manifest.requires.microsites;
            let holds = |(id, range): &(&PackageId, &VersionRange)| {
                installed
                    .get(*id)
                    .is_some_and(|p| range.matches(&p.release.manifest.version))
            };
            if self.reachable.contains_key(id) {
                if requires.iter().all(|edge| holds(&edge)) {
                    self.kept.insert(id.clone());
                }
                continue;
            }
            let touching: BTreeSet<_> = requires
                .iter()
                .filter(|edge| self.reachable.contains_key(edge.0) && holds(edge))
                .map(|(id, _)| id.clone())
                .collect();
            if !touching.is_empty() {
                self.beside
                    .insert(id.clone(), (vec![Arc::clone(&package.release)], touching));
            }
        }
    }

    fn candidates(&self, id: &PackageId) -> &[Arc<Release>] {
        match (self.reachable.get(id), self.beside.get(id)) {
            (Some(candidates), _) => candidates,
            (None, Some((candidates, _))) => candidates,
            (None, None) => &[],
        }
    }

    fn installed(&self, id: &PackageId) -> Option<&Arc<Release>> {
        self.world
            .inventory
            .installed
            .get(id)
            .map(|package| &package.release)
    }

    fn is_installed(&self, release: &Release) -> bool {
        self.installed(&release.manifest.id)
            .is_some_and(|now| now.digest == release.digest)
    }

    /// Places of the candidates of `id` that are in `range`.
    fn places(&self, id: &PackageId, range: &VersionRange) -> Places {
        let mut places = Places::empty();
        for (at, release) in (0u32..).zip(self.candidates(id)) {
            if range.matches(&release.manifest.version) {
                // Half open, so that neighbours join and their complement has no holes.
                places = places.union(&Places::between(at, at + 1));
            }
        }
        places
    }

    fn all_places(&self, id: &PackageId) -> Places {
        match self.candidates(id).len() {
            0 => Places::empty(),
            count => Places::between(0u32, u32::try_from(count).unwrap_or(u32::MAX)),
        }
    }

    fn requirements_of_root(&self) -> impl Iterator<Item = (Node, Places)> {
        let goal = std::iter::once(self.goal.package);
        let ids = goal.chain(&self.kept).chain(self.beside.keys());
        ids.map(|id| (Node::Package(id.clone()), self.all_places(id)))
    }

    fn requirements_of(&self, id: &PackageId, release: &Release) -> Vec<(Node, Places)> {
        let only = self.beside.get(id).map(|(_, touching)| touching);
        let requires = release.manifest.requires.microsites.iter();
        requires
            .filter(|(other, _)| *other != id && only.is_none_or(|only| only.contains(*other)))
            .map(|(other, range)| (Node::Package(other.clone()), self.places(other, range)))
            .collect()
    }
}

/// What may become of a package that something requires: what is installed or anything newer from the same
/// registry; what nobody installed yet, anything on offer. Never older than installed: that is a rollback.
fn candidates_of(world: World<'_>, id: &PackageId, origin: Origin) -> Vec<Arc<Release>> {
    let offered = offer(world, id, None).releases;
    let Some(installed) = world.inventory.installed.get(id) else {
        return offered;
    };
    let mut candidates = vec![Arc::clone(&installed.release)];
    if installed.origin != Origin::Config || origin == Origin::Config {
        let now = &installed.release.manifest.version;
        candidates.extend(
            offered
                .into_iter()
                .filter(|release| release.manifest.version > *now),
        );
    }
    candidates
}

/// The search was given up.
#[derive(Debug, thiserror::Error)]
#[error("gave up")]
struct GaveUp;

/// What a release does not find in the portal, as the solver carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnmetByPortal(Vec<Unmet>);

impl fmt::Display for UnmetByPortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for unmet in &self.0 {
            write!(f, "{unmet}; ")?;
        }
        Ok(())
    }
}

impl DependencyProvider for Universe<'_> {
    type P = Node;
    type V = u32;
    type VS = Places;
    type M = UnmetByPortal;
    type Err = GaveUp;
    type Priority = (u8, u32, Reverse<usize>, Reverse<Node>);

    /// The goal first, so that it gets its newest; then what is installed, so that it stays as it is.
    fn prioritize(
        &self,
        node: &Node,
        range: &Places,
        conflicts: &PackageResolutionStatistics,
    ) -> Self::Priority {
        let (rank, choices) = match node {
            Node::Root => (3, 0),
            Node::Package(id) if id == self.goal.package => (2, 0),
            Node::Package(id) => {
                let count = u32::try_from(self.candidates(id).len()).unwrap_or(u32::MAX);
                let choices = (0..count).filter(|at| range.contains(at)).count();
                (u8::from(self.installed(id).is_some()), choices)
            }
        };
        (
            rank,
            conflicts.conflict_count(),
            Reverse(choices),
            Reverse(node.clone()),
        )
    }

    fn choose_version(&self, node: &Node, range: &Places) -> Result<Option<u32>, GaveUp> {
        let Node::Package(id) = node else {
            return Ok(range.contains(&0).then_some(0));
        };
        let numbered = (0u32..).zip(self.candidates(id));
        let mut choices: Vec<_> = numbered.filter(|(at, _)| range.contains(at)).collect();
        choices.reverse();
        let installed = (id != self.goal.package)
            .then(|| {
                choices
                    .iter()
                    .find(|(_, release)| self.is_installed(release))
            })
            .flatten();
        let stable = || {
            choices
                .iter()
                .find(|(_, release)| release.manifest.version.pre.is_empty())
        };
        Ok(installed
            .or_else(stable)
            .or(choices.first())
            .map(|(at, _)| *at))
    }

    fn get_dependencies(
        &self,
        node: &Node,
        at: &u32,
    ) -> Result<Dependencies<Node, Places, UnmetByPortal>, GaveUp> {
        let Node::Package(id) = node else {
            return Ok(Dependencies::Available(
                self.requirements_of_root().collect(),
            ));
        };
        let Some(release) = self.candidates(id).get(*at as usize) else {
            return Err(GaveUp);
        };
        if !self.is_installed(release) {
            let unmet = unmet_by_portal(self.world.policy, release);
            if !unmet.is_empty() {
                return Ok(Dependencies::Unavailable(UnmetByPortal(unmet)));
            }
        }
        Ok(Dependencies::Available(
            self.requirements_of(id, release).into_iter().collect(),
        ))
    }

    fn should_cancel(&self) -> Result<(), GaveUp> {
        self.decisions.set(self.decisions.get() + 1);
        if self.decisions.get() > MAX_DECISIONS {
            Err(GaveUp)
        } else {
            Ok(())
        }
    }
}
