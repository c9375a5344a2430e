//! The published description of the HTTP API, and the gate that keeps it additive.

use std::{fs, path::PathBuf};

use serde_json::{Map, Value};

use crate::{
    Fallible,
    portal::{Portal, binary},
    sh::root,
};

fn file() -> PathBuf {
    root().join("docs/reference/openapi.json")
}

/// `cargo xtask openapi [--breaking]`.
pub(crate) fn run(arguments: &[String]) -> Fallible {
    let profile = if arguments.iter().any(|a| a == "--release") {
        "release"
    } else {
        "debug"
    };
    let portal = Portal::start(&binary(profile), "openapi")?;
    let new = fetch(&portal)?;
    if let Some(old) = published()? {
        let broken = breaking(&old, &new);
        if !broken.is_empty() && !arguments.iter().any(|a| a == "--breaking") {
            return Err(format!(
                "this would break clients of the published API:\n{}\nadd instead of changing, or \
                 (before a first release only) pass --breaking and say so in CHANGELOG.md",
                broken.join("\n")
            )
            .into());
        }
    }
    fs::write(file(), text(&new)?)?;
    println!("wrote {}", file().display());
    Ok(())
}

/// What is wrong with the API of a running portal, compared with the published one.
pub(crate) fn gate(portal: &Portal) -> Fallible<Vec<String>> {
    let new = fetch(portal)?;
    let Some(old) = published()? else {
        return Ok(vec![
            "docs/reference/openapi.json is missing: `cargo xtask openapi`".to_owned(),
        ]);
    };
    let mut problems: Vec<String> = breaking(&old, &new)
        .into_iter()
        .map(|what| format!("breaks clients: {what}"))
        .collect();
    if problems.is_empty() && old != new {
        problems
            .push("docs/reference/openapi.json is not current: `cargo xtask openapi`".to_owned());
    }
    Ok(problems)
}

fn fetch(portal: &Portal) -> Fallible<Value> {
    let mut document = portal.ask("GET", "/api/openapi.json", None)?.json()?;
    // Where this one happens to run is not part of the contract.
    if let Some(document) = document.as_object_mut() {
        document.remove("servers");
    }
    Ok(document)
}

fn published() -> Fallible<Option<Value>> {
    match fs::read_to_string(file()) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(_) => Ok(None),
    }
}

fn text(document: &Value) -> Fallible<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// Everything in `new` that a client written against `old` may stumble over.
pub(crate) fn breaking(old: &Value, new: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, methods) in object(&old["paths"]) {
        for (method, operation) in object(methods) {
            let at = format!("{} {path}", method.to_uppercase());
            match new["paths"][path].get(method) {
                Some(now) => operations(&at, (old, operation), (new, now), &mut broken),
                None => broken.push(format!("{at} is gone")),
            }
        }
    }
    broken.sort();
    broken.dedup();
    broken
}

type In<'a> = (&'a Value, &'a Value);

fn operations(at: &str, (old, before): In, (new, now): In, broken: &mut Vec<String>) {
    for parameter in array(&now["parameters"]) {
        let known = array(&before["parameters"])
            .iter()
            .any(|p| p["name"] == parameter["name"] && p["in"] == parameter["in"]);
        if !known && parameter["required"] == true {
            broken.push(format!(
                "{at}: new required parameter {}",
                parameter["name"]
            ));
        }
    }
    for parameter in array(&before["parameters"]) {
        let kept = array(&now["parameters"])
            .iter()
            .any(|p| p["name"] == parameter["name"] && p["in"] == parameter["in"]);
        if !kept {
            broken.push(format!("{at}: parameter {} is gone", parameter["name"]));
        }
    }
    for (media, content) in object(&before["requestBody"]["content"]) {
        let now = &now["requestBody"]["content"][media]["schema"];
        let at = format!("{at} request");
        schema(
            &at,
            (old, &content["schema"]),
            (new, now),
            Direction::Request,
            0,
            broken,
        );
    }
    for (status, response) in object(&before["responses"]) {
        let Some(now) = now["responses"].get(status) else {
            broken.push(format!("{at}: status {status} is gone"));
            continue;
        };
        for (media, content) in object(&response["content"]) {
            let now = &now["content"][media]["schema"];
            let at = format!("{at} {status}");
            schema(
                &at,
                (old, &content["schema"]),
                (new, now),
                Direction::Response,
                0,
                broken,
            );
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Request,
    Response,
}

fn schema(
    at: &str,
    (old, before): In,
    (new, now): In,
    direction: Direction,
    depth: u8,
    broken: &mut Vec<String>,
) {
    if depth > 12 || before.is_null() {
        return;
    }
    let (before, now) = (resolve(old, before), resolve(new, now));
    if now.is_null() {
        broken.push(format!("{at}: the schema is gone"));
        return;
    }
    if before.get("type").is_some()
        && before["type"] != now["type"]
        && !wider(before, now, direction)
    {
        broken.push(format!(
            "{at}: type {} became {}",
            before["type"], now["type"]
        ));
    }
    let (values, allowed) = (array(&before["enum"]), array(&now["enum"]));
    if direction == Direction::Request && !allowed.is_empty() {
        for value in values.iter().filter(|value| !allowed.contains(value)) {
            broken.push(format!("{at}: value {value} is no longer accepted"));
        }
    }
    for (name, property) in object(&before["properties"]) {
        let at = format!("{at}.{name}");
        match now["properties"].get(name) {
            Some(now) => schema(
                &at,
                (old, property),
                (new, now),
                direction,
                depth + 1,
                broken,
            ),
            None => broken.push(format!("{at} is gone")),
        }
    }
    let required = |schema: &Value, name: &Value| array(&schema["required"]).contains(name);
    match direction {
        Direction::Request => {
            for name in array(&now["required"])
                .iter()
                .filter(|name| !required(before, name))
            {
                broken.push(format!("{at}: {name} became required"));
            }
        }
        Direction::Response => {
            for name in array(&before["required"])
                .iter()
                .filter(|name| !required(now, name))
            {
                broken.push(format!("{at}: {name} is no longer always there"));
            }
        }
    }
    if before.get("items").is_some() {
        let at = format!("{at}[]");
        schema(
            &at,
            (old, &before["items"]),
            (new, &now["items"]),
            direction,
            depth + 1,
            broken,
        );
    }
}

/// A request may accept more types than before, a response may send fewer.
fn wider(before: &Value, now: &Value, direction: Direction) -> bool {
    let types = |schema: &Value| match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let (before, now) = (types(before), types(now));
    match direction {
        Direction::Request => now.is_empty() || before.iter().all(|one| now.contains(one)),
        Direction::Response => !now.is_empty() && now.iter().all(|one| before.contains(one)),
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str().and_then(|at| at.strip_prefix('#'));
    match reference.and_then(|pointer| document.pointer(pointer)) {
        Some(target) => target,
        None => schema,
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY).iter()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "paths": {"/a": {"post": {
                "parameters": [{"name": "limit", "in": "query"}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}},
                "responses": {"200": {"content": {"application/json": {"schema": {
                    "type": "object",
                    "required": ["id"],
                    "properties": {"id": {"type": "string"}, "note": {"type": ["string", "null"]}}
                }}}}}
            }}},
            "components": {"schemas": {"In": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "kind": {"type": "string", "enum": ["x", "y"]}}
            }}}
        })
    }

    fn after(pointer: &str, value: Value) -> Vec<String> {
        let mut new = document();
        *new.pointer_mut(pointer).unwrap() = value;
        breaking(&document(), &new)
    }

    const ANSWER: &str = "/paths/~1a/post/responses/200/content/application~1json/schema";

    #[test]
    fn adding_breaks_nothing() {
        let mut new = document();
        new["paths"]["/b"] = json!({"get": {"responses": {}}});
        let known = new
            .pointer_mut("/paths/~1a/post/parameters")
            .unwrap()
            .as_array_mut()
            .unwrap();
        known.push(json!({"name": "q", "in": "query"}));
        new["components"]["schemas"]["In"]["properties"]["extra"] = json!({"type": "string"});
        new.pointer_mut(ANSWER).unwrap()["properties"]["new"] = json!({"type": "string"});
        assert_eq!(breaking(&document(), &new), Vec::<String>::new());
    }

    #[test]
    fn removing_is_breaking() {
        assert_eq!(after("/paths", json!({})), ["POST /a is gone"]);
        assert_eq!(
            after(
                &format!("{ANSWER}/properties"),
                json!({"id": {"type": "string"}})
            ),
            ["POST /a 200.note is gone"]
        );
        assert_eq!(
            after("/components/schemas/In/properties/kind/enum", json!(["x"])),
            ["POST /a request.kind: value \"y\" is no longer accepted"]
        );
    }

    #[test]
    fn asking_for_more_and_promising_less_is_breaking() {
        assert_eq!(
            after("/components/schemas/In/required", json!(["name", "kind"])),
            ["POST /a request: \"kind\" became required"]
        );
        assert_eq!(
            after(&format!("{ANSWER}/required"), json!([])),
            ["POST /a 200: \"id\" is no longer always there"]
        );
        assert_eq!(
            after(&format!("{ANSWER}/properties/id/type"), json!("integer")),
            ["POST /a 200.id: type \"string\" became \"integer\""]
        );
    }
}
