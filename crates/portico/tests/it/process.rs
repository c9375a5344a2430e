//! The portal as a process.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portico_testkit::Client;

const SERVE: [&str; 7] = [
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--threads",
    "1",
    "--log",
    "warn",
];

/// The binary of this build, or the one that `PORTICO_BIN` names.
pub(crate) fn portico() -> Command {
    let binary =
        std::env::var_os("PORTICO_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_portico").into());
    let mut command = Command::new(binary);
    for name in [
        "PORTICO_DATA",
        "PORTICO_CONFIG",
        "PORTICO_LISTEN",
        "PORTICO_URL",
        "PORTICO_TOKEN",
        "PORTICO_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

/// A running portal.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    /// Starts on a data folder, on a free port; aborts at a fault point if one is named.
    pub(crate) fn start(data: &Path, fault: Option<&str>) -> Self {
        let mut serve = portico();
        serve.args(SERVE).arg("--data").arg(data);
        if let Some(point) = fault {
            serve.env("PORTICO_FAULT_ABORT", point);
        }
        Self::spawn(serve, data)
    }

    /// Starts with a configuration file.
    pub(crate) fn configured(data: &Path, config: &Path) -> Self {
        let mut serve = portico();
        serve.args(SERVE).arg("--data").arg(data);
        serve.arg("--config").arg(config);
        Self::spawn(serve, data)
    }

    /// Starts on a disk of its own of `size` bytes, which nobody else sees: a tmpfs in a mount namespace.
    /// The folder `data` must be there; [`Process::inside`] leads to what is on it. Answers a token, too:
    /// SQLite would follow that path out of the namespace.
    pub(crate) fn on_small_disk(data: &Path, size: u64) -> (Self, String) {
        let script = r#"mount -t tmpfs -o size="$SIZE" portico-test "$DATA" \
            && "$1" token new --admin --quiet --data "$DATA" >"$DATA.token" && exec "$@""#;
        let serve = portico();
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        unshare.arg(serve.get_program());
        for (name, _) in serve.get_envs() {
            unshare.env_remove(name);
        }
        unshare.env("SIZE", size.to_string()).env("DATA", data);
        unshare.args(SERVE).arg("--data").arg(data);
        let portal = Self::spawn(unshare, data);
        let token = std::fs::read_to_string(data.with_extension("token")).unwrap();
        (portal, token.trim().to_owned())
    }

    /// A folder as the portal sees it.
    pub(crate) fn inside(&self, folder: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(folder.strip_prefix("/").unwrap())
    }

    fn spawn(mut serve: Command, data: &Path) -> Self {
        let folder = data.parent().unwrap();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("portal.log"))
            .unwrap();
        serve
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = serve.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ready ") {
            line.clear();
            let read = stdout.read_line(&mut line).unwrap();
            assert!(
                read > 0,
                "ended before it was ready: {:?}\n{}",
                child.wait(),
                Self::log(data)
            );
        }
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self {
            child,
            url: line["ready ".len()..].trim().to_owned(),
        }
    }

    /// What it wrote to its log.
    pub(crate) fn log(data: &Path) -> String {
        std::fs::read_to_string(data.parent().unwrap().join("portal.log")).unwrap_or_default()
    }

    /// Asks it.
    pub(crate) fn client(&self, token: &str) -> Client {
        Client::new(self.url.strip_prefix("http://").unwrap().parse().unwrap()).with_token(token)
    }

    /// Waits for the end that a fault point brings.
    pub(crate) fn aborted(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return !status.success();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Asks it to stop and waits; answers whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        let killed = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        killed.success() && self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token that may do everything, made beside the portal.
pub(crate) fn token(data: &Path, config: Option<&Path>) -> String {
    let mut command = portico();
    command.args(["token", "new", "--admin", "--quiet", "--data"]);
    command.arg(data);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    let made = command.output().unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}
