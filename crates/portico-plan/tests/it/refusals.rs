//! Every refusal, its code, its status and its sentence.

use std::collections::BTreeSet;

use portico_package::manifest::{MicrositeType, RuntimeKind};
use portico_plan::{Request, Verb, inventory::Origin};
use serde_json::json;

use crate::world::{World, exactly, id, install, package, range, request, world};

/// Every code that [`portico_plan::Refusal`] promises.
const CODES: [&str; 20] = [
    "not-found",
    "already-installed",
    "not-installed",
    "missing-dependency",
    "dependency-cycle",
    "unsatisfiable",
    "platform-version",
    "component-library",
    "dependents",
    "route-conflict",
    "quota-microsites",
    "quota-storage",
    "invalid-config",
    "unsupported-runtime",
    "unsupported-feature",
    "owned-by-configuration",
    "no-previous-version",
    "permission-not-delegable",
    "invalid-state",
    "dynamic-disabled",
];

fn cases() -> Vec<(&'static str, World, Request)> {
    let configured = |config| Request {
        config: Some(config),
        ..install("a")
    };
    let settings = package("a", "1.0.0").schema(json!({
        "type": "object",
        "properties": {
            "retention_days": {"type": "integer", "minimum": 1, "default": 30},
            "limits": {"type": "object", "properties": {"max_log_size_mb": {"type": "integer", "default": 100}}},
        },
    }));
    let two_versions = || {
        world()
            .has(package("a", "1.0.0"))
            .offers(package("a", "2.0.0"))
    };
    vec![
        (
            "unknown package",
            world().offers(package("logstream", "1.0.0")),
            install("logstraem"),
        ),
        ("unknown package, nothing like it", world(), install("a")),
        (
            "unknown version",
            world()
                .offers(package("a", "1.0.0"))
                .offers(package("a", "2.0.0")),
            exactly(Verb::Install, "a", "3.0.0"),
        ),
        (
            "only pre-releases",
            world().offers(package("a", "1.0.0-rc.1")),
            install("a"),
        ),
        (
            "in another registry only",
            world().offers(package("a", "1.0.0")),
            Request {
                registry: Some("acme".into()),
                ..install("a")
            },
        ),
        (
            "already installed, newest",
            world().has(package("a", "1.0.0")),
            install("a"),
        ),
        (
            "already installed, newer on offer",
            two_versions(),
            install("a"),
        ),
        (
            "upgrade of the newest",
            world().has(package("a", "1.0.0")),
            request(Verb::Upgrade, "a"),
        ),
        (
            "upgrade to what there is not",
            two_versions(),
            exactly(Verb::Upgrade, "a", "5.0.0"),
        ),
        (
            "upgrade to an older version",
            two_versions().does(request(Verb::Upgrade, "a")),
            exactly(Verb::Upgrade, "a", "1.0.0"),
        ),
        (
            "upgrade of what is not there",
            world().has(package("alpha", "1.0.0")),
            request(Verb::Upgrade, "alhpa"),
        ),
        (
            "removal of what was removed",
            world()
                .has(package("a", "1.0.0"))
                .does(request(Verb::Uninstall, "a")),
            request(Verb::Uninstall, "a"),
        ),
        (
            "missing dependency",
            world()
                .offers(package("sz_schedules", "1.0.0"))
                .offers(package("a", "1.0.0").requires("sz_schedule", ">=1")),
            install("a"),
        ),
        (
            "missing dependency of a dependency",
            world()
                .offers(package("a", "1.0.0").requires("b", "*"))
                .offers(package("b", "1.2.0").requires("nowhere", ">=1")),
            install("a"),
        ),
        (
            "missing dependency in every version",
            world()
                .offers(package("a", "1.0.0").requires("nowhere", "*"))
                .offers(package("a", "1.1.0").requires("nowhere", "*")),
            install("a"),
        ),
        (
            "no such version of a dependency",
            world()
                .offers(package("a", "1.0.0").requires("b", ">=3"))
                .offers(package("b", "1.0.0"))
                .offers(package("b", "2.0.0")),
            install("a"),
        ),
        (
            "dependency installed and too old",
            world()
                .has(package("b", "1.0.0"))
                .offers(package("a", "1.0.0").requires("b", ">=3")),
            install("a"),
        ),
        (
            "contradicting requirements",
            world()
                .offers(package("a", "1.0.0").requires("b", "*").requires("c", "*"))
                .offers(package("b", "1.0.0").requires("d", "<2"))
                .offers(package("c", "1.0.0").requires("d", ">=2"))
                .offers(package("d", "1.0.0"))
                .offers(package("d", "2.0.0")),
            install("a"),
        ),
        (
            "contradicting what is installed",
            world()
                .has(package("d", "1.0.0"))
                .has(package("x", "1.0.0").requires("d", "<2"))
                .offers(package("d", "2.0.0"))
                .offers(package("a", "1.0.0").requires("d", ">=2")),
            install("a"),
        ),
        (
            "contradicting what the configuration owns",
            world()
                .has_by(Origin::Config, package("d", "1.0.0"))
                .offers(package("d", "2.0.0"))
                .offers(package("a", "1.0.0").requires("d", ">=2")),
            install("a"),
        ),
        (
            "cycle",
            world()
                .offers(package("a", "1.0.0").requires("b", "*"))
                .offers(package("b", "1.0.0").requires("a", "*")),
            install("a"),
        ),
        (
            "platform",
            world().offers(package("a", "1.0.0").platform(">=9.0")),
            install("a"),
        ),
        (
            "platform of a dependency",
            world()
                .offers(package("a", "1.0.0").requires("b", "*"))
                .offers(package("b", "1.0.0").platform(">=9.0")),
            install("a"),
        ),
        (
            "library too old",
            world().offers(package("a", "1.0.0").library("htmx", ">=5")),
            install("a"),
        ),
        (
            "library not there",
            world().offers(package("a", "1.0.0").library("react", ">=19")),
            install("a"),
        ),
        (
            "several causes at once",
            world()
                .offers(package("a", "2.0.0").platform(">=9"))
                .offers(package("a", "1.0.0").requires("nowhere", "*")),
            install("a"),
        ),
        (
            "removal of what is needed",
            world()
                .has(package("d", "1.0.0"))
                .has(package("x", "1.0.0").requires("d", ">=1")),
            request(Verb::Uninstall, "d"),
        ),
        (
            "switching off what is needed",
            world()
                .has(package("d", "1.0.0"))
                .has(package("x", "1.0.0").requires("d", ">=1")),
            request(Verb::Disable, "d"),
        ),
        (
            "going back below what is needed",
            world()
                .has(package("d", "1.0.0"))
                .offers(package("d", "2.0.0"))
                .does(request(Verb::Upgrade, "d"))
                .has(package("x", "1.0.0").requires("d", ">=2")),
            request(Verb::Rollback, "d"),
        ),
        (
            "upgrade above what is needed",
            world()
                .has(package("d", "1.0.0"))
                .has(package("x", "1.0.0").requires("d", "<2"))
                .offers(package("d", "2.0.0")),
            request(Verb::Upgrade, "d"),
        ),
        (
            "path of another package",
            world().has(package("logs", "1.0.0").path("/logs")).offers(
                package("a", "1.0.0")
                    .path("/logs")
                    .page("/")
                    .page("/search"),
            ),
            install("a"),
        ),
        (
            "page of another package",
            world()
                .has(package("docs", "1.0.0").page("/").page("/handlers"))
                .offers(package("a", "1.0.0").path("/docs/handlers")),
            install("a"),
        ),
        (
            "pages below its path",
            world()
                .has(package("docs", "1.0.0").page("/").page("/handlers/python"))
                .offers(package("a", "1.0.0").path("/docs/handlers")),
            install("a"),
        ),
        (
            "path of a static microsite",
            world()
                .policy(|p| _ = p.static_routes.insert("/dash".into(), id("sz_dash")))
                .offers(package("a", "1.0.0").path("/dash")),
            install("a"),
        ),
        (
            "path of the portal",
            world().offers(package("a", "1.0.0").path("/api/things")),
            install("a"),
        ),
        (
            "root",
            world().offers(package("a", "1.0.0").path("/")),
            install("a"),
        ),
        (
            "another's default path",
            world().offers(package("a", "1.0.0").path("/plugins/b")),
            install("a"),
        ),
        (
            "two of one plan",
            world()
                .offers(package("a", "1.0.0").path("/x").requires("b", "*"))
                .offers(package("b", "1.0.0").path("/x")),
            install("a"),
        ),
        (
            "its own pages",
            world().offers(package("a", "1.0.0").page("/{id}").page("/{name}")),
            install("a"),
        ),
        (
            "path that is no path",
            world().offers(package("a", "1.0.0")),
            Request {
                mount: Some("/a b".into()),
                ..install("a")
            },
        ),
        (
            "link that is no link",
            world().offers(package("a", "1.0.0").link("javascript:alert(1)")),
            install("a"),
        ),
        (
            "too many",
            world()
                .policy(|p| p.max_microsites = Some(2))
                .has(package("x", "1.0.0"))
                .has_by(Origin::Default, package("sz_dash", "1.0.0"))
                .offers(package("b", "1.0.0"))
                .offers(package("a", "1.0.0").requires("b", "*")),
            install("a"),
        ),
        (
            "too large",
            world()
                .policy(|p| p.max_storage = Some(1 << 20))
                .has(package("x", "1.0.0").of_size(600 << 10))
                .offers(package("a", "1.0.0").of_size(500 << 10)),
            install("a"),
        ),
        (
            "too large with what is kept",
            world()
                .policy(|p| p.max_storage = Some(1 << 20))
                .has(package("a", "1.0.0").of_size(600 << 10))
                .offers(package("a", "2.0.0").of_size(500 << 10)),
            request(Verb::Upgrade, "a"),
        ),
        (
            "wrong setting",
            world().offers(settings.clone()),
            configured(json!({"retention_days": "many"})),
        ),
        (
            "setting out of range",
            world().offers(settings.clone()),
            configured(json!({"retention_days": 0})),
        ),
        (
            "misspelt setting",
            world().offers(settings.clone()),
            configured(json!({"retention_day": 3, "limits": {"x": 1}})),
        ),
        (
            "no settings at all",
            world().offers(package("a", "1.0.0")),
            configured(json!({"x": 1})),
        ),
        (
            "settings that are no object",
            world().offers(settings),
            configured(json!([1])),
        ),
        (
            "schema that leads elsewhere",
            world().offers(
                package("a", "1.0.0").schema(json!({"$ref": "https://example.com/schema"})),
            ),
            install("a"),
        ),
        (
            "back end",
            world().offers(package("a", "1.0.0").with(|m| m.runtime.kind = RuntimeKind::Wasm)),
            install("a"),
        ),
        (
            "migrations and handlers",
            world().offers(package("a", "1.0.0").with(|m| {
                m.files.migrations = Some("migrations/".into());
                m.files.handlers = Some("handlers/".into());
            })),
            install("a"),
        ),
        (
            "documentation",
            world()
                .offers(package("a", "1.0.0").with(|m| m.microsite_type = MicrositeType::Mkdocs)),
            install("a"),
        ),
        (
            "the configuration's",
            world().has_by(Origin::Config, package("a", "1.0.0")),
            request(Verb::Uninstall, "a"),
        ),
        (
            "people's",
            world().has(package("a", "1.0.0")),
            Request {
                origin: Origin::Config,
                ..request(Verb::Uninstall, "a")
            },
        ),
        (
            "people's, listed in the configuration",
            world().has(package("a", "1.0.0")),
            Request {
                origin: Origin::Config,
                ..install("a")
            },
        ),
        (
            "nothing to go back to",
            world().has(package("a", "1.0.0")),
            request(Verb::Rollback, "a"),
        ),
        (
            "no such version kept",
            two_versions().does(request(Verb::Upgrade, "a")),
            exactly(Verb::Rollback, "a", "0.5.0"),
        ),
        (
            "beyond what the asking package holds",
            world()
                .has(
                    package("shop", "1.0.0")
                        .asks("microsite:install")
                        .asks("api:x:read"),
                )
                .offers(package("a", "1.0.0").asks("api:x:read").asks("api:x:write")),
            Request {
                requested_by: Some(id("shop")),
                may_grant: false,
                ..install("a")
            },
        ),
        (
            "beyond what the person may grant",
            world().offers(package("a", "1.0.0").asks("api:x:read")),
            Request {
                may_grant: false,
                ..install("a")
            },
        ),
        (
            "asked by a package that may not",
            world()
                .has(package("shop", "1.0.0"))
                .offers(package("a", "1.0.0")),
            Request {
                requested_by: Some(id("shop")),
                ..install("a")
            },
        ),
        (
            "off already",
            world()
                .has(package("a", "1.0.0"))
                .does(request(Verb::Disable, "a")),
            request(Verb::Disable, "a"),
        ),
        (
            "on already",
            world().has(package("a", "1.0.0")),
            request(Verb::Enable, "a"),
        ),
        (
            "dependency switched off",
            world()
                .has(package("d", "1.0.0"))
                .does(request(Verb::Disable, "d"))
                .offers(package("a", "1.0.0").requires("d", "*")),
            install("a"),
        ),
        (
            "switching on before what it needs",
            world()
                .has(package("d", "1.0.0"))
                .has(package("a", "1.0.0").requires("d", "*"))
                .does(request(Verb::Disable, "a"))
                .does(request(Verb::Disable, "d")),
            request(Verb::Enable, "a"),
        ),
        (
            "switching on without what it needs",
            world()
                .somehow_has(package("a", "1.0.0").requires("d", "^1"))
                .does(request(Verb::Disable, "a")),
            request(Verb::Enable, "a"),
        ),
        (
            "not while it runs",
            world()
                .policy(|p| p.dynamic = false)
                .offers(package("a", "1.0.0")),
            install("a"),
        ),
        (
            "rollback to where it is",
            two_versions().does(request(Verb::Upgrade, "a")),
            exactly(Verb::Rollback, "a", "2.0.0"),
        ),
        (
            "upgrade out of range",
            two_versions(),
            Request {
                version: Some(range("^1.5")),
                ..request(Verb::Upgrade, "a")
            },
        ),
    ]
}

#[test]
fn every_refusal_says_what_is_wrong_and_changes_nothing() {
    let mut table = String::new();
    let mut seen = BTreeSet::new();
    for (title, world, request) in cases() {
        let plan = world.plan(&request);
        assert!(!plan.is_executable(), "{title}");
        table.push_str(&format!("{title}\n"));
        for refusal in &plan.refusals {
            assert_eq!(
                refusal.message.matches('`').count() % 2,
                0,
                "{}",
                refusal.message
            );
            assert!(refusal.message.ends_with(['.', '?']), "{}", refusal.message);
            let blockers = refusal.blockers.join(", ");
            let line = format!(
                "  {} {} [{blockers}]\n    {}\n",
                refusal.status(),
                refusal.code,
                refusal.message
            );
            table.push_str(&line);
            seen.insert(refusal.code.clone());
        }
    }
    let promised: BTreeSet<String> = CODES.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(seen, promised, "every code is reached, and no other");
    insta::assert_snapshot!(table);
}
