//! What authors do: start, check, pack, sign.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use portico_host::StagedPackage;
use portico_package::{
    Diagnostics, Digest, Manifest, PackageId,
    archive::{self, Limits},
    manifest,
    signature::SigningKey,
};
use portico_registry::{foreign, keys};
use serde_json::json;

use crate::{
    cli::{Check, Key, New, Pack},
    exit::{CHECK, Done, FAILED, Failure, USAGE},
    output::{Output, bytes, good},
};

/// Files of the template, by path; `{id}` and `{name}` are filled in.
const HTMX: [(&str, &str); 5] = [
    (
        "microsite_manifest.yaml",
        include_str!("../../templates/htmx/microsite_manifest.yaml"),
    ),
    (
        "templates/index.html",
        include_str!("../../templates/htmx/templates/index.html"),
    ),
    (
        "templates/greeting.html",
        include_str!("../../templates/htmx/templates/greeting.html"),
    ),
    (
        "static/style.css",
        include_str!("../../templates/htmx/static/style.css"),
    ),
    ("README.md", include_str!("../../templates/htmx/README.md")),
];

pub(crate) fn new(args: &New, out: &mut Output) -> Done {
    if args.template != "htmx" {
        return Err(Failure::new(
            USAGE,
            format!("there is no template `{}`: use htmx", args.template),
        ));
    }
    let id: PackageId = args
        .name
        .parse()
        .map_err(|e| Failure::new(USAGE, format!("{e}")))?;
    let dir = args
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(id.as_str()));
    if dir.exists() {
        return Err(Failure::new(
            FAILED,
            format!(
                "{} is there already; name another folder with --dir",
                dir.display()
            ),
        ));
    }
    for (path, text) in HTMX {
        let target = dir.join(path);
        let text = text
            .replace("{id}", id.as_str())
            .replace("{name}", &title(id.as_str()));
        let write = || {
            std::fs::create_dir_all(target.parent().unwrap_or(&dir))?;
            std::fs::write(&target, text)
        };
        write().map_err(|e| Failure::new(FAILED, format!("{}: {e}", target.display())))?;
    }
    out.value(&json!({ "id": id, "folder": dir }));
    out.line(format!("{} made {}", good("✓"), dir.display()));
    out.line(format!("  check it:   portico check {}", dir.display()));
    out.line(format!(
        "  publish it: portico publish {} --registry REGISTRY",
        dir.display()
    ));
    Ok(())
}

/// `status_board` → `Status board`.
fn title(id: &str) -> String {
    let words = id.replace(['_', '-'], " ");
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

pub(crate) fn check(args: &Check, out: &mut Output) -> Done {
    let (found, manifest) = findings(&args.path)?;
    out.value(&json!({ "ok": !found.has_errors(), "diagnostics": found, "manifest": manifest }));
    if found.has_errors() {
        let count = found.0.len();
        let mut failure = Failure::new(
            CHECK,
            format!(
                "{count} {}",
                if count == 1 { "problem" } else { "problems" }
            ),
        );
        failure.notes = found.0.iter().map(ToString::to_string).collect();
        failure.problem = Some(json!({ "ok": false, "diagnostics": found }));
        return Err(failure);
    }
    for warning in &found.0 {
        out.line(warning.to_string());
    }
    if let Some(manifest) = manifest {
        out.line(format!(
            "{} {} {} is fine",
            good("✓"),
            manifest.id,
            manifest.version
        ));
    }
    Ok(())
}

/// Everything that is wrong with a package: manifest, files, and what its back end checks.
fn findings(path: &Path) -> Result<(Diagnostics, Option<Manifest>), Failure> {
    let files = if path.extension().is_some_and(|e| e == "portico") {
        let bytes = std::fs::read(path)
            .map_err(|e| Failure::new(FAILED, format!("{}: {e}", path.display())))?;
        archive::inspect(&bytes, &Limits::default())
            .map_err(Failure::failed)?
            .files
    } else {
        foreign::read(path, &Limits::default()).map_err(Failure::failed)?
    };
    let (manifest, mut found) = manifest::read::from_files(&files);
    if let Some(manifest) = &manifest {
        let staged = StagedPackage {
            digest: Digest::of(b""),
            manifest: Arc::new(manifest.clone()),
            files: Arc::new(
                files
                    .into_iter()
                    .map(|(path, bytes)| (path, bytes.into()))
                    .collect(),
            ),
        };
        found.0.extend(portico_server::check_package(&staged).0);
    }
    Ok((found, manifest))
}

pub(crate) fn pack(args: &Pack, out: &mut Output) -> Done {
    let key = keys::read(&args.key).map_err(Failure::failed)?;
    let (manifest, archive) = pack_bytes(&args.path, &key)?;
    let target = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}-{}.portico", manifest.id, manifest.version)));
    std::fs::write(&target, &archive)
        .map_err(|e| Failure::new(FAILED, format!("{}: {e}", target.display())))?;
    let digest = Digest::of(&archive);
    out.value(&json!({ "file": target, "digest": digest, "size": archive.len() }));
    out.line(format!(
        "{} {} ({}) {digest}",
        good("✓"),
        target.display(),
        bytes(archive.len() as u64)
    ));
    Ok(())
}

/// Checks a folder, `.zip` or `.tar.gz` and makes its signed archive.
pub(super) fn pack_bytes(path: &Path, key: &SigningKey) -> Result<(Manifest, Vec<u8>), Failure> {
    let (found, _) = findings(path)?;
    if found.has_errors() {
        let mut failure = Failure::new(CHECK, format!("{} cannot be packed", path.display()));
        failure.notes = found.0.iter().map(ToString::to_string).collect();
        return Err(failure);
    }
    let files: BTreeMap<String, Vec<u8>> =
        foreign::read(path, &Limits::default()).map_err(Failure::failed)?;
    let (manifest, _) = manifest::read::from_files(&files);
    let manifest = manifest
        .ok_or_else(|| Failure::new(CHECK, format!("{} has no manifest", path.display())))?;
    let archive = archive::pack(&files, &manifest, key).map_err(Failure::failed)?;
    Ok((manifest, archive))
}

pub(crate) fn key(command: Key, out: &mut Output) -> Done {
    match command {
        Key::New { output } => {
            let key = keys::generate().map_err(Failure::failed)?;
            let public = keys::write(&output, &key).map_err(Failure::failed)?;
            out.value(&json!({ "key": output, "public": public, "id": key.key_id() }));
            out.line(format!(
                "{} wrote {} (keep it to yourself) and {}",
                good("✓"),
                output.display(),
                public.display()
            ));
            out.line(format!("  id: {}", key.key_id()));
            Ok(())
        }
        Key::Show { file } => {
            let public = keys::read(&file)
                .map(|k| k.public_key())
                .or_else(|_| keys::read_public(&file))
                .map_err(Failure::failed)?;
            out.value(&json!({ "id": public.key_id(), "public": public.to_text() }));
            out.line(format!("id: {}", public.key_id()));
            out.line(public.to_text().trim_end());
            Ok(())
        }
    }
}
