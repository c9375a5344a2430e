use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portico_package::{Digest, PackageId, Permission, Release};
use portico_plan::{
    Installed, Inventory, TenantId,
    inventory::{Origin, Overrides, Removed, State},
};
use portico_store::{Change, Revoked, Store};
use proptest::{collection, option, prelude::*, sample::select, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::support::{NOW, installed, other, release, store_test, tenant};

fn change(operation: &'static str, now: i64) -> Change<'static> {
    Change {
        actor: "user:ada",
        operation,
        now,
    }
}

async fn load(store: &Store, t: &TenantId) -> Inventory {
    store.read().await.unwrap().inventory_load(t).await.unwrap()
}

/// Saves what differs from what is there.
async fn save(store: &Store, t: &TenantId, after: &Inventory, change: Change<'_>) {
    let mut tx = store.begin().await.unwrap();
    let before = tx.inventory_load(t).await.unwrap();
    tx.inventory_save(t, &before, after, change).await.unwrap();
    tx.commit().await.unwrap();
}

/// Text that people write, without the zero byte that PostgreSQL cannot hold.
fn text() -> impl Strategy<Value = String> {
    "[^\u{0}]{0,12}"
}

/// Any JSON.
fn config() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            collection::btree_map(any::<String>(), inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn releases() -> impl Strategy<Value = Arc<Release>> {
    (
        select(vec!["1.0.0", "1.1.0", "2.0.0-rc.1+b7"]),
        any::<u64>(),
        text(),
        any::<[u8; 32]>(),
    )
        .prop_map(|(version, size, registry, digest)| {
            let mut release = Release::clone(&release("any", version));
            release.size = size;
            release.registry = registry;
            release.digest = Digest::from_bytes(digest);
            Arc::new(release)
        })
}

fn permissions() -> impl Strategy<Value = BTreeSet<Permission>> {
    let all = [
        "api:logs:read",
        "storage:100gb",
        "http:outbound",
        "microsite:install",
    ];
    proptest::sample::subsequence(all.to_vec(), 0..=all.len())
        .prop_map(|some| some.iter().map(|p| p.parse().unwrap()).collect())
}

fn installations() -> impl Strategy<Value = Installed> {
    let states = vec![
        State::Installed,
        State::Registering,
        State::Ready,
        State::Degraded,
        State::Disabled,
    ];
    let overrides = (
        option::of(text()),
        option::of(text()),
        option::of(any::<i32>()),
    )
        .prop_map(|(name, icon, order)| Overrides { name, icon, order });
    (
        (
            releases(),
            collection::vec(releases(), 0..3),
            permissions(),
            config(),
            overrides,
        ),
        (
            select(vec![Origin::Config, Origin::Default, Origin::Installed]),
            select(states),
            option::of(text()),
            text(),
        ),
        (0..=i64::MAX as u64, any::<i64>()),
    )
        .prop_map(
            |(
                (release, previous, grants, config, overrides),
                (origin, state, reason, mount),
                (generation, changed_at),
            )| {
                Installed {
                    release,
                    origin,
                    state,
                    reason,
                    mount,
                    config,
                    grants,
                    previous,
                    overrides,
                    generation,
                    changed_at,
                }
            },
        )
}

fn ids() -> impl Strategy<Value = PackageId> {
    select(vec!["sz_dash", "sz_docs", "logstream_analytics", "a-b"])
        .prop_map(|id| id.parse().unwrap())
}

fn removals() -> impl Strategy<Value = Removed> {
    (text(), text(), text(), any::<i64>()).prop_map(|(name, mount, removed_by, removed_at)| {
        Removed {
            name,
            version: "1.0.0".parse().unwrap(),
            mount,
            removed_by,
            removed_at,
        }
    })
}

fn inventories() -> impl Strategy<Value = Inventory> {
    (
        collection::btree_map(ids(), installations(), 0..4),
        collection::btree_map(ids(), removals(), 0..3),
    )
        .prop_map(|(installed, removed)| Inventory {
            tenant: tenant(),
            generation: 0,
            installed,
            removed,
        })
}

store_test! {
    /// Whatever follows on whatever: saved by difference it reads back the same, the ledger agrees, and
    /// saving it once more writes nothing.
    async fn an_inventory_reads_back_as_it_was_saved(db: &Db) {
        let store = db.store().await;
        let runtime = tokio::runtime::Handle::current();
        let mut runner = TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() });
        let outcome = tokio::task::block_in_place(|| {
            runner.run(&collection::vec(inventories(), 1..4), |history| {
                runtime.block_on(async {
                    for inventory in &history {
                        save(&store, &tenant(), inventory, change("op", NOW)).await;
                        prop_assert_eq!(&load(&store, &tenant()).await, inventory);
                        let mut tx = store.begin().await.unwrap();
                        for (id, installed) in &inventory.installed {
                            let ledger = tx.grant_list(&tenant(), id).await.unwrap();
                            let current = ledger.iter().filter(|g| g.revoked.is_none()).map(|g| g.permission.clone());
                            let current: Vec<_> = current.collect();
                            prop_assert_eq!(current.len(), installed.grants.len(), "a grant twice in the ledger");
                            prop_assert_eq!(&current.into_iter().collect::<BTreeSet<_>>(), &installed.grants);
                        }
                    }
                    Ok(())
                })
            })
        });
        outcome.unwrap();
        assert_eq!(load(&store, &other()).await.installed, BTreeMap::new());
    }

    async fn saving_touches_only_what_differs(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let (dash, docs): (PackageId, PackageId) = ("sz_dash".parse().unwrap(), "sz_docs".parse().unwrap());
        let mut first = load(&store, &t).await;
        first.installed.insert(dash.clone(), installed(release("sz_dash", "1.0.0"), &["api:logs:read"]));
        first.installed.insert(docs.clone(), installed(release("sz_docs", "1.0.0"), &[]));
        save(&store, &t, &first, change("op-1", NOW)).await;

        // From a `before` that somebody else made stale in `sz_docs`, only `sz_dash` is written.
        let mut by_somebody = first.clone();
        by_somebody.installed.get_mut(&docs).unwrap().reason = Some("by somebody else".into());
        save(&store, &t, &by_somebody, change("op-2", NOW)).await;
        let mut second = first.clone();
        second.installed.get_mut(&dash).unwrap().state = State::Disabled;
        let mut tx = store.begin().await.unwrap();
        tx.inventory_save(&t, &first, &second, change("op-3", NOW)).await.unwrap();
        tx.commit().await.unwrap();
        let loaded = load(&store, &t).await;
        assert_eq!(loaded.installed[&dash].state, State::Disabled);
        assert_eq!(loaded.installed[&docs].reason.as_deref(), Some("by somebody else"));
    }

    async fn upgrades_and_rollbacks_keep_the_order_of_versions(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let id: PackageId = "sz_dash".parse().unwrap();
        let versions = |i: &Inventory| {
            let one = &i.installed[&id];
            std::iter::once(&one.release).chain(&one.previous).map(|r| r.manifest.version.to_string()).collect::<Vec<_>>()
        };
        let mut inventory = load(&store, &t).await;
        for kept in [&["1.0.0"][..], &["2.0.0", "1.0.0"], &["3.0.0", "2.0.0", "1.0.0"], &["1.0.0", "3.0.0", "2.0.0"], &["1.0.0"]] {
            let mut one = installed(release("sz_dash", kept[0]), &[]);
            one.previous = kept[1..].iter().map(|v| release("sz_dash", v)).collect();
            inventory.installed.insert(id.clone(), one);
            save(&store, &t, &inventory, change("op", NOW)).await;
            assert_eq!(versions(&load(&store, &t).await), kept);
        }
    }

    async fn the_ledger_remembers_who_gave_and_took(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let id: PackageId = "logstream_analytics".parse().unwrap();
        let empty = load(&store, &t).await;
        let with = |grants: &[&str]| {
            let mut inventory = empty.clone();
            inventory.installed.insert(id.clone(), installed(release("logstream_analytics", "1.0.0"), grants));
            inventory
        };
        save(&store, &t, &with(&["api:logs:read", "http:outbound"]), change("install", NOW)).await;
        save(&store, &t, &with(&["api:logs:read"]), change("narrow", NOW + 1)).await;
        save(&store, &t, &empty, change("uninstall", NOW + 2)).await;
        save(&store, &t, &with(&["api:logs:read"]), change("again", NOW + 3)).await;

        let ledger = store.read().await.unwrap().grant_list(&t, &id).await.unwrap();
        let shown: Vec<_> = ledger
            .iter()
            .map(|g| (g.permission.as_str(), g.granted_operation.as_str(), g.revoked.as_ref().map(|r| (r.operation.as_str(), r.at - NOW))))
            .collect();
        assert_eq!(shown.len(), 3);
        assert!(shown.contains(&("http:outbound", "install", Some(("narrow", 1)))), "{shown:?}");
        assert!(shown.contains(&("api:logs:read", "install", Some(("uninstall", 2)))), "{shown:?}");
        assert_eq!(shown[2], ("api:logs:read", "again", None));
        assert_eq!(ledger[2].granted_by, "user:ada");
        let taken = ledger.iter().find(|g| g.permission.as_str() == "http:outbound").unwrap();
        assert_eq!(taken.revoked, Some(Revoked { at: NOW + 1, by: "user:ada".into(), operation: "narrow".into() }));
        assert_eq!(store.read().await.unwrap().grant_list(&other(), &id).await.unwrap(), []);
    }

    async fn tenants_do_not_see_each_other(db: &Db) {
        let store = db.store().await;
        let id: PackageId = "sz_dash".parse().unwrap();
        let mut ours = load(&store, &tenant()).await;
        ours.installed.insert(id.clone(), installed(release("sz_dash", "1.0.0"), &["api:logs:read"]));
        let mut theirs = load(&store, &other()).await;
        theirs.installed.insert(id.clone(), installed(release("sz_dash", "2.0.0"), &["http:outbound"]));
        save(&store, &tenant(), &ours, change("op", NOW)).await;
        save(&store, &other(), &theirs, change("op", NOW)).await;
        assert_eq!(load(&store, &tenant()).await, ours);
        assert_eq!(load(&store, &other()).await, theirs);
        ours.installed.clear();
        save(&store, &tenant(), &ours, change("op", NOW)).await;
        assert_eq!(load(&store, &other()).await, theirs);
    }
}
