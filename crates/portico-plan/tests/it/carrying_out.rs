//! The inventory once a plan is carried out.

use std::collections::BTreeSet;

use portico_package::Digest;
use portico_plan::{
    Request, Verb,
    inventory::{Origin, State},
    plan::{self, NotCarriedOut},
};

use crate::world::{World, exactly, id, install, package, permissions, request, world};

fn granted(world: &World, name: &str) -> BTreeSet<String> {
    world.inventory.installed[&id(name)]
        .grants
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Carries out `request` with just `approved` approved.
fn approving(
    mut world: World,
    request: &Request,
    approved: &[&str],
) -> Result<World, NotCarriedOut> {
    let plan = world.plan(request);
    let find = |digest: &Digest| world.shop.0.iter().find(|r| r.digest == *digest).cloned();
    world.inventory = plan::after(
        &world.inventory,
        &plan,
        &permissions(approved),
        &find,
        5,
        "Ada",
    )?;
    Ok(world)
}

#[test]
fn an_installation_is_one_generation_further() {
    let start = world()
        .offers(package("a", "1.0.0").requires("b", "*"))
        .offers(package("b", "1.0.0"));
    let world = start.clone().does(install("a"));
    assert_eq!(world.inventory.generation, start.inventory.generation + 1);
    let a = &world.inventory.installed[&id("a")];
    assert_eq!(
        (a.state, a.origin, a.generation),
        (State::Ready, Origin::Installed, 8)
    );
    assert_eq!(a.changed_at, 7_000_000);
    assert_eq!(a.mount, "/a");
    assert!(world.inventory.installed.contains_key(&id("b")));
}

#[test]
fn grants_are_what_was_held_and_is_still_asked_and_what_was_approved_and_is_asked() {
    let world = world()
        .offers(
            package("a", "1.0.0")
                .asks("api:x:read")
                .asks("api:y:read")
                .asks_for("api:z:read", true),
        )
        .offers(
            package("a", "2.0.0")
                .asks("api:x:read")
                .asks_for("api:z:read", true)
                .asks("api:new:read"),
        );
    let first = exactly(Verb::Install, "a", "1.0.0");
    let world = approving(
        world,
        &first,
        &["api:x:read", "api:y:read", "api:never:asked"],
    )
    .expect("approved");
    assert_eq!(
        granted(&world, "a"),
        BTreeSet::from(["api:x:read".into(), "api:y:read".into()])
    );
    let upgrade = request(Verb::Upgrade, "a");
    assert_eq!(
        approving(world.clone(), &upgrade, &["api:z:read"]).err(),
        Some(NotCarriedOut::NotApproved(vec![
            "api:new:read".parse().expect("a permission")
        ]))
    );
    let world = approving(world, &upgrade, &["api:new:read", "api:z:read"]).expect("approved");
    assert_eq!(
        granted(&world, "a"),
        BTreeSet::from([
            "api:new:read".into(),
            "api:x:read".into(),
            "api:z:read".into()
        ])
    );
    // What was dropped has to be approved again on the way back.
    let back = approving(world, &request(Verb::Rollback, "a"), &[]).err();
    assert_eq!(
        back,
        Some(NotCarriedOut::NotApproved(vec![
            "api:y:read".parse().expect("a permission")
        ]))
    );
}

#[test]
fn nobody_gives_what_is_not_theirs_to_give() {
    let world = world()
        .has(
            package("shop", "1.0.0")
                .asks("microsite:install")
                .asks("api:x:read"),
        )
        .offers(
            package("a", "1.0.0")
                .asks("api:x:read")
                .asks_for("api:x:write", true),
        );
    let asked = Request {
        requested_by: Some(id("shop")),
        may_grant: false,
        ..install("a")
    };
    let wish = ["api:x:read", "api:x:write"];
    let refused: Vec<_> = world
        .plan(&asked)
        .approvals_not_delegable(&permissions(&wish));
    assert_eq!(refused, ["api:x:write".parse().expect("a permission")]);
    let passed_on = approving(world.clone(), &asked, &wish).expect("what is needed is there");
    assert_eq!(
        granted(&passed_on, "a"),
        BTreeSet::from(["api:x:read".into()])
    );
    let by_admin = Request {
        may_grant: true,
        ..asked
    };
    assert!(
        world
            .plan(&by_admin)
            .approvals_not_delegable(&permissions(&wish))
            .is_empty()
    );
    let by_admin = approving(world, &by_admin, &wish).expect("an admin may");
    assert_eq!(granted(&by_admin, "a").len(), 2);
}

#[test]
fn at_most_five_previous_releases_are_kept_newest_first() {
    let mut world = world().has(package("a", "0.0.0"));
    for minor in 1..=8 {
        world = world
            .offers(package("a", &format!("0.{minor}.0")))
            .does(request(Verb::Upgrade, "a"));
    }
    let kept: Vec<_> = world.inventory.installed[&id("a")]
        .previous
        .iter()
        .map(|r| r.manifest.version.to_string())
        .collect();
    assert_eq!(kept, ["0.7.0", "0.6.0", "0.5.0", "0.4.0", "0.3.0"]);
}

#[test]
fn a_removal_is_remembered_until_the_package_is_back() {
    let world = world()
        .has(package("a", "1.0.0"))
        .does(request(Verb::Uninstall, "a"));
    assert!(world.inventory.installed.is_empty());
    let gone = &world.inventory.removed[&id("a")];
    assert_eq!(
        (
            gone.mount.as_str(),
            gone.removed_by.as_str(),
            gone.removed_at
        ),
        ("/a", "Ada", 8_000_000)
    );
    let world = world.does(install("a"));
    assert!(world.inventory.removed.is_empty());
}

#[test]
fn off_stays_off_through_an_upgrade() {
    let world = world()
        .has(package("a", "1.0.0"))
        .does(request(Verb::Disable, "a"));
    assert_eq!(
        world.inventory.installed[&id("a")].reason.as_deref(),
        Some("switched off by Ada")
    );
    let world = world
        .offers(package("a", "2.0.0"))
        .does(request(Verb::Upgrade, "a"));
    let a = &world.inventory.installed[&id("a")];
    assert_eq!(
        (a.state, a.release.manifest.version.to_string().as_str()),
        (State::Disabled, "2.0.0")
    );
    let world = world.does(request(Verb::Enable, "a"));
    let a = &world.inventory.installed[&id("a")];
    assert_eq!((a.state, a.reason.as_deref()), (State::Ready, None));
}

#[test]
fn nothing_is_carried_out_that_does_not_fit() {
    let world = world().offers(package("a", "1.0.0").asks("api:x:read"));
    let plan = world.plan(&install("a"));
    let none = |_: &Digest| None;
    let approved = permissions(&["api:x:read"]);
    let unknown = plan::after(&world.inventory, &plan, &approved, &none, 0, "Ada");
    assert_eq!(
        unknown,
        Err(NotCarriedOut::UnknownRelease(plan.changes[0].digest))
    );

    let mut later = world.clone();
    later.inventory.generation += 1;
    let stale = plan::after(&later.inventory, &plan, &approved, &none, 0, "Ada");
    assert_eq!(stale, Err(NotCarriedOut::Stale { made_at: 7, now: 8 }));

    let mut other = world.clone();
    other.inventory.tenant = "acme".parse().expect("a tenant");
    assert_eq!(
        plan::after(&other.inventory, &plan, &approved, &none, 0, "Ada"),
        Err(NotCarriedOut::OtherTenant)
    );

    // An archive that claims the digest and is another package.
    let impostor = |_: &Digest| Some(std::sync::Arc::new(package("evil", "1.0.0").0));
    let refused = plan::after(&world.inventory, &plan, &approved, &impostor, 0, "Ada");
    assert_eq!(
        refused,
        Err(NotCarriedOut::UnknownRelease(plan.changes[0].digest))
    );

    let refused = world.plan(&install("b"));
    assert!(matches!(
        plan::after(&world.inventory, &refused, &approved, &none, 0, "Ada"),
        Err(NotCarriedOut::Refused(_))
    ));
}
