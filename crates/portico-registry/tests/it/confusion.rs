//! Two registries that offer a package of one name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portico_package::{PackageId, manifest::RuntimeKind};
use portico_plan::{Inventory, Policy, Request, TenantId, Verb, inventory::Catalogue, plan::plan};
use portico_registry::{CatalogueHandle, Index, Registry, Search};

use crate::fixture::{DAY, NOW, Origin};

fn versions(catalogue: &dyn Catalogue, id: &str) -> Vec<String> {
    let id: PackageId = id.parse().unwrap();
    let mut found: Vec<String> = catalogue
        .releases(&id)
        .iter()
        .map(|r| format!("{} {}", r.registry, r.manifest.version))
        .collect();
    found.sort();
    found
}

/// `registry version` of what a plan to install `billing` would install.
fn planned(index: &Index, registry: Option<&str>) -> Vec<String> {
    let request = Request {
        registry: registry.map(str::to_owned),
        ..Request::new(Verb::Install, "billing".parse().unwrap())
    };
    let policy = Policy {
        platform_versions: Vec::new(),
        component_libraries: BTreeMap::new(),
        runtimes: BTreeSet::from([RuntimeKind::Static]),
        dynamic: true,
        max_microsites: None,
        max_storage: None,
        static_routes: BTreeMap::new(),
    };
    let inventory = Inventory {
        tenant: TenantId::default_tenant(),
        generation: 1,
        installed: BTreeMap::new(),
        removed: BTreeMap::new(),
    };
    let plan = plan(&policy, &inventory, index, &request);
    plan.changes
        .iter()
        .map(|c| format!("{} {}", c.registry, c.version))
        .collect()
}

/// The company has `billing`; somebody publishes a higher `billing` where everybody can.
#[tokio::test]
async fn the_first_registry_that_has_a_name_is_the_only_one_that_counts_for_it() {
    let company = Origin::with(&["billing 1.0.0", "billing 1.1.0"]);
    let public = Origin::with(&["billing 99.0.0", "logs 2.0.0"]);
    let handle = CatalogueHandle::new(vec![
        Arc::new(company.portal("company").registry),
        Arc::new(public.portal("public").registry),
    ]);
    let index = handle.refresh_all(NOW).await;
    assert_eq!(versions(&*index, "logs"), ["public 2.0.0"]);
    let id: PackageId = "billing".parse().unwrap();
    assert_eq!(index.releases(&id)[0].registry, "company");
    assert!(index.versions(&id).iter().all(|r| r.registry == "company"));
    assert_eq!(
        index.newest(&id).unwrap().manifest.version.to_string(),
        "1.1.0"
    );
    let page = index.search(&Search {
        q: "billing".into(),
        ..Search::default()
    });
    assert_eq!(page.total, 1);
    assert_eq!(page.hits[0].release.registry, "company");
    assert_eq!(
        index.registries_of(&id).collect::<Vec<_>>(),
        ["company", "public"]
    );

    // A plan takes the first registry's, unless the other one is asked for by name.
    assert_eq!(planned(&index, None), ["company 1.1.0"]);
    assert_eq!(planned(&index, Some("public")), ["public 99.0.0"]);
    assert!(planned(&index, Some("nowhere")).is_empty());

    // Keys are per registry, so the public publisher cannot sign for the company.
    assert_eq!(
        handle.publisher_keys("company"),
        [company.publisher().public_key()]
    );
    assert_eq!(
        handle.publisher_keys("public"),
        [public.publisher().public_key()]
    );
    assert!(handle.publisher_keys("nowhere").is_empty());
}

/// The same order holds when the first registry cannot be read: its names do not fall to the second
/// as long as it may be believed.
#[tokio::test]
async fn a_first_registry_that_is_down_keeps_its_names() {
    let company = Origin::with(&["billing 1.0.0"]);
    let public = Origin::with(&["billing 99.0.0"]);
    let handle = CatalogueHandle::new(vec![
        Arc::new(company.portal("company").registry),
        Arc::new(public.portal("public").registry),
    ]);
    handle.refresh_all(NOW).await;
    std::fs::remove_dir_all(company.folder()).unwrap();
    let index = handle.refresh_all(NOW).await;
    assert_eq!(
        index.statuses()[0].error.as_ref().unwrap().code,
        "registry-unreachable"
    );
    assert!(index.statuses()[1].error.is_none());
    assert_eq!(planned(&index, None), ["company 1.0.0"]);

    // Once it has expired nobody gets the name, also after a restart.
    let later = NOW + 31 * DAY;
    public.repository.refresh(&public.keys, later).unwrap();
    let restarted = CatalogueHandle::new(handle.registries());
    for handle in [handle, restarted] {
        let index = handle.refresh_all(later).await;
        assert_eq!(index.statuses()[1].versions, 1);
        assert!(planned(&index, None).is_empty());
        assert!(planned(&index, Some("public")).is_empty());
        assert_eq!(index.search(&Search::default()).total, 0);
    }
}

#[tokio::test]
async fn one_bad_registry_does_not_take_the_others_with_it() {
    let good = Origin::with(&["logs 1.0.0"]);
    let bad = Origin::with(&["evil 1.0.0"]);
    std::fs::write(bad.metadata("timestamp.json"), "junk").unwrap();
    let handle = CatalogueHandle::new(vec![
        Arc::new(Registry::bundled()),
        Arc::new(bad.portal("bad").registry),
        Arc::new(good.portal("good").registry),
    ]);
    let index = handle.refresh_all(NOW).await;
    assert_eq!(versions(&*index, "logs"), ["good 1.0.0"]);
    assert!(versions(&*index, "evil").is_empty());
    let codes: Vec<_> = index
        .statuses()
        .iter()
        .map(|s| s.error.as_ref().map(|e| e.code))
        .collect();
    assert_eq!(codes, [None, Some("metadata-inconsistent"), None]);
    assert_eq!(
        handle.refresh_one("bad", NOW).await.unwrap_err().code(),
        "metadata-inconsistent"
    );
    handle.refresh_one("good", NOW).await.unwrap();
    let error = handle.refresh_one("other", NOW).await.unwrap_err();
    assert_eq!(error.code(), "registry-unknown");
    assert!(error.to_string().contains("bad, bundled, good"), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_taken_out_takes_its_packages_along() {
    let (a, b) = (Origin::with(&["x 1.0.0"]), Origin::with(&["x 2.0.0"]));
    let (a, b) = (
        Arc::new(a.portal("a").registry),
        Arc::new(b.portal("b").registry),
    );
    let handle = CatalogueHandle::new(vec![Arc::clone(&a), Arc::clone(&b)]);
    let before = handle.refresh_all(NOW).await;
    handle.set_registries(vec![Arc::clone(&b)]);
    assert_eq!(versions(&handle, "x"), ["b 2.0.0"]);
    let taken = versions(&*before, "x");
    assert_eq!(
        taken,
        ["a 1.0.0", "b 2.0.0"],
        "an index that was taken does not change"
    );
    handle.set_registries(vec![a, b]);
    assert_eq!(
        versions(&handle, "x"),
        ["b 2.0.0"],
        "a new one is empty until it is read"
    );
    let index = handle.refresh_all(NOW).await;
    assert_eq!(index.newest(&"x".parse().unwrap()).unwrap().registry, "a");
}

#[tokio::test]
async fn a_release_is_found_by_its_digest() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let handle = CatalogueHandle::new(vec![Arc::new(origin.portal("o").registry)]);
    let index = handle.refresh_all(NOW).await;
    let release = &index.versions(&"logs".parse().unwrap())[0];
    assert_eq!(index.by_digest(&release.digest).as_ref(), Some(release));
    assert_eq!(
        handle.fetch(release).await.unwrap().len() as u64,
        release.size
    );
    assert_eq!(Catalogue::ids(&*index), ["logs".parse().unwrap()]);
}
