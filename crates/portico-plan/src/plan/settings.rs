//! Configuration of a package: merged, filled with defaults, checked against the package's own schema.

use jsonschema::{PatternOptions, error::ValidationErrorKind};
use portico_package::{PackageId, manifest::config::check_schema};
use serde_json::{Map, Value, json};

use crate::{Refusal, nearest::nearest};

/// How deep schemas and values are followed.
const MAX_DEPTH: usize = 32;
/// Findings that are reported of one configuration.
const MAX_FINDINGS: usize = 20;

/// A configuration that holds, or why it does not.
pub(super) struct Settings {
    /// Afterwards, with defaults filled in.
    pub(super) value: Value,
    /// What is wrong with it.
    pub(super) refusals: Vec<Refusal>,
    /// What was left out because the new version does not know it.
    pub(super) notices: Vec<String>,
}

/// The configuration of `package` afterwards: `before` as far as `schema` still knows it, changed by `wanted` (a
/// merge patch: `null` takes a key away), with defaults filled in.
pub(super) fn settle(
    package: &PackageId,
    schema: Option<&Value>,
    before: Option<&Value>,
    wanted: Option<&Value>,
) -> Settings {
    let mut settings = Settings {
        value: json!({}),
        refusals: Vec::new(),
        notices: Vec::new(),
    };
    let Some(schema) = schema else {
        if wanted.is_some_and(|w| !w.is_null() && *w != json!({})) {
            settings.refuse(
                package,
                "",
                "this package takes no configuration; leave it out.".into(),
            );
        }
        return settings;
    };
    // A registry's metadata may hold a schema that nobody checked: one that refers to itself would never end.
    for fault in check_schema(schema) {
        let message = format!("the package's own {}: {}.", fault.path, fault.message);
        settings.refuse(package, "", message);
    }
    if !settings.refusals.is_empty() {
        return settings;
    }
    let schema = Schema { root: schema };
    let mut value = before.cloned().unwrap_or(Value::Null);
    let mut dropped = Vec::new();
    schema.drop_unknown(schema.root, &mut value, "", &mut dropped);
    settings.notices = dropped
        .iter()
        .map(|pointer| format!("{package} no longer knows the setting {pointer}; it is dropped."))
        .collect();
    if let Some(wanted) = wanted.filter(|wanted| !wanted.is_null()) {
        merge(&mut value, wanted, 0);
    }
    settings.value = match schema.filled(schema.root, Some(value).filter(|v| !v.is_null()), 0) {
        Some(value) => value,
        None => json!({}),
    };
    let mut unknown = Vec::new();
    schema.unknown(schema.root, &settings.value, "", &mut unknown);
    for (pointer, message) in unknown {
        settings.refuse(package, &pointer, message);
    }
    settings.check(package, schema.root);
    settings
}

impl Settings {
    fn check(&mut self, package: &PackageId, schema: &Value) {
        // Built without a retriever: a `$ref` that leads out of the schema is an error, not a request.
        let validator = match jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(1 << 20)
                    .dfa_size_limit(1 << 20),
            )
            .offline()
            .build(schema)
        {
            Ok(validator) => validator,
            Err(error) => {
                let message = format!("the package's own config_schema cannot be used: {error}.");
                return self.refuse(package, "", message);
            }
        };
        let value = std::mem::take(&mut self.value);
        for error in validator.iter_errors(&value) {
            if matches!(
                error.kind(),
                ValidationErrorKind::AdditionalProperties { .. }
            ) {
                let pointer = error.instance_path().to_string();
                if self
                    .refusals
                    .iter()
                    .any(|r| r.blockers.iter().any(|b| b.starts_with(&pointer)))
                {
                    continue;
                }
            }
            // Values may be secrets, so they are not repeated; where they stand is.
            let message = format!("{}.", error.masked_with("the value"));
            self.refuse(package, &error.instance_path().to_string(), message);
            if self.refusals.len() >= MAX_FINDINGS {
                break;
            }
        }
        self.value = value;
    }

    fn refuse(&mut self, package: &PackageId, pointer: &str, message: String) {
        let at = if pointer.is_empty() {
            String::new()
        } else {
            format!(" at {pointer}")
        };
        let message = format!("The configuration of `{package}` does not hold{at}: {message}");
        let at = (!pointer.is_empty()).then(|| pointer.to_owned());
        self.refusals
            .push(Refusal::new("invalid-config", package, message).blocked_by(at));
    }
}

/// A merge patch (RFC 7396).
fn merge(into: &mut Value, patch: &Value, depth: usize) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if depth > MAX_DEPTH {
        return;
    }
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(map) = into else { return };
    for (key, wanted) in patch {
        if wanted.is_null() {
            map.remove(key);
        } else {
            merge(
                map.entry(key.clone()).or_insert(Value::Null),
                wanted,
                depth + 1,
            );
        }
    }
}

struct Schema<'a> {
    root: &'a Value,
}

impl<'a> Schema<'a> {
    /// The schema that a local `$ref` leads to.
    fn resolved(&self, mut schema: &'a Value) -> &'a Value {
        for _ in 0..MAX_DEPTH {
            let target = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|r| r.strip_prefix('#'));
            match target.and_then(|pointer| self.root.pointer(pointer)) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    /// The properties of an object schema that allows no others. Without a word about others a schema with
    /// `properties` counts as closed too: a misspelt setting that silently does nothing helps nobody.
    fn closed(&self, schema: &'a Value) -> Option<&'a Map<String, Value>> {
        const OPENERS: [&str; 9] = [
            "patternProperties",
            "unevaluatedProperties",
            "allOf",
            "anyOf",
            "oneOf",
            "if",
            "not",
            "dependentSchemas",
            "$dynamicRef",
        ];
        let open = OPENERS.iter().any(|word| schema.get(word).is_some())
            || schema
                .get("additionalProperties")
                .is_some_and(|more| *more != Value::Bool(false));
        if open {
            None
        } else {
            schema.get("properties")?.as_object()
        }
    }

    /// Fills in defaults, at every depth. An object that is not there is made when its defaults are all it needs.
    fn filled(&self, schema: &'a Value, value: Option<Value>, depth: usize) -> Option<Value> {
        let schema = self.resolved(schema);
        if depth > MAX_DEPTH {
            return value;
        }
        let given = value.is_some();
        let value = value.or_else(|| schema.get("default").cloned());
        match value {
            Some(Value::Object(map)) => Some(Value::Object(self.filled_object(schema, map, depth))),
            Some(Value::Array(items)) => {
                let Some(item) = schema.get("items") else {
                    return Some(Value::Array(items));
                };
                let filled = items
                    .into_iter()
                    .filter_map(|v| self.filled(item, Some(v), depth + 1));
                Some(Value::Array(filled.collect()))
            }
            Some(other) => Some(other),
            None => {
                debug_assert!(!given);
                let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
                let map = is_object.then(|| self.filled_object(schema, Map::new(), depth))?;
                let required = schema.get("required").and_then(Value::as_array);
                let whole = required
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .all(|k| map.contains_key(k));
                (whole && !map.is_empty()).then_some(Value::Object(map))
            }
        }
    }

    fn filled_object(
        &self,
        schema: &'a Value,
        mut map: Map<String, Value>,
        depth: usize,
    ) -> Map<String, Value> {
        for part in schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            map = self.filled_object(self.resolved(part), map, depth + 1);
        }
        for (key, schema) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            if let Some(value) = self.filled(schema, map.remove(key), depth + 1) {
                map.insert(key.clone(), value);
            }
        }
        map
    }

    /// Takes away what an older version of the package knew and this one does not.
    fn drop_unknown(
        &self,
        schema: &'a Value,
        value: &mut Value,
        at: &str,
        dropped: &mut Vec<String>,
    ) {
        let schema = self.resolved(schema);
        let Value::Object(map) = value else { return };
        if let Some(known) = self.closed(schema) {
            map.retain(|key, _| {
                let stays = known.contains_key(key);
                if !stays {
                    dropped.push(pointer(at, key));
                }
                stays
            });
        }
        for (key, schema) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            if let Some(value) = map.get_mut(key) {
                self.drop_unknown(schema, value, &pointer(at, key), dropped);
            }
        }
    }

    fn unknown(
        &self,
        schema: &'a Value,
        value: &Value,
        at: &str,
        found: &mut Vec<(String, String)>,
    ) {
        let schema = self.resolved(schema);
        let Value::Object(map) = value else { return };
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, value) in map {
            let here = pointer(at, key);
            match properties.and_then(|known| known.get(key)) {
                Some(schema) => self.unknown(schema, value, &here, found),
                None => {
                    if let Some(known) = self.closed(schema) {
                        found.push((here, unknown_key(key, known)));
                    }
                }
            }
        }
    }
}

fn unknown_key(key: &str, known: &Map<String, Value>) -> String {
    match nearest(key, known.keys().map(String::as_str)) {
        Some(near) => format!("there is no setting `{key}`. Did you mean `{near}`?"),
        None => {
            let known: Vec<_> = known.keys().map(|key| format!("`{key}`")).collect();
            format!(
                "there is no setting `{key}`; there are {}.",
                known.join(", ")
            )
        }
    }
}

/// A JSON pointer one step further.
fn pointer(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}
