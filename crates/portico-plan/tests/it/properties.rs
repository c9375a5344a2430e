//! What holds of every world.

use std::collections::BTreeMap;

use portico_package::{PackageId, Version, VersionRange, manifest::Method};
use portico_plan::{
    Inventory, TenantSnapshot, Verb,
    inventory::{Removed, State},
    plan::Action,
};
use proptest::prelude::*;

use crate::{
    lookups::found,
    world::{World, exactly, id, package, request, world},
};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn a_range() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "*",
        "^1",
        "<2.0.0",
        "<2.1.0",
        ">=1.1",
        ">=2.0.0",
        ">=1.1 <2.1",
    ])
}

/// Some packages in some versions that require one another somehow.
fn a_world() -> impl Strategy<Value = World> {
    let versions = prop::sample::subsequence(vec!["1.0.0", "1.1.0", "2.0.0", "2.1.0"], 2..=4);
    let release = (
        prop::collection::vec((0..NAMES.len(), a_range()), 0..3),
        any::<bool>(),
    );
    let offers = prop::collection::vec((versions, prop::collection::vec(release, 4)), NAMES.len());
    offers.prop_map(|offers| {
        let mut world = world();
        for (name, (versions, releases)) in NAMES.iter().zip(offers) {
            for (at, (requires, picky)) in versions.iter().zip(releases) {
                let mut package = package(name, at).asks(&format!("api:{name}{}:read", &at[..1]));
                for (other, range) in requires {
                    // Mostly downwards, so that cycles come up and do not fill everything.
                    if NAMES[other] > *name || (picky && other == 0) {
                        package = package.requires(NAMES[other], range);
                    }
                }
                world = world.offers(package);
            }
        }
        world
    })
}

/// A verb for what is installed, a package, a version. What is not installed is (mostly) installed instead, so that
/// most wishes can come true.
type Wish = (Verb, usize, Option<&'static str>, bool);

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let verbs = vec![
        Verb::Upgrade,
        Verb::Upgrade,
        Verb::Upgrade,
        Verb::Rollback,
        Verb::Disable,
        Verb::Enable,
        Verb::Uninstall,
    ];
    let at = prop::sample::select(vec!["1.0.0", "1.1.0", "2.0.0", "^1", "<2.1"]);
    let at = prop::option::weighted(0.4, at);
    let wish = (
        prop::sample::select(verbs),
        0..NAMES.len(),
        at,
        prop::bool::weighted(0.1),
    );
    prop::collection::vec(wish, 5..25)
}

fn asked(world: &World, (verb, at, range, anyhow): &Wish) -> portico_plan::Request {
    let name = NAMES[*at];
    let there = world.inventory.installed.get(name);
    let verb = match there.map(|package| package.state) {
        _ if *anyhow => *verb,
        None => Verb::Install,
        Some(State::Disabled) if *verb == Verb::Disable => Verb::Enable,
        Some(_) => *verb,
    };
    match range {
        Some(range) => exactly(verb, name, range),
        None => request(verb, name),
    }
}

/// Everything installed finds what it requires.
fn is_whole(inventory: &Inventory) -> Result<(), TestCaseError> {
    for (id, installed) in &inventory.installed {
        for (other, range) in &installed.release.manifest.requires.microsites {
            let version: Option<&Version> = inventory
                .installed
                .get(other)
                .map(|p| &p.release.manifest.version);
            prop_assert!(
                version.is_some_and(|v| range.matches(v)),
                "{id} requires {other} {range}, {version:?}"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_the_portal_stays_whole(start in a_world(), wishes in wishes()) {
        let mut world = start;
        let mut snapshot = TenantSnapshot::compile(&world.inventory);
        for wish in &wishes {
            let request = asked(&world, wish);
            let plan = world.plan(&request);
            prop_assert_eq!(&plan, &world.plan(&request), "the same again");
            let mut shuffled = world.clone();
            shuffled.shop.0.reverse();
            prop_assert_eq!(&plan, &shuffled.plan(&request), "the catalogue's order does not matter");
            if !plan.is_executable() {
                prop_assert!(plan.refusals.iter().all(|refusal| !refusal.message.is_empty()));
                continue;
            }
            let before = world.inventory.clone();
            world = world.carried_out(&plan);
            is_whole(&world.inventory)?;
            dependencies_come_first(&plan)?;
            unplanned_stays(&before, &world.inventory, &plan)?;

            // Asking again finds it done.
            let again = world.plan(&request);
            if matches!(request.verb, Verb::Install | Verb::Disable | Verb::Enable | Verb::Uninstall) {
                prop_assert!(!again.is_executable());
                prop_assert!(matches!(
                    again.refusals[0].code.as_str(),
                    "already-installed" | "invalid-state" | "not-installed"
                ));
            }

            let compiled = TenantSnapshot::compile(&world.inventory);
            snapshot = TenantSnapshot::apply(&snapshot, &world.inventory);
            prop_assert_eq!(&compiled.navigation, &snapshot.navigation);
            for name in NAMES {
                for path in [format!("/{name}"), format!("/{name}/x"), format!("/{name}x")] {
                    let one = found(&compiled, Method::Get, &path);
                    prop_assert_eq!(&one, &found(&snapshot, Method::Get, &path));
                }
            }
        }
    }

    #[test]
    fn an_installation_takes_the_newest_that_some_choice_allows(start in a_world(), at in 0..NAMES.len()) {
        let request = request(Verb::Install, NAMES[at]);
        let plan = start.plan(&request);
        let best = newest_by_trying_everything(&start, &id(NAMES[at]));
        let cyclic = plan.refusals.iter().any(|refusal| refusal.code == "dependency-cycle");
        if !cyclic {
            let taken = plan.changes.iter().find(|c| c.package.as_str() == NAMES[at]).map(|c| c.version.clone());
            prop_assert_eq!(taken, best, "{:?}", plan.refusals);
        }
    }

    #[test]
    fn lookups_are_those_of_a_naive_list(
        mounts in prop::collection::btree_set("(/[ab]{1,2}){1,3}", 1..8),
        gone in prop::collection::btree_set("(/[ab]{1,2}){1,3}", 0..4),
        paths in prop::collection::vec("(/[abc]{1,2}){0,5}/?", 1..30),
    ) {
        let mut world = world();
        let mut model = BTreeMap::new();
        for (n, mount) in gone.iter().enumerate() {
            let name = format!("g{n}");
            world = world.somehow_has(package(&name, "1.0.0").path(mount));
            world = world.does(request(Verb::Uninstall, &name));
        }
        for (n, mount) in mounts.iter().enumerate() {
            let name = format!("p{n}");
            world = world.somehow_has(package(&name, "1.0.0").path(mount));
            model.insert(mount.clone(), name);
        }
        let snapshot = TenantSnapshot::compile(&world.inventory);
        for path in paths {
            let expected = naive(&model, &gone, &path);
            prop_assert_eq!(found(&snapshot, Method::Get, &path), expected, "{}", path);
        }
    }

    /// Also where packages move, share a path, or stand where another was.
    #[test]
    fn a_snapshot_with_changes_is_one_compiled_anew(
        steps in prop::collection::vec((0..5_usize, 0..4_usize, 0..3_u8, 0..4_i64), 1..25),
    ) {
        const PATHS: [&str; 4] = ["/a", "/b", "/a/b", "/b/c/d"];
        let mut template = world();
        for name in &NAMES[..5] {
            template = template.has(package(name, "1.0.0"));
        }
        let template = template.inventory.installed;
        let mut inventory = world().inventory;
        let mut snapshot = TenantSnapshot::compile(&inventory);
        for (who, path, what, at) in steps {
            let name = id(NAMES[who]);
            inventory.generation += 1;
            if what == 0 {
                inventory.installed.remove(&name);
                inventory.removed.insert(name, Removed {
                    name: NAMES[who].to_owned(),
                    version: "1.0.0".parse().expect("a version"),
                    mount: PATHS[path].to_owned(),
                    removed_by: "ada".to_owned(),
                    removed_at: at,
                });
            } else {
                let mut installed = template[&name].clone();
                installed.mount = PATHS[path].to_owned();
                installed.generation = inventory.generation;
                installed.state = if what == 1 { State::Ready } else { State::Disabled };
                inventory.installed.insert(name.clone(), installed);
                if at == 0 {
                    inventory.removed.remove(&name);
                }
            }
            let compiled = TenantSnapshot::compile(&inventory);
            snapshot = TenantSnapshot::apply(&snapshot, &inventory);
            prop_assert_eq!(&compiled.navigation, &snapshot.navigation);
            for path in PATHS {
                for path in [path.to_owned(), format!("{path}/x"), format!("{path}/b/c/d/e")] {
                    let shown = format!("{:?}", snapshot.lookup(Method::Get, &path));
                    prop_assert_eq!(format!("{:?}", compiled.lookup(Method::Get, &path)), shown);
                }
            }
        }
    }
}

fn dependencies_come_first(plan: &portico_plan::Plan) -> Result<(), TestCaseError> {
    let place = |id: &PackageId| plan.changes.iter().position(|change| change.package == *id);
    for (at, change) in plan.changes.iter().enumerate() {
        if let Some((requirer, _)) = change.because.split_once(" requires ") {
            let requirer = place(&id(requirer));
            prop_assert!(
                requirer.is_none_or(|requirer| requirer > at),
                "{:?}",
                change.because
            );
        }
    }
    Ok(())
}

fn unplanned_stays(
    before: &Inventory,
    after: &Inventory,
    plan: &portico_plan::Plan,
) -> Result<(), TestCaseError> {
    for (id, installed) in &before.installed {
        match plan.changes.iter().find(|change| change.package == *id) {
            None => prop_assert_eq!(Some(installed), after.installed.get(id)),
            Some(change) if change.package != plan.package => {
                prop_assert_eq!(change.action, Action::Upgrade);
                prop_assert!(change.version > installed.release.manifest.version);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The newest version of `goal` for which some choice of versions of everything else holds together.
fn newest_by_trying_everything(world: &World, goal: &PackageId) -> Option<Version> {
    let mut by_name = BTreeMap::<&PackageId, Vec<&portico_package::Release>>::new();
    for release in &world.shop.0 {
        by_name
            .entry(&release.manifest.id)
            .or_default()
            .push(release);
    }
    let mut goals = by_name.get(goal)?.clone();
    goals.sort_by(|a, b| b.manifest.version.cmp(&a.manifest.version));
    goals
        .into_iter()
        .find(|release| extends(&by_name, &mut vec![release]))
        .map(|r| r.manifest.version.clone())
}

fn extends<'a>(
    by_name: &BTreeMap<&PackageId, Vec<&'a portico_package::Release>>,
    chosen: &mut Vec<&'a portico_package::Release>,
) -> bool {
    let open: Option<(PackageId, VersionRange)> = chosen.iter().find_map(|release| {
        release
            .manifest
            .requires
            .microsites
            .iter()
            .find_map(|(other, range)| {
                let there = chosen.iter().find(|r| r.manifest.id == *other);
                match there {
                    Some(there) if range.matches(&there.manifest.version) => None,
                    _ => Some((other.clone(), range.clone())),
                }
            })
    });
    let Some((other, range)) = open else {
        return true;
    };
    if chosen.iter().any(|r| r.manifest.id == other) {
        return false;
    }
    for release in by_name.get(&other).into_iter().flatten() {
        if range.matches(&release.manifest.version) {
            chosen.push(release);
            if extends(by_name, chosen) {
                return true;
            }
            chosen.pop();
        }
    }
    false
}

/// Longest prefix by looking at every mount.
fn naive(
    mounts: &BTreeMap<String, String>,
    gone: &std::collections::BTreeSet<String>,
    path: &str,
) -> String {
    let path = path.trim_end_matches('/');
    let below = |mount: &str| {
        path == mount
            || path
                .strip_prefix(mount)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let owner = mounts
        .iter()
        .filter(|(mount, _)| below(mount))
        .max_by_key(|(mount, _)| mount.len());
    let removed = gone
        .iter()
        .enumerate()
        .filter(|(_, mount)| below(mount))
        .max_by_key(|(_, mount)| mount.len());
    let told = |n: usize| format!("gone g{n}");
    match (owner, removed) {
        (Some((mount, name)), _) if path == mount => format!("{name}:/"),
        (Some((mount, _)), Some((n, removed))) if removed.len() > mount.len() => told(n),
        (Some((_, name)), _) => format!("{name}: no such page"),
        (None, Some((n, _))) => told(n),
        (None, None) => "nothing".into(),
    }
}
