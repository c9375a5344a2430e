//! What the requirements write, word for word.

use std::{fs, path::Path};

use portico_package::{
    Manifest, VersionRange,
    manifest::{Feature, MicrositeType, RuntimeKind, read},
};

fn fixtures() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/manifests");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 4);
    found
}

fn load(name: &str, text: &str) -> Manifest {
    let (manifest, findings) = read::from_yaml(name, text);
    assert!(findings.0.is_empty(), "{findings}");
    manifest.unwrap()
}

fn fixture(name: &str) -> Manifest {
    let (name, text) = fixtures().into_iter().find(|(n, _)| n == name).unwrap();
    load(&name, &text)
}

#[test]
fn every_fixture_loads_and_survives_its_normalised_form() {
    for (name, text) in fixtures() {
        let manifest = load(&name, &text);
        let json = manifest.to_json().unwrap();
        assert_eq!(Manifest::from_json(&json).unwrap(), manifest, "{name}");
        assert_eq!(
            Manifest::from_json(&json).unwrap().to_json().unwrap(),
            json,
            "{name}"
        );
    }
}

#[test]
fn the_manifest_of_the_requirement_means_what_it_says() {
    let m = fixture("logstream_analytics.yaml");
    assert_eq!(
        (m.id.as_str(), m.version.to_string().as_str()),
        ("logstream_analytics", "2.1.0")
    );
    assert_eq!(
        (m.author.as_deref(), m.license.as_deref()),
        (Some("LogStream Inc."), Some("MIT"))
    );
    assert_eq!(
        (m.microsite_type, m.runtime.kind),
        (MicrositeType::Htmx, RuntimeKind::Static)
    );
    assert_eq!(
        (m.path.as_deref(), m.icon.as_deref()),
        (Some("/logstream"), Some("📊"))
    );
    let range = |text: &str| text.parse::<VersionRange>().unwrap();
    assert_eq!(m.requires.platform_version, Some(range(">=1.0.0")));
    assert_eq!(m.requires.component_libraries["htmx"], range(">=1.9.0"));
    assert_eq!(
        m.requires.component_libraries["web-components"],
        range(">=1.0.0")
    );
    assert_eq!(m.requires.microsites["sz_schedules"], range(">=1.0.0"));
    let asked: Vec<&str> = m
        .permissions
        .iter()
        .map(|p| p.permission.as_str())
        .collect();
    assert_eq!(
        asked,
        ["api:schedules:read", "api:handlers:write", "storage:100gb"]
    );
    assert_eq!(m.permissions[2].permission.storage_bytes(), Some(100 << 30));
    assert_eq!(
        m.declared_features(),
        [Feature::Migrations, Feature::Handlers]
    );
    assert_eq!(m.effective_pages()[0].template, "index.html");
    assert_eq!(
        m.effective_navigation()[0].title.as_str(),
        "LogStream Analytics"
    );
    let given = serde_json::json!({"max_log_size_mb": 5});
    let config = portico_package::manifest::config::resolve(m.config_schema.as_ref(), &given);
    assert_eq!(
        config.unwrap(),
        serde_json::json!({"max_log_size_mb": 5, "retention_days": 30})
    );
}

#[test]
fn the_normalised_form_does_not_change_unnoticed() {
    let json = fixture("logstream_analytics.yaml").to_json().unwrap();
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
    let json = fixture("everything.yaml").to_json().unwrap();
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
}

#[test]
fn every_fixture_is_valid_under_the_published_schema() {
    let schema = serde_json::from_str(portico_package::manifest::JSON_SCHEMA).unwrap();
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
