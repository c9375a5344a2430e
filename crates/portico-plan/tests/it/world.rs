//! Worlds in a few words: what is on offer, what is installed, what is asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portico_package::{
    Digest, Manifest, PackageId, Permission, Release, Text, Version, VersionRange,
    manifest::{
        Contributes, Files, Method, MicrositeType, NavigationItem, Page, PermissionRequest,
        Requires, Runtime, RuntimeKind,
    },
};
use portico_plan::{
    Inventory, Plan, Policy, Request, TenantId, Verb,
    inventory::{Catalogue, Origin},
    plan,
};
use serde_json::Value;

pub(crate) fn id(text: &str) -> PackageId {
    text.parse().expect(text)
}

pub(crate) fn range(text: &str) -> VersionRange {
    text.parse().expect(text)
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().expect(text)
}

pub(crate) fn permissions(texts: &[&str]) -> BTreeSet<Permission> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

/// A release in the making; 100 KiB, from the registry `examples`.
#[derive(Clone)]
pub(crate) struct Package(pub(crate) Release);

pub(crate) fn package(name: &str, at: &str) -> Package {
    let manifest = Manifest {
        format_version: 1,
        id: id(name),
        version: version(at),
        name: Text::from(name),
        description: Text::default(),
        author: None,
        license: None,
        icon: None,
        homepage: None,
        categories: Vec::new(),
        microsite_type: MicrositeType::Htmx,
        runtime: Runtime {
            kind: RuntimeKind::Static,
        },
        path: Some(format!("/{name}")),
        requires: Requires::default(),
        permissions: Vec::new(),
        files: Files::default(),
        config_schema: None,
        contributes: Contributes::default(),
    };
    Package(Release {
        registry: "examples".into(),
        target: format!("packages/{name}/{name}-{at}.portico"),
        digest: Digest::of(format!("{name} {at} examples").as_bytes()),
        size: 100 << 10,
        unpacked_size: 200 << 10,
        publisher: "k1".into(),
        manifest,
    })
}

impl Package {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Manifest)) -> Self {
        change(&mut self.0.manifest);
        self
    }

    pub(crate) fn requires(self, other: &str, versions: &str) -> Self {
        self.with(|m| _ = m.requires.microsites.insert(id(other), range(versions)))
    }

    pub(crate) fn platform(self, versions: &str) -> Self {
        self.with(|m| m.requires.platform_version = Some(range(versions)))
    }

    pub(crate) fn library(self, name: &str, versions: &str) -> Self {
        self.with(|m| {
            _ = m
                .requires
                .component_libraries
                .insert(name.into(), range(versions))
        })
    }

    pub(crate) fn asks(self, permission: &str) -> Self {
        self.asks_for(permission, false)
    }

    pub(crate) fn asks_for(self, permission: &str, optional: bool) -> Self {
        let permission = permission.parse().expect(permission);
        self.with(|m| {
            m.permissions.push(PermissionRequest {
                permission,
                reason: None,
                optional,
            })
        })
    }

    pub(crate) fn path(self, path: &str) -> Self {
        self.with(|m| m.path = Some(path.to_owned()))
    }

    pub(crate) fn page(self, path: &str) -> Self {
        let page = Page {
            path: path.into(),
            ..Page::index()
        };
        self.with(|m| m.contributes.pages.push(page))
    }

    pub(crate) fn post(self, path: &str) -> Self {
        let page = Page {
            path: path.into(),
            method: Method::Post,
            ..Page::index()
        };
        self.with(|m| m.contributes.pages.push(page))
    }

    pub(crate) fn navigation(self, title: &str, path: &str, order: i32) -> Self {
        self.with(|m| {
            m.contributes.navigation.push(NavigationItem {
                title: Text::from(title),
                path: path.into(),
                icon: None,
                section: None,
                order,
                permission: None,
            });
        })
    }

    pub(crate) fn schema(self, schema: Value) -> Self {
        self.with(|m| m.config_schema = Some(schema))
    }

    pub(crate) fn link(self, url: &str) -> Self {
        self.with(|m| {
            m.microsite_type = MicrositeType::External;
            m.runtime.kind = RuntimeKind::External;
            m.path = Some(url.to_owned());
        })
    }

    pub(crate) fn of_size(mut self, bytes: u64) -> Self {
        self.0.size = bytes;
        self
    }

    pub(crate) fn from(mut self, registry: &str) -> Self {
        self.0.registry = registry.into();
        let name = format!(
            "{} {} {registry}",
            self.0.manifest.id, self.0.manifest.version
        );
        self.0.digest = Digest::of(name.as_bytes());
        self
    }
}

/// What is on offer.
#[derive(Clone, Default)]
pub(crate) struct Shop(pub(crate) Vec<Arc<Release>>);

impl Catalogue for Shop {
    fn releases(&self, id: &PackageId) -> Vec<Arc<Release>> {
        self.0
            .iter()
            .filter(|release| release.manifest.id == *id)
            .cloned()
            .collect()
    }

    fn ids(&self) -> Vec<PackageId> {
        let ids: BTreeSet<_> = self
            .0
            .iter()
            .map(|release| release.manifest.id.clone())
            .collect();
        ids.into_iter().collect()
    }

    fn by_digest(&self, digest: &Digest) -> Option<Arc<Release>> {
        self.0
            .iter()
            .find(|release| release.digest == *digest)
            .cloned()
    }
}

/// One tenant, its policy and what is on offer.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) inventory: Inventory,
    pub(crate) shop: Shop,
}

pub(crate) fn world() -> World {
    World {
        policy: Policy {
            platform_versions: vec![version("0.1.0"), version("1.4.0"), version("2.2.0")],
            component_libraries: BTreeMap::from([("htmx".into(), version("4.0.1"))]),
            runtimes: BTreeSet::from([RuntimeKind::Static, RuntimeKind::External]),
            dynamic: true,
            max_microsites: None,
            max_storage: None,
            static_routes: BTreeMap::new(),
        },
        inventory: Inventory {
            tenant: TenantId::default_tenant(),
            generation: 7,
            installed: BTreeMap::new(),
            removed: BTreeMap::new(),
        },
        shop: Shop::default(),
    }
}

impl World {
    pub(crate) fn offers(mut self, package: Package) -> Self {
        self.shop.0.push(Arc::new(package.0));
        self
    }

    pub(crate) fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub(crate) fn plan(&self, request: &Request) -> Plan {
        plan::plan(&self.policy, &self.inventory, &self.shop, request)
    }

    /// What is there once `plan` was carried out with everything approved.
    pub(crate) fn carried_out(mut self, plan: &Plan) -> Self {
        let approved = plan
            .changes
            .iter()
            .flat_map(|c| &c.permissions)
            .map(|a| a.permission.clone())
            .collect();
        let find = |digest: &Digest| self.shop.by_digest(digest);
        let now = i64::try_from(self.inventory.generation).expect("small") * 1_000_000;
        self.inventory = plan::after(&self.inventory, plan, &approved, &find, now, "Ada")
            .expect("can be carried out");
        self
    }

    /// The world after a request that must succeed.
    pub(crate) fn does(self, request: Request) -> Self {
        let plan = self.plan(&request);
        assert_eq!(plan.refusals, [], "{request:?}");
        self.carried_out(&plan)
    }

    /// The package is on offer and installed.
    pub(crate) fn has(self, package: Package) -> Self {
        let install = exactly(
            Verb::Install,
            package.0.manifest.id.as_str(),
            &package.0.manifest.version.to_string(),
        );
        let request = Request {
            registry: Some(package.0.registry.clone()),
            ..install
        };
        self.offers(package).does(request)
    }

    /// The same, owned by the configuration.
    pub(crate) fn has_by(self, origin: Origin, package: Package) -> Self {
        let install = exactly(
            Verb::Install,
            package.0.manifest.id.as_str(),
            &package.0.manifest.version.to_string(),
        );
        self.offers(package).does(Request { origin, ..install })
    }

    /// The package without anything being checked: for worlds that are broken already.
    pub(crate) fn somehow_has(mut self, package: Package) -> Self {
        let donor =
            world().has(Package(package.0.clone()).with(|m| m.requires = Requires::default()));
        let mut installed = donor
            .inventory
            .installed
            .into_values()
            .next()
            .expect("installed");
        installed.release = Arc::new(package.0.clone());
        self.inventory
            .installed
            .insert(package.0.manifest.id, installed);
        self
    }
}

/// A request of somebody who may grant anything.
pub(crate) fn request(verb: Verb, name: &str) -> Request {
    Request {
        may_grant: true,
        ..Request::new(verb, id(name))
    }
}

pub(crate) fn exactly(verb: Verb, name: &str, at: &str) -> Request {
    Request {
        version: Some(range(at)),
        ..request(verb, name)
    }
}

pub(crate) fn install(name: &str) -> Request {
    request(Verb::Install, name)
}

/// A plan as a terminal shows it.
pub(crate) fn shown(plan: &Plan) -> String {
    plan::explain(plan).join("\n")
}

/// The steps of a plan: `install b 1.0.0, install a 2.0.0`.
pub(crate) fn steps(plan: &Plan) -> String {
    assert_eq!(plan.refusals, [], "{}", plan.package);
    let step = |change: &plan::Change| {
        format!("{:?} {} {}", change.action, change.package, change.version).to_lowercase()
    };
    plan.changes.iter().map(step).collect::<Vec<_>>().join(", ")
}

impl std::fmt::Debug for World {
    /// Short enough to read when a property fails.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for release in &self.shop.0 {
            let m = &release.manifest;
            let requires: Vec<_> = m
                .requires
                .microsites
                .iter()
                .map(|(id, range)| format!("{id} {range}"))
                .collect();
            writeln!(
                f,
                "offers {} {} requiring {}",
                m.id,
                m.version,
                requires.join(", ")
            )?;
        }
        for (id, installed) in &self.inventory.installed {
            writeln!(
                f,
                "has {id} {} {:?}",
                installed.release.manifest.version, installed.state
            )?;
        }
        Ok(())
    }
}
