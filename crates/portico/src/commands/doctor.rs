//! What is wrong with a portal or this machine, and what to do.

use std::path::Path;

use portico_store::{BlobStore, DatabaseUrl, Store};
use serde_json::{Value, json};

use super::{
    lifecycle::{array, text},
    token::block_on,
};
use crate::{
    cli::Doctor,
    client::Client,
    exit::{Done, FAILED, Failure},
    output::{Output, bytes, good},
};

struct Finding {
    what: &'static str,
    ok: bool,
    detail: String,
}

pub(crate) fn doctor(args: &Doctor, out: &mut Output) -> Done {
    let mut findings = Vec::new();
    let mut find = |what, outcome: Result<String, String>| {
        let ok = outcome.is_ok();
        findings.push(Finding {
            what,
            ok,
            detail: outcome.unwrap_or_else(|e| e),
        });
    };
    let loaded = super::configuration::load(args.config.as_deref());
    let database = loaded
        .as_ref()
        .ok()
        .and_then(|(c, _)| c.as_ref())
        .and_then(|c| c.server.database_url.as_ref())
        .map(|u| u.expose().to_owned());
    find(
        "configuration",
        match &loaded {
            Ok((None, _)) => Ok("none; defaults apply".into()),
            Ok((Some(_), warnings)) if warnings.is_empty() => Ok("fine".into()),
            Ok((Some(_), warnings)) => Ok(warnings.join("; ")),
            Err(failure) => Err(format!("{}: {}", failure.message, failure.notes.join("; "))),
        },
    );
    find("data folder", data_folder(&args.data));
    if args.data.is_dir() {
        let (store, blobs) = storage(&args.data, database.as_deref());
        find("database", store);
        find("archives", blobs);
    }
    find("portal", portal(args));
    out.value(&json!(
        findings
            .iter()
            .map(|f| json!({ "what": f.what, "ok": f.ok, "detail": f.detail }))
            .collect::<Vec<Value>>()
    ));
    for finding in &findings {
        let mark = if finding.ok {
            good("✓")
        } else {
            "✗".into()
        };
        out.line(format!("{mark} {:<14} {}", finding.what, finding.detail));
    }
    match findings.iter().filter(|f| !f.ok).count() {
        0 => Ok(()),
        n => Err(Failure::new(
            FAILED,
            format!(
                "{n} {} you",
                if n == 1 {
                    "finding needs"
                } else {
                    "findings need"
                }
            ),
        )),
    }
}

fn data_folder(data: &Path) -> Result<String, String> {
    if !data.exists() {
        return Ok(format!(
            "{} is not there yet; `portico serve` makes it",
            data.display()
        ));
    }
    let probe = data.join(".doctor");
    std::fs::write(&probe, b"probe")
        .map_err(|e| format!("{} cannot be written to: {e}", data.display()))?;
    std::fs::remove_file(&probe).map_err(|e| format!("{}: {e}", probe.display()))?;
    Ok(format!("{} can be written to", data.display()))
}

fn storage(
    data: &Path,
    database: Option<&str>,
) -> (Result<String, String>, Result<String, String>) {
    let file = data.join("portico.db");
    if database.is_none() && !file.exists() {
        return (Ok("none yet".into()), Ok("none yet".into()));
    }
    let outcome = block_on(async {
        let url = match database {
            Some(url) => url.parse::<DatabaseUrl>().map_err(Failure::failed)?,
            None => DatabaseUrl::sqlite(&file),
        };
        let store = Store::open(&url).await.map_err(Failure::failed)?;
        let mut tx = store.read().await.map_err(Failure::failed)?;
        let mut generations = Vec::new();
        for tenant in tx.tenant_list().await.map_err(Failure::failed)? {
            generations.push(format!("{} at generation {}", tenant.id, tenant.generation));
        }
        let in_use = tx
            .blob_digests_in_use(None)
            .await
            .map_err(Failure::failed)?;
        drop(tx);
        let blobs = BlobStore::open(data.join("blobs")).map_err(Failure::failed)?;
        let (mut damaged, mut missing) = (Vec::new(), 0);
        for digest in &in_use {
            match blobs.contains(digest).await.map_err(Failure::failed)? {
                false => missing += 1,
                true => {
                    if let Err(error) = blobs.get(digest).await {
                        damaged.push(error.to_string());
                    }
                }
            }
        }
        let size = blobs.size().await.map_err(Failure::failed)?;
        store.close().await;
        let archives = if damaged.is_empty() && missing == 0 {
            Ok(format!(
                "{} kept, {}, every digest holds",
                in_use.len(),
                bytes(size)
            ))
        } else {
            Err(format!(
                "{missing} missing, {} damaged: {}; the next start fetches them again",
                damaged.len(),
                damaged.join("; ")
            ))
        };
        Ok((format!("reads; {}", generations.join(", ")), archives))
    });
    match outcome {
        Ok((store, archives)) => (Ok(store), archives),
        Err(failure) => (Err(failure.message), Ok("not looked at".into())),
    }
}

fn portal(args: &Doctor) -> Result<String, String> {
    let client = Client::new(&args.connection).map_err(|f| f.message)?;
    let ready = match client.get("/readyz") {
        Ok(ready) => ready,
        Err(failure) => return Ok(format!("not running: {}", failure.message)),
    };
    if text(&ready, "store") != "ok" {
        return Err(format!(
            "it runs and its store does not answer: {}",
            text(&ready, "store")
        ));
    }
    if args.connection.token.is_none() {
        return Ok("runs; give --token to look inside".into());
    }
    let health = client.get("/api/portal/health").map_err(|f| f.message)?;
    let registries = client
        .get("/api/portal/registries")
        .map_err(|f| f.message)?;
    let broken: Vec<String> = array(&registries, "registries")
        .iter()
        .filter(|r| !text(r, "error").is_empty())
        .map(|r| format!("registry {}: {}", text(r, "name"), text(r, "error")))
        .collect();
    if !broken.is_empty() {
        return Err(broken.join("; "));
    }
    if text(&health, "status") == "ok" {
        Ok(text(&health, "summary"))
    } else {
        Err(text(&health, "summary"))
    }
}
