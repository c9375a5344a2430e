//! Search, plan, the six verbs, list: what people do with a running portal.

use std::{collections::BTreeSet, path::Path, time::Duration};

use http::Method;
use serde_json::{Value, json};

use crate::{
    cli::{Change, Connection, Consent, Disable, Install, Plan, Search},
    client::Client,
    exit::{CHANGES, Done, FAILED, Failure, REFUSED},
    output::{Output, bytes, dim, good},
};

pub(crate) fn search(args: &Search, out: &mut Output) -> Done {
    let client = Client::new(&args.connection)?;
    let found = client.get(&format!(
        "/api/portal/microsites/available?limit=200&q={}",
        encode(&args.words)
    ))?;
    out.value(&found);
    let rows: Vec<Vec<String>> = array(&found, "available")
        .iter()
        .map(|e| {
            vec![
                text(e, "id"),
                text(e, "version"),
                text(e, "state"),
                text(e, "registry"),
                text(e, "description"),
            ]
        })
        .collect();
    if rows.is_empty() {
        out.line(format!("Nothing matches `{}`.", args.words));
    }
    if !rows.is_empty() {
        out.table(
            &["ID", "VERSION", "STATE", "REGISTRY", "WHAT IT IS FOR"],
            &rows,
        );
    }
    for registry in array(&found, "unreachable") {
        out.progress(&format!(
            "registry {} could not be read: {}",
            text(registry, "name"),
            text(registry, "reason")
        ));
    }
    Ok(())
}

pub(crate) fn list(connection: &Connection, out: &mut Output) -> Done {
    let client = Client::new(connection)?;
    let found = client.get("/api/portal/microsites")?;
    out.value(&found);
    let rows: Vec<Vec<String>> = array(&found, "installed")
        .iter()
        .map(|i| {
            let latest = i
                .get("latest")
                .and_then(Value::as_str)
                .map(|v| format!("{v} is there"));
            vec![
                text(i, "id"),
                text(i, "version"),
                text(i, "state"),
                text(i, "path"),
                text(i, "origin"),
                latest.unwrap_or_default(),
            ]
        })
        .collect();
    out.table(
        &["ID", "VERSION", "STATE", "PATH", "OWNER", "UPDATE"],
        &rows,
    );
    Ok(())
}

pub(crate) fn plan(args: &Plan, out: &mut Output) -> Done {
    let client = Client::new(&args.connection)?;
    let plan = client.post(
        "/api/portal/microsites/plan",
        &plan_body(
            &args.verb,
            &args.id,
            args.version.as_deref(),
            args.registry.as_deref(),
            None,
        ),
    )?;
    out.value(&plan);
    show(&plan, out);
    if plan.get("executable") != Some(&Value::Bool(true)) {
        return Err(refused(&plan));
    }
    if array(&plan, "changes").is_empty() {
        out.line("Nothing to do.");
        return Ok(());
    }
    // Not an error: the code tells CI that there is something to do.
    out.set_exit(CHANGES);
    Ok(())
}

pub(crate) fn install(args: &Install, out: &mut Output) -> Done {
    let id = args
        .id
        .as_deref()
        .ok_or_else(|| Failure::new(crate::exit::USAGE, "name the package to install"))?;
    let config = args.config.as_deref().map(read_config).transpose()?;
    let asked = Asked {
        verb: "install",
        id,
        version: args.version.as_deref(),
        registry: args.registry.as_deref(),
        config,
        kill: false,
    };
    carry_out(&asked, &args.consent, &args.connection, out)
}

pub(crate) fn change(verb: &'static str, args: &Change, out: &mut Output) -> Done {
    let config = args.config.as_deref().map(read_config).transpose()?;
    let asked = Asked {
        verb,
        id: &args.id,
        version: args.version.as_deref(),
        registry: None,
        config,
        kill: false,
    };
    carry_out(&asked, &args.consent, &args.connection, out)
}

pub(crate) fn disable(args: &Disable, out: &mut Output) -> Done {
    let asked = Asked {
        verb: "disable",
        id: &args.id,
        version: None,
        registry: None,
        config: None,
        kill: args.kill,
    };
    carry_out(&asked, &args.consent, &args.connection, out)
}

struct Asked<'a> {
    verb: &'static str,
    id: &'a str,
    version: Option<&'a str>,
    registry: Option<&'a str>,
    config: Option<Value>,
    kill: bool,
}

/// Plan, ask, send what was looked at, and show each step until it is live.
fn carry_out(
    asked: &Asked<'_>,
    consent: &Consent,
    connection: &Connection,
    out: &mut Output,
) -> Done {
    let client = Client::new(connection)?;
    let plan = client.post(
        "/api/portal/microsites/plan",
        &plan_body(
            asked.verb,
            asked.id,
            asked.version,
            asked.registry,
            asked.config.as_ref(),
        ),
    )?;
    show(&plan, out);
    if plan.get("executable") != Some(&Value::Bool(true)) {
        return Err(refused(&plan));
    }
    let approve = consented(&plan, consent, out)?;
    let mut body = json!({ "approve": approve, "lock": plan["lock"] });
    if let Some(version) = asked.version {
        body["version"] = json!(version);
    }
    if let Some(config) = &asked.config {
        body["config"] = config.clone();
    }
    let (method, path) = match asked.verb {
        "install" => {
            body["microsite_id"] = json!(asked.id);
            if let Some(registry) = asked.registry {
                body["registry"] = json!(registry);
            }
            (Method::POST, "/api/portal/microsites/install".to_owned())
        }
        "uninstall" => (
            Method::DELETE,
            format!(
                "/api/portal/microsites/{}?lock={}",
                asked.id,
                encode(&text(&plan, "lock"))
            ),
        ),
        verb => {
            if asked.kill {
                body["kill"] = json!(true);
            }
            (
                Method::POST,
                format!("/api/portal/microsites/{}/{verb}", asked.id),
            )
        }
    };
    let body = (method != Method::DELETE).then_some(&body);
    let mut headers = vec![("prefer", "respond-async")];
    if let Some(key) = &consent.idempotency_key {
        headers.push(("idempotency-key", key));
    }
    let (_, operation) = client.send(method, &path, body, &headers)?;
    let operation = follow(&client, operation, out)?;
    out.value(&operation);
    if text(&operation, "state") == "succeeded" {
        out.line(format!(
            "{} {} {} {}",
            good("✓"),
            past(asked.verb),
            text(&operation, "name"),
            text(&operation, "version")
        ));
        return Ok(());
    }
    let error = operation.get("error").cloned().unwrap_or_default();
    let mut failure = Failure::new(FAILED, text(&error, "message")).note("Nothing was changed.");
    failure.notes.push(format!(
        "code: {} · step: {} · operation: {}",
        text(&error, "code"),
        text(&error, "step"),
        text(&operation, "id")
    ));
    failure.problem = Some(operation);
    Err(failure)
}

/// Polls an operation and prints each step as it ends.
fn follow(client: &Client, mut operation: Value, out: &Output) -> Result<Value, Failure> {
    let path = format!("/api/portal/operations/{}", text(&operation, "id"));
    let mut shown = BTreeSet::new();
    loop {
        for step in array(&operation, "steps") {
            let name = text(step, "step");
            if text(step, "state") == "done" && shown.insert(name.clone()) {
                out.progress(&format!("  {name:<9} {}", text(step, "detail")));
            }
        }
        if matches!(text(&operation, "state").as_str(), "succeeded" | "failed") {
            return Ok(operation);
        }
        std::thread::sleep(Duration::from_millis(60));
        operation = client.get(&path)?;
    }
}

/// What the person approves: everything with `--yes`, the named ones with `--approve`, else they are asked.
fn consented(plan: &Value, consent: &Consent, out: &Output) -> Result<Vec<String>, Failure> {
    let asks: Vec<&Value> = array(plan, "changes")
        .iter()
        .flat_map(|c| array(c, "permissions"))
        .collect();
    let fresh: Vec<String> = asks
        .iter()
        .filter(|p| matches!(text(p, "status").as_str(), "new" | "widened"))
        .map(|p| text(p, "permission"))
        .collect();
    if consent.yes {
        return Ok(fresh);
    }
    let needs_a_person = !fresh.is_empty()
        || matches!(
            text(plan, "verb").as_str(),
            "uninstall" | "disable" | "rollback"
        );
    if !consent.approve.is_empty() || !needs_a_person {
        return Ok(consent.approve.clone());
    }
    if !out.can_ask() {
        return Err(
            Failure::new(REFUSED, "this needs a yes and nobody is there to be asked").note(
                if fresh.is_empty() {
                    "Say --yes.".to_owned()
                } else {
                    format!("Say --yes, or --approve {}.", fresh.join(" --approve "))
                },
            ),
        );
    }
    if out.ask("Approve and go on?") {
        Ok(fresh)
    } else {
        Err(Failure::new(REFUSED, "not approved; nothing was changed"))
    }
}

fn show(plan: &Value, out: &Output) {
    for line in array(plan, "summary") {
        out.line(line.as_str().unwrap_or_default());
    }
    let size = plan
        .get("storage_bytes")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    if size > 0 {
        out.line(dim(&format!("Takes {} of storage.", bytes(size))));
    }
}

fn refused(plan: &Value) -> Failure {
    let refusals = array(plan, "refusals");
    let mut messages = refusals.iter().map(|r| text(r, "message"));
    let mut failure = Failure::new(
        REFUSED,
        messages
            .next()
            .unwrap_or_else(|| "the plan was refused".into()),
    );
    failure.notes.extend(messages);
    if let Some(first) = refusals.first() {
        failure.notes.push(format!("code: {}", text(first, "code")));
    }
    failure.problem = Some(plan.clone());
    failure
}

fn plan_body(
    verb: &str,
    id: &str,
    version: Option<&str>,
    registry: Option<&str>,
    config: Option<&Value>,
) -> Value {
    let mut body = json!({ "verb": verb, "microsite_id": id });
    for (key, value) in [("version", version), ("registry", registry)] {
        if let Some(value) = value {
            body[key] = json!(value);
        }
    }
    if let Some(config) = config {
        body["config"] = config.clone();
    }
    body
}

/// YAML is a superset of JSON, so one reader does.
fn read_config(path: &Path) -> Result<Value, Failure> {
    let source = std::fs::read_to_string(path)
        .map_err(|e| Failure::new(FAILED, format!("{}: {e}", path.display())))?;
    let reader = portico_package::yaml::Reader::new(&path.display().to_string());
    let node = reader.parse(&source);
    let value = node.as_ref().and_then(|n| reader.root(n).json());
    let found = reader.into_diagnostics();
    value.filter(|_| !found.has_errors()).ok_or_else(|| {
        Failure::new(
            crate::exit::CHECK,
            format!("{} cannot be read: {found}", path.display()),
        )
    })
}

fn past(verb: &str) -> &'static str {
    match verb {
        "install" => "Installed",
        "upgrade" => "Upgraded to",
        "rollback" => "Went back to",
        "disable" => "Switched off",
        "enable" => "Switched on",
        _ => "Removed",
    }
}

pub(super) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

pub(super) fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(super) fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
