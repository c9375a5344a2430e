//! A hundred cycles of change under load: the neighbour never notices, answers belong to one
//! generation that was current, nothing is left over.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use http::Method;
use portico_testkit::{Client, Package, TestPortal, TestRegistry};
use serde_json::json;

const CYCLES: usize = 100;

/// What one answer of the changing package said, and which generations it may have belonged to.
struct Seen {
    /// Generations that were certain before the request and possible after it.
    between: (u64, u64),
    status: u16,
    /// Generation and version that the page printed.
    said: Option<(u64, String)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_cycles_under_load() {
    let registry = TestRegistry::new();
    let page = "<p>[{{ package.version }}]</p>";
    registry.publish(&Package::new("calm", "1.0.0"));
    for version in ["1.0.0", "1.1.0"] {
        registry.publish(&Package::new("restless", version).page("/", "index.html", page, &[]));
    }
    let portal = TestPortal::start().await;
    portal.trust(&registry).await;
    portal.install("calm").await;

    // The generation that is surely there, and the one that may be coming.
    let sure = Arc::new(AtomicU64::new(0));
    let coming = Arc::new(AtomicU64::new(u64::MAX / 2));
    let stop = Arc::new(AtomicBool::new(false));
    let calm = tokio::spawn(read_calm(portal.admin(), Arc::clone(&stop)));
    let restless = tokio::spawn(read_restless(
        portal.admin(),
        Arc::clone(&sure),
        Arc::clone(&coming),
        Arc::clone(&stop),
    ));

    // Which version served in which generation; none after removal.
    let mut history: BTreeMap<u64, Option<&str>> = BTreeMap::new();
    let mut after_five = None;
    for cycle in 0..CYCLES {
        let steps = [
            ("install", json!({"version": "1.0.0"}), Some("1.0.0")),
            ("upgrade", json!({}), Some("1.1.0")),
            ("rollback", json!({}), Some("1.0.0")),
            ("uninstall", json!({}), None),
        ];
        for (verb, more, serves) in steps {
            coming.store(sure.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
            let generation = portal.verb(verb, "restless", more).await;
            history.insert(generation, serves);
            sure.store(generation, Ordering::SeqCst);
        }
        if cycle == 4 {
            after_five = Some(Left::of(&portal));
        }
    }
    stop.store(true, Ordering::SeqCst);
    let (answers, failures) = calm.await.unwrap();
    assert_eq!(failures, Vec::<String>::new(), "of {answers} answers");
    assert!(answers > 500, "there was load: {answers}");
    let seen = restless.await.unwrap();
    assert!(seen.len() > 500, "there was load: {}", seen.len());
    for one in &seen {
        check(one, &history);
    }
    let versions = seen.iter().filter(|one| one.said.is_some()).count();
    assert!(
        versions > 20,
        "the changing package was seen: {versions} of {}",
        seen.len()
    );
    let (before, after) = (after_five.unwrap(), Left::of(&portal));
    assert_eq!(after.blobs, before.blobs, "files of packages");
    assert!(
        after.descriptors <= before.descriptors + 2,
        "open files: {before:?} {after:?}"
    );
    assert!(
        after.tasks <= before.tasks + 2,
        "tasks: {before:?} {after:?}"
    );
    portal.stop().await;
}

/// The answer fits a generation that was current while the request ran.
fn check(one: &Seen, history: &BTreeMap<u64, Option<&str>>) {
    let (from, to) = one.between;
    match &one.said {
        Some((generation, version)) => {
            assert!(
                from <= *generation && *generation <= to,
                "generation {generation} not in {from}..={to}"
            );
            assert_eq!(
                history.get(generation),
                Some(&Some(version.as_str())),
                "generation {generation}"
            );
        }
        None => {
            assert!(matches!(one.status, 404 | 410), "status {}", one.status);
            let possible = history
                .range(..=from)
                .next_back()
                .is_none_or(|(_, serves)| serves.is_none())
                || history.range(from..=to).any(|(_, serves)| serves.is_none());
            assert!(
                possible,
                "{} although it served in all of {from}..={to}",
                one.status
            );
        }
    }
}

async fn read_calm(client: Client, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let mut failures = Vec::new();
    let mut answers = 0;
    let mut connection = client.connect().await.unwrap();
    while !stop.load(Ordering::SeqCst) {
        match connection.send(Method::GET, "/calm", None).await {
            Ok(answer) if answer.status == 200 && answer.text().contains("calm 1.0.0") => {
                answers += 1
            }
            Ok(answer) => failures.push(format!("{}: {}", answer.status, answer.text())),
            Err(error) => {
                failures.push(error);
                connection = client.connect().await.unwrap();
            }
        }
    }
    (answers, failures)
}

async fn read_restless(
    client: Client,
    sure: Arc<AtomicU64>,
    coming: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut connection = client.connect().await.unwrap();
    while !stop.load(Ordering::SeqCst) {
        let from = sure.load(Ordering::SeqCst);
        let answer = connection
            .send(Method::GET, "/restless", None)
            .await
            .unwrap();
        let to = coming
            .load(Ordering::SeqCst)
            .max(sure.load(Ordering::SeqCst));
        let text = answer.text();
        // The frame says the generation, the package's page its version.
        let said = between(&text, "data-generation=\"", "\"")
            .and_then(|generation| generation.parse().ok())
            .zip(between(&text, "<p>[", "]").map(str::to_owned));
        let said = said.filter(|_| answer.status == 200);
        assert!(said.is_some() || answer.status != 200, "{text}");
        // Before the first change is known, nothing can be said about generations.
        if from > 0 {
            seen.push(Seen {
                between: (from, to),
                status: answer.status.as_u16(),
                said,
            });
        }
    }
    seen
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?
        .1
        .split_once(after)
        .map(|(found, _)| found)
}

/// What a portal holds on to.
#[derive(Debug)]
struct Left {
    blobs: usize,
    descriptors: usize,
    tasks: usize,
}

impl Left {
    fn of(portal: &TestPortal) -> Self {
        Self {
            blobs: count(&portal.data().join("blobs")),
            descriptors: open_files(portal.data()),
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
        }
    }
}

fn count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            if entry.path().is_dir() {
                count(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

/// Files below a folder that this process holds open; other tests run beside this one.
fn open_files(folder: &Path) -> usize {
    let held = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    held.filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter(|target| target.starts_with(folder))
        .count()
}
