//! The package that is measured, installed the way anybody would.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    Fallible,
    portal::{Portal, request},
    sh,
};

const KEY: &str = "publisher.key";

/// Headers of a request for a part of a page.
pub(super) const FRAGMENT: [(&str, &str); 2] =
    [("HX-Request", "true"), ("HX-Request-Type", "partial")];

/// Packs `bench/package` with its two pictures, publishes it to a registry of its own, trusts that
/// and installs it. Answers the folder that was packed.
pub(super) fn install(portal: &Portal, binary: &Path) -> Fallible<PathBuf> {
    let home = sh::logs()?.join("bench");
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::create_dir_all(&home)?;
    let package = home.join("package");
    sh::output(
        Command::new("cp")
            .arg("-r")
            .arg(sh::root().join("bench/package"))
            .arg(&package),
    )?;
    fs::create_dir_all(package.join("static"))?;
    fs::write(package.join("static/small.svg"), picture(3 * 1024))?;
    fs::write(package.join("static/large.svg"), picture(48 * 1024))?;
    let run = |arguments: &[&str]| -> Fallible<String> {
        let mut command = Command::new(binary);
        command.current_dir(&home).args(arguments);
        command
            .env("PORTICO_URL", &portal.url)
            .env("PORTICO_TOKEN", &portal.token);
        sh::output(&mut command)
    };
    run(&["key", "new"])?;
    run(&["registry", "init", "registry", "--publisher", KEY])?;
    run(&["publish", "package", "--registry", "registry", "--key", KEY])?;
    let registry = home.join("registry");
    run(&["trust", "add", "bench", &registry.to_string_lossy()])?;
    run(&["install", "bench", "--yes"])?;
    Ok(package)
}

/// A picture of exactly `size` bytes that does not compress to nothing.
fn picture(size: usize) -> String {
    let head = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 999 999\"><path d=\"M0 0";
    let tail = "\"/></svg>\n";
    let mut text = head.to_owned();
    let mut state = 1_u32;
    while text.len() + tail.len() + 8 < size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(&format!(
            "L{:03} {:03}",
            state >> 8 & 511,
            state >> 20 & 511
        ));
    }
    while text.len() + tail.len() < size {
        text.push(' ');
    }
    text + tail
}

/// Servers run on the last core; the load comes from the first.
pub(super) fn last_core() -> Fallible<usize> {
    Ok(std::thread::available_parallelism()?.get() - 1)
}

/// Keeps a process with all its threads on the last core.
pub(super) fn pin(pid: u32) -> Fallible {
    let last = last_core()?.to_string();
    for process in pids(pid) {
        sh::output(Command::new("taskset").args(["-a", "-c", "-p", &last, &process.to_string()]))?;
    }
    Ok(())
}

fn pids(pid: u32) -> Vec<u32> {
    let children = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(children).unwrap_or_default();
    std::iter::once(pid)
        .chain(
            children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok()),
        )
        .collect()
}

/// A page as a person sees it.
pub(super) fn page(portal: &Portal, path: &str) -> Fallible<String> {
    let answer = portal.ask("GET", path, None)?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status != 200 {
        return Err(format!("GET {path} answers {}: {text}", answer.status).into());
    }
    Ok(text)
}

/// A part of a page, as htmx asks for it.
pub(super) fn fragment(portal: &Portal, path: &str) -> Fallible<String> {
    let mut headers = vec![("authorization", format!("Bearer {}", portal.token))];
    headers.extend(FRAGMENT.map(|(name, value)| (name, value.to_owned())));
    let answer = request(&portal.url, "GET", path, &headers, b"")?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status != 200 {
        return Err(format!("GET {path} answers {}: {text}", answer.status).into());
    }
    Ok(text)
}

/// The address of an asset in a page.
pub(super) fn asset(page: &str, file: &str) -> Option<String> {
    let end = page.find(file)? + file.len();
    let start = page[..end].rfind("/assets/")?;
    let rest = page[start..].split('"').next()?;
    Some(rest.to_owned())
}

/// Until something answers.
pub(super) fn wait(url: &str) -> Fallible {
    for _ in 0..100 {
        if request(url, "GET", "/", &[], b"").is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{url} does not answer").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_exactly_the_size() {
        assert_eq!(picture(3 * 1024).len(), 3 * 1024);
        assert_eq!(picture(48 * 1024).len(), 48 * 1024);
    }

    #[test]
    fn finds_assets_in_pages() {
        let page = r#"<a href="/x"><img src="/assets/ab12/small.svg" alt=""><img src="/assets/cd/large.svg">"#;
        assert_eq!(
            asset(page, "large.svg").as_deref(),
            Some("/assets/cd/large.svg")
        );
        assert_eq!(asset(page, "other.svg"), None);
    }
}
