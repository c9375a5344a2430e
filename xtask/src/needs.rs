//! What the tests need from the machine, and how to get it.

use std::{path::PathBuf, time::Duration};

use crate::{
    Fallible,
    sh::{logged, program, root, target, variable, which},
};

/// A program, and the Debian package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("cc", "build-essential"),
    ("git", "git"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("nginx", "nginx-light"),
    ("wrk", "wrk"),
    ("promtool", "prometheus"),
];

/// Installs what is missing. Says what it did; nothing when all is there.
pub(crate) fn install() -> Fallible<String> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(command, _)| which(command).is_none())
        .map(|(_, package)| *package)
        .collect();
    if chromium().is_none() {
        missing.push("chromium");
    }
    if !postgres() {
        missing.push("postgresql");
    }
    missing.dedup();
    if missing.is_empty() {
        return Ok("all there".to_owned());
    }
    if which("apt-get").is_none() {
        return Err(format!(
            "missing: {}; install them by hand (only Debian and Ubuntu are automatic)",
            missing.join(" ")
        )
        .into());
    }
    apt(&["update", "-q"])?;
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install)?;
    Ok(format!("installed {}", missing.join(" ")))
}

/// Node modules of the browser tests, once per lock file.
pub(crate) fn node_modules() -> Fallible {
    let folder = root().join("tests/browser");
    let lock = folder.join("package-lock.json");
    let stamp = folder.join("node_modules/.package-lock.json");
    if modified(&stamp) > modified(&lock) {
        return Ok(());
    }
    let mut npm = program("npm");
    npm.current_dir(&folder)
        .args(["ci", "--no-audit", "--no-fund"]);
    npm.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    npm.env("PUPPETEER_SKIP_DOWNLOAD", "1");
    let done = logged("npm-ci", &npm, Duration::from_secs(300))?;
    if !done.ok {
        return Err(format!("npm ci failed, see {}", done.log.display()).into());
    }
    Ok(())
}

/// `cargo-deny`: on the machine, in the tools folder, or built into it (some minutes, once).
pub(crate) fn cargo_deny() -> Fallible<PathBuf> {
    if let Some(found) = which("cargo-deny") {
        return Ok(found);
    }
    let folder = target().join("tools");
    let mut cargo = crate::sh::cargo();
    cargo.args([
        "install",
        "cargo-deny",
        "--locked",
        "--version",
        "^0.20",
        "--root",
    ]);
    cargo
        .arg(&folder)
        .env("CARGO_TARGET_DIR", target().join("tools/build"));
    let done = logged("cargo-deny-install", &cargo, Duration::from_secs(1500))?;
    if !done.ok {
        return Err(format!("cargo-deny could not be built, see {}", done.log.display()).into());
    }
    Ok(folder.join("bin/cargo-deny"))
}

/// A Chromium.
pub(crate) fn chromium() -> Option<PathBuf> {
    if let Some(named) = variable("CHROMIUM_BIN") {
        return Some(PathBuf::from(named));
    }
    [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ]
    .iter()
    .find_map(|name| which(name))
}

/// Whether a PostgreSQL server can be started.
fn postgres() -> bool {
    let debian = std::fs::read_dir("/usr/lib/postgresql").ok();
    debian.is_some_and(|versions| {
        versions
            .flatten()
            .any(|version| version.path().join("bin/postgres").is_file())
    }) || which("postgres").is_some()
}

fn apt(arguments: &[&str]) -> Fallible {
    let root_already = crate::sh::output(program("id").arg("-u"))?.trim() == "0";
    let mut command = program(if root_already { "apt-get" } else { "sudo" });
    if !root_already {
        command.args(["-n", "apt-get"]);
    }
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    let done = logged(
        &format!("apt-{}", arguments[0]),
        &command,
        Duration::from_secs(600),
    )?;
    if !done.ok {
        return Err(format!(
            "apt-get {} failed, see {}",
            arguments.join(" "),
            done.log.display()
        )
        .into());
    }
    Ok(())
}

fn modified(file: &std::path::Path) -> Option<std::time::SystemTime> {
    file.metadata().ok()?.modified().ok()
}
