//! Which versions are taken, in which order, and what is said when none fit.

use portico_plan::{Request, Verb};

use crate::world::{World, exactly, install, package, range, request, steps, world};

fn check(world: &World, request: &Request, expected: &str) {
    assert_eq!(steps(&world.plan(request)), expected);
}

#[test]
fn dependencies_come_first_and_everything_is_the_newest_that_fits() {
    let world = world()
        .offers(package("logs", "2.0.0"))
        .offers(
            package("logs", "2.1.0")
                .requires("schedules", ">=1.0.0 <3.0")
                .requires("charts", "^1"),
        )
        .offers(package("schedules", "1.0.0"))
        .offers(package("schedules", "2.9.0").requires("clock", "*"))
        .offers(package("schedules", "3.0.0"))
        .offers(package("charts", "1.2.0").requires("clock", ">=1.1"))
        .offers(package("clock", "1.0.0"))
        .offers(package("clock", "1.1.0"));
    check(
        &world,
        &install("logs"),
        "install clock 1.1.0, install charts 1.2.0, install schedules 2.9.0, install logs 2.1.0",
    );
    let plan = world.plan(&install("logs"));
    let because: Vec<_> = plan.changes.iter().map(|c| c.because.as_str()).collect();
    assert_eq!(
        because,
        [
            "charts requires clock >=1.1",
            "logs requires charts ^1",
            "logs requires schedules >=1.0.0 <3.0",
            "asked for"
        ]
    );
}

#[test]
fn a_whole_version_means_that_one_and_a_range_the_newest_inside() {
    let world = world()
        .offers(package("a", "1.0.0"))
        .offers(package("a", "1.1.0"))
        .offers(package("a", "2.0.0"))
        .offers(package("a", "3.0.0-beta.1"));
    check(&world, &install("a"), "install a 2.0.0");
    check(
        &world,
        &exactly(Verb::Install, "a", "1.0.0"),
        "install a 1.0.0",
    );
    check(
        &world,
        &exactly(Verb::Install, "a", "=1.0.0"),
        "install a 1.0.0",
    );
    check(
        &world,
        &exactly(Verb::Install, "a", "^1.0"),
        "install a 1.1.0",
    );
    check(
        &world,
        &exactly(Verb::Install, "a", "3.0.0-beta.1"),
        "install a 3.0.0-beta.1",
    );
    check(
        &world,
        &exactly(Verb::Install, "a", ">=2"),
        "install a 2.0.0",
    );
}

#[test]
fn what_is_installed_stays_as_long_as_it_fits() {
    let world = world()
        .has(package("d", "1.0.0"))
        .offers(package("d", "1.5.0"))
        .offers(package("d", "2.0.0"))
        .offers(package("a", "1.0.0").requires("d", ">=1"))
        .offers(package("b", "1.0.0").requires("d", ">=1.2 <2"));
    check(&world, &install("a"), "install a 1.0.0");
    check(&world, &install("b"), "upgrade d 1.5.0, install b 1.0.0");
}

#[test]
fn the_newest_of_what_was_asked_for_comes_before_leaving_things_as_they_are() {
    let world = world()
        .has(package("d", "1.0.0"))
        .offers(package("d", "2.0.0"))
        .offers(package("a", "1.0.0").requires("d", "^1"))
        .offers(package("a", "2.0.0").requires("d", "^2"));
    check(&world, &install("a"), "upgrade d 2.0.0, install a 2.0.0");
}

#[test]
fn what_is_installed_is_never_taken_back_for_another_s_sake() {
    let world = world()
        .has(package("d", "2.0.0"))
        .offers(package("d", "1.0.0"))
        .offers(package("a", "1.0.0").requires("d", "<2"));
    let plan = world.plan(&install("a"));
    assert_eq!(plan.refusals[0].code, "unsatisfiable");
    assert_eq!(plan.refusals[0].blockers, ["d"]);
}

#[test]
fn an_older_version_is_taken_when_the_newest_does_not_fit_and_the_plan_says_why() {
    let world = world()
        .offers(package("a", "1.0.0"))
        .offers(package("a", "2.0.0").platform(">=9"));
    let plan = world.plan(&install("a"));
    assert_eq!(steps(&plan), "install a 1.0.0");
    assert_eq!(
        plan.notices,
        [
            "a 2.0.0 is newer, but needs platform version >=9, and this portal is 0.1.0 (it also counts as 1.4.0, 2.2.0)."
        ]
    );
}

#[test]
fn installed_packages_limit_what_their_dependencies_become() {
    let world = world()
        .has(package("d", "1.0.0"))
        .has(package("x", "1.0.0").requires("d", "<2"))
        .offers(package("d", "1.9.0"))
        .offers(package("d", "2.0.0"));
    check(&world, &request(Verb::Upgrade, "d"), "upgrade d 1.9.0");
    let world = world.offers(package("a", "1.0.0").requires("d", ">=1.5"));
    check(&world, &install("a"), "upgrade d 1.9.0, install a 1.0.0");
}

#[test]
fn what_is_broken_already_stands_in_nobodys_way() {
    let world = world()
        .somehow_has(
            package("x", "1.0.0")
                .requires("gone", "*")
                .requires("d", "<2"),
        )
        .has(package("d", "2.0.0"))
        .offers(package("a", "1.0.0").requires("d", "^2"));
    check(&world, &install("a"), "install a 1.0.0");
}

#[test]
fn a_package_comes_from_one_registry() {
    let world = world()
        .offers(package("a", "1.0.0").from("acme"))
        .offers(package("a", "9.0.0").from("strangers"));
    let plan = world.plan(&install("a"));
    assert_eq!(steps(&plan), "install a 1.0.0");
    assert_eq!(
        plan.notices,
        ["This is a of the registry acme; strangers has a package of the same name."]
    );
    let pinned = Request {
        registry: Some("strangers".into()),
        ..install("a")
    };
    check(&world, &pinned, "install a 9.0.0");

    let world = world.does(install("a"));
    assert_eq!(
        world.plan(&request(Verb::Upgrade, "a")).refusals[0].code,
        "already-installed"
    );
    let pinned = Request {
        registry: Some("strangers".into()),
        ..request(Verb::Upgrade, "a")
    };
    check(&world, &pinned, "upgrade a 9.0.0");

    let world = world
        .offers(package("sz_dash", "5.0.0").from("strangers"))
        .offers(package("sz_dash", "1.0.0").from("bundled"));
    check(&world, &install("sz_dash"), "install sz_dash 1.0.0");
}

#[test]
fn pre_releases_of_dependencies_are_taken_only_when_asked_for() {
    let world = world()
        .offers(package("d", "1.0.0"))
        .offers(package("d", "2.0.0-rc.1"))
        .offers(package("a", "1.0.0").requires("d", ">=1"))
        .offers(package("b", "1.0.0").requires("d", ">=2.0.0-rc.1"));
    check(&world, &install("a"), "install d 1.0.0, install a 1.0.0");
    check(
        &world,
        &install("b"),
        "install d 2.0.0-rc.1, install b 1.0.0",
    );
}

#[test]
fn the_search_ends_on_hostile_metadata() {
    // Every version of every package wants a version of the next that wants something else of the one after.
    let mut world = world();
    for layer in 0..12 {
        for at in 1..=8 {
            let next = format!("p{}", layer + 1);
            let wanted = format!("={}.0.0", 9 - at);
            let hostile = package(&format!("p{layer}"), &format!("{at}.0.0"))
                .requires(&next, &wanted)
                .requires(&format!("p{}", layer + 2), &format!("={at}.0.0"));
            world = world.offers(hostile);
        }
    }
    let plan = world.plan(&install("p0"));
    assert!(!plan.refusals.is_empty());
    assert!(
        plan.refusals
            .iter()
            .all(|refusal| refusal.message.len() < 4000)
    );
}

#[test]
fn a_cycle_is_found_wherever_it_closes() {
    let world = world()
        .offers(package("a", "1.0.0").requires("b", "*"))
        .offers(package("b", "1.0.0").requires("c", "*"))
        .offers(package("c", "1.0.0").requires("b", "*"))
        .offers(package("self", "1.0.0").requires("self", "*"));
    for (name, circle) in [("a", "b → c → b"), ("self", "self → self")] {
        let refusals = world.plan(&install(name)).refusals;
        assert_eq!(refusals.len(), 1);
        assert_eq!(refusals[0].code, "dependency-cycle");
        assert!(
            refusals[0].message.contains(circle),
            "{}",
            refusals[0].message
        );
    }
}

#[test]
fn ranges_of_the_request_limit_an_upgrade() {
    let world = world()
        .has(package("a", "1.0.0"))
        .offers(package("a", "1.4.0"))
        .offers(package("a", "2.0.0"));
    let within = Request {
        version: Some(range("^1")),
        ..request(Verb::Upgrade, "a")
    };
    check(&world, &within, "upgrade a 1.4.0");
    check(&world, &request(Verb::Upgrade, "a"), "upgrade a 2.0.0");
}
