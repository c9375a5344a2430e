//! Registries: make one, publish to it, trust one.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use http::Method;
use portico_host::{Clock, SystemClock};
use portico_package::archive::{self, Limits};
use portico_registry::{Expiry, Repository, RepositoryKeys, keys, keys::RoleName};
use serde_json::{Value, json};

use super::{
    author::pack_bytes,
    lifecycle::{array, text},
};
use crate::{
    cli::{Publish, Registry, Trust},
    client::Client,
    exit::{Done, FAILED, Failure},
    output::{Output, bytes, good},
};

pub(crate) fn registry(command: Registry, out: &mut Output) -> Done {
    match command {
        Registry::Init {
            dir,
            keys: folder,
            publisher,
        } => {
            let folder = folder.unwrap_or_else(|| keys_of(&dir));
            let mut all =
                RepositoryKeys::generate(&SystemRandom::new()).map_err(Failure::failed)?;
            if let Some(path) = publisher {
                all = all.with(
                    RoleName::Publisher,
                    keys::read(&path).map_err(Failure::failed)?,
                );
            }
            // Keys first: a registry whose keys were not kept could never be changed again.
            all.save(&folder).map_err(Failure::failed)?;
            let now = SystemClock.now();
            let made = Repository::init(&dir, &all, &[], Expiry::default(), now)
                .map_err(Failure::failed)?;
            out.value(&json!({ "registry": dir, "keys": folder, "root": made.folder().join("root.json") }));
            out.line(format!(
                "{} made {}, an empty registry; any web server can serve the folder",
                good("✓"),
                dir.display()
            ));
            out.line(format!(
                "  its keys are in {}: keep that folder off the web server and in a backup",
                folder.display()
            ));
            out.line(format!(
                "  portals trust it with `portico trust add NAME {} --root {}`",
                dir.display(),
                dir.join("root.json").display()
            ));
            Ok(())
        }
        Registry::Refresh { dir, keys: folder } => {
            let all = load_keys(&dir, folder)?;
            let repository = Repository::open(&dir, Expiry::default()).map_err(Failure::failed)?;
            repository
                .refresh(&all, SystemClock.now())
                .map_err(Failure::failed)?;
            out.value(&json!({ "registry": dir }));
            out.line(format!("{} signed again", good("✓")));
            Ok(())
        }
    }
}

pub(crate) fn publish(args: &Publish, out: &mut Output) -> Done {
    let mut all = load_keys(&args.registry, args.keys.clone())?;
    if let Some(path) = &args.key {
        all = all.with(
            RoleName::Publisher,
            keys::read(path).map_err(Failure::failed)?,
        );
    }
    let publisher = all.get(RoleName::Publisher).ok_or_else(|| {
        Failure::new(FAILED, "there is no publisher.key among the registry's keys; name the publisher's key with --key")
    })?;
    let packed = args.path.extension().is_some_and(|e| e == "portico");
    let archive = if packed {
        std::fs::read(&args.path)
            .map_err(|e| Failure::new(FAILED, format!("{}: {e}", args.path.display())))?
    } else {
        pack_bytes(&args.path, publisher)?.1
    };
    archive::verify(
        &archive,
        None,
        &[publisher.public_key()],
        &Limits::default(),
    )
    .map_err(Failure::failed)?;
    let repository =
        Repository::open(&args.registry, Expiry::default()).map_err(Failure::failed)?;
    let published = repository
        .publish(&archive, &all, SystemClock.now())
        .map_err(Failure::failed)?;
    let release = &published.release;
    out.value(&json!({
        "id": release.manifest.id, "version": release.manifest.version.to_string(), "digest": release.digest,
        "size": release.size, "new": published.new,
    }));
    let word = if published.new {
        "published"
    } else {
        "was published before, unchanged:"
    };
    out.line(format!(
        "{} {word} {} {} ({})",
        good("✓"),
        release.manifest.id,
        release.manifest.version,
        bytes(release.size)
    ));
    Ok(())
}

pub(crate) fn trust(command: Trust, out: &mut Output) -> Done {
    match command {
        Trust::Add {
            name,
            address: url,
            root,
            connection,
        } => {
            let local = Path::new(&url);
            let url = if local.is_dir() {
                absolute(local)?
            } else {
                url
            };
            let root = root.unwrap_or_else(|| Path::new(&url).join("root.json"));
            let source = std::fs::read(&root).map_err(|e| {
                Failure::new(FAILED, format!("{}: {e}", root.display()))
                    .note("A root is brought by you, never fetched from the registry that it vouches for: name it with --root.")
            })?;
            let root: Value = serde_json::from_slice(&source)
                .map_err(|e| Failure::new(FAILED, format!("{}: {e}", root.display())))?;
            let client = Client::new(&connection)?;
            let (_, entry) = client.send(
                Method::POST,
                "/api/portal/registries",
                Some(&json!({ "name": name, "url": url, "root": root })),
                &[],
            )?;
            out.value(&entry);
            out.line(format!(
                "{} trusts {name}: {} releases",
                good("✓"),
                text(&entry, "releases")
            ));
            Ok(())
        }
        Trust::List(connection) => {
            let list = Client::new(&connection)?.get("/api/portal/registries")?;
            show(&list, out);
            Ok(())
        }
        Trust::Remove { name, connection } => {
            Client::new(&connection)?.delete(&format!("/api/portal/registries/{name}"))?;
            out.line(format!(
                "{} {name} is trusted no more; what was installed from it stays",
                good("✓")
            ));
            Ok(())
        }
        Trust::Refresh(connection) => {
            let list =
                Client::new(&connection)?.post("/api/portal/registries/refresh", &json!({}))?;
            show(&list, out);
            Ok(())
        }
    }
}

fn show(list: &Value, out: &Output) {
    out.value(list);
    let rows: Vec<_> = array(list, "registries")
        .iter()
        .map(|r| {
            vec![
                text(r, "name"),
                text(r, "kind"),
                text(r, "releases"),
                text(r, "refreshed_at"),
                text(r, "url"),
                text(r, "error"),
            ]
        })
        .collect();
    out.table(
        &["NAME", "KIND", "RELEASES", "READ", "WHERE", "PROBLEM"],
        &rows,
    );
}

fn keys_of(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".keys");
    PathBuf::from(name)
}

fn load_keys(dir: &Path, folder: Option<PathBuf>) -> Result<RepositoryKeys, Failure> {
    RepositoryKeys::load(&folder.unwrap_or_else(|| keys_of(dir))).map_err(Failure::failed)
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let full = std::fs::canonicalize(path)
        .map_err(|e| Failure::new(FAILED, format!("{}: {e}", path.display())))?;
    Ok(full.display().to_string())
}
