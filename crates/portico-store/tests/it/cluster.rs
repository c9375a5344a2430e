//! A PostgreSQL server for tests. Also taken in by the tests of the binary, hence no SQL here.
//!
//! The server is run by a shell that ends it and removes its folder as soon as the pipe to the test process
//! closes, so it never outlives the tests, however they end.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Runs as the unprivileged user. `$1` is the folder with the binaries.
const SCRIPT: &str = r#"
trap '' INT
dir=$(mktemp -d /tmp/portico-test-pg-XXXXXX) || exit 1
chmod 755 "$dir"
"$1/initdb" -D "$dir/data" -U portico -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/log" 2>&1 || { cat "$dir/log"; rm -rf "$dir"; exit 1; }
start() {
    "$1/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c max_connections=200 \
        -c shared_buffers=32MB -c autovacuum=off >>"$dir/log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        "$1/pg_isready" -q -h "$dir" && return 0
        kill -0 $server 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}
start "$1" || { cat "$dir/log"; rm -rf "$dir"; exit 1; }
echo "ready $dir"
while read -r order; do
    case $order in
        stop) kill -QUIT $server; wait $server; echo stopped ;;
        start) start "$1" && echo started ;;
    esac
done
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$dir"
"#;

/// A running server.
pub(crate) struct Cluster {
    folder: PathBuf,
    shell: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let binaries = binaries();
        let mut command = if is_root() {
            // PostgreSQL refuses to run as root.
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "sh",
            ]);
            command
        } else {
            Command::new("sh")
        };
        let mut shell = command
            .args(["-c", SCRIPT, "sh"])
            .arg(&binaries)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("PostgreSQL for the tests did not start: {e}"));
        let mut answers = BufReader::new(shell.stdout.take().unwrap());
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let Some(folder) = line.strip_prefix("ready ") else {
            answers.read_to_string(&mut line).unwrap();
            panic!("PostgreSQL for the tests did not start: {line}");
        };
        let folder = folder.trim().into();
        Self {
            folder,
            shell,
            answers,
        }
    }

    /// Address of a database of this server.
    pub(crate) fn url(&self, database: &str) -> String {
        let mut url = format!("postgres://portico@localhost/{database}?host=");
        for byte in self.folder.as_os_str().as_encoded_bytes() {
            write!(url, "%{byte:02x}").unwrap();
        }
        url
    }

    /// Stops the server at once, as a crash would.
    pub(crate) fn stop(&mut self) {
        self.order("stop", "stopped");
    }

    /// Starts it again.
    pub(crate) fn start_again(&mut self) {
        self.order("start", "started");
    }

    fn order(&mut self, order: &str, answer: &str) {
        use std::io::Write;
        writeln!(self.shell.stdin.as_mut().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), answer);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| {
        panic!(
            "PostgreSQL is not installed (nothing in /usr/lib/postgresql/*/bin). Every test of the store runs on it \
             too: install it (`apt-get install postgresql`), or set PORTICO_TEST_POSTGRES=off to leave that half out"
        )
    })
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|data| data.uid() == 0)
}
