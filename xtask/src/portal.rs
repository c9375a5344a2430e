//! A portal of a build, running for as long as a task needs it, and the little HTTP to talk to it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;

use crate::{Fallible, sh};

/// A running portal with a data folder of its own; stopped and removed when dropped.
pub(crate) struct Portal {
    child: Child,
    data: PathBuf,
    log: PathBuf,
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
    /// A token that may do everything.
    pub(crate) token: String,
}

impl Portal {
    /// Starts `binary` on a free port of the loopback address and waits for its ready line.
    pub(crate) fn start(binary: &Path, name: &str) -> Fallible<Self> {
        Self::start_as(Command::new(binary), binary, name)
    }

    /// The same with one core to itself, as on a machine that has no other: it serves with one thread.
    pub(crate) fn start_on_core(binary: &Path, name: &str, core: usize) -> Fallible<Self> {
        let mut serve = Command::new("taskset");
        serve.args(["-c", &core.to_string()]).arg(binary);
        Self::start_as(serve, binary, name)
    }

    fn start_as(mut serve: Command, binary: &Path, name: &str) -> Fallible<Self> {
        let data = sh::logs()?.join(format!("{name}-data"));
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let log = sh::logs()?.join(format!("{name}.portal.log"));
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data);
        serve.current_dir(sh::logs()?);
        serve
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        let mut child = serve
            .spawn()
            .map_err(|e| format!("{}: {e}", binary.display()))?;
        let url = match ready(&mut child) {
            Ok(url) => url,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{error}\n{}", sh::tail(&said, 30)).into());
            }
        };
        let mut portal = Self {
            child,
            data,
            log,
            url,
            token: String::new(),
        };
        let mut token = Command::new(binary);
        token
            .args(["token", "new", "--admin", "--quiet", "--data"])
            .arg(&portal.data);
        portal.token = sh::output(&mut token)?.trim().to_owned();
        Ok(portal)
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The one-time link that it wrote to its log.
    pub(crate) fn sign_in_link(&self) -> Fallible<String> {
        let said = fs::read_to_string(&self.log)?;
        said.split_whitespace()
            .find(|word| word.starts_with("http") && word.contains("/auth/"))
            .map(str::to_owned)
            .ok_or_else(|| "the portal printed no sign-in link".into())
    }

    /// Asks with the token; any status is an answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Fallible<Answer> {
        let mut headers = vec![("authorization", format!("Bearer {}", self.token))];
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        request(&self.url, method, path, &headers, body.as_bytes())
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// Waits a minute for `ready http://…` on standard output, then keeps draining it.
fn ready(child: &mut Child) -> Fallible<String> {
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(url) = line.strip_prefix("ready ") {
                let _ = sender.send(url.trim().trim_end_matches('/').to_owned());
            }
        }
    });
    receiver
        .recv_timeout(Duration::from_secs(60))
        .map_err(|_| "the portal did not say `ready http://…` within a minute".into())
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; an error that quotes it if the status is not 2xx.
    pub(crate) fn json(&self) -> Fallible<Value> {
        let text = String::from_utf8_lossy(&self.body);
        if !(200..300).contains(&self.status) {
            return Err(format!("status {}: {text}", self.status).into());
        }
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}").into())
    }
}

/// One request on a connection of its own.
pub(crate) fn request(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> Fallible<Answer> {
    let address = url
        .strip_prefix("http://")
        .ok_or("only http:// on the loopback address")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    parse(&raw).ok_or_else(|| format!("{method} {path}: no HTTP answer").into())
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]);
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let body = &raw[end + 4..];
    let chunked = lines.any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let body = if chunked {
        unchunk(body)?
    } else {
        body.to_vec()
    };
    Some(Answer { status, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        let start = line + 2;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(start..start + size)?);
        rest = rest.get(start + size + 2..)?;
    }
}

/// The binary of a profile: `debug` or `release`.
pub(crate) fn binary(profile: &str) -> PathBuf {
    match sh::variable("PORTICO_BIN") {
        Some(named) => PathBuf::from(named),
        None => sh::target().join(profile).join("portico"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_and_chunked_answers() {
        let plain = parse(b"HTTP/1.1 404 Not Found\r\nX-Kind: a\r\n\r\nno").unwrap();
        assert_eq!((plain.status, plain.body.as_slice()), (404, &b"no"[..]));
        let raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(parse(raw).unwrap().body, b"abc0123456789");
        assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc").is_none());
    }
}
