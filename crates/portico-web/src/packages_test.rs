//! The packages of this repository pass the check that everybody's pass.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use portico_host::StagedPackage;
use portico_package::{Digest, manifest::read};

use crate::{package_assets, static_check};

pub(crate) fn stage(folder: &Path) -> StagedPackage {
    let mut files = BTreeMap::new();
    collect(folder, folder, &mut files);
    let text = files
        .get("microsite_manifest.yaml")
        .unwrap_or_else(|| panic!("{} has no manifest", folder.display()));
    let (manifest, findings) = read::from_yaml(
        "microsite_manifest.yaml",
        std::str::from_utf8(text).unwrap(),
    );
    let manifest = manifest.unwrap_or_else(|| panic!("{}: {findings}", folder.display()));
    StagedPackage {
        digest: Digest::of(text),
        manifest: Arc::new(manifest),
        files: Arc::new(files),
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Bytes>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.insert(name, Bytes::from(std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn every_package_of_the_repository_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = 0;
    let mut refused = String::new();
    for group in ["microsites", "examples"] {
        let Ok(entries) = std::fs::read_dir(root.join(group)) else {
            continue;
        };
        for entry in entries {
            let folder = entry.unwrap().path();
            if !folder.join("microsite_manifest.yaml").exists() {
                continue;
            }
            seen += 1;
            let package = stage(&folder);
            if let Err(findings) = static_check::check(&package) {
                refused.push_str(&format!("{}:\n{findings}\n", folder.display()));
            }
            package_assets(&package);
        }
    }
    assert!(refused.is_empty(), "{refused}");
    assert!(seen > 0, "no packages found");
}
