//! What changes from one configuration to the next.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::Config;

/// One key whose value differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Which, `microsites.sz_dash.path`; entries of lists go by their id or name.
    pub path: String,
    /// Value until now; missing when the key is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Value from now on; missing when the key is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// When it counts.
    pub applies: Applies,
}

/// When a change counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Applies {
    /// At once.
    Live,
    /// After the portal was started again.
    Restart,
}

/// What differs, in order of the path. Secrets are compared and not shown.
///
/// # Errors
/// As [`Config::to_json`].
pub fn diff(old: &Config, new: &Config) -> Result<Vec<Change>, serde_json::Error> {
    let (before, after) = (flat(&old.to_json()?), flat(&new.to_json()?));
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    let secret = "server.database_url";
    let secret_differs = old.server.database_url != new.server.database_url;
    Ok(paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path) || (*path == secret && secret_differs))
        .map(|path| Change {
            path: path.clone(),
            before: before.get(path).cloned(),
            after: after.get(path).cloned(),
            applies: applies(path),
        })
        .collect())
}

/// Sockets, folders, the database and the log are opened once.
fn applies(path: &str) -> Applies {
    if path.starts_with("server.") {
        Applies::Restart
    } else {
        Applies::Live
    }
}

/// Leaves by path. Lists of things with an `id` or `name` become mappings, so that an insertion is
/// one change; every other list is one value, and so is what belongs to a package.
fn flat(value: &Value) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    flatten(value, String::new(), &mut out);
    out
}

fn flatten(value: &Value, path: String, out: &mut BTreeMap<String, Value>) {
    let child = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Object(map) if !path.ends_with(".config") => {
            for (key, value) in map {
                flatten(value, child(key), out);
            }
        }
        Value::Array(items) => {
            let named: Option<Vec<&str>> = items
                .iter()
                .map(|item| {
                    item.get("id")
                        .or_else(|| item.get("name"))
                        .and_then(Value::as_str)
                })
                .collect();
            match named {
                Some(names) if !names.is_empty() => {
                    for (name, item) in names.into_iter().zip(items) {
                        flatten(item, child(name), out);
                    }
                }
                _ => {
                    out.insert(path, value.clone());
                }
            }
        }
        leaf => {
            out.insert(path, leaf.clone());
        }
    }
}
