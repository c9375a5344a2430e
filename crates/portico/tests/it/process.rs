//! The portal as a process.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portico_testkit::Client;

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
        serve
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--threads",
                "1",
                "--log",
                "warn",
                "--data",
            ])
            .arg(data);
        if let Some(point) = fault {
            serve.env("PORTICO_FAULT_ABORT", point);
        }
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

/// A token that may do everything, made without a running portal.
pub(crate) fn token(data: &Path) -> String {
    let made = portico()
        .args(["token", "new", "--admin", "--quiet", "--data"])
        .arg(data)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}
