//! What only a browser can measure; the script does it and prints JSON on its last line.

use std::path::Path;

use serde_json::Value;

use super::{Report, fixture};
use crate::{Fallible, needs, portal::Portal, sh};

pub(super) fn run(binary: &Path, name: &str) -> Fallible<Report> {
    needs::node_modules()?;
    let portal = Portal::start(binary, &format!("bench-{name}"))?;
    if name == "live" {
        fixture::install(&portal, binary)?;
    }
    let mut node = sh::program("node");
    node.arg(format!("bench/{name}.mjs"));
    node.env("PORTICO_URL", &portal.url)
        .env("PORTICO_TOKEN", &portal.token);
    node.env("PORTICO_LINK", portal.sign_in_link()?);
    if let Some(chromium) = needs::chromium() {
        node.env("CHROMIUM_BIN", chromium);
    }
    let done = sh::logged(
        &format!("bench-{name}"),
        &node,
        std::time::Duration::from_secs(900),
    )?;
    let (said, last) = done
        .text
        .trim_end()
        .rsplit_once('\n')
        .unwrap_or(("", done.text.trim_end()));
    println!("{said}");
    let figures: Value = serde_json::from_str(last).map_err(|_| sh::tail(&done.text, 40))?;
    let missed = figures["missed"].as_array().into_iter().flatten();
    let missed = missed
        .filter_map(|goal| goal.as_str().map(str::to_owned))
        .collect();
    Ok(Report { figures, missed })
}
