//! Worlds for tests.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use portico_host::StagedPackage;
use portico_package::{Digest, Release, manifest::read};
use portico_plan::{
    Installed, Inventory, TenantId, TenantSnapshot,
    inventory::{Origin, Overrides, Removed, State},
};

/// A staged package with this manifest and these files.
pub(crate) fn stage(manifest: &str, files: &[(&str, &str)]) -> StagedPackage {
    let (parsed, findings) = read::from_yaml("microsite_manifest.yaml", manifest);
    let manifest = Arc::new(parsed.unwrap_or_else(|| panic!("{findings}")));
    let files: BTreeMap<String, Bytes> = files
        .iter()
        .map(|(p, t)| ((*p).to_owned(), Bytes::from((*t).to_owned())))
        .collect();
    StagedPackage {
        digest: Digest::of(manifest.id.as_str().as_bytes()),
        manifest,
        files: Arc::new(files),
    }
}

/// A tenant in which these packages are installed and serve.
pub(crate) fn tenant(
    packages: &[&StagedPackage],
    change: impl FnOnce(&mut Inventory),
) -> TenantSnapshot {
    let mut inventory = Inventory {
        tenant: TenantId::default_tenant(),
        generation: 7,
        installed: BTreeMap::new(),
        removed: BTreeMap::new(),
    };
    for package in packages {
        let manifest = (*package.manifest).clone();
        let config = portico_package::manifest::config::resolve(
            manifest.config_schema.as_ref(),
            &serde_json::json!({}),
        )
        .unwrap_or_default();
        inventory.installed.insert(
            manifest.id.clone(),
            Installed {
                mount: manifest.default_mount(),
                grants: manifest
                    .permissions
                    .iter()
                    .map(|p| p.permission.clone())
                    .collect(),
                release: Arc::new(Release {
                    registry: "bundled".into(),
                    target: String::new(),
                    digest: package.digest,
                    size: 1,
                    unpacked_size: 1,
                    publisher: "key".into(),
                    manifest,
                }),
                origin: Origin::Installed,
                state: State::Ready,
                reason: None,
                config,
                previous: Vec::new(),
                overrides: Overrides::default(),
                generation: 7,
                changed_at: 1_790_000_000_000_000,
            },
        );
    }
    change(&mut inventory);
    TenantSnapshot::compile(&inventory)
}

/// A removal for the inventory.
pub(crate) fn removed(name: &str, mount: &str) -> Removed {
    Removed {
        name: name.into(),
        version: portico_package::Version::new(1, 0, 0),
        mount: mount.into(),
        removed_by: "user:ada".into(),
        removed_at: 1_790_000_000_000_000,
    }
}
