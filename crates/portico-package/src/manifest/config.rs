//! `config_schema`: the settings of a package, as a JSON Schema (2020-12) that cannot hurt.
//!
//! A schema comes from strangers and is run by the portal, so it may not refer to anything outside
//! itself, not be recursive, not multiply itself through references, and patterns are run by an
//! engine with linear time.

use std::collections::BTreeMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use super::Fault;

/// Most subschemas that validation may visit, references counted as often as they are used.
const MAX_WEIGHT: u64 = 5_000;
/// What a pattern counts: its compiled form is what takes memory.
const PATTERN_WEIGHT: u64 = 100;
/// Most bytes of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 18;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Checks a `config_schema` and its defaults.
pub fn check_schema(schema: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Some(root) = schema.as_object() else {
        return vec![fault(
            "config_schema",
            "`config_schema` should be a mapping".into(),
            None,
        )];
    };
    if root.get("type").is_some_and(|t| t != "object") {
        let hint = Some("write `type: object` with `properties`".into());
        faults.push(fault(
            "config_schema.type",
            "a configuration is an object".into(),
            hint,
        ));
    }
    references(schema, &mut faults);
    if !faults.is_empty() {
        return faults;
    }
    if let Err(e) = jsonschema::draft202012::meta::validate(schema) {
        let path = format!("config_schema{}", dotted(e.instance_path().as_str()));
        return vec![fault(
            &path,
            format!("not a JSON Schema: {}", e.masked()),
            None,
        )];
    }
    match compile(schema) {
        Ok(validator) => default_faults(schema, &validator),
        Err(message) => vec![fault("config_schema", message, None)],
    }
}

/// `given` with the defaults of `schema` filled in, checked. Defaults are filled at every depth
/// of `properties`, where the object around them is there. Without a schema there is nothing to set.
///
/// # Errors
/// Every value that does not fit, with its path (`retention_days`).
pub fn resolve(schema: Option<&Value>, given: &Value) -> Result<Value, Vec<Fault>> {
    let Some(schema) = schema else {
        return match given {
            Value::Null => Ok(Value::Object(Map::new())),
            Value::Object(map) if map.is_empty() => Ok(given.clone()),
            _ => Err(vec![fault(
                "",
                "this package has no configuration".into(),
                None,
            )]),
        };
    };
    let mut value = if given.is_null() {
        Value::Object(Map::new())
    } else {
        given.clone()
    };
    fill(schema, &mut value, false);
    // Manifests from registries are read without looking into their schema, so it is looked at here.
    let mut faults = Vec::new();
    references(schema, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let validator = compile(schema).map_err(|message| vec![fault("", message, None)])?;
    let faults: Vec<Fault> = validator
        .iter_errors(&value)
        .take(50)
        .map(|e| {
            let path = dotted(e.instance_path().as_str());
            let path = path.trim_start_matches('.');
            let name = if path.is_empty() {
                "the configuration"
            } else {
                path
            };
            fault(path, format!("{name}: {e}"), None)
        })
        .collect();
    if faults.is_empty() {
        Ok(value)
    } else {
        Err(faults)
    }
}

fn fault(path: &str, message: String, hint: Option<String>) -> Fault {
    Fault {
        path: path.into(),
        code: "invalid-value",
        message,
        hint,
    }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(PATTERN_BYTES)
                .dfa_size_limit(PATTERN_BYTES),
        )
        .offline()
        .build(schema)
        .map_err(|e| format!("not a usable JSON Schema: {}", e.masked()))
}

/// A JSON pointer as a path of the document: `/a/0/b` → `.a[0].b`.
fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty() {
            out.push_str(&format!("[{part}]"));
        } else {
            out.push('.');
            out.push_str(&part);
        }
    }
    out
}

/// Puts missing defaults into `value`; with `everywhere` also into objects that are not there.
fn fill(schema: &Value, value: &mut Value, everywhere: bool) {
    let (Some(properties), Some(object)) = (
        schema.get("properties").and_then(Value::as_object),
        value.as_object_mut(),
    ) else {
        return;
    };
    for (key, property) in properties {
        if !object.contains_key(key) {
            if let Some(default) = property.get("default") {
                object.insert(key.clone(), default.clone());
            } else if everywhere && property.get("properties").is_some() {
                object.insert(key.clone(), Value::Object(Map::new()));
            }
        }
        if let Some(inner) = object.get_mut(key) {
            fill(property, inner, everywhere);
        }
    }
}

/// Defaults that the schema itself would refuse.
fn default_faults(schema: &Value, validator: &Validator) -> Vec<Fault> {
    let mut instance = Value::Object(Map::new());
    fill(schema, &mut instance, true);
    let mut pointers = Vec::new();
    default_pointers(schema, String::new(), "config_schema".into(), &mut pointers);
    validator
        .iter_errors(&instance)
        .filter_map(|e| {
            let at = e.instance_path().as_str();
            // What is missing around a default is no mistake of the default.
            let (_, path) = pointers
                .iter()
                .filter(|(pointer, _)| at == pointer || at.starts_with(&format!("{pointer}/")))
                .max_by_key(|(pointer, _)| pointer.len())?;
            Some(fault(
                path,
                format!("the default does not fit its own schema: {e}"),
                None,
            ))
        })
        .take(50)
        .collect()
}

/// Where defaults end up in the instance, with where they stand in the schema.
fn default_pointers(
    schema: &Value,
    pointer: String,
    path: String,
    out: &mut Vec<(String, String)>,
) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (key, property) in properties {
            let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            let path = format!("{path}.properties.{key}");
            if property.get("default").is_some() {
                out.push((pointer.clone(), format!("{path}.default")));
            }
            default_pointers(property, pointer, path, out);
        }
    }
}

/// Refuses references out of the schema, recursion, and references that multiply.
fn references(schema: &Value, faults: &mut Vec<Fault>) {
    let mut uses = Uses::default();
    uses.walk(schema, "config_schema", faults);
    let definitions = schema.get("$defs").and_then(Value::as_object);
    let mut graph: BTreeMap<&str, Uses> = BTreeMap::new();
    for (name, definition) in definitions.into_iter().flatten() {
        let mut uses = Uses::default();
        // Faults inside were found by the walk over the whole schema.
        uses.walk(definition, "", &mut Vec::new());
        graph.insert(name, uses);
    }
    for (name, path) in &uses.named {
        if !graph.contains_key(name.as_str()) {
            let message = format!("there is no `{name}` in `$defs`");
            faults.push(fault(path, message, None));
        }
    }
    if !faults.is_empty() {
        return;
    }
    let mut known = BTreeMap::new();
    let mut total = uses.own;
    for (name, _) in &uses.named {
        match weight(name, &graph, &mut known, &mut Vec::new()) {
            Some(weight) => total = total.saturating_add(weight),
            None => {
                let message =
                    format!("`$defs.{name}` contains itself, and recursion is not possible");
                faults.push(fault("config_schema.$defs", message, None));
                return;
            }
        }
    }
    if total > MAX_WEIGHT {
        let message =
            format!("the schema has more than {MAX_WEIGHT} parts once references are followed");
        faults.push(fault("config_schema", message, None));
    }
}

/// What one schema consists of.
#[derive(Default)]
struct Uses {
    own: u64,
    /// Names in `$defs` that it refers to, and from where.
    named: Vec<(String, String)>,
}

impl Uses {
    fn walk(&mut self, schema: &Value, path: &str, faults: &mut Vec<Fault>) {
        self.own += 1;
        match schema {
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{path}[{i}]"), faults);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    let path = format!("{path}.{key}");
                    match (key.as_str(), value) {
                        ("default" | "const" | "enum" | "examples", _) => self.own += 1,
                        ("pattern", Value::String(_)) => self.own += PATTERN_WEIGHT,
                        ("patternProperties", Value::Object(patterns)) => {
                            self.own += PATTERN_WEIGHT * patterns.len() as u64;
                            self.walk(value, &path, faults);
                        }
                        ("$ref", Value::String(target)) => self.reference(target, &path, faults),
                        ("$schema", Value::String(draft)) => {
                            if draft.trim_end_matches('#') != DRAFT {
                                let hint = Some(format!("write `{DRAFT}`"));
                                let message = format!("the draft `{draft}` is not read");
                                faults.push(fault(&path, message, hint));
                            }
                        }
                        (
                            "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$vocabulary",
                            Value::String(_),
                        ) => {
                            let hint = Some("use `$defs` and `$ref: '#/$defs/…'`".into());
                            faults.push(fault(
                                &path,
                                format!("`{key}` is not possible here"),
                                hint,
                            ));
                        }
                        _ => self.walk(value, &path, faults),
                    }
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, target: &str, path: &str, faults: &mut Vec<Fault>) {
        match target
            .strip_prefix("#/$defs/")
            .filter(|name| !name.contains(['/', '~', '%']))
        {
            Some(name) => self.named.push((name.into(), path.into())),
            None => {
                let hint = Some("write `#/$defs/…`; nothing is loaded from elsewhere".into());
                faults.push(fault(path, format!("cannot refer to `{target}`"), hint));
            }
        }
    }
}

/// Parts of a definition with everything that it refers to; `None` when it contains itself.
fn weight<'g>(
    name: &'g str,
    graph: &'g BTreeMap<&str, Uses>,
    known: &mut BTreeMap<&'g str, u64>,
    open: &mut Vec<&'g str>,
) -> Option<u64> {
    if let Some(weight) = known.get(name) {
        return Some(*weight);
    }
    // The depth is bounded by the number of definitions, so cap it before the stack is at stake.
    if open.contains(&name) || open.len() > 64 {
        return None;
    }
    let uses = graph.get(name)?;
    open.push(name);
    let mut total = uses.own;
    for (inner, _) in &uses.named {
        total = total.saturating_add(weight(inner, graph, known, open)?);
    }
    open.pop();
    known.insert(name, total);
    Some(total)
}
