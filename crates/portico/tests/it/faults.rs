//! What the portal stands on goes away while it serves: the database, the disk.

use std::{io::Write, path::Path, time::Duration};

use portico_testkit::{Client, Package, TestRegistry, folder};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    process::{Process, token},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_on_postgresql_goes_through_every_verb() {
    let Some(cluster) = postgresql() else { return };
    let (registry, place) = (wares(), folder());
    let (portal, client) = on_postgresql(&cluster, place.path());
    trust(&client, &registry).await;
    for (verb, more, status) in [
        ("install", json!({"version": "1.0.0"}), 200),
        ("upgrade", json!({}), 200),
        ("rollback", json!({}), 200),
        ("disable", json!({}), 503),
        ("enable", json!({}), 200),
        ("uninstall", json!({}), 410),
    ] {
        change(&client, verb, more).await.expect(200);
        assert_eq!(client.get("/wares").await.status, status, "after {verb}");
    }
    let rows = client.get("/api/portal/audit?limit=50").await.expect(200);
    let text = rows.text();
    for verb in [
        "install",
        "upgrade",
        "rollback",
        "disable",
        "enable",
        "uninstall",
    ] {
        assert!(
            text.contains(verb),
            "{verb} is not in the audit log: {text}"
        );
    }
    assert!(portal.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_the_portal_serves_and_changes_nothing() {
    let Some(mut cluster) = postgresql() else {
        return;
    };
    let (registry, place) = (wares(), folder());
    let (portal, client) = on_postgresql(&cluster, place.path());
    trust(&client, &registry).await;
    change(&client, "install", json!({"version": "1.0.0"}))
        .await
        .expect(200);

    cluster.stop();
    for _ in 0..20 {
        let page = client.get("/wares").await.expect(200);
        assert!(page.text().contains("[1.0.0]"));
    }
    assert_eq!(
        client.get("/healthz").await.status,
        200,
        "the process is well"
    );
    // Ready all the same: who took it out of rotation would take down pages that are fine.
    let ready = client.get("/readyz").await.expect(200).json();
    assert_ne!(ready["store"], "ok");
    let refused = change(&client, "upgrade", json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (503, "store-unavailable"),
        "{}",
        refused.text()
    );
    assert!(client.get("/wares").await.text().contains("[1.0.0]"));

    cluster.start_again();
    eventually("ready again", async || {
        client.get("/readyz").await.status == 200
    })
    .await;
    change(&client, "upgrade", json!({})).await.expect(200);
    assert!(client.get("/wares").await.text().contains("[1.1.0]"));
    assert!(portal.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_full_disk_an_installation_is_refused_and_nothing_changes() {
    let (registry, place) = (wares(), folder());
    // What compression cannot make small, so that it cannot fit into what is left.
    let mut noise = Vec::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    while noise.len() < 3 << 20 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        noise.extend(format!("{seed:016x}").bytes());
    }
    let page = "<p>[{{ package.version }}]</p>";
    let big = Package::new("big", "1.0.0").page("/", "index.html", page, &[]);
    registry.publish(&big.file("static/noise.txt", noise));

    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let (portal, token) = Process::on_small_disk(&data, 48 << 20);
    let client = portal.client(&token);
    trust(&client, &registry).await;
    change(&client, "install", json!({"version": "1.0.0"}))
        .await
        .expect(200);
    let before = installed(&client).await;

    let filler = portal.inside(&data).join("filler");
    fill(&filler);
    let refused = client
        .post(
            "/api/portal/microsites/install",
            &json!({"microsite_id": "big"}),
        )
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (507, "disk-full"),
        "{}",
        refused.text()
    );
    assert!(
        client
            .get("/wares")
            .await
            .expect(200)
            .text()
            .contains("[1.0.0]")
    );
    assert_eq!(client.get("/big").await.status, 404);
    assert_eq!(installed(&client).await, before);

    std::fs::remove_file(&filler).unwrap();
    client
        .post(
            "/api/portal/microsites/install",
            &json!({"microsite_id": "big"}),
        )
        .await
        .expect(200);
    assert_eq!(client.get("/big").await.status, 200);
    assert!(portal.stop());
}

/// A server, unless the PostgreSQL half of the tests is switched off.
fn postgresql() -> Option<Cluster> {
    let off = std::env::var_os("PORTICO_TEST_POSTGRES").is_some_and(|value| value == "off");
    (!off).then(Cluster::start)
}

fn on_postgresql(cluster: &Cluster, place: &Path) -> (Process, Client) {
    let config = place.join("portal_config.yaml");
    let url = cluster.url("postgres");
    std::fs::write(&config, format!("server:\n  database_url: \"{url}\"\n")).unwrap();
    let data = place.join("data");
    let portal = Process::configured(&data, &config);
    let client = portal.client(&token(&data, Some(&config)));
    (portal, client)
}

/// A registry with two versions of one package, whose page says which it is.
fn wares() -> TestRegistry {
    let registry = TestRegistry::new();
    let page = "<p>[{{ package.version }}]</p>";
    for version in ["1.0.0", "1.1.0"] {
        registry.publish(&Package::new("wares", version).page("/", "index.html", page, &[]));
    }
    registry
}

async fn trust(client: &Client, registry: &TestRegistry) {
    let root: Value = serde_json::from_slice(&registry.root()).unwrap();
    let url = registry.folder().display().to_string();
    let body = json!({"name": "test", "url": url, "root": root});
    client
        .post("/api/portal/registries", &body)
        .await
        .expect(201);
}

async fn change(client: &Client, verb: &str, mut body: Value) -> portico_testkit::Answer {
    match verb {
        "install" => {
            body["microsite_id"] = "wares".into();
            client.post("/api/portal/microsites/install", &body).await
        }
        "uninstall" => client.delete("/api/portal/microsites/wares").await,
        verb => {
            let path = format!("/api/portal/microsites/wares/{verb}");
            client.post(&path, &body).await
        }
    }
}

/// What the API says is there.
async fn installed(client: &Client) -> Value {
    client
        .get("/api/portal/microsites")
        .await
        .expect(200)
        .json()
}

/// Takes every byte that is left.
fn fill(file: &Path) {
    let mut file = std::fs::File::create(file).unwrap();
    let mut piece = vec![0_u8; 1 << 20];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}

async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {what}");
}
