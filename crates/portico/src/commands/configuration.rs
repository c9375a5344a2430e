//! The configuration file: check, show, reload.

use std::path::{Path, PathBuf};

use portico_config::{Config as Model, FILE_NAMES};
use serde_json::{Value, json};

use super::lifecycle::{array, text};
use crate::{
    cli::Config,
    client::Client,
    exit::{CHECK, Done, FAILED, Failure},
    output::{Output, good},
};

pub(crate) fn config(command: Config, out: &mut Output) -> Done {
    match command {
        Config::Check { file } => check(file, out),
        Config::Schema => {
            out.raw(portico_config::JSON_SCHEMA.trim_end());
            Ok(())
        }
        Config::Show { file } => {
            let path = named(file)?;
            let (model, _) = load(Some(&path))?;
            let json = model
                .map(|m| m.to_json())
                .transpose()
                .map_err(Failure::failed)?;
            out.raw(&serde_json::to_string_pretty(&json).unwrap_or_default());
            Ok(())
        }
        Config::Reload {
            dry_run,
            connection,
        } => {
            let client = Client::new(&connection)?;
            let path = if dry_run {
                "/api/portal/config/reload?dry_run=true"
            } else {
                "/api/portal/config/reload"
            };
            let answer = client.post(path, &json!({}))?;
            out.value(&answer);
            let changed = array(&answer, "changed");
            if changed.is_empty() {
                out.line("Nothing differs.");
            }
            for change in changed {
                let show = |key: &str| change.get(key).map(Value::to_string).unwrap_or_default();
                out.line(format!(
                    "{}: {} → {}",
                    text(change, "path"),
                    show("before"),
                    show("after")
                ));
            }
            for key in array(&answer, "needs_restart") {
                out.line(format!(
                    "{} needs a restart",
                    key.as_str().unwrap_or_default()
                ));
            }
            for failed in array(&answer, "failed") {
                out.line(format!(
                    "{} was not changed: {}",
                    text(failed, "id"),
                    text(failed, "reason")
                ));
            }
            Ok(())
        }
    }
}

fn check(file: Option<PathBuf>, out: &mut Output) -> Done {
    let path = named(file)?;
    let name = path.display().to_string();
    let source = read(&path)?;
    let (model, diagnostics) = portico_config::read(&name, &source);
    let unsupported = model.as_ref().map(Model::unsupported).unwrap_or_default();
    let unsupported: Vec<String> = unsupported.0.iter().map(ToString::to_string).collect();
    out.value(&json!({ "file": name, "ok": !diagnostics.has_errors(), "diagnostics": diagnostics, "unsupported": unsupported }));
    if diagnostics.has_errors() {
        let count = diagnostics.0.len();
        let mut failure = Failure::new(
            CHECK,
            format!(
                "{name}: {count} {}",
                if count == 1 { "problem" } else { "problems" }
            ),
        );
        failure.notes = diagnostics.0.iter().map(ToString::to_string).collect();
        failure.problem = Some(
            json!({ "file": name, "ok": false, "diagnostics": diagnostics, "unsupported": unsupported }),
        );
        return Err(failure);
    }
    for line in &unsupported {
        out.line(format!("not in this build: {line}"));
    }
    out.line(format!("{} {name} is fine", good("✓")));
    Ok(())
}

/// The file that would be read without `--config`.
pub(super) fn default_file() -> Option<&'static str> {
    FILE_NAMES.iter().copied().find(|n| Path::new(n).is_file())
}

fn named(file: Option<PathBuf>) -> Result<PathBuf, Failure> {
    file.or_else(|| default_file().map(PathBuf::from))
        .ok_or_else(|| {
            Failure::new(
                FAILED,
                format!(
                    "there is no {} here; name the file",
                    FILE_NAMES.join(" and no ")
                ),
            )
        })
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|e| Failure::new(FAILED, format!("{}: {e}", path.display())))
}

/// Reads the named file, else the default one, else none; also answers what this build does not do.
pub(super) fn load(file: Option<&Path>) -> Result<(Option<Model>, Vec<String>), Failure> {
    let Some(path) = file
        .map(PathBuf::from)
        .or_else(|| default_file().map(PathBuf::from))
    else {
        return Ok((None, Vec::new()));
    };
    let name = path.display().to_string();
    let (model, diagnostics) = portico_config::read(&name, &read(&path)?);
    if diagnostics.has_errors() {
        let mut failure = Failure::new(CHECK, format!("{name} cannot be used"));
        failure.notes = diagnostics.0.iter().map(ToString::to_string).collect();
        return Err(failure);
    }
    let mut warnings: Vec<String> = diagnostics.0.iter().map(ToString::to_string).collect();
    let unsupported = model.as_ref().map(Model::unsupported).unwrap_or_default();
    warnings.extend(
        unsupported
            .0
            .iter()
            .map(|u| format!("not in this build: {u}")),
    );
    Ok((model, warnings))
}
