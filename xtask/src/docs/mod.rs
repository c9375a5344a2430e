//! The documentation: links that lead somewhere, code blocks that parse, generated parts.

mod api;
mod cli;
mod generated;
mod metrics;
mod schema;

use std::{collections::BTreeSet, fs, path::Path};

pub(crate) use cli::stale as cli_stale;
pub(crate) use generated::{generated, undescribed};
pub(crate) use metrics::stale as metrics_stale;

use crate::{
    Fallible,
    portal::Portal,
    sh::{files, root},
};

/// `cargo xtask docs`: writes the generated parts.
pub(crate) fn write() -> Fallible {
    for (file, text) in generated()? {
        fs::write(root().join(&file), text)?;
        println!("wrote {file}");
    }
    let binary = crate::portal::binary("debug");
    if !binary.is_file() {
        println!(
            "{} is not there: metrics and command line stay as they are",
            binary.display()
        );
        return Ok(());
    }
    cli::write(&binary)?;
    metrics::write(&Portal::start(&binary, "docs")?)
}

/// `cargo xtask docs-check`.
pub(crate) fn check_and_report() -> Fallible {
    let problems = check()?;
    if problems.is_empty() {
        println!("every link leads somewhere");
        return Ok(());
    }
    Err(problems.join("\n").into())
}

/// Links to files and headings that are not there, pictures without words, code that does not parse.
pub(crate) fn check() -> Fallible<Vec<String>> {
    let mut problems = Vec::new();
    for file in files()?
        .iter()
        .filter(|file| file.ends_with(".md") && ours(file))
    {
        let text = fs::read_to_string(root().join(file))?;
        let (links, blocks) = parse(&text);
        for (line, target) in links {
            if let Some(problem) = broken(file, &target) {
                problems.push(format!("{file}:{line}: {problem}"));
            }
        }
        for block in blocks {
            if block.language == "json"
                && let Err(error) = serde_json::from_str::<serde_json::Value>(&block.text)
            {
                problems.push(format!("{file}:{}: not JSON: {error}", block.line));
            }
            if block.language == "sh" && block.text.lines().any(|line| line.starts_with('$')) {
                problems.push(format!(
                    "{file}:{}: no prompts, so that people can copy",
                    block.line
                ));
            }
            if block.language.is_empty() {
                problems.push(format!(
                    "{file}:{}: name the language of the block",
                    block.line
                ));
            }
        }
    }
    Ok(problems)
}

/// Documentation, not the content of packages or fixtures.
fn ours(file: &str) -> bool {
    let fixture = file.contains("/fixtures/") || file.contains("/tests/");
    !fixture && !file.starts_with("microsites/") && !file.starts_with("examples/")
}

struct Block {
    language: String,
    line: usize,
    text: String,
}

/// Links with their lines, and fenced code blocks.
fn parse(text: &str) -> (Vec<(usize, String)>, Vec<Block>) {
    let (mut links, mut blocks) = (Vec::new(), Vec::new());
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(language)) => {
                let language = language
                    .split([' ', ','])
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                open = Some(Block {
                    language,
                    line: number,
                    text: String::new(),
                });
            }
            (None, None) => links.extend(targets(line).into_iter().map(|link| (number, link))),
        }
    }
    if let Some(block) = open {
        blocks.push(Block {
            language: String::new(),
            ..block
        });
    }
    (links, blocks)
}

/// What stands in `](…)` and `src="…"` of a line, outside of `code`.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line
        .split('`')
        .enumerate()
        .filter(|(i, _)| i % 2 == 0)
        .map(|(_, part)| part)
        .collect();
    let mut found = Vec::new();
    for (open, close) in [
        ("](", ')'),
        ("src=\"", '"'),
        ("srcset=\"", '"'),
        ("href=\"", '"'),
    ] {
        for part in prose.split(open).skip(1) {
            if let Some((target, _)) = part.split_once(close) {
                found.push(target.split(' ').next().unwrap_or_default().to_owned());
            }
        }
    }
    found
}

fn broken(file: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let there = if path.is_empty() {
        root().join(file)
    } else {
        root().join(folder).join(path)
    };
    if !there.exists() {
        return Some(format!("`{target}` is not there"));
    }
    let markdown = there.extension().is_some_and(|extension| extension == "md");
    if anchor.is_empty() || !markdown {
        return None;
    }
    let text = fs::read_to_string(&there).ok()?;
    (!anchors(&text).contains(anchor)).then(|| format!("`{target}`: no heading `{anchor}`"))
}

/// Anchors of the headings, the way code hosts make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let anchor: String = heading
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect();
        found.insert(anchor);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_is_sound() {
        let problems = check().unwrap();
        assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    }

    #[test]
    fn links_in_code_are_not_links() {
        let text = "see [a](b.md#c) and `[x](y)`\n```sh\n[no](no)\n```\n<img src=\"p.svg\">";
        let (links, blocks) = parse(text);
        assert_eq!(links, [(1, "b.md#c".to_owned()), (5, "p.svg".to_owned())]);
        assert_eq!(blocks.len(), 1);
        assert_eq!(
            (blocks[0].language.as_str(), blocks[0].text.as_str()),
            ("sh", "[no](no)\n")
        );
    }

    #[test]
    fn headings_make_anchors() {
        let found = anchors("# What `it` is\n```\n# no\n```\n## Plan, then approve\n");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["plan-then-approve", "what-it-is"]
        );
    }
}
