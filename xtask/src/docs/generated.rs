//! Parts of the reference that are made from what the code says about itself. They stand between
//! `<!-- generated:NAME -->` and `<!-- end -->`; the words around them are people's.

use std::fs;

use serde_json::Value;

use super::{api, schema};
use crate::{Fallible, sh::root};

/// A file, the name of its generated part, and what that is made from.
const PARTS: &[(&str, &str, &str)] = &[
    (
        "docs/reference/configuration.md",
        "schema",
        "schemas/portal_config.schema.json",
    ),
    (
        "docs/reference/manifest.md",
        "schema",
        "schemas/microsite_manifest.schema.json",
    ),
    (
        "docs/reference/http-api.md",
        "api",
        "docs/reference/openapi.json",
    ),
];

/// Each file with the text it should have.
pub(crate) fn generated() -> Fallible<Vec<(String, String)>> {
    let mut files = Vec::new();
    for (file, part, source) in PARTS {
        let Some(source) = json(source)? else {
            continue;
        };
        let made = match *part {
            "api" => api::tables(&source),
            _ => schema::table(&source),
        };
        let text =
            fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
        let text = replace(&text, part, &made)
            .ok_or_else(|| format!("{file}: no `<!-- generated:{part} -->` … `<!-- end -->`"))?;
        files.push(((*file).to_owned(), text));
    }
    Ok(files)
}

/// Keys of published schemas that nobody described.
pub(crate) fn undescribed() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    for (_, _, source) in PARTS.iter().filter(|(_, part, _)| *part == "schema") {
        let Some(found) = json(source)? else { continue };
        problems.extend(
            schema::undescribed(&found)
                .into_iter()
                .map(|what| format!("{source}: {what}")),
        );
    }
    Ok(problems)
}

fn json(file: &str) -> Fallible<Option<Value>> {
    match fs::read_to_string(root().join(file)) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| format!("{file}: {e}").into()),
        Err(_) => Ok(None),
    }
}

/// `text` with the part between the marks exchanged.
pub(super) fn replace(text: &str, part: &str, made: &str) -> Option<String> {
    let mark = format!("<!-- generated:{part} -->\n");
    let (before, rest) = text.split_once(&mark)?;
    let (_, after) = rest.split_once("<!-- end -->")?;
    Some(format!(
        "{before}{mark}\n{}\n\n<!-- end -->{after}",
        made.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_between_the_marks_changes() {
        let text = "a\n<!-- generated:x -->\nold\n<!-- end -->\nb\n";
        let once = replace(text, "x", "new\n").unwrap();
        assert_eq!(once, "a\n<!-- generated:x -->\n\nnew\n\n<!-- end -->\nb\n");
        assert_eq!(
            replace(&once, "x", "new").unwrap(),
            once,
            "writing twice changes nothing"
        );
        assert!(replace(text, "y", "").is_none());
    }
}
