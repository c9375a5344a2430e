//! `server:`.

use std::collections::BTreeMap;

use portico_package::{
    PackageId, Severity,
    manifest::check::is_url,
    yaml::{Field, Fields},
};

use super::{line, section};
use crate::{Log, LogFormat, LogLevel, Server, Tls};

pub(super) fn server(f: &Fields<'_>) -> Server {
    let default = Server::default();
    Server {
        listen: f
            .get("listen")
            .and_then(|f| f.parse())
            .unwrap_or(default.listen),
        tls: f.get("tls").and_then(|f| tls(&f)),
        public_url: f.get("public_url").and_then(|f| public_url(&f)),
        trusted_proxies: f
            .get("trusted_proxies")
            .and_then(|f| f.list())
            .unwrap_or_default()
            .iter()
            .filter_map(|f| f.parse())
            .collect(),
        data_folder: f
            .get("data_folder")
            .and_then(|f| line(&f, 1000))
            .map_or(default.data_folder, Into::into),
        database_url: f.get("database_url").and_then(|f| f.parse_secret()),
        hosts: f.get("hosts").map(|f| hosts(&f)).unwrap_or_default(),
        session_hours: f
            .get("session_hours")
            .and_then(|f| f.integer(1..=8760))
            .and_then(|hours| u32::try_from(hours).ok())
            .unwrap_or(default.session_hours),
        log: section(f, "log", log),
    }
}

fn tls(field: &Field<'_>) -> Option<Tls> {
    let f = field.map()?;
    let certificate = f.require("certificate").and_then(|f| line(&f, 1000));
    let key = f.require("key").and_then(|f| line(&f, 1000));
    f.finish();
    Some(Tls {
        certificate: certificate?.into(),
        key: key?.into(),
    })
}

fn public_url(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let trimmed = text.trim_end_matches('/');
    let bare = trimmed
        .split_once("://")
        .is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']));
    if is_url(trimmed, &["http", "https"]) && bare {
        return Some(trimmed.to_owned());
    }
    let hint = Some("write one such as `https://portal.example.org`, without a path".into());
    field.error(
        "invalid-value",
        format!("`{text}` is not the address of a portal"),
        hint,
    );
    None
}

fn hosts(field: &Field<'_>) -> BTreeMap<String, String> {
    let Some(f) = field.map() else {
        return BTreeMap::new();
    };
    let mut out = BTreeMap::new();
    for (host, tenant) in f.entries() {
        if host.contains([':', '/']) || !is_url(&format!("https://{host}"), &["https"]) {
            let hint = Some("write a name such as `portal.example.org`, without a port".into());
            let message = format!("`{host}` is not the name of a host");
            f.report_key(Severity::Error, host, "invalid-value", message, hint);
        }
        // Tenant ids follow the rule of package ids.
        let Some(id) = tenant.string() else { continue };
        if id.parse::<PackageId>().is_ok() {
            out.insert(host.to_ascii_lowercase(), id);
        } else {
            let hint = Some("use 1 to 64 of a-z, 0-9, `_` and `-`".into());
            tenant.error(
                "invalid-value",
                format!("`{id}` is not the id of a tenant"),
                hint,
            );
        }
    }
    out
}

fn log(f: &Fields<'_>) -> Log {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
        LogLevel::Trace,
    ]
    .map(|level| (level.as_str(), level));
    Log {
        format: f
            .get("format")
            .and_then(|f| f.choice(&formats))
            .unwrap_or_default(),
        level: f
            .get("level")
            .and_then(|f| f.choice(&levels))
            .unwrap_or_default(),
    }
}
