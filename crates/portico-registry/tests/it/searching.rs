//! What people type, and what they find first.

use std::sync::Arc;

use portico_registry::{CatalogueHandle, Index, Search, SearchPage};

use crate::fixture::{NOW, Origin};

async fn shop() -> Arc<Index> {
    let origin = Origin::new();
    let packages = [
        (
            "logstream_analytics",
            "LogStream Analytics",
            "Real-time log analytics",
            "Observability",
        ),
        ("logs", "Logs", "Reads files", "Observability"),
        (
            "schedules",
            "Schedules",
            "Plans work; writes a log of it",
            "Automation",
        ),
        (
            "grafana",
            "Grafana Integration",
            "Dashboards of metrics",
            "Observability",
        ),
        (
            "slack",
            "Slack Notifications",
            "Tells a channel",
            "Messaging",
        ),
        ("catalogue", "Catalogue", "A list of things", "Messaging"),
    ];
    for (id, name, description, category) in packages {
        let files = {
            let mut files = crate::fixture::files(id, "1.0.0", "");
            let text = format!(
                "manifest_version: \"1.0\"\nmicrosite:\n  id: {id}\n  name: \"{name}\"\n  version: \
                 1.0.0\n  type: htmx\n  path: /{id}\n  description: \"{description}\"\n  \
                 categories: [{category}]\n"
            );
            files.insert(
                portico_package::manifest::FILE_NAME.into(),
                text.into_bytes(),
            );
            files
        };
        let manifest = crate::fixture::manifest_of(&files);
        let archive =
            portico_package::archive::pack(&files, &manifest, origin.publisher()).unwrap();
        origin
            .repository
            .publish(&archive, &origin.keys, NOW)
            .unwrap();
    }
    let handle = CatalogueHandle::new(vec![Arc::new(origin.portal("o").registry)]);
    handle.refresh_all(NOW).await
}

fn ids(page: &SearchPage) -> Vec<&str> {
    page.hits
        .iter()
        .map(|hit| hit.release.manifest.id.as_str())
        .collect()
}

fn search(index: &Index, q: &str) -> SearchPage {
    index.search(&Search {
        q: q.into(),
        ..Search::default()
    })
}

#[tokio::test]
async fn names_come_before_beginnings_before_middles_before_descriptions() {
    let index = shop().await;
    let table: &[(&str, &[&str])] = &[
        (
            "log",
            &["logs", "logstream_analytics", "catalogue", "schedules"],
        ),
        ("LOGS", &["logs", "logstream_analytics"]),
        ("logstream", &["logstream_analytics"]),
        ("logstream_analytics", &["logstream_analytics"]),
        ("analytics log", &["logstream_analytics"]),
        ("slack grafana", &[]),
        ("metrics", &["grafana"]),
        // Slips of the finger.
        ("grafna", &["grafana"]),
        ("shcedules", &["schedules"]),
        ("notificatoin", &["slack"]),
        ("grafxna", &["grafana"]),
        // Too short to guess from.
        ("lox", &[]),
        ("zzzzzz", &[]),
        (
            "  ",
            &[
                "catalogue",
                "grafana",
                "logs",
                "logstream_analytics",
                "schedules",
                "slack",
            ],
        ),
    ];
    for (q, expected) in table {
        assert_eq!(ids(&search(&index, q)), *expected, "{q}");
    }
    assert_eq!(ids(&search(&index, "observability")).len(), 3);
    assert_eq!(ids(&search(&index, "obser")).len(), 3);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let index = shop().await;
    let mut all = Vec::new();
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let page = index.search(&Search {
            cursor: at,
            limit: 4,
            ..Search::default()
        });
        assert_eq!(page.total, 6);
        all.extend(ids(&page).into_iter().map(str::to_owned));
        cursor = page.next;
    }
    assert_eq!(all, ids(&search(&index, "")));
    let beyond = index.search(&Search {
        cursor: 99,
        ..Search::default()
    });
    assert!(beyond.hits.is_empty() && beyond.next.is_none());
}

#[tokio::test]
async fn categories_count_what_fits_the_words() {
    let index = shop().await;
    let counts = |page: &SearchPage| -> Vec<String> {
        page.categories
            .iter()
            .map(|c| format!("{} {}", c.name, c.count))
            .collect()
    };
    let page = index.search(&Search {
        category: Some("messaging".into()),
        ..Search::default()
    });
    assert_eq!(ids(&page), ["catalogue", "slack"]);
    assert_eq!(
        counts(&page),
        ["Observability 3", "Messaging 2", "Automation 1"]
    );
    assert_eq!(counts(&search(&index, "grafana")), ["Observability 1"]);
    assert_eq!(index.categories(), page.categories);
    let none = index.search(&Search {
        category: Some("None".into()),
        ..Search::default()
    });
    assert_eq!(none.total, 0);
}

#[tokio::test]
async fn people_are_shown_the_newest_finished_version() {
    let origin = Origin::with(&[
        "logs 1.9.0",
        "logs 1.10.0",
        "logs 2.0.0-beta.1",
        "new 0.1.0-a",
    ]);
    let handle = CatalogueHandle::new(vec![Arc::new(origin.portal("o").registry)]);
    let index = handle.refresh_all(NOW).await;
    let newest = |id: &str| {
        index
            .newest(&id.parse().unwrap())
            .unwrap()
            .manifest
            .version
            .to_string()
    };
    assert_eq!(newest("logs"), "1.10.0");
    assert_eq!(newest("new"), "0.1.0-a");
    let versions: Vec<_> = index
        .versions(&"logs".parse().unwrap())
        .iter()
        .map(|r| r.manifest.version.to_string())
        .collect();
    assert_eq!(versions, ["2.0.0-beta.1", "1.10.0", "1.9.0"]);
}
