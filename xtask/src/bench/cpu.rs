//! CPU time of a server per request.

use std::{fs, path::Path, process::Command};

use crate::{Fallible, sh};

/// What one round of load cost.
pub(super) struct Round {
    pub(super) requests: u64,
    /// Microseconds of CPU time of the server, per request.
    pub(super) micros: f64,
}

/// Runs `wrk` from the first core against `url` and watches the server's process tree.
pub(super) fn load(pid: u32, url: &str, headers: &[String], seconds: u32) -> Fallible<Round> {
    let before = nanoseconds(pid)?;
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", "0", "wrk", "-t1", "-c32", &format!("-d{seconds}s")]);
    for header in headers {
        wrk.args(["-H", header]);
    }
    let said = sh::output(wrk.arg(url))?;
    let spent = nanoseconds(pid)? - before;
    let requests = requests(&said).ok_or_else(|| format!("wrk said nothing useful: {said}"))?;
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return Err(format!("{url}: not all answers were good\n{said}").into());
    }
    Ok(Round {
        requests,
        micros: spent as f64 / 1000.0 / requests as f64,
    })
}

/// `48211 requests in 2.00s, …`
fn requests(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains(" requests in "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// CPU time of a process and everything below it, in nanoseconds.
fn nanoseconds(pid: u32) -> Fallible<u64> {
    let mut sum = 0;
    for process in tree(pid)? {
        let tasks = Path::new("/proc").join(process.to_string()).join("task");
        for task in fs::read_dir(tasks)?.flatten() {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            sum += text
                .split(' ')
                .next()
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    Ok(sum)
}

fn tree(pid: u32) -> Fallible<Vec<u32>> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(process) = found.get(next).copied() {
        next += 1;
        let tasks = Path::new("/proc").join(process.to_string()).join("task");
        for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_count_of_wrk() {
        let said = "Running 1s test\n  2 threads\n  51234 requests in 1.00s, 10MB read\nRequests/sec: 51000\n";
        assert_eq!(requests(said), Some(51234));
        assert_eq!(requests("nothing"), None);
    }
}
