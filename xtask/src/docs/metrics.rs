//! The metrics as a table, from what a running portal says about them.

use std::{collections::BTreeMap, fs};

use super::generated::replace;
use crate::{Fallible, portal::Portal, sh::root};

const FILE: &str = "docs/reference/metrics.md";

/// Writes the page of a running portal.
pub(super) fn write(portal: &Portal) -> Fallible {
    fs::write(root().join(FILE), page(portal)?)?;
    println!("wrote {FILE}");
    Ok(())
}

/// Which families of a running portal the page does not have. It may have more: a family appears with
/// its first sample.
pub(crate) fn stale(portal: &Portal) -> Fallible<Option<String>> {
    let written = fs::read_to_string(root().join(FILE))?;
    let current = page(portal)?;
    let missing: Vec<&str> = current
        .lines()
        .filter(|line| !written.contains(line))
        .collect();
    Ok((!missing.is_empty()).then(|| {
        format!(
            "{FILE} lacks (`cargo build && cargo xtask docs`):\n{}",
            missing.join("\n")
        )
    }))
}

fn page(portal: &Portal) -> Fallible<String> {
    // Families appear with their first sample.
    for path in ["/dash", "/api/portal/microsites", "/assets/none"] {
        portal.ask("GET", path, None)?;
    }
    let answer = portal.ask("GET", "/metrics", None)?;
    let made = table(&String::from_utf8_lossy(&answer.body));
    let page = fs::read_to_string(root().join(FILE))?;
    replace(&page, "metrics", &made).ok_or_else(|| format!("{FILE}: no generated part").into())
}

fn table(metrics: &str) -> String {
    let mut families: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for line in metrics.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some("#"), Some(what), Some(name), rest) = (
            words.next(),
            words.next(),
            words.next(),
            words.next().unwrap_or_default(),
        ) else {
            continue;
        };
        let family = families.entry(name).or_default();
        match what {
            "HELP" => family.1 = rest,
            "TYPE" => family.0 = rest,
            _ => {}
        }
    }
    let mut text = String::from("| Name | Type | Meaning |\n| --- | --- | --- |\n");
    for (name, (kind, help)) in families {
        text.push_str(&format!(
            "| `{name}` | {kind} | {} |\n",
            help.replace('|', "\\|")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_become_lines() {
        let text = "# HELP b_total Counts b.\n# TYPE b_total counter\nb_total{x=\"y\"} 3\n# TYPE a gauge\n# HELP a Is a.\na 1\n";
        assert_eq!(
            table(text),
            "| Name | Type | Meaning |\n| --- | --- | --- |\n| `a` | gauge | Is a. |\n| `b_total` | counter | Counts b. |\n"
        );
    }
}
