use portico_store::{AuditEntry, AuditRow, Cursor, Event, Store};
use serde_json::json;

use crate::support::{NOW, other, store_test, tenant};

async fn append(store: &Store, n: u64) {
    let mut tx = store.begin().await.unwrap();
    for i in 0..n {
        let body = json!({"type": "microsite:installed", "microsite_id": format!("p{i}")});
        tx.event_append(&tenant(), "microsite:installed", &body, i, NOW)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

async fn seqs(store: &Store, after: u64, limit: u32) -> Vec<u64> {
    let events = store
        .read()
        .await
        .unwrap()
        .events_after(&tenant(), after, limit)
        .await
        .unwrap();
    events.iter().map(|e| e.seq).collect()
}

fn row(action: &str, subject: &str, at: i64) -> AuditRow {
    AuditRow {
        actor: "user:ada".into(),
        action: action.into(),
        subject: subject.into(),
        detail: json!({"from": null, "to": "1.2.0"}),
        request_id: "r".into(),
        at,
    }
}

store_test! {
    async fn numbers_rise_without_gaps_and_a_rollback_leaves_none(db: &Db) {
        let store = db.store().await;
        append(&store, 2).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.event_append(&tenant(), "lost", &json!({}), 1, NOW).await.unwrap(), 3);
        drop(tx);
        append(&store, 1).await;
        assert_eq!(seqs(&store, 0, 100).await, [1, 2, 3]);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.event_append(&other(), "first", &json!({"a": [1, null]}), 7, NOW + 1).await.unwrap(), 1);
        assert_eq!(
            tx.events_after(&other(), 0, 10).await.unwrap(),
            [Event { seq: 1, kind: "first".into(), body: json!({"a": [1, null]}), generation: 7, created_at: NOW + 1 }]
        );
        assert_eq!(tx.event_last_seq(&tenant()).await.unwrap(), 3);
    }

    async fn a_reader_resumes_where_it_was(db: &Db) {
        let store = db.store().await;
        append(&store, 10).await;
        assert_eq!(seqs(&store, 0, 4).await, [1, 2, 3, 4]);
        assert_eq!(seqs(&store, 4, 4).await, [5, 6, 7, 8]);
        assert_eq!(seqs(&store, 8, 4).await, [9, 10]);
        assert!(seqs(&store, 10, 4).await.is_empty());
    }

    async fn pruning_keeps_the_newest_and_the_numbering(db: &Db) {
        let store = db.store().await;
        append(&store, 10).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.events_prune(&tenant(), 3).await.unwrap(), 7);
        assert_eq!(tx.events_prune(&tenant(), 3).await.unwrap(), 0);
        assert_eq!(tx.events_prune(&tenant(), 30).await.unwrap(), 0);
        tx.commit().await.unwrap();
        assert_eq!(seqs(&store, 0, 100).await, [8, 9, 10]);
        let mut tx = store.begin().await.unwrap();
        tx.events_prune(&tenant(), 0).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.read().await.unwrap().event_last_seq(&tenant()).await.unwrap(), 10);
        append(&store, 1).await;
        assert_eq!(seqs(&store, 0, 100).await, [11]);
    }

    async fn the_audit_log_is_read_page_by_page(db: &Db) {
        let store = db.store().await;
        let mut tx = store.begin().await.unwrap();
        // Several of the same moment, so that the id has to decide.
        for i in 0..25 {
            let subject = if i % 5 == 0 { "sz_dash" } else { "logstream_analytics" };
            tx.audit_append(&tenant(), &row(&format!("act-{i}"), subject, NOW + i64::from(i / 4))).await.unwrap();
        }
        tx.audit_append(&other(), &row("elsewhere", "sz_dash", NOW)).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = store.read().await.unwrap();
        let all = tx.audit_list(&tenant(), None, None, 100).await.unwrap();
        assert_eq!(all.len(), 25);
        assert!(all.is_sorted_by(|a, b| (a.row.at, &a.id) > (b.row.at, &b.id)));
        let mut paged: Vec<AuditEntry> = Vec::new();
        // Bounded: a page that begins again must fail, not fill the memory.
        while paged.len() < 100 {
            // Through its text form, as the API hands it out.
            let cursor = paged.last().map(|e| e.cursor().to_string().parse::<Cursor>().unwrap());
            let page = tx.audit_list(&tenant(), None, cursor.as_ref(), 7).await.unwrap();
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all);
        let of_one = tx.audit_list(&tenant(), Some("sz_dash"), None, 100).await.unwrap();
        let expected: Vec<_> = all.iter().filter(|e| e.row.subject == "sz_dash").cloned().collect();
        assert_eq!(of_one, expected);
        assert_eq!(tx.audit_list(&tenant(), Some("sz_dash"), Some(&of_one[1].cursor()), 2).await.unwrap(), of_one[2..4]);
        assert_eq!(of_one.last().map(|e| e.row.clone()), Some(row("act-0", "sz_dash", NOW)));
    }
}

#[test]
fn a_made_up_cursor_is_refused() {
    for text in [
        "",
        "1",
        "1.",
        "x.y",
        "1.a\0b",
        ".a",
        &format!("1.{}", "a".repeat(65)),
    ] {
        assert!(text.parse::<Cursor>().is_err(), "{text:?}");
    }
}
