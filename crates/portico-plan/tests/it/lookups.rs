//! What requests are routed by.

use std::sync::Arc;

use portico_package::manifest::Method;
use portico_plan::{
    Request, Snapshot, TenantId, TenantSnapshot, Verb,
    inventory::{Origin, Overrides, State},
    snapshot::Lookup,
};

use crate::world::{World, id, install, package, request, world};

/// A lookup in a word: `a:/search {q=x}`, `a: no such page`, `gone a`, `nothing`.
pub(crate) fn found(snapshot: &TenantSnapshot, method: Method, path: &str) -> String {
    match snapshot.lookup(method, path) {
        Lookup::Page {
            package,
            page,
            params,
        } => {
            let params: Vec<_> = params.iter().map(|(k, v)| format!(" {k}={v}")).collect();
            format!("{}:{}{}", package.id, page.path, params.concat())
        }
        Lookup::NoSuchPage {
            package,
            method_not_allowed: true,
        } => format!("{}: other method", package.id),
        Lookup::NoSuchPage { package, .. } => format!("{}: no such page", package.id),
        Lookup::Off { package } => format!("{}: off", package.id),
        Lookup::Gone { removal } => format!("gone {}", removal.package),
        Lookup::Nothing => "nothing".into(),
    }
}

fn compiled(world: &World) -> TenantSnapshot {
    TenantSnapshot::compile(&world.inventory)
}

#[test]
fn the_longest_prefix_answers() {
    let world = world()
        .has(
            package("docs", "1.0.0")
                .page("/")
                .page("/{page}")
                .page("/{page}/{part}"),
        )
        .has(
            package("handlers", "1.0.0")
                .path("/docs/handlers")
                .page("/")
                .page("/python"),
        )
        .has(
            package("shop", "1.0.0")
                .page("/")
                .page("/p/{id}")
                .page("/search")
                .post("/install")
                .post("/search"),
        )
        .has(package("plain", "1.0.0").with(|m| m.path = None));
    let snapshot = compiled(&world);
    for (path, expected) in [
        ("/docs", "docs:/"),
        ("/docs/", "docs:/"),
        ("/docs/intro", "docs:/{page} page=intro"),
        ("/docs/intro/", "docs:/{page} page=intro"),
        ("/docs/handlers", "handlers:/"),
        ("/docs/handlers/python", "handlers:/python"),
        ("/docs/handlers/rust", "handlers: no such page"),
        ("/docs/handlersx", "docs:/{page} page=handlersx"),
        ("/shop/p/42", "shop:/p/{id} id=42"),
        ("/shop/install", "shop: other method"),
        ("/shop/search", "shop:/search"),
        ("/plugins/plain", "plain:/"),
        ("/plugins/other", "nothing"),
        ("/plugins", "nothing"),
        ("/docsx", "nothing"),
        ("/", "nothing"),
        ("", "nothing"),
        ("//docs", "nothing"),
    ] {
        assert_eq!(found(&snapshot, Method::Get, path), expected, "{path}");
    }
    assert_eq!(
        found(&snapshot, Method::Post, "/shop/install"),
        "shop:/install"
    );
    assert_eq!(
        found(&snapshot, Method::Post, "/shop/search"),
        "shop:/search"
    );
    assert_eq!(
        found(&snapshot, Method::Post, "/shop"),
        "shop: other method"
    );
    let long = "/docs".to_owned() + &"/x".repeat(50_000);
    assert_eq!(found(&snapshot, Method::Get, &long), "docs: no such page");
}

#[test]
fn what_is_off_or_gone_says_so_until_somebody_else_lives_there() {
    let world = world()
        .has(package("a", "1.0.0").page("/").page("/x"))
        .does(request(Verb::Disable, "a"));
    assert_eq!(found(&compiled(&world), Method::Get, "/a/x"), "a: off");
    let world = world.does(request(Verb::Uninstall, "a"));
    assert_eq!(found(&compiled(&world), Method::Get, "/a/x"), "gone a");
    assert_eq!(found(&compiled(&world), Method::Get, "/b"), "nothing");
    let world = world.has(package("b", "1.0.0").path("/a"));
    assert_eq!(found(&compiled(&world), Method::Get, "/a"), "b:/");
    let world = world.does(request(Verb::Uninstall, "b"));
    assert_eq!(
        found(&compiled(&world), Method::Get, "/a"),
        "gone b",
        "the newer removal is told"
    );
}

#[test]
fn a_page_that_lives_wins_over_what_was_removed_below_it() {
    let world = world()
        .has(package("docs", "1.0.0").page("/").page("/{page}"))
        .has(package("handlers", "1.0.0").path("/docs/handlers"))
        .does(request(Verb::Uninstall, "handlers"));
    let snapshot = compiled(&world);
    assert_eq!(
        found(&snapshot, Method::Get, "/docs/handlers"),
        "docs:/{page} page=handlers"
    );
    assert_eq!(
        found(&snapshot, Method::Get, "/docs/handlers/x"),
        "gone handlers"
    );
}

#[test]
fn navigation_is_in_order_and_holds_only_what_serves() {
    let sections = |title: &str, path: &str, order, section: &str| {
        let package = package("admin_things", "1.0.0")
            .page("/")
            .page("/second")
            .navigation(title, path, order);
        package.with(|m| m.contributes.navigation[0].section = Some(section.into()))
    };
    let mut world = world()
        .has(package("zebra", "1.0.0"))
        .has(
            package("apple", "1.0.0")
                .page("/")
                .page("/more")
                .navigation("Apple", "/", 100)
                .navigation("First", "/more", 1),
        )
        .has_by(
            Origin::Default,
            package("dash", "1.0.0").with(|m| m.icon = Some("static/logo.svg".into())),
        )
        .has(package("first_party", "1.0.0").from("bundled"))
        .has(package("link", "1.0.0").link("https://docs.example.com/"))
        .has(package("off", "1.0.0"))
        .does(request(Verb::Disable, "off"))
        .has(sections("Users", "/", 5, "admin"));
    let renamed = Request {
        origin: Origin::Config,
        overrides: Some(Overrides {
            name: Some("Home".into()),
            icon: Some("🏠".into()),
            order: Some(-1),
        }),
        ..install("house")
    };
    world = world
        .offers(package("house", "1.0.0").asks("api:x:read"))
        .does(renamed);
    let snapshot = compiled(&world);
    let shown: Vec<_> = snapshot
        .navigation
        .iter()
        .map(|e| {
            format!(
                "{} {} {} {} {}",
                e.section,
                e.id,
                e.name,
                e.path,
                e.icon.as_deref().unwrap_or("-")
            )
        })
        .collect();
    let logo = format!(
        "/assets/{}/logo.svg",
        snapshot.packages[&id("dash")].digest.hex()
    );
    assert_eq!(
        shown,
        [
            "core house Home /house 🏠".to_owned(),
            format!("core dash dash /dash {logo}"),
            "core first_party first_party /first_party -".into(),
            "installed apple:/more First /apple/more -".into(),
            "installed apple Apple /apple -".into(),
            "installed link link https://docs.example.com/ -".into(),
            "installed zebra zebra /zebra -".into(),
            "admin admin_things Users /admin_things -".into(),
        ]
    );
    assert!(
        snapshot
            .navigation
            .iter()
            .filter(|e| e.external)
            .map(|e| e.id.as_str())
            .eq(["link"])
    );
    assert_eq!(snapshot.packages[&id("house")].name, "Home");
}

#[test]
fn an_entry_needs_what_its_page_needs() {
    let guarded = package("a", "1.0.0")
        .page("/")
        .page("/x")
        .navigation("A", "/", 1)
        .navigation("X", "/x", 2);
    let guarded = guarded
        .with(|m| m.contributes.pages[1].permission = Some("api:x:read".parse().expect("ok")));
    let snapshot = compiled(&world().has(guarded));
    let needed: Vec<_> = snapshot
        .navigation
        .iter()
        .map(|e| e.permission.as_deref())
        .collect();
    assert_eq!(needed, [None, Some("api:x:read")]);
}

#[test]
fn an_activation_shares_everything_that_did_not_change() {
    let mut world = world();
    for n in 0..200 {
        world = world.offers(package(&format!("p{n:03}"), "1.0.0"));
    }
    for n in 0..199 {
        world = world.does(install(&format!("p{n:03}")));
    }
    let before = compiled(&world);
    for step in [
        install("p199"),
        request(Verb::Disable, "p100"),
        request(Verb::Uninstall, "p050"),
    ] {
        let changed = step.package.clone();
        let next = world.clone().does(step);
        let after = TenantSnapshot::apply(&before, &next.inventory);
        assert_eq!(after.generation, next.inventory.generation);
        for (id, view) in before.packages.iter().filter(|(id, _)| **id != changed) {
            assert!(Arc::ptr_eq(view, &after.packages[id]), "{id}");
        }
        for entry in before
            .navigation
            .iter()
            .filter(|entry| entry.microsite_id != changed)
        {
            assert!(
                after
                    .navigation
                    .iter()
                    .any(|other| Arc::ptr_eq(entry, other)),
                "{}",
                entry.id
            );
        }
        if let Some(view) = after.packages.get(&changed) {
            assert!(
                before
                    .packages
                    .get(&changed)
                    .is_none_or(|old| !Arc::ptr_eq(old, view))
            );
        }
    }
    let same = TenantSnapshot::apply(&before, &world.inventory);
    assert!(Arc::ptr_eq(&before.navigation, &same.navigation));
}

#[test]
fn whatever_changes_in_an_installation_shows() {
    let world = world().has(package("a", "1.0.0").asks("api:x:read"));
    let before = compiled(&world);
    let name = id("a");
    type Edit = fn(&mut portico_plan::Installed);
    let edits: [(&str, Edit); 8] = [
        ("state", |a| a.state = State::Degraded),
        ("reason", |a| a.reason = Some("slow".into())),
        ("mount", |a| a.mount = "/b".into()),
        ("config", |a| a.config = serde_json::json!({"x": 1})),
        ("grants", |a| a.grants.clear()),
        ("overrides", |a| a.overrides.order = Some(3)),
        ("origin", |a| a.origin = Origin::Default),
        ("generation", |a| a.generation += 1),
    ];
    for (what, edit) in edits {
        let mut inventory = world.inventory.clone();
        edit(inventory.installed.get_mut(&name).expect("installed"));
        let after = TenantSnapshot::apply(&before, &inventory);
        assert!(
            !Arc::ptr_eq(&before.packages[&name], &after.packages[&name]),
            "{what}"
        );
    }
}

#[test]
fn generations_only_rise() {
    let world = world().has(package("a", "1.0.0"));
    let old = Arc::new(compiled(&world));
    let new = Arc::new(compiled(&world.does(request(Verb::Uninstall, "a"))));
    let snapshot = Snapshot::default()
        .with_tenant(Arc::clone(&new))
        .expect("the first");
    assert!(snapshot.with_tenant(old).is_none());
    assert!(
        snapshot.with_tenant(Arc::clone(&new)).is_some(),
        "the same again is no step back"
    );
    assert_eq!(
        snapshot
            .tenant(&TenantId::default_tenant())
            .expect("there")
            .generation,
        new.generation
    );
}

#[test]
fn hosts_lead_to_tenants() {
    let of = |name: &str| {
        let mut inventory = world().inventory;
        inventory.tenant = name.parse().expect(name);
        Arc::new(TenantSnapshot::compile(&inventory))
    };
    let tenant = |snapshot: &Snapshot, host: &str| {
        snapshot
            .tenant_of_host(host)
            .map(|tenant| tenant.tenant.to_string())
    };
    let acme: TenantId = "acme".parse().expect("a tenant");
    assert_eq!(tenant(&Snapshot::default(), "a"), None);
    let snapshot = Snapshot::default().with_tenant(of("acme")).expect("new");
    assert_eq!(
        tenant(&snapshot, "whatever.example"),
        Some("acme".into()),
        "the only one there is"
    );
    let snapshot = snapshot.with_tenant(of("default")).expect("new");
    let snapshot = snapshot.with_hosts(&acme, &["acme.example".into(), "[::1]".into()]);
    for (host, expected) in [
        ("acme.example", "acme"),
        ("acme.example:8443", "acme"),
        ("ACME.example.:80", "acme"),
        ("[::1]:8080", "acme"),
        ("[::1]", "acme"),
        ("other.example", "default"),
        ("", "default"),
    ] {
        assert_eq!(tenant(&snapshot, host).as_deref(), Some(expected), "{host}");
    }
    let snapshot = snapshot.with_hosts(&acme, &["new.example".into()]);
    assert_eq!(
        tenant(&snapshot, "acme.example").as_deref(),
        Some("default")
    );
    assert_eq!(tenant(&snapshot, "new.example").as_deref(), Some("acme"));
}
