use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{check::mount_path, *};
use crate::{Diagnostics, Severity, yaml::Reader};

/// A manifest with `rest` below `microsite:`.
fn with(rest: &str) -> String {
    let rest: String = rest.lines().map(|line| format!("  {line}\n")).collect();
    format!("manifest_version: \"1.0\"\nmicrosite:\n  id: a\n  name: A\n  version: 1.0.0\n{rest}")
}

fn findings(text: &str) -> Diagnostics {
    let (manifest, findings) = read::from_yaml("m.yaml", text);
    assert_eq!(manifest.is_none(), findings.has_errors());
    findings
}

fn good(text: &str) -> Manifest {
    let (manifest, findings) = read::from_yaml("m.yaml", text);
    manifest.unwrap_or_else(|| panic!("{findings}"))
}

#[test]
fn all_mistakes_are_found_at_once() {
    let text = r##"manifest_version: "2.0"
microsite:
  id: My Package
  nmae: Typo
  version: v1.2
  microsite_type: htmx
  type: htmlx
  path: logs/../x
  homepage: http://example.org
  runtime: {kind: wasm32}
  requires:
    platform_version: ">=1 <<2"
    microsites:
      - sz_schedules: newest
      - sz_schedules: "1"
      - Other: "1"
  permissions:
    - api:schedules:read
    - {permission: "api:schedules:read", optional: "yes"}
    - storage:lots
    - {reason: because}
    - API
  files:
    templates: ../up
    handler: x
  contributes:
    pages:
      - {path: search, template: /abs.html}
      - {path: "/p/{id}", template: p.html, method: PUT}
      - {path: "/p/{name}", template: p.html}
      - {path: /go, template: go.html, method: POST, data: {user: "/api/x", q: "https://evil.example/"}}
      - {path: /in, template: in.html, method: POST, intent: "microsite:instal"}
      - {path: /in2, template: in.html, method: POST, intent: "microsite:install"}
    navigation:
      - {title: "", path: /nowhere, order: first, section: top}
permissions: []
"##;
    insta::assert_snapshot!(findings(text).to_string());
}

#[test]
fn a_finding_names_path_and_text() {
    let found = findings(&with(
        "contributes:\n  pages:\n    - {path: /a, template: a.html, methd: GET}",
    ));
    let first = &found.0[0];
    assert_eq!(
        (
            first.code.as_str(),
            first.line,
            first.column,
            first.severity
        ),
        ("unknown-key", 8, 38, Severity::Error)
    );
    assert_eq!(first.path, "microsite.contributes.pages[0].methd");
    assert_eq!(first.text, "methd");
    assert_eq!(first.hint.as_deref(), Some("did you mean `method`?"));
}

#[test]
fn an_empty_or_foreign_file_is_refused() {
    for text in [
        "",
        "# nothing",
        "[]",
        "manifest_version: \"1.0\"",
        "manifest_version: \"1.0\"\nmicrosite: x",
    ] {
        assert!(findings(text).has_errors(), "{text}");
    }
}

#[test]
fn what_is_missing_has_a_default() {
    let m = good("manifest_version: 1.0\nmicrosite: {id: a, name: A, version: 1.0.0}\n");
    assert_eq!(
        (m.microsite_type, m.runtime.kind),
        (MicrositeType::Htmx, RuntimeKind::Static)
    );
    assert_eq!(m.effective_pages().as_ref(), [Page::index()]);
    let entry = &m.effective_navigation()[0];
    assert_eq!(
        (entry.path.as_str(), entry.title.as_str(), entry.order),
        ("/", "A", DEFAULT_ORDER)
    );
    assert_eq!(m.default_mount(), "/plugins/a");
    assert!(m.declared_features().is_empty());
    let link = good(
        "manifest_version: 1.0\nmicrosite: {id: a, name: A, version: 1.0.0, type: external, path: 'https://x.example'}\n",
    );
    assert_eq!(link.runtime.kind, RuntimeKind::External);
    assert!(link.effective_pages().is_empty());
    assert_eq!(link.effective_navigation().len(), 1);
    assert_eq!(link.default_mount(), "https://x.example");
}

#[test]
fn sections_may_stand_beside_but_not_twice() {
    let beside = format!("{}permissions: [api:x:read]\n", with(""));
    assert_eq!(good(&beside).permissions.len(), 1);
    let twice = format!(
        "{}permissions: [api:x:read]\n",
        with("permissions: [api:y:read]")
    );
    let found = findings(&twice);
    assert_eq!(
        (found.0[0].code.as_str(), found.0[0].line),
        ("duplicate-key", 7)
    );
}

#[test]
fn features_are_named() {
    let m = good(&with(
        "type: mkdocs\nruntime: wasm\nfiles: {migrations: m/, handlers: h/}",
    ));
    let said: Vec<String> = m
        .declared_features()
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = [
        "ships database migrations",
        "ships job handlers",
        "needs a back end of kind `wasm`",
        "is a documentation site of type `mkdocs`",
    ];
    assert_eq!(said, expected);
}

#[test]
fn paths_are_plain() {
    for path in ["/a", "/docs/handlers", "/a.b_c~d-e", "/v1.0", "/.hidden"] {
        assert_eq!(mount_path(path), Ok(()), "{path}");
    }
    let long = format!("/{}", "x".repeat(300));
    for path in [
        "", "/", "a", "//a", "/a/", "/a//b", "/..", "/a/../b", "/./a", "/a b", "/%2e%2e", "/ä",
        "/a?b", "/{id}", "/...", &long,
    ] {
        assert!(mount_path(path).is_err(), "{path}");
    }
}

#[test]
fn urls_have_a_host_and_nobody_in_front_of_it() {
    let web = |text: &str| check::is_url(text, &["https", "http"]);
    for url in [
        "https://a.example",
        "http://localhost:8080/x?y#z",
        "https://[::1]:443/",
        "https://a_b.example/%20",
    ] {
        assert!(web(url), "{url}");
    }
    for url in [
        "",
        "a.example",
        "javascript://x",
        "https://",
        "https:///x",
        "https://u:p@a.example",
        "https://a b",
        "https://a.example/\"",
        "https://a:99999",
        "https://[zz]/",
        "//a.example",
    ] {
        assert!(!web(url), "{url}");
    }
}

#[test]
fn text_cannot_lie_about_itself() {
    for bad in ["Logs\\u202Egnp", "\\u0007", "a\\u200Bb", " ", "a\\nb"] {
        let text = with("").replace("name: A", &format!("name: \"{bad}\""));
        let found = findings(&text);
        assert_eq!((found.0.len(), found.0[0].line), (1, 4), "{bad}: {found}");
    }
}

#[test]
fn files_must_bear_the_manifest_out() {
    let text = with(
        "icon: static/logo.png\nfiles: {handlers: handlers/}\ncontributes:\n  pages:\n    - {path: /, template: index.html}\n    - {path: /b, template: serach.html}",
    );
    let files: BTreeMap<String, Vec<u8>> = [
        (FILE_NAME, text.as_str()),
        ("templates/index.html", ""),
        ("templates/search.html", ""),
    ]
    .map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec()))
    .into();
    let (manifest, found) = read::from_files(&files);
    assert!(manifest.is_none());
    insta::assert_snapshot!(found.to_string(), @r"
    microsite_manifest.yaml:6:9: there is no file `static/logo.png`
    microsite_manifest.yaml:7:21: there are no files in `handlers/`
    microsite_manifest.yaml:11:30: there is no file `templates/serach.html` (did you mean `search.html`?)
    ");
    let (_, found) = read::from_files(&BTreeMap::from([(
        "sub/microsite_manifest.yaml".into(),
        Vec::new(),
    )]));
    insta::assert_snapshot!(found.to_string(), @"microsite_manifest.yaml:1:1: there is no `microsite_manifest.yaml` at the top of the package (there is `sub/microsite_manifest.yaml`; pack its folder instead)");
}

#[test]
fn newer_forms_are_refused_by_name() {
    let mut json: Value = serde_json::from_slice(&good(&with("")).to_json().unwrap()).unwrap();
    json["format_version"] = json!(2);
    json["from_the_future"] = json!(true);
    let error = Manifest::from_json(&serde_json::to_vec(&json).unwrap()).unwrap_err();
    assert!(
        matches!(error, InvalidManifest::Format { found: 2 }),
        "{error}"
    );
}

#[test]
fn configuration_is_filled_and_checked() {
    let schema = json!({
        "type": "object",
        "properties": {
            "days": {"type": "integer", "minimum": 1, "default": 30},
            "mail": {"type": "object", "properties": {"from": {"type": "string", "default": "a@b"}}},
        },
        "additionalProperties": false,
    });
    let resolve = |given: Value| config::resolve(Some(&schema), &given);
    assert_eq!(resolve(Value::Null).unwrap(), json!({"days": 30}));
    assert_eq!(
        resolve(json!({"days": 7, "mail": {}})).unwrap(),
        json!({"days": 7, "mail": {"from": "a@b"}})
    );
    let faults = resolve(json!({"days": 0, "dyas": 3})).unwrap_err();
    assert_eq!(faults.len(), 2);
    assert!(faults.iter().any(|f| f.path == "days"), "{faults:?}");
    assert!(resolve(json!([1])).is_err());
    assert_eq!(config::resolve(None, &json!({})).unwrap(), json!({}));
    assert!(config::resolve(None, &json!({"days": 1})).is_err());
}

/// Schemas come from strangers.
#[test]
fn schemas_that_could_hurt_are_refused() {
    let doubling: serde_json::Map<String, Value> = (0..40)
        .map(|i| {
            let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
            (
                format!("d{i}"),
                if i == 39 {
                    json!({})
                } else {
                    json!({"allOf": [next, next]})
                },
            )
        })
        .collect();
    let table = [
        (json!([]), "should be a mapping"),
        (json!({"type": "array"}), "is an object"),
        (json!({"type": "objekt"}), "an object"),
        (
            json!({"properties": {"a": {"type": "integr"}}}),
            "not a JSON Schema",
        ),
        (
            json!({"properties": {"a": {"$ref": "https://evil.example/s.json"}}}),
            "cannot refer",
        ),
        (
            json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
            "cannot refer",
        ),
        (json!({"properties": {"a": {"$ref": "#"}}}), "cannot refer"),
        (json!({"$ref": "#/$defs/none"}), "no `none`"),
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}),
            "contains itself",
        ),
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}}),
            "contains itself",
        ),
        (
            json!({"$ref": "#/$defs/d0", "$defs": doubling}),
            "parts once references are followed",
        ),
        (
            json!({"properties": (0..60).map(|i| (i.to_string(), json!({"pattern": "x{900}"}))).collect::<serde_json::Map<_, _>>()}),
            "parts once references are followed",
        ),
        (json!({"$id": "https://x.example"}), "not possible"),
        (json!({"$dynamicRef": "#x"}), "not possible"),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            "is not read",
        ),
        (
            json!({"properties": {"a": {"pattern": "(a+)+\\1"}}}),
            "usable JSON Schema",
        ),
        (
            json!({"properties": {"a": {"pattern": "((a{500}){500}){500}"}}}),
            "usable JSON Schema",
        ),
        (
            json!({"properties": {"a": {"type": "integer", "default": "x"}}}),
            "default does not fit",
        ),
        (
            json!({"properties": {"a": {"properties": {"b": {"maximum": 1, "default": 2}}}}}),
            "default does not fit",
        ),
    ];
    for (schema, why) in table {
        let faults = config::check_schema(&schema);
        let said = faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        assert!(said.contains(why), "{why}: {said} {schema}");
    }
    // A manifest of a registry comes to its use without having been looked at.
    let recursive = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
    assert!(config::resolve(Some(&recursive), &json!({})).is_err());
    let required =
        json!({"required": ["a"], "properties": {"a": {"type": "string"}, "b": {"default": 1}}});
    assert_eq!(config::check_schema(&required), []);
}

#[test]
fn a_fault_in_the_schema_has_its_line() {
    let text =
        with("config_schema:\n  properties:\n    days:\n      type: integer\n      default: many");
    let found = findings(&text);
    assert_eq!(
        (found.0[0].line, found.0[0].text.as_str()),
        (10, "many"),
        "{found}"
    );
    let text = with("config_schema:\n  properties:\n    days:\n      type: integr");
    assert_eq!(findings(&text).0[0].line, 9);
}

/// The published schema and the reader know the same keys at the same places.
#[test]
fn the_published_schema_has_the_keys_of_the_reader() {
    let below = include_str!("../../tests/fixtures/manifests/everything.yaml");
    let (top, sections) = below.split_once("  runtime:").unwrap();
    let beside: String = format!("runtime:{sections}")
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line)))
        .collect();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for text in [below.to_owned(), format!("{top}{beside}")] {
        let reader = Reader::new("m.yaml");
        read::read(&reader, &text);
        let keys = reader.known_keys();
        assert!(!reader.has_errors(), "{}", reader.into_diagnostics());
        for (path, keys) in keys {
            known
                .entry(path)
                .or_default()
                .extend(keys.into_iter().map(str::to_owned));
        }
    }
    let schema: Value = serde_json::from_str(JSON_SCHEMA).unwrap();
    let mut published = BTreeMap::new();
    published_keys(&schema, &schema, String::new(), &mut published);
    assert_eq!(known, published);
}

fn published_keys(
    root: &Value,
    schema: &Value,
    path: String,
    out: &mut BTreeMap<String, BTreeSet<String>>,
) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        published_keys(root, target, path.clone(), out);
    }
    for choice in schema
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        published_keys(root, choice, path.clone(), out);
    }
    if let Some(items) = schema.get("items") {
        published_keys(root, items, format!("{path}[]"), out);
    }
    for (key, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        out.entry(path.clone()).or_default().insert(key.clone());
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        published_keys(root, property, path, out);
    }
}
