//! Rules about the repository itself. Each check answers sentences that say what is wrong and where;
//! each is a test, too.

mod codes;

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{
    Fallible, docs,
    sh::{cargo, files, output, root},
};

/// Which crate may depend on which. What is reachable through these edges may be named directly,
/// everything else is forbidden. The table of ARCHITECTURE.md, for the compiler's eyes.
const EDGES: &[(&str, &[&str])] = &[
    ("portico-package", &[]),
    ("portico-config", &["portico-package"]),
    ("portico-plan", &["portico-package"]),
    ("portico-host", &["portico-plan"]),
    ("portico-egress", &["portico-host"]),
    ("portico-store", &["portico-host"]),
    ("portico-registry", &["portico-package", "portico-host"]),
    ("portico-gateway", &["portico-host"]),
    ("portico-web", &["portico-host"]),
    (
        "portico-control",
        &["portico-store", "portico-registry", "portico-host"],
    ),
    (
        "portico-server",
        &[
            "portico-config",
            "portico-egress",
            "portico-store",
            "portico-registry",
            "portico-gateway",
            "portico-web",
            "portico-control",
        ],
    ),
    ("portico", &["portico-server"]),
    ("portico-testkit", &["portico-server"]),
    ("xtask", &[]),
];

/// Lines that a source file may have.
const LONGEST: usize = 900;

type Check = fn() -> Fallible<Vec<String>>;

const CHECKS: &[(&str, Check)] = &[
    ("edges", edges),
    ("manifests", manifests),
    ("microsites", microsites),
    ("lengths", lengths),
    ("map", map),
    ("doc comments", doc_comments),
    ("exceptions", exceptions),
    ("machine paths", machine_paths),
    ("test binaries", test_binaries),
    ("generated", generated),
    ("problem codes", problem_codes),
];

/// `cargo xtask tidy`.
pub(crate) fn run() -> Fallible {
    let problems = all()?;
    if problems.is_empty() {
        println!("{} checks, all clean", CHECKS.len());
        return Ok(());
    }
    Err(problems.join("\n").into())
}

/// What is wrong, over all checks.
pub(crate) fn all() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    for (name, check) in CHECKS {
        problems.extend(
            check()?
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
    }
    Ok(problems)
}

fn packages() -> Fallible<Vec<Value>> {
    let text =
        output(cargo().args(["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    Ok(metadata["packages"].as_array().cloned().unwrap_or_default())
}

fn edges() -> Fallible<Vec<String>> {
    Ok(edge_problems(&packages()?))
}

fn edge_problems(packages: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    for package in packages {
        let name = text(&package["name"]);
        let Some(allowed) = reachable(name) else {
            problems.push(format!(
                "{name} is not in the table of crates (xtask/src/tidy.rs)"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = text(&dependency["name"]);
            let ours = dependency["path"].is_string();
            // Tests may borrow from anywhere: that makes no program depend on anything.
            let development = dependency["kind"] == "dev";
            if ours && !development && !allowed.contains(on) {
                problems.push(format!(
                    "{name} depends on {on}; it may depend on {}",
                    allowed.iter().copied().collect::<Vec<_>>().join(", ")
                ));
            }
        }
    }
    problems
}

/// Everything that the table lets a crate name.
fn reachable(name: &str) -> Option<BTreeSet<&'static str>> {
    let direct = EDGES.iter().find(|(from, _)| *from == name)?.1;
    let mut all: BTreeSet<&'static str> = direct.iter().copied().collect();
    for next in direct {
        all.extend(reachable(next).unwrap_or_default());
    }
    Some(all)
}

/// Every crate: folder = name, licence, edition, no publishing, the workspace's lints and versions.
fn manifests() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    for package in packages()? {
        let name = text(&package["name"]);
        let path = text(&package["manifest_path"]);
        let mut wrong = |what: &str| problems.push(format!("{name}: {what}"));
        if !path.ends_with(&format!("/{name}/Cargo.toml")) {
            wrong("the folder is not named like the crate");
        }
        if package["license"] != "Apache-2.0" {
            wrong("license is not Apache-2.0 (license.workspace = true)");
        }
        if package["edition"] != "2024" {
            wrong("edition.workspace = true is missing");
        }
        if package["publish"] != Value::Array(Vec::new()) {
            wrong("publish.workspace = true is missing");
        }
        if text(&package["description"]).is_empty() {
            wrong("description is missing");
        }
        let manifest = fs::read_to_string(path)?;
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong("[lints] workspace = true is missing");
        }
        let mut dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                dependencies = line.contains("dependencies");
            } else if dependencies && line.contains('=') && !line.contains("workspace = true") {
                wrong(&format!(
                    "`{line}`: versions stand in the root Cargo.toml only"
                ));
            }
        }
    }
    Ok(problems)
}

/// First-party packages know no crate, and only the bundled registry knows them.
fn microsites() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    for file in files()? {
        let package = file.starts_with("microsites/") || file.starts_with("examples/");
        if package && (file.ends_with(".rs") || file.ends_with("Cargo.toml")) {
            problems.push(format!("{file}: packages contain no crates"));
        }
        let elsewhere =
            file.starts_with("crates/") && !file.starts_with("crates/portico-registry/");
        if !elsewhere || !file.ends_with(".rs") {
            continue;
        }
        for (number, line) in read(&file)?.lines().enumerate() {
            if line.contains("include_") && line.contains("/microsites") {
                problems.push(format!(
                    "{file}:{}: only portico-registry embeds first-party packages",
                    number + 1
                ));
            }
        }
    }
    Ok(problems)
}

fn lengths() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    for file in sources()? {
        let lines = read(&file)?.lines().count();
        if lines > LONGEST {
            problems.push(format!(
                "{file}: {lines} lines; split what has more than {LONGEST}"
            ));
        }
    }
    Ok(problems)
}

/// Source files that people write.
fn sources() -> Fallible<Vec<String>> {
    let code = [".rs", ".js", ".mjs", ".css", ".html"];
    let foreign = |file: &str| file.contains("/vendor/") || file.contains(".min.");
    Ok(files()?
        .into_iter()
        .filter(|file| code.iter().any(|end| file.ends_with(end)) && !foreign(file))
        .collect())
}

/// ARCHITECTURE.md names every crate, and none that is not there.
fn map() -> Fallible<Vec<String>> {
    let map = read("ARCHITECTURE.md")?;
    let mut problems = Vec::new();
    for package in packages()? {
        let name = text(&package["name"]);
        if !map.contains(&format!("`{name}`")) {
            problems.push(format!("ARCHITECTURE.md does not name the crate `{name}`"));
        }
    }
    Ok(problems)
}

fn doc_comments() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    for file in files()? {
        let top = file.ends_with("/src/lib.rs") || file.ends_with("/src/main.rs");
        if top && !read(&file)?.trim_start().starts_with("//!") {
            problems.push(format!(
                "{file}: begin with a comment that says what the crate is for"
            ));
        }
    }
    Ok(problems)
}

/// Lints are switched off by `expect` with a reason, never by a bare `allow`.
fn exceptions() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    let attribute = concat!("[all", "ow(");
    for file in files()?.iter().filter(|file| file.ends_with(".rs")) {
        let lines: Vec<String> = read(file)?.lines().map(str::to_owned).collect();
        for (number, line) in lines.iter().enumerate() {
            let near = lines[number..]
                .iter()
                .take(4)
                .any(|line| line.contains("reason ="));
            if line.trim_start().starts_with('#') && line.contains(attribute) && !near {
                problems.push(format!(
                    "{file}:{}: use #[expect(…, reason = \"…\")]",
                    number + 1
                ));
            }
        }
    }
    Ok(problems)
}

/// Nothing says where somebody's checkout or home is.
fn machine_paths() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
    ];
    for file in files()? {
        let Ok(text) = read(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(path) = paths.iter().find(|path| starts_word(line, path)) {
                problems.push(format!(
                    "{file}:{}: `{path}…` is somebody's machine",
                    number + 1
                ));
            }
        }
    }
    Ok(problems)
}

/// Whether `path` stands in `line` as the beginning of an absolute path.
fn starts_word(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        line[..at]
            .chars()
            .next_back()
            .is_none_or(|before| " \"'`(=:[".contains(before))
    })
}

/// One integration test binary per crate: each one links everything again.
fn test_binaries() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    for package in packages()? {
        let targets: Vec<&str> = package["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|target| target["kind"][0] == "test")
            .map(|target| text(&target["name"]))
            .collect();
        if targets.len() > 1 {
            problems.push(format!(
                "{}: {} test binaries ({}); make them modules of tests/it/main.rs",
                text(&package["name"]),
                targets.len(),
                targets.join(", ")
            ));
        }
    }
    Ok(problems)
}

fn generated() -> Fallible<Vec<String>> {
    let mut problems = docs::undescribed()?;
    for (file, current) in docs::generated()? {
        if read(&file).unwrap_or_default() != current {
            problems.push(format!("{file} is not current: `cargo xtask docs`"));
        }
    }
    Ok(problems)
}

/// Every code that a client may meet is explained.
fn problem_codes() -> Fallible<Vec<String>> {
    let page = read("docs/reference/problems.md")?;
    let mut problems = Vec::new();
    for file in files()?
        .iter()
        .filter(|f| f.starts_with("crates/") && f.ends_with(".rs"))
    {
        for (code, line) in codes::codes(&read(file)?) {
            if !page.contains(&format!("`{code}`")) {
                problems.push(format!(
                    "{file}:{line}: `{code}` is not in docs/reference/problems.md"
                ));
            }
        }
    }
    Ok(problems)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn read(file: &str) -> Fallible<String> {
    fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}").into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    macro_rules! clean {
        ($($name:ident),*) => {$(
            #[test]
            fn $name() {
                let problems = super::$name().unwrap();
                assert!(problems.is_empty(), "\n{}", problems.join("\n"));
            }
        )*};
    }

    clean!(
        edges,
        manifests,
        microsites,
        lengths,
        map,
        doc_comments,
        exceptions,
        machine_paths,
        test_binaries,
        generated,
        problem_codes
    );

    fn package(name: &str, on: &str, kind: Value) -> Value {
        json!({"name": name, "dependencies": [{"name": on, "path": "x", "kind": kind}]})
    }

    #[test]
    fn a_forbidden_edge_is_found() {
        let bad = [package("portico-plan", "portico-store", Value::Null)];
        assert_eq!(
            edge_problems(&bad),
            ["portico-plan depends on portico-store; it may depend on portico-package"]
        );
        let build = [package("portico-gateway", "portico-store", json!("build"))];
        assert_eq!(
            edge_problems(&build).len(),
            1,
            "a build script is no way around"
        );
        let unknown = [package("portico-new", "portico-plan", Value::Null)];
        assert!(edge_problems(&unknown)[0].contains("not in the table"));
    }

    #[test]
    fn allowed_edges_are_allowed() {
        let good = [
            package("portico-host", "portico-package", Value::Null),
            package("portico", "portico-store", Value::Null),
            package("portico-store", "portico-testkit", json!("dev")),
        ];
        assert_eq!(edge_problems(&good), Vec::<String>::new());
    }

    #[test]
    fn machine_paths_are_absolute_paths_only() {
        let home = concat!("/ro", "ot/");
        assert!(starts_word(&format!("cp {home}x ."), home));
        assert!(starts_word(&format!("path = \"{home}x\""), home));
        assert!(!starts_word(&format!("a{home}b"), home));
    }
}
