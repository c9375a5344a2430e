use serde_json::json;

use super::*;

fn findings(text: &str) -> String {
    parse("f.yaml", text).1.to_string()
}

fn value(text: &str) -> serde_json::Value {
    let reader = Reader::new("f.yaml");
    let node = reader.parse(text).unwrap();
    let value = reader.root(&node).json();
    let diagnostics = reader.into_diagnostics();
    assert!(diagnostics.0.is_empty(), "{diagnostics}");
    value.unwrap()
}

#[test]
fn values_are_those_of_the_core_schema() {
    let text = "a: 1\nb: -2.5\nc: 0x1F\nd: 0o17\ne: yes\nf: true\ng: ~\nh:\ni: '1'\nj: 1e3\nk: 2.10\n\
                l: +7\nm: .5\nn: 1.\no: 12:30\np: 1_000\nq: !!str 5\nr: \"~\"\ns: 18446744073709551615\n";
    let expected = json!({
        "a": 1, "b": -2.5, "c": 31, "d": 15, "e": "yes", "f": true, "g": null, "h": null, "i": "1",
        "j": 1000.0, "k": 2.1, "l": 7, "m": 0.5, "n": 1.0, "o": "12:30", "p": "1_000", "q": "5",
        "r": "~", "s": u64::MAX,
    });
    assert_eq!(value(text), expected);
    assert_eq!(
        value("[a, {b: c}, [], {}]"),
        json!(["a", {"b": "c"}, [], {}])
    );
    assert_eq!(
        value("{\"json\": [1, true, null]}"),
        json!({"json": [1, true, null]})
    );
    assert_eq!(
        value("a: |\n  one\n  two\nb: >\n  one\n  two\n"),
        json!({"a": "one\ntwo\n", "b": "one two\n"})
    );
}

#[test]
fn numbers_keep_their_text() {
    let reader = Reader::new("f.yaml");
    let node = reader.parse("version: 2.10\n").unwrap();
    let root = reader.root(&node).map().unwrap();
    assert_eq!(root.string("version").unwrap(), "2.10");
}

#[test]
fn numbers_that_json_cannot_hold_are_reported() {
    for number in [
        "99999999999999999999",
        "-99999999999999999999",
        ".inf",
        "-.INF",
        ".nan",
        "0xfffffffffffffffff",
    ] {
        let reader = Reader::new("f.yaml");
        let node = reader.parse(number).unwrap();
        assert_eq!(reader.root(&node).json(), None, "{number}");
        assert!(reader.has_errors());
    }
}

#[test]
fn places_are_those_of_the_editor() {
    let (node, _) = parse("f.yaml", "# ünïcode\na:\n  - b: ü\n    c: x\n");
    let node = node.unwrap();
    let item = match &node.get("a").unwrap().value {
        Value::List(items) => items[0].clone(),
        _ => panic!(),
    };
    assert_eq!(item.at, Position { line: 3, column: 5 });
    assert_eq!(item.get("c").unwrap().at, Position { line: 4, column: 8 });
}

#[test]
fn what_surprises_is_refused_with_its_place() {
    insta::assert_snapshot!(findings("a: &x 1\nb: *x\n"), @"f.yaml:2:4: aliases (`*name`) are not read (write the value out)");
    insta::assert_snapshot!(findings("a: 1\nb: 2\na: 3\n"), @"f.yaml:3:1: `a` stands here a second time; the first is on line 1");
    insta::assert_snapshot!(findings("a: 1\n---\nb: 2\n"), @"f.yaml:2:1: a second document begins here, and a file holds one");
    insta::assert_snapshot!(findings("a: !secret x\n"), @"f.yaml:1:4: tags are not read (leave it away)");
    insta::assert_snapshot!(findings("[a, b]: 1\n? {c: d}\n: 2\n"), @r"
    f.yaml:1:1: a key is a word, and this is a list
    f.yaml:2:3: a key is a word, and this is a mapping
    ");
    insta::assert_snapshot!(findings("a: [1, 2\nb: 3\n"), @"f.yaml:2:2: this is not YAML: illegal placement of ':' indicator");
    insta::assert_snapshot!(findings("a: 'open\n"), @"f.yaml:1:4: this is not YAML: while scanning a quoted scalar, found unexpected end of stream");
}

#[test]
fn size_and_depth_are_bounded() {
    let code = |text: &str| parse("f.yaml", text).1.0.first().map(|d| d.code.clone());
    assert_eq!(
        code(&"[".repeat(MAX_DEPTH + 1)).as_deref(),
        Some("too-deep")
    );
    assert_eq!(
        code(&"- ".repeat(MAX_DEPTH + 1)).as_deref(),
        Some("too-deep")
    );
    assert_eq!(
        code(&"- x\n".repeat(MAX_NODES + 1)).as_deref(),
        Some("too-large")
    );
    assert_eq!(
        code(&"#".repeat(MAX_BYTES + 1)).as_deref(),
        Some("too-large")
    );
    let bomb = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\n";
    assert_eq!(code(bomb).as_deref(), Some("alias"));
}

#[test]
fn an_empty_file_has_no_tree() {
    for text in ["", "# only a comment\n", "\u{feff}", "---\n"] {
        let (node, findings) = parse("f.yaml", text);
        assert!(findings.0.is_empty(), "{findings}");
        assert!(node.is_none_or(|n| n.kind() == "nothing"));
    }
}

#[test]
fn the_nearest_word_is_near() {
    let words = ["registry_url", "registries", "enabled", "auto_update"];
    assert_eq!(nearest("registery_url", words), Some("registry_url"));
    assert_eq!(nearest("Enabled", words), Some("enabled"));
    assert_eq!(nearest("autoupdate", words), Some("auto_update"));
    assert_eq!(nearest("url", words), Some("registry_url"));
    assert_eq!(nearest("dynamic_enabled", words), Some("enabled"));
    assert_eq!(nearest("colour", words), None);
    assert_eq!(nearest(&"enabled".repeat(50), words), None);
}

#[test]
fn there_is_an_end_to_findings() {
    let text: String = (0..5_000).map(|i| format!("unknown{i}: 1\n")).collect();
    let reader = Reader::new("f.yaml");
    let node = reader.parse(&text).unwrap();
    reader.root(&node).map().unwrap().finish();
    let findings = reader.into_diagnostics().0;
    assert_eq!(findings.len(), 201);
    assert_eq!(findings.iter().filter(|d| d.code == "too-many").count(), 1);
}
