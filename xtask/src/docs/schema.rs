//! A JSON Schema as a table for people.

use std::collections::BTreeMap;

use serde_json::Value;

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    key: String,
    kind: String,
    default: String,
    says: String,
}

/// A Markdown table of everything that may be written, in the order of the schema.
pub(super) fn table(schema: &Value) -> String {
    let mut rows = Vec::new();
    object(schema, schema, "", &mut Listed::new(), &mut rows);
    let mut text = String::from("| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n");
    for row in &rows {
        let Row {
            key,
            kind,
            default,
            says,
        } = row;
        text.push_str(&format!("| `{key}` | {kind} | {default} | {says} |\n"));
    }
    text
}

/// Keys that nobody described, as sentences.
pub(super) fn undescribed(schema: &Value) -> Vec<String> {
    let mut rows = Vec::new();
    object(schema, schema, "", &mut Listed::new(), &mut rows);
    if rows.is_empty() {
        return vec!["describes no key at all".to_owned()];
    }
    let silent = rows.iter().filter(|row| row.says.is_empty());
    silent
        .map(|row| format!("`{}` has no description", row.key))
        .collect()
}

/// What has been listed: key by reference, so that nothing is listed twice.
type Listed = BTreeMap<String, String>;

fn object(root: &Value, schema: &Value, prefix: &str, listed: &mut Listed, rows: &mut Vec<Row>) {
    let schema = resolve(root, schema);
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let must = |name: &str| required.iter().any(|one| one == name);
    let mut properties: Vec<(&String, &Value)> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .collect();
    properties.sort_by_key(|(name, _)| !must(name));
    for (name, property) in properties {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let target = resolve(root, property);
        let says = description(property)
            .or_else(|| description(target))
            .unwrap_or_default();
        let default = match property.get("default").or_else(|| target.get("default")) {
            Some(value) => format!("`{value}`"),
            None if must(name) => "required".to_owned(),
            None => String::new(),
        };
        let place = rows.len();
        rows.push(Row {
            kind: kind(root, target),
            default,
            says,
            key: key.clone(),
        });
        if let Some(first) = below(root, property, &key, listed, rows) {
            let says = &mut rows[place].says;
            says.push_str(&format!(
                "{}Keys as in `{first}`.",
                if says.is_empty() { "" } else { " " }
            ));
        }
    }
}

/// Lists what may be written inside of a value; or answers where that is listed already.
fn below(
    root: &Value,
    schema: &Value,
    key: &str,
    listed: &mut Listed,
    rows: &mut Vec<Row>,
) -> Option<String> {
    let target = resolve(root, schema);
    let before = rows.len();
    if let Some(reference) = schema["$ref"].as_str() {
        if let Some(first) = listed.get(reference) {
            return Some(first.clone());
        }
        listed.insert(reference.to_owned(), key.to_owned());
    }
    let mut elsewhere = None;
    for branch in branches(target) {
        let inside = resolve(root, branch);
        if inside.get("properties").is_some() {
            match branch["$ref"]
                .as_str()
                .filter(|_| !std::ptr::eq(inside, target))
            {
                Some(_) => elsewhere = below(root, branch, key, listed, rows).or(elsewhere),
                None => object(root, inside, key, listed, rows),
            }
        }
        if let Some(items) = inside.get("items") {
            elsewhere = below(root, items, &format!("{key}[]"), listed, rows).or(elsewhere);
        }
        if let Some(values) = inside.get("additionalProperties").filter(|v| v.is_object()) {
            elsewhere = below(root, values, &format!("{key}.*"), listed, rows).or(elsewhere);
        }
    }
    // A plain value has nothing to look up.
    if rows.len() == before
        && elsewhere.is_none()
        && let Some(reference) = schema["$ref"].as_str()
    {
        listed.remove(reference);
    }
    elsewhere
}

/// The schema itself, or the ways in which its value may be written.
fn branches(schema: &Value) -> Vec<&Value> {
    ["oneOf", "anyOf", "allOf"]
        .iter()
        .find_map(|word| schema[*word].as_array())
        .map_or_else(|| vec![schema], |all| all.iter().collect())
}

fn kind(root: &Value, schema: &Value) -> String {
    let schema = resolve(root, schema);
    if let Some(values) = schema["enum"].as_array() {
        let names: Vec<String> = values
            .iter()
            .map(|value| format!("`{}`", bare(value)))
            .collect();
        return names.join(", ");
    }
    if let Some(value) = schema.get("const") {
        return format!("`{}`", bare(value));
    }
    let all = branches(schema);
    if all.len() > 1 {
        let mut kinds: Vec<String> = Vec::new();
        for branch in all {
            let one = kind(root, branch);
            if !one.is_empty() && !kinds.contains(&one) {
                kinds.push(one);
            }
        }
        return kinds.join(" or ");
    }
    let word = |kind: &str| match kind {
        "array" => match kind_of_items(root, schema) {
            items if items.is_empty() => "list".to_owned(),
            items => format!("list of {items}"),
        },
        "object" => "map".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "string" => "text".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => word(kind),
        Value::Array(kinds) => {
            let kinds: Vec<String> = kinds
                .iter()
                .filter_map(Value::as_str)
                .filter(|k| *k != "null")
                .map(word)
                .collect();
            kinds.join(" or ")
        }
        _ if schema.get("properties").is_some() => "map".to_owned(),
        _ => String::new(),
    }
}

fn kind_of_items(root: &Value, schema: &Value) -> String {
    schema
        .get("items")
        .map(|items| kind(root, items))
        .unwrap_or_default()
}

fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn description(schema: &Value) -> Option<String> {
    let text = schema["description"].as_str()?;
    Some(
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('|', "\\|"),
    )
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str().and_then(|at| at.strip_prefix('#'));
    match reference.and_then(|pointer| root.pointer(pointer)) {
        Some(target) => resolve(root, target),
        None => schema,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "description": "What people\n read."},
                "sites": {"$ref": "#/$defs/sites"},
                "port": {"type": ["integer", "null"], "default": 8080, "description": "Where | it listens."}
            },
            "$defs": {"sites": {
                "description": "Which.",
                "type": "array",
                "items": {"oneOf": [
                    {"type": "string"},
                    {"type": "object", "properties": {"id": {"type": "string"}, "on": {"enum": ["yes", "no"]}}}
                ]}
            }}
        })
    }

    #[test]
    fn tables_have_every_key_of_every_form() {
        assert_eq!(
            table(&schema()),
            "\
| Key | Type | Default | Meaning |
| --- | --- | --- | --- |
| `name` | text | required | What people read. |
| `port` | whole number | `8080` | Where \\| it listens. |
| `sites` | list of text or map |  | Which. |
| `sites[].id` | text |  |  |
| `sites[].on` | `yes`, `no` |  |  |
"
        );
    }

    #[test]
    fn keys_without_words_are_named() {
        assert_eq!(
            undescribed(&schema()),
            [
                "`sites[].id` has no description",
                "`sites[].on` has no description"
            ]
        );
    }
}
