//! `cargo xtask bench NAME`: ratios measured side by side in one run. What and why: `bench/README.md`.

mod assets;
mod browser;
mod cpu;
mod fixture;
mod page;

use std::fs;

use serde_json::Value;

use crate::{Fallible, portal, sh::root};

/// One benchmark: what it found, and which goals it missed.
struct Report {
    figures: Value,
    missed: Vec<String>,
}

/// Runs one benchmark.
pub(crate) fn run(arguments: &[String]) -> Fallible {
    let name = arguments.first().map(String::as_str).unwrap_or_default();
    let gate = arguments.iter().any(|argument| argument == "--gate");
    let binary = portal::binary("release");
    if !binary.is_file() {
        return Err(format!(
            "{}: build it first: cargo build --release",
            binary.display()
        )
        .into());
    }
    let report = match name {
        "assets" => assets::run(&binary)?,
        "page" => page::run(&binary)?,
        "live" | "shell" => browser::run(&binary, name)?,
        other => return Err(format!("no benchmark `{other}`: assets, page, live, shell").into()),
    };
    let folder = root().join("bench/out");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{name}.json"));
    fs::write(&file, serde_json::to_string_pretty(&report.figures)? + "\n")?;
    println!("{}", file.display());
    if report.missed.is_empty() {
        println!("every goal is met");
        return Ok(());
    }
    for goal in &report.missed {
        println!("MISSED {goal}");
    }
    if gate {
        Err("goals missed".into())
    } else {
        Ok(())
    }
}

/// The smallest of some measurements.
fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The middle of some measurements.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
