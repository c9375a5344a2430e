//! The command line as text, from what it says about itself.

use std::{fs, path::Path, process::Command};

use super::generated::replace;
use crate::{
    Fallible,
    sh::{output, root},
};

const FILE: &str = "docs/reference/cli.md";

/// Writes the page of a build.
pub(super) fn write(binary: &Path) -> Fallible {
    fs::write(root().join(FILE), page(binary)?)?;
    println!("wrote {FILE}");
    Ok(())
}

/// Whether the page fits a build.
pub(crate) fn stale(binary: &Path) -> Fallible<Option<String>> {
    let fits = fs::read_to_string(root().join(FILE))? == page(binary)?;
    Ok((!fits).then(|| format!("{FILE} is not current: `cargo build && cargo xtask docs`")))
}

fn page(binary: &Path) -> Fallible<String> {
    let mut text = String::new();
    command(binary, &[], &mut text)?;
    let page = fs::read_to_string(root().join(FILE))?;
    replace(&page, "cli", &text).ok_or_else(|| format!("{FILE}: no generated part").into())
}

fn command(binary: &Path, path: &[String], text: &mut String) -> Fallible {
    let help = output(Command::new(binary).args(path).arg("--help"))?;
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let name = ["portico".to_owned()]
        .iter()
        .chain(path)
        .cloned()
        .collect::<Vec<_>>()
        .join(" ");
    let marks = "#".repeat(2 + path.len().min(2));
    text.push_str(&format!(
        "{marks} `{name}`\n\n```text\n{}\n```\n\n",
        help.join("\n").trim()
    ));
    for below in subcommands(&help) {
        let mut path = path.to_vec();
        path.push(below);
        command(binary, &path, text)?;
    }
    Ok(())
}

/// The names under `Commands:`.
fn subcommands(help: &[&str]) -> Vec<String> {
    help.iter()
        .skip_while(|line| **line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  ") || line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_subcommands() {
        let help = "Does it.\n\nUsage: x <COMMAND>\n\nCommands:\n  serve  Starts\n         the portal\n  key    Keys\n  help   Print\n\nOptions:\n  -h";
        let lines: Vec<&str> = help.lines().collect();
        assert_eq!(subcommands(&lines), ["serve", "key"]);
    }
}
