//! The main job, over HTTP: found, planned, approved, live, changed, gone.

use std::time::Duration;

use portico_testkit::{Package, TestPortal, TestRegistry};
use serde_json::{Value, json};
use tokio::time::timeout;

/// A package that others build on, and one that builds on it.
fn registry() -> TestRegistry {
    let registry = TestRegistry::new();
    registry.publish(&Package::new("base", "1.0.0").navigation("Base", "/"));
    registry.publish(&wares("1.0.0", &["api:schedules:read"]));
    registry
}

fn wares(version: &str, permissions: &[&str]) -> Package {
    let page = "<p id=\"says\">{{ package.version }} of {{ config.limit }}</p>";
    Package::new("wares", version)
        .microsite("requires: {microsites: {base: \">=1.0.0 <2.0.0\"}}")
        .microsite("config_schema: {type: object, properties: {limit: {type: integer, minimum: 1, default: 3}}}")
        .permissions(permissions)
        .page("/", "index.html", page, &[])
        .navigation("Wares", "/")
        .file("static/style.css", ".says { color: red }\n")
}

async fn navigation(portal: &TestPortal) -> Vec<String> {
    let config = portal
        .admin()
        .get("/api/portal/config")
        .await
        .expect(200)
        .json();
    let entries = config["navigation"].as_array().into_iter().flatten();
    entries
        .filter_map(|entry| entry["microsite_id"].as_str().map(str::to_owned))
        .collect()
}

async fn installed(portal: &TestPortal, id: &str) -> Value {
    let all = portal
        .admin()
        .get("/api/portal/microsites")
        .await
        .expect(200)
        .json();
    let found = all["installed"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["id"] == id);
    found.cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_goes_through_all_six_verbs() {
    let registry = registry();
    let portal = TestPortal::start().await;
    portal.trust(&registry).await;

    // Found.
    let found = portal
        .admin()
        .get("/api/portal/microsites/available?q=wares")
        .await
        .expect(200)
        .json();
    assert_eq!(found["available"][0]["id"], "wares");
    assert_eq!(found["available"][0]["state"], "available");
    portal.admin().get("/wares").await.expect(404);

    // Installed, with what it needs.
    let first = portal.install("wares").await;
    let page = portal.admin().get("/wares").await.expect(200);
    assert!(page.text().contains("1.0.0 of 3"), "{}", page.text());
    let entries = navigation(&portal).await;
    assert!(entries.contains(&"wares".to_owned()) && entries.contains(&"base".to_owned()));
    assert_eq!(installed(&portal, "wares").await["state"], "ready");

    // A newer version.
    registry.publish(&wares("1.1.0", &["api:schedules:read"]));
    portal.refresh().await;
    assert_eq!(installed(&portal, "wares").await["latest"], "1.1.0");
    let second = portal.verb("upgrade", "wares", json!({})).await;
    assert!(second > first, "generations rise: {first} {second}");
    assert!(
        portal
            .admin()
            .get("/wares")
            .await
            .text()
            .contains("1.1.0 of 3")
    );

    // And back: a newer generation with older content.
    let third = portal.verb("rollback", "wares", json!({})).await;
    assert!(third > second);
    assert!(
        portal
            .admin()
            .get("/wares")
            .await
            .text()
            .contains("1.0.0 of 3")
    );

    // Off: the page says so, the navigation does not lead there.
    portal.verb("disable", "wares", json!({})).await;
    let off = portal.admin().get("/wares").await;
    assert!(!off.status.is_success(), "{}", off.status);
    assert!(!navigation(&portal).await.contains(&"wares".to_owned()));
    portal.verb("enable", "wares", json!({})).await;
    portal.admin().get("/wares").await.expect(200);

    // Needed by somebody: stays.
    let refused = portal
        .admin()
        .delete("/api/portal/microsites/base")
        .await
        .expect(409);
    assert_eq!(refused.code(), "dependents");
    assert!(refused.text().contains("wares"));

    // Gone, and it says so.
    portal.verb("uninstall", "wares", json!({})).await;
    let gone = portal.admin().get("/wares").await.expect(410);
    assert!(gone.text().contains("wares"), "{}", gone.text());
    assert!(!navigation(&portal).await.contains(&"wares".to_owned()));
    portal.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_open_stream_hears_of_it() {
    let registry = registry();
    let portal = TestPortal::start().await;
    portal.trust(&registry).await;
    let mut one = portal.admin().events("/api/portal/events", None).await;
    let mut two = portal.admin().events("/api/portal/events", None).await;
    let generation = portal.install("base").await;
    let mut seq = 0;
    for stream in [&mut one, &mut two] {
        let event = timeout(Duration::from_secs(10), stream.until("microsite:installed")).await;
        let event = event.expect("an event");
        assert_eq!(event["microsite_id"], "base");
        assert_eq!(event["generation"], generation);
        seq = event["seq"].as_u64().unwrap();
    }
    // What somebody missed is told on return.
    portal.verb("disable", "base", json!({})).await;
    portal.verb("enable", "base", json!({})).await;
    let mut late = portal.admin().events("/api/portal/events", Some(seq)).await;
    let first = timeout(Duration::from_secs(10), late.until("microsite:disabled")).await;
    assert_eq!(first.expect("a replay")["seq"], seq + 1);
    let next = timeout(Duration::from_secs(10), late.until("microsite:enabled")).await;
    assert_eq!(next.expect("a replay")["seq"], seq + 2);
    drop((one, two, late));
    portal.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_installed_serves_after_a_restart() {
    let registry = registry();
    let portal = TestPortal::start().await;
    portal.trust(&registry).await;
    portal.install("wares").await;
    let before = installed(&portal, "wares").await;
    let portal = portal.stop().await.start().await;
    assert!(
        portal
            .admin()
            .get("/wares")
            .await
            .expect(200)
            .text()
            .contains("1.0.0 of 3")
    );
    assert_eq!(installed(&portal, "wares").await, before);
    portal.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_more_waits_for_approval() {
    let registry = registry();
    let portal = TestPortal::start().await;
    portal.trust(&registry).await;
    portal.install("wares").await;
    registry.publish(&wares(
        "1.1.0",
        &["api:schedules:read", "api:handlers:write"],
    ));
    portal.refresh().await;
    let path = "/api/portal/microsites/wares/upgrade";
    let refused = portal.admin().post(path, &json!({})).await.expect(403);
    assert_eq!(refused.code(), "permission-not-approved");
    assert!(
        refused.json()["missing"]
            .to_string()
            .contains("api:handlers:write")
    );
    assert!(
        portal
            .admin()
            .get("/wares")
            .await
            .text()
            .contains("1.0.0 of 3"),
        "the old one serves on"
    );
    let approved = json!({"approve": ["api:handlers:write"]});
    portal.admin().post(path, &approved).await.expect(200);
    assert!(
        portal
            .admin()
            .get("/wares")
            .await
            .text()
            .contains("1.1.0 of 3")
    );
    portal.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_is_of_what_was_shown() {
    let registry = registry();
    let portal = TestPortal::start().await;
    portal.trust(&registry).await;
    let ask = json!({"verb": "install", "microsite_id": "base"});
    let shown = portal
        .admin()
        .post("/api/portal/microsites/plan", &ask)
        .await
        .expect(200)
        .json();
    registry.publish(&Package::new("base", "1.0.1"));
    portal.refresh().await;
    let approve = json!({"microsite_id": "base", "lock": shown["lock"]});
    let changed = portal
        .admin()
        .post("/api/portal/microsites/install", &approve)
        .await
        .expect(409);
    assert_eq!(changed.code(), "plan-changed");
    let now = changed.json();
    assert_eq!(now["plan"]["changes"][0]["version"], "1.0.1");
    let approve = json!({"microsite_id": "base", "lock": now["plan"]["lock"]});
    portal
        .admin()
        .post("/api/portal/microsites/install", &approve)
        .await
        .expect(200);
    portal.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_twice_happens_once() {
    let registry = registry();
    let portal = TestPortal::start().await;
    portal.trust(&registry).await;
    let client = portal.admin().with_header("idempotency-key", "only-once");
    let body = json!({"microsite_id": "base"});
    let path = "/api/portal/microsites/install";
    let first = client.post(path, &body).await.expect(200).json();
    let again = client.post(path, &body).await.expect(200).json();
    assert_eq!(first["operation_id"], again["operation_id"]);
    assert_eq!(first["generation"], again["generation"]);
    let other = client.post(path, &json!({"microsite_id": "wares"})).await;
    assert_eq!(other.code(), "idempotency-mismatch");
    portal.stop().await;
}

/// Each refusal has its own code, a sentence, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_nothing_changes() {
    let registry = registry();
    registry.publish(&Package::new("thief", "1.0.0").mounted("/base"));
    registry.publish(&Package::new("squatter", "1.0.0").mounted("/api/thing"));
    registry.publish(
        &Package::new("orphan", "1.0.0").microsite("requires: {microsites: {nowhere: \">=1\"}}"),
    );
    registry.publish(
        &Package::new("round", "1.0.0").microsite("requires: {microsites: {about: \">=1\"}}"),
    );
    registry.publish(
        &Package::new("about", "1.0.0").microsite("requires: {microsites: {round: \">=1\"}}"),
    );
    registry.publish(
        &Package::new("future", "1.0.0").microsite("requires: {platform_version: \">=99\"}"),
    );
    let portal = TestPortal::start().await;
    portal.trust(&registry).await;
    portal.install("base").await;
    let before = portal.admin().get("/api/portal/microsites").await.json();
    let path = "/api/portal/microsites/install";
    let cases = [
        (json!({"microsite_id": "nobody"}), "not-found"),
        (json!({"microsite_id": "base"}), "already-installed"),
        (json!({"microsite_id": "thief"}), "route-conflict"),
        (json!({"microsite_id": "squatter"}), "route-conflict"),
        (json!({"microsite_id": "orphan"}), "missing-dependency"),
        (json!({"microsite_id": "round"}), "dependency-cycle"),
        (json!({"microsite_id": "future"}), "platform-version"),
        (json!({"microsite_id": "wares"}), "permission-not-approved"),
        (
            json!({"microsite_id": "wares", "config": {"limit": 0}, "approve": ["api:schedules:read"]}),
            "invalid-config",
        ),
        (
            json!({"microsite_id": "wares", "version": ">=7"}),
            "not-found",
        ),
    ];
    for (body, code) in cases {
        let answer = portal.admin().post(path, &body).await;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.text());
        assert_eq!(answer.code(), code, "{body}: {}", answer.text());
        let problem = answer.json();
        assert!(
            problem["detail"].as_str().unwrap_or_default().len() > 20,
            "a sentence: {problem}"
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(
        portal.admin().get("/api/portal/microsites").await.json(),
        before
    );
    let theft = portal
        .admin()
        .post(path, &json!({"microsite_id": "thief"}))
        .await
        .text();
    assert!(
        theft.contains("thief") && theft.contains("base"),
        "both owners: {theft}"
    );
    portal.stop().await;
}
