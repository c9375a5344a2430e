use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use portico_package::{Diagnostics, Severity, manifest::MicrositeType};
use serde_json::{Value, json};

use super::*;
use crate::read::read_with_keys;

fn fixtures() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 18);
    found
}

fn fixture(name: &str) -> Config {
    let (name, text) = fixtures().into_iter().find(|(n, _)| n == name).unwrap();
    good(&name, &text)
}

fn good(name: &str, text: &str) -> Config {
    let (config, findings) = read(name, text);
    config.unwrap_or_else(|| panic!("{name}: {findings}"))
}

fn findings(text: &str) -> Diagnostics {
    let (config, findings) = read("portico.yaml", text);
    assert_eq!(config.is_none(), findings.has_errors());
    findings
}

#[test]
fn everything_that_the_requirements_write_loads_without_a_finding() {
    for (name, text) in fixtures()
        .into_iter()
        .filter(|(name, _)| name != "everything")
    {
        let (config, findings) = read(&name, &text);
        assert!(findings.is_empty(), "{findings}");
        assert!(config.is_some());
    }
}

#[test]
fn samples_mean_what_they_say() {
    let c = fixture("composition_dynamic");
    assert_eq!(c.portal.name, "ScheduleZero");
    let d = &c.dynamic_microsites;
    let registries: Vec<(&str, &str)> = d
        .registries
        .iter()
        .map(|r| (r.name.as_str(), r.url.as_str()))
        .collect();
    let expected = [
        ("Official Registry", "https://registry.schedulezero.io"),
        ("Company Registry", "https://marketplace.mycompany.com"),
    ];
    assert_eq!(registries, expected);
    assert_eq!(
        (d.enabled, &d.allow_unsigned, d.auto_update),
        (true, &AllowUnsigned::No, false)
    );
    assert_eq!(d.max_microsites_per_tenant, Some(10));
    assert_eq!(d.max_storage_per_tenant, Some(10 << 30));
    let marketplace = &c.microsites.as_ref().unwrap()[1];
    assert_eq!(marketplace.capabilities.as_ref().unwrap().len(), 3);
    assert_eq!(marketplace.icon.as_deref(), Some("🛒"));

    let c = fixture("platform_vanilla");
    let ids: Vec<&str> = c
        .microsites
        .as_ref()
        .unwrap()
        .iter()
        .map(|m| m.id.as_str())
        .collect();
    assert_eq!(ids, ["sz_dash", "sz_schedules", "sz_handlers", "sz_docs"]);

    let c = fixture("platform_docs_external");
    assert!(
        c.microsites
            .as_ref()
            .unwrap()
            .iter()
            .all(Microsite::is_external)
    );

    let c = fixture("platform_enhanced");
    assert_eq!(c.portal.base_version, Some("1.5.0".parse().unwrap()));
    assert_eq!(c.branding.primary_color.as_deref(), Some("#2e7d32"));
    assert_eq!(c.microsites.as_ref().unwrap()[0].path, None);
    let docs = c.documentation.as_ref().unwrap();
    assert_eq!(docs.strategy, Strategy::Separate);
    assert_eq!(docs.sites[2].microsite_type, Some(MicrositeType::Openapi));
    assert_eq!(
        (docs.sites[1].nav_order, docs.sites[1].source.as_deref()),
        (Some(2), Some("schedulezero-handlers-python/docs"))
    );
    assert_eq!(
        c.multi_tenant.tenant_isolation,
        Some(TenantIsolation::Database)
    );
    assert_eq!(c.billing.usage_metrics.len(), 3);

    let sites = fixture("platform_choice_separate")
        .documentation
        .unwrap()
        .sites;
    assert_eq!(
        sites.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(),
        ["product", "handlers", "api"]
    );
}

#[test]
fn no_file_and_an_empty_file_are_the_default() {
    for text in ["", "# nothing\n", "---\n", "server:\nmicrosites:\n"] {
        assert_eq!(good("portico.yaml", text), Config::default());
    }
    let c = Config::default();
    assert_eq!(c.server.listen.to_string(), DEFAULT_LISTEN);
    assert_eq!((c.microsites, c.dynamic_microsites.enabled), (None, true));
}

#[test]
fn all_mistakes_are_found_at_once() {
    let text = r##"portal: {nmae: X, type: Core, base_version: 1.5}
branding:
  logo: javascript:alert(1)
  primary_color: #2E7D32
microsites:
  - Bad Id
  - {id: a, path: /x, nav_order: first, micosite_type: htmx}
  - {id: a, path: "https://elsewhere.example"}
  - {id: b, path: /x}
  - {id: c, microsite_type: external}
  - {id: d, path: /../up, version: newest, capabilities: [microsite:install, INSTALL], config: 3}
  - name: nobody
dynamic_microsite: {}
dynamic_microsites:
  enabled: yes
  registry_url: ftp://x.example
  microsite_registry: https://x.example
  registries:
    - https://x.example
    - {url: https://y.example}
    - {url: ./a, name: Same}
    - {url: ./b, name: Same}
  max_microsites_per_tenant: -1
  max_storage_per_tenant: ten
  allow_unsigned: [{package: x, until: tomorrow}]
documentation:
  strategy: seperate
  sites: [a, a, {id: b, type: htmx, microsite_type: htmx}]
multi_tenant: {tenant_isolation: databse}
modules: {window_global: "1x"}
server:
  listen: 80
  tls: {certificate: a.pem}
  public_url: portal.example.org
  trusted_proxies: [10.0.0.0/99]
  database_url: mysql://root:hunter2@db/x
  hosts: {"portal.example.org:8080": Default}
  session_hours: 0
  log: {format: xml, level: verbose}
"##;
    let found = findings(text).to_string();
    assert!(!found.contains("hunter2"));
    insta::assert_snapshot!(found);
}

#[test]
fn a_secret_is_nowhere() {
    let text = fixtures()
        .into_iter()
        .find(|(name, _)| name == "everything")
        .unwrap()
        .1;
    let c = good("everything", &text);
    assert!(
        c.server
            .database_url
            .as_ref()
            .unwrap()
            .expose()
            .contains("hunter2")
    );
    assert!(!format!("{c:?}").contains("hunter2"));
    assert!(!c.to_json().unwrap().to_string().contains("hunter2"));
    let place = c.positions.place("server.database_url").unwrap();
    assert_eq!((place.at.line, place.text.as_str()), (57, "***"));
    let broken = text.replace("postgres:", "mysql:");
    assert!(!format!("{:?}", findings(&broken)).contains("hunter2"));
}

#[test]
fn the_normalised_form_does_not_change_unnoticed() {
    let json = fixture("everything").to_json().unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap());
}

#[test]
fn what_this_build_cannot_do_is_named() {
    insta::assert_snapshot!(fixture("everything").unsupported().to_string());
    insta::assert_snapshot!(fixture("platform_enhanced").unsupported().to_string());
    assert!(fixture("composition_dynamic").unsupported().is_empty());
    assert!(Config::default().unsupported().is_empty());
    let off = "multi_tenant: {enabled: false}\nbilling: {enabled: false}\ndynamic_microsites: {auto_update: false}\n";
    assert!(good("portico.yaml", off).unsupported().is_empty());
}

#[test]
fn unsigned_packages_are_for_this_machine_or_by_name() {
    let with = |listen: &str, unsigned: &str| {
        findings(&format!(
            "server: {{listen: '{listen}'}}\ndynamic_microsites:\n  allow_unsigned: {unsigned}\n"
        ))
    };
    assert!(with("0.0.0.0:80", "false").is_empty());
    let local = with("127.0.0.1:80", "true").0;
    assert_eq!(
        (local.len(), local[0].severity, local[0].line),
        (1, Severity::Warning, 3)
    );
    assert!(local[0].message.contains("IS ON"));
    let open = with("0.0.0.0:80", "true").0;
    assert_eq!((open.len(), open[0].severity), (1, Severity::Error));
    assert!(open[0].hint.as_ref().unwrap().contains("until"));
    let named = with("0.0.0.0:80", "[{package: draft, until: 2027-01-31}]").0;
    assert_eq!((named.len(), named[0].severity), (1, Severity::Warning));
    assert!(named[0].message.contains("`draft` until 2027-01-31"));

    // The command line may open the door later.
    let mut config = good("portico.yaml", "dynamic_microsites: {allow_unsigned: true}");
    config.server.listen = ":8080".parse().unwrap();
    assert!(config.unsigned_findings().has_errors());
}

#[test]
fn a_reload_shows_what_changes() {
    let old = "portal: {name: A}\nmicrosites: [a, {id: b, path: /b}]\nserver: {listen: ':1', database_url: 'postgres://u:one@h/d'}\n";
    let new = "portal: {name: B}\nmicrosites: [{id: c, config: {x: 1}}, {id: b, path: /bb}, a]\nserver: {listen: ':2', database_url: 'postgres://u:two@h/d'}\n";
    let changes = diff(&good("old", old), &good("new", new)).unwrap();
    let shown: Vec<(&str, Option<&Value>, Option<&Value>, Applies)> = changes
        .iter()
        .map(|c| {
            (
                c.path.as_str(),
                c.before.as_ref(),
                c.after.as_ref(),
                c.applies,
            )
        })
        .collect();
    let (one, two) = (json!("0.0.0.0:1"), json!("0.0.0.0:2"));
    let url = json!("postgres://u:***@h/d");
    assert_eq!(
        shown,
        [
            (
                "microsites.b.path",
                Some(&json!("/b")),
                Some(&json!("/bb")),
                Applies::Live
            ),
            (
                "microsites.c.config",
                None,
                Some(&json!({"x": 1})),
                Applies::Live
            ),
            (
                "microsites.c.enabled",
                None,
                Some(&json!(true)),
                Applies::Live
            ),
            ("microsites.c.id", None, Some(&json!("c")), Applies::Live),
            (
                "portal.name",
                Some(&json!("A")),
                Some(&json!("B")),
                Applies::Live
            ),
            (
                "server.database_url",
                Some(&url),
                Some(&url),
                Applies::Restart
            ),
            ("server.listen", Some(&one), Some(&two), Applies::Restart),
        ]
    );
    assert_eq!(
        diff(&good("old", old), &good("other-name", old)).unwrap(),
        []
    );
    let none = diff(&good("old", "microsites: []"), &good("new", "")).unwrap();
    assert_eq!((none.len(), none[0].path.as_str()), (1, "microsites"));
}

#[test]
fn later_findings_have_a_place() {
    let c = good(
        "portico.yaml",
        "microsites:\n  - id: a\n    path: /api\n  - b\n",
    );
    let found = c.positions.diagnostic(
        Severity::Error,
        "microsites[0].path",
        "route-conflict",
        "taken",
        None,
    );
    assert_eq!(
        (found.line, found.column, found.text.as_str()),
        (3, 11, "/api")
    );
    assert_eq!(found.to_string(), "portico.yaml:3:11: taken");
    assert_eq!(c.positions.place("microsites[1].path").unwrap().at.line, 4);
    assert_eq!(c.positions.place("server.listen").unwrap().at.line, 1);
    assert_eq!(Config::default().positions.place("server"), None);
}

#[test]
fn every_fixture_is_valid_under_the_published_schema() {
    let schema: Value = serde_json::from_str(JSON_SCHEMA).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    let validator = jsonschema::options().offline().build(&schema).unwrap();
    for (name, text) in fixtures() {
        let reader = portico_package::yaml::Reader::new(&name);
        let node = reader.parse(&text).unwrap();
        let document = reader.root(&node).json().unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

/// The published schema and the reader know the same keys at the same places.
#[test]
fn the_published_schema_has_the_keys_of_the_reader() {
    let (_, text) = fixtures()
        .into_iter()
        .find(|(name, _)| name == "everything")
        .unwrap();
    let known: BTreeMap<String, BTreeSet<String>> = read_with_keys("everything", &text)
        .2
        .into_iter()
        .map(|(path, keys)| (path, keys.into_iter().map(str::to_owned).collect()))
        .collect();
    let schema: Value = serde_json::from_str(JSON_SCHEMA).unwrap();
    let mut published = BTreeMap::new();
    published_keys(&schema, &schema, String::new(), &mut published);
    assert_eq!(known, published);
}

/// What the published schema calls a default is what a missing key means.
#[test]
fn the_published_defaults_are_the_defaults() {
    let schema: Value = serde_json::from_str(JSON_SCHEMA).unwrap();
    let config = Config::default().to_json().unwrap();
    let mut compared = 0;
    for (section, published) in schema["properties"].as_object().unwrap() {
        for (key, published) in published["properties"].as_object().into_iter().flatten() {
            let nested = published["properties"].as_object().into_iter().flatten();
            let pointers = nested.map(|(k, v)| (format!("/{section}/{key}/{k}"), v));
            for (pointer, published) in pointers.chain([(format!("/{section}/{key}"), published)]) {
                if let (Some(default), Some(value)) =
                    (published.get("default"), config.pointer(&pointer))
                {
                    assert_eq!(default, value, "{pointer}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 12);
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

/// Every line of every fixture left away or doubled, and every byte range cut: refused or read, no panic.
#[test]
fn damaged_files_do_not_panic() {
    for (name, text) in fixtures() {
        let lines: Vec<&str> = text.lines().collect();
        for at in 0..lines.len() {
            let without: Vec<&str> = [&lines[..at], &lines[at + 1..]].concat();
            let (config, found) = read(&name, &without.join("\n"));
            assert_eq!(config.is_none(), found.has_errors());
            let doubled: Vec<&str> = [&lines[..=at], &lines[at..]].concat();
            let (config, found) = read(&name, &doubled.join("\n"));
            assert_eq!(config.is_none(), found.has_errors());
        }
        for end in (0..text.len())
            .filter(|end| text.is_char_boundary(*end))
            .step_by(7)
        {
            let (config, found) = read(&name, &text[..end]);
            assert_eq!(config.is_none(), found.has_errors());
            if let Some(config) = config {
                config.to_json().unwrap();
                config.unsupported();
            }
        }
    }
}
