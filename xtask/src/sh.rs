//! Folders, and other programs.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::Fallible;

/// The root of the repository. Cargo says at run time where it is; what it said when this was compiled
/// may be another checkout that shares the target folder.
pub(crate) fn root() -> PathBuf {
    let here =
        variable("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").to_owned());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    match variable("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Where logs go.
pub(crate) fn logs() -> Fallible<PathBuf> {
    let folder = target().join("xtask");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// An environment variable, if it is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the command line of the tool"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Cargo, as this tool was started by it.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    command.current_dir(root());
    command
}

/// Any program, in the root of the repository.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Where a program is, searching `PATH` and the folders of system daemons.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .chain([target().join("tools/bin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> Fallible<String> {
    let out = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if !out.status.success() {
        let stderr = String::from_utf8_lossy(&out.stderr);
        return Err(format!("{command:?}: {}\n{}", out.status, tail(&stderr, 20)).into());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// What a logged command did.
pub(crate) struct Logged {
    /// Exit code 0.
    pub(crate) ok: bool,
    /// Everything it wrote.
    pub(crate) text: String,
    /// Where that is kept.
    pub(crate) log: PathBuf,
}

/// Runs a command with its output in `<name>.log`; says every minute that it still runs; ends it,
/// with its children, after `limit`.
pub(crate) fn logged(name: &str, command: &Command, limit: Duration) -> Fallible<Logged> {
    let log = logs()?.join(format!("{name}.log"));
    let file = File::create(&log)?;
    // `timeout` puts the command in its own process group and ends all of it.
    let mut guarded = Command::new("timeout");
    guarded
        .arg("--kill-after=20")
        .arg(limit.as_secs().to_string());
    guarded.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        guarded.current_dir(folder);
    }
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env(key, value),
            None => guarded.env_remove(key),
        };
    }
    guarded
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let mut child = guarded
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let started = Instant::now();
    let mut said = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(100));
        let minutes = started.elapsed().as_secs() / 60;
        if minutes > said {
            said = minutes;
            println!("           … {name} still runs ({minutes} min)");
        }
    };
    let mut text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if status.code() == Some(124) {
        text.push_str(&format!("\nended after {} s\n", limit.as_secs()));
    }
    Ok(Logged {
        ok: status.success(),
        text,
        log,
    })
}

/// The last `lines` lines.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Files that git knows or would add, as paths from the root with `/`.
pub(crate) fn files() -> Fallible<Vec<String>> {
    let listed = output(program("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]))?;
    let mut files: Vec<String> = listed
        .split('\0')
        .filter(|path| !path.is_empty() && root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}
