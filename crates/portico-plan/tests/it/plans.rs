//! What plans say: the text of the terminal and the JSON of the API.

use portico_package::Text;
use portico_plan::{
    Request, Verb,
    inventory::{Origin, Overrides},
    plan::Action,
};
use serde_json::json;

use crate::world::{
    Package, World, exactly, id, install, package, range, request, shown, steps, world,
};

fn logstream(at: &str) -> Package {
    package("logstream", at)
        .with(|m| m.name = Text::from("LogStream Analytics"))
        .requires("sz_schedules", ">=1.0.0")
        .platform(">=1.0.0")
        .library("htmx", ">=1.9.0")
        .asks("api:schedules:read")
        .asks_for("storage:100gb", true)
        .page("/")
        .page("/search")
        .schema(json!({
            "type": "object",
            "properties": {
                "retention_days": {"type": "integer", "default": 30},
                "max_log_size_mb": {"type": "integer", "default": 100},
            },
        }))
}

fn market() -> World {
    world()
        .offers(logstream("2.1.0"))
        .offers(package("sz_schedules", "1.2.0").asks("api:jobs:read"))
}

/// Newer than what [`market`] installs: asks for more and for less, and moves its pages.
fn logstream_3() -> Package {
    package("logstream", "3.0.0")
        .with(|m| m.name = Text::from("LogStream"))
        .requires("sz_schedules", ">=1.0.0")
        .asks("api:schedules:read")
        .asks("network:outbound")
        .path("/logs")
        .page("/")
        .page("/live")
        .schema(json!({"type": "object", "properties": {"retention_days": {"type": "integer", "default": 30}}}))
}

#[test]
fn an_installation_with_its_dependency() {
    let plan = market().plan(&install("logstream"));
    insta::assert_snapshot!(shown(&plan));
    insta::assert_json_snapshot!(plan);
}

#[test]
fn an_upgrade_that_asks_for_more() {
    let world = market().does(Request {
        config: Some(json!({"max_log_size_mb": 7})),
        ..install("logstream")
    });
    insta::assert_snapshot!(shown(
        &world
            .offers(logstream_3())
            .plan(&request(Verb::Upgrade, "logstream"))
    ));
}

#[test]
fn a_rollback_a_switch_and_a_removal() {
    let world = market().does(install("logstream")).offers(logstream_3());
    let upgraded = world.clone().does(request(Verb::Upgrade, "logstream"));
    let off = world.clone().does(request(Verb::Disable, "logstream"));
    let texts = [
        shown(&upgraded.plan(&request(Verb::Rollback, "logstream"))),
        shown(&world.plan(&request(Verb::Disable, "logstream"))),
        shown(&off.plan(&request(Verb::Enable, "logstream"))),
        shown(&off.plan(&request(Verb::Upgrade, "logstream"))),
        shown(&world.plan(&request(Verb::Uninstall, "logstream"))),
        shown(&world.plan(&request(Verb::Uninstall, "sz_schedules"))),
    ];
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn settings_are_merged_and_filled_with_defaults_at_every_depth() {
    let schema = json!({
        "type": "object",
        "$defs": {"limit": {"type": "object", "properties": {"mb": {"type": "integer", "default": 100}}}},
        "properties": {
            "days": {"type": "integer", "default": 30},
            "name": {"type": "string"},
            "limits": {"type": "object", "properties": {
                "log": {"$ref": "#/$defs/limit"},
                "needs_more": {"type": "object", "required": ["url"], "properties": {
                    "url": {"type": "string"}, "retries": {"type": "integer", "default": 3},
                }},
            }},
            "targets": {"type": "array", "items": {"$ref": "#/$defs/limit"}},
            "labels": {"type": "object"},
        },
    });
    let world = world().offers(package("a", "1.0.0").schema(schema));
    let config = |world: &World, request: &Request| {
        let plan = world.plan(request);
        assert_eq!(plan.refusals, []);
        plan.changes.last().expect("a change").config.clone()
    };
    assert_eq!(
        config(&world, &install("a")),
        json!({"days": 30, "limits": {"log": {"mb": 100}}})
    );

    let given = json!({
        "days": 7,
        "name": "x",
        "limits": {"needs_more": {"url": "u"}},
        "targets": [{}, {"mb": 1}],
        "labels": {"anything": true},
    });
    let with = |verb, config| Request {
        config: Some(config),
        ..request(verb, "a")
    };
    let world = world.does(with(Verb::Install, given));
    let installed = world.inventory.installed[&id("a")].config.clone();
    let expected = json!({
        "days": 7,
        "name": "x",
        "limits": {"log": {"mb": 100}, "needs_more": {"url": "u", "retries": 3}},
        "targets": [{"mb": 100}, {"mb": 1}],
        "labels": {"anything": true},
    });
    assert_eq!(installed, expected);

    // Missing keys keep their value, `null` goes back to the default.
    let patched = config(
        &world,
        &with(
            Verb::Upgrade,
            json!({"days": null, "limits": {"log": {"mb": 5}}}),
        ),
    );
    let expected = json!({
        "days": 30,
        "name": "x",
        "limits": {"log": {"mb": 5}, "needs_more": {"url": "u", "retries": 3}},
        "targets": [{"mb": 100}, {"mb": 1}],
        "labels": {"anything": true},
    });
    assert_eq!(patched, expected);

    // A version that knows less drops the rest and says so; one that closes nothing keeps what people wrote.
    let less = json!({"type": "object", "properties": {"days": {"type": "integer"}, "labels": {"type": "object"}}});
    let plan = world
        .offers(package("a", "2.0.0").schema(less))
        .plan(&request(Verb::Upgrade, "a"));
    assert_eq!(plan.refusals, []);
    assert_eq!(
        plan.changes[0].config,
        json!({"days": 7, "labels": {"anything": true}})
    );
    assert_eq!(
        plan.notices,
        [
            "a no longer knows the setting /limits; it is dropped.",
            "a no longer knows the setting /name; it is dropped.",
            "a no longer knows the setting /targets; it is dropped.",
        ]
    );
}

#[test]
fn what_changes_is_settings_alone() {
    let schema =
        json!({"type": "object", "properties": {"days": {"type": "integer", "default": 30}}});
    let world = world().has(package("a", "1.0.0").schema(schema));
    let with = |config| Request {
        config: Some(config),
        ..request(Verb::Upgrade, "a")
    };
    let plan = world.plan(&with(json!({"days": 5})));
    assert_eq!(steps(&plan), "upgrade a 1.0.0");
    assert_eq!(plan.changes[0].from, Some(plan.changes[0].version.clone()));
    assert_eq!(plan.storage_bytes, 0);
    let after = world.clone().carried_out(&plan);
    assert_eq!(
        after.inventory.installed[&id("a")].config,
        json!({"days": 5})
    );
    assert!(after.inventory.installed[&id("a")].previous.is_empty());

    assert_eq!(
        world.plan(&with(json!({"days": 30}))).refusals[0].code,
        "already-installed"
    );
    assert_eq!(
        world.plan(&with(json!({"days": "x"}))).refusals[0].code,
        "invalid-config"
    );
}

#[test]
fn the_configuration_takes_over_the_default_set_and_moves_what_it_owns() {
    let from_config = |verb| Request {
        origin: Origin::Config,
        ..request(verb, "dash")
    };
    let world = world().has_by(Origin::Default, package("dash", "1.0.0"));
    let world = world.does(from_config(Verb::Install));
    assert_eq!(
        world.inventory.installed[&id("dash")].origin,
        Origin::Config
    );
    assert_eq!(
        world.plan(&from_config(Verb::Install)).refusals[0].code,
        "already-installed"
    );

    let moved = Request {
        mount: Some("/start/".into()),
        overrides: Some(Overrides {
            name: Some("Start".into()),
            ..Overrides::default()
        }),
        ..from_config(Verb::Upgrade)
    };
    let plan = world.plan(&moved);
    assert_eq!(plan.changes[0].routes_added, ["/start"]);
    assert_eq!(plan.changes[0].routes_removed, ["/dash"]);
    assert_eq!(plan.changes[0].navigation_added, ["Start"]);
    assert_eq!(plan.changes[0].navigation_removed, ["dash"]);
    let world = world.carried_out(&plan);

    // The path stays where the configuration put it, whatever the next version's manifest says.
    let world = world
        .offers(package("dash", "2.0.0").path("/elsewhere"))
        .does(from_config(Verb::Upgrade));
    let dash = &world.inventory.installed[&id("dash")];
    assert_eq!(
        (dash.mount.as_str(), dash.overrides.name.as_deref()),
        ("/start", Some("Start"))
    );
}

#[test]
fn a_link_has_an_address_and_no_path() {
    let plan = world()
        .offers(package("docs", "1.0.0").link("https://docs.example.com"))
        .plan(&install("docs"));
    assert_eq!(steps(&plan), "install docs 1.0.0");
    let change = &plan.changes[0];
    assert_eq!(change.mount, "https://docs.example.com");
    assert!(change.routes_added.is_empty());
    assert_eq!(change.navigation_added, ["docs"]);
}

#[test]
fn a_package_below_another_is_no_conflict() {
    let world = world()
        .has(package("docs", "1.0.0").page("/").page("/{page}"))
        .offers(
            package("handlers", "1.0.0")
                .path("/docs/handlers")
                .page("/")
                .page("/{page}"),
        )
        .offers(package("plain", "1.0.0").with(|m| m.path = None));
    assert_eq!(
        steps(&world.plan(&install("handlers"))),
        "install handlers 1.0.0"
    );
    let plan = world.plan(&install("plain"));
    assert_eq!(plan.changes[0].mount, "/plugins/plain");
    assert_eq!(plan.refusals, []);
}

#[test]
fn a_package_passes_on_what_it_holds() {
    let world = world()
        .has(
            package("shop", "1.0.0")
                .asks("microsite:install")
                .asks("api:x:read")
                .asks("storage:100gb"),
        )
        .offers(
            package("a", "1.0.0")
                .asks("api:x:read")
                .asks("storage:10gb")
                .asks_for("api:x:write", true),
        );
    let asked = Request {
        requested_by: Some(id("shop")),
        may_grant: false,
        ..install("a")
    };
    let plan = world.plan(&asked);
    assert_eq!(plan.refusals, []);
    let delegable: Vec<_> = plan.changes[0]
        .permissions
        .iter()
        .map(|ask| (ask.permission.as_str(), ask.delegable))
        .collect();
    assert_eq!(
        delegable,
        [
            ("api:x:read", true),
            ("storage:10gb", true),
            ("api:x:write", false)
        ]
    );
    let wish = plan.changes[0]
        .permissions
        .iter()
        .map(|ask| ask.permission.clone())
        .collect();
    assert_eq!(
        plan.approvals_not_delegable(&wish),
        ["api:x:write".parse().expect("a permission")]
    );
}

#[test]
fn the_lock_changes_with_what_approval_fixes_and_with_nothing_else() {
    let world = market();
    let lock = |world: &World, request: &Request| world.plan(request).lock;
    let first = lock(&world, &install("logstream"));
    assert_eq!(first, lock(&world, &install("logstream")));
    let mut later = world.clone();
    later.inventory.generation += 5;
    later.policy.max_microsites = Some(100);
    assert_eq!(first, lock(&later, &install("logstream")));

    let moved = Request {
        mount: Some("/other".into()),
        ..install("logstream")
    };
    let older = world.clone().offers(logstream("2.0.0"));
    let more = market();
    let more = World {
        shop: Default::default(),
        ..more
    }
    .offers(logstream("2.1.0").asks("api:x:write"))
    .offers(package("sz_schedules", "1.2.0").asks("api:jobs:read"));
    let rebuilt = world
        .clone()
        .offers(package("sz_schedules", "1.3.0").asks("api:jobs:read"));
    for (what, other) in [
        ("path", lock(&world, &moved)),
        (
            "version",
            lock(&older, &exactly(Verb::Install, "logstream", "2.0.0")),
        ),
        ("permissions", lock(&more, &install("logstream"))),
        ("a dependency", lock(&rebuilt, &install("logstream"))),
    ] {
        assert_ne!(first, other, "{what}");
    }
}

#[test]
fn quotas_count_what_people_installed_and_what_is_not_stored_yet() {
    let world = world()
        .policy(|p| (p.max_microsites, p.max_storage) = (Some(1), Some(1 << 20)))
        .has_by(Origin::Default, package("dash", "1.0.0").of_size(300 << 10))
        .offers(package("a", "1.0.0").of_size(300 << 10))
        .offers(package("a", "2.0.0").of_size(300 << 10));
    let first = exactly(Verb::Install, "a", "1.0.0");
    assert_eq!(world.plan(&first).storage_bytes, 300 << 10);
    let world = world.does(first).does(request(Verb::Upgrade, "a"));
    // Both versions are stored already, so going back and forth adds nothing, however full it is.
    let mut full = world.clone();
    full.policy.max_storage = Some(1);
    let back = full.plan(&request(Verb::Rollback, "a"));
    assert_eq!((back.refusals.len(), back.storage_bytes), (0, 0));
    let full = full.carried_out(&back);
    assert_eq!(full.plan(&request(Verb::Upgrade, "a")).storage_bytes, 0);
    let by_config = Request {
        origin: Origin::Config,
        ..install("b")
    };
    assert_eq!(
        steps(
            &world
                .offers(package("b", "1.0.0").of_size(1))
                .plan(&by_config)
        ),
        "install b 1.0.0"
    );
}

#[test]
fn a_rollback_goes_to_the_newest_below_or_to_the_one_named() {
    let mut world = world().has(package("a", "1.0.0"));
    for at in ["1.1.0", "1.2.0", "1.3.0"] {
        world = world
            .offers(package("a", at))
            .does(request(Verb::Upgrade, "a"));
    }
    assert_eq!(
        steps(&world.plan(&request(Verb::Rollback, "a"))),
        "rollback a 1.2.0"
    );
    assert_eq!(
        steps(&world.plan(&exactly(Verb::Rollback, "a", "1.0.0"))),
        "rollback a 1.0.0"
    );
    let below = Request {
        version: Some(range("<1.2")),
        ..request(Verb::Rollback, "a")
    };
    assert_eq!(steps(&world.plan(&below)), "rollback a 1.1.0");

    let world = world.does(exactly(Verb::Rollback, "a", "1.1.0"));
    let kept: Vec<_> = world.inventory.installed[&id("a")]
        .previous
        .iter()
        .map(|r| r.manifest.version.to_string())
        .collect();
    assert_eq!(kept, ["1.3.0", "1.2.0", "1.0.0"]);
    assert_eq!(
        steps(&world.plan(&request(Verb::Rollback, "a"))),
        "rollback a 1.0.0"
    );
    assert_eq!(
        steps(&world.plan(&request(Verb::Upgrade, "a"))),
        "upgrade a 1.3.0"
    );
}

#[test]
fn switching_off_needs_no_permission_to_install_while_the_portal_is_frozen() {
    let world = world()
        .has(package("a", "1.0.0"))
        .policy(|p| p.dynamic = false);
    for (verb, action) in [
        (Verb::Disable, Action::Disable),
        (Verb::Uninstall, Action::Remove),
    ] {
        let plan = world.plan(&request(verb, "a"));
        assert_eq!(plan.refusals, []);
        assert_eq!(plan.changes[0].action, action);
    }
}

#[test]
fn icons_are_what_a_browser_can_show() {
    let with_icon = |at, icon: &str| package("a", at).with(|m| m.icon = Some(icon.into()));
    let fresh = world().offers(with_icon("1.0.0", "static/a.svg"));
    assert_eq!(fresh.plan(&install("a")).changes[0].icon, None);
    let world = fresh.does(install("a")).offers(with_icon("2.0.0", "🧭"));
    let served = world.inventory.installed[&id("a")].release.digest.hex();
    let icon = world.plan(&request(Verb::Upgrade, "a")).changes[0]
        .icon
        .clone();
    assert_eq!(icon, Some(format!("/assets/{served}/a.svg")));
}
