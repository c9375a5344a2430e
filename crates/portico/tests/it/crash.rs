//! The process is aborted at every step of every verb, and started again: a whole version serves, the
//! work that was approved is finished, nothing is left over.

use std::{path::Path, time::Duration};

use portico_testkit::{Client, Package, TestRegistry, folder};
use serde_json::{Value, json};

use crate::process::{Process, token};

/// Steps of a verb that brings something.
const BRINGS: &[&str] = &[
    "resolve:before",
    "resolve:after",
    "fetch:before",
    "fetch:inside",
    "fetch:after",
    "verify:inside",
    "verify:after",
    "stage:inside",
    "stage:after",
    "start:inside",
    "start:after",
    "probe:after",
    "activate:before",
    "activate:inside",
    "activate:committed",
    "activate:after",
];

/// Steps of a verb that takes something away.
const TAKES: &[&str] = &[
    "resolve:before",
    "resolve:after",
    "activate:before",
    "activate:inside",
    "activate:committed",
    "activate:after",
];

/// A verb, what its end looks like, and how to come back to where it began.
struct Case {
    verb: &'static str,
    points: &'static [&'static str],
    /// Status of the page and the version it says, before and after.
    before: (u16, &'static str),
    after: (u16, &'static str),
    back: (&'static str, Value),
}

#[tokio::test(flavor = "multi_thread")]
async fn install_and_uninstall_survive_every_crash() {
    let cases = [
        Case {
            verb: "install",
            points: BRINGS,
            before: (404, ""),
            after: (200, "1.0.0"),
            back: ("uninstall", json!({})),
        },
        Case {
            verb: "uninstall",
            points: TAKES,
            before: (200, "1.0.0"),
            after: (410, ""),
            back: ("install", json!({"version": "1.0.0"})),
        },
    ];
    run(&cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_and_rollback_survive_every_crash() {
    let cases = [
        Case {
            verb: "upgrade",
            points: BRINGS,
            before: (200, "1.0.0"),
            after: (200, "1.1.0"),
            back: ("rollback", json!({})),
        },
        Case {
            verb: "rollback",
            points: BRINGS,
            before: (200, "1.1.0"),
            after: (200, "1.0.0"),
            back: ("upgrade", json!({})),
        },
    ];
    run(&cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disable_and_enable_survive_every_crash() {
    let cases = [
        Case {
            verb: "disable",
            points: TAKES,
            before: (200, "1.0.0"),
            after: (503, ""),
            back: ("enable", json!({})),
        },
        Case {
            verb: "enable",
            points: BRINGS,
            before: (503, ""),
            after: (200, "1.0.0"),
            back: ("disable", json!({})),
        },
    ];
    run(&cases).await;
}

async fn run(cases: &[Case]) {
    let registry = TestRegistry::new();
    let page = "<p>[{{ package.version }}]</p>";
    for version in ["1.0.0", "1.1.0"] {
        registry.publish(&Package::new("wares", version).page("/", "index.html", page, &[]));
    }
    let place = folder();
    let data = place.path().join("data");
    let portal = Process::start(&data, None);
    let token = token(&data, None);
    let client = portal.client(&token);
    let root: Value = serde_json::from_slice(&registry.root()).unwrap();
    let trust =
        json!({"name": "test", "url": registry.folder().display().to_string(), "root": root});
    let _ = client
        .post("/api/portal/registries", &trust)
        .await
        .expect(201);
    drop(portal);
    for case in cases {
        for point in case.points {
            crash(&data, &token, case, point).await;
        }
        // The next case begins where this one ends.
        let portal = Process::start(&data, None);
        verb(&portal.client(&token), case.verb, &json!({}))
            .await
            .unwrap();
    }
}

async fn crash(data: &Path, token: &str, case: &Case, point: &str) {
    let at = format!("{}:{point}", case.verb);
    let portal = Process::start(data, None);
    begin(&portal.client(token), case).await;
    drop(portal);

    let mut portal = Process::start(data, Some(&at));
    let answer = verb(&portal.client(token), case.verb, &json!({})).await;
    assert!(portal.aborted(), "{at} was not reached: {answer:?}");

    // What serves at once is whole: the version before, or the one after.
    let portal = Process::start(data, None);
    let client = portal.client(token);
    let first = page(&client).await;
    assert!(
        first == case.before || first == case.after,
        "{at}: {first:?}\n{}",
        Process::log(data)
    );
    // What was approved is finished.
    let mut now = first;
    for _ in 0..200 {
        if now == case.after && idle(&client).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
        now = page(&client).await;
    }
    assert_eq!(
        now,
        case.after,
        "{at}: does not converge\n{}",
        Process::log(data)
    );
    assert!(idle(&client).await, "{at}: operations still run");
    // Exactly one event and one rise of the generation: changing back works at once.
    verb(&client, case.back.0, &case.back.1)
        .await
        .unwrap_or_else(|e| panic!("{at}: {e}"));
    assert!(portal.stop(), "{at}: does not stop well");
    assert_eq!(leftovers(data), Vec::<String>::new(), "{at}");
}

/// Brings the package to where the verb begins, if it is not there.
async fn begin(client: &Client, case: &Case) {
    if page(client).await.0 == case.before.0 && page(client).await.1 == case.before.1 {
        return;
    }
    // A removed package says 410 instead of 404; both mean that it is not there.
    if case.before.0 == 404 && page(client).await.0 == 410 {
        return;
    }
    let steps: &[(&str, Value)] = &[
        ("install", json!({"version": "1.0.0"})),
        ("upgrade", json!({})),
        ("rollback", json!({})),
        ("disable", json!({})),
    ];
    for (step, more) in steps {
        let _ = verb(client, step, more).await;
        if page(client).await == case.before {
            return;
        }
    }
    panic!("cannot begin {}: {:?}", case.verb, page(client).await);
}

async fn verb(client: &Client, verb: &str, more: &Value) -> Result<Value, String> {
    let mut body = more.clone();
    let mut connection = client.connect().await?;
    let (method, path) = match verb {
        "install" => {
            body["microsite_id"] = "wares".into();
            if more.get("version").is_none() {
                body["version"] = "1.0.0".into();
            }
            (
                http::Method::POST,
                "/api/portal/microsites/install".to_owned(),
            )
        }
        "uninstall" => (
            http::Method::DELETE,
            "/api/portal/microsites/wares".to_owned(),
        ),
        verb => (
            http::Method::POST,
            format!("/api/portal/microsites/wares/{verb}"),
        ),
    };
    let answer = connection.send(method, &path, Some(&body)).await?;
    if answer.status == 200 {
        Ok(answer.json())
    } else {
        Err(format!("{verb}: {}", answer.text()))
    }
}

/// Status of the page, and the version it says.
async fn page(client: &Client) -> (u16, &'static str) {
    let answer = client.get("/wares").await;
    let text = answer.text();
    let said = ["1.0.0", "1.1.0"]
        .into_iter()
        .find(|version| text.contains(&format!("[{version}]")));
    match (answer.status.as_u16(), said) {
        (200, Some(version)) => (200, version),
        (200, None) => panic!("half a page: {text}"),
        (status, _) => (status, ""),
    }
}

async fn idle(client: &Client) -> bool {
    let health = client.get("/api/portal/health").await.json();
    health["operations"]["running"] == 0
}

/// Files that no finished work leaves behind.
fn leftovers(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(leftovers(&entry.path()));
        } else if name.ends_with(".tmp") || name.ends_with(".part") || name.starts_with(".tmp") {
            found.push(entry.path().display().to_string());
        }
    }
    found
}
