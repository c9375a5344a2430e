//! `cargo xtask test`: every check, in order of price, with one summary.

use std::{
    collections::BTreeSet,
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    Fallible,
    count::{self, Count},
    docs, needs, openapi,
    portal::{self, Portal},
    sh::{self, cargo, logged, output, program, root, tail},
    tidy,
};

/// Time after which a stage is ended.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// One check.
struct Stage {
    name: &'static str,
    run: fn() -> Fallible<Outcome>,
}

/// What a stage that ran to its end found out.
struct Outcome {
    count: Count,
    ok: bool,
    /// One line when all is well, the end of the log when not.
    say: String,
}

impl Outcome {
    fn fine(say: impl Into<String>) -> Self {
        Self {
            count: Count::default(),
            ok: true,
            say: say.into(),
        }
    }
}

const ALL: &[Stage] = &[
    Stage {
        name: "tools",
        run: tools,
    },
    Stage {
        name: "fmt",
        run: fmt,
    },
    Stage {
        name: "tidy",
        run: tidy_stage,
    },
    Stage {
        name: "docs",
        run: docs_stage,
    },
    Stage {
        name: "deny",
        run: deny,
    },
    Stage {
        name: "clippy",
        run: clippy,
    },
    Stage {
        name: "test",
        run: tests,
    },
    Stage {
        name: "build",
        run: build,
    },
    Stage {
        name: "running",
        run: running,
    },
    Stage {
        name: "browser",
        run: browser,
    },
];

const QUICK: &[Stage] = &[
    Stage {
        name: "fmt",
        run: fmt,
    },
    Stage {
        name: "tidy",
        run: tidy_stage,
    },
    Stage {
        name: "docs",
        run: docs_stage,
    },
    Stage {
        name: "clippy",
        run: clippy,
    },
    Stage {
        name: "test",
        run: tests_of_changed,
    },
];

/// Runs the stages that the arguments name. The last line printed is `N passed, N failed`.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only = list(arguments, "--only");
    let skip = list(arguments, "--skip");
    let stages = if quick { QUICK } else { ALL };
    let named = |stage: &&Stage| only.is_empty() || only.contains(stage.name);
    let chosen: Vec<&Stage> = stages
        .iter()
        .filter(named)
        .filter(|stage| !skip.contains(stage.name))
        .collect();
    let mut sum = Count::default();
    let mut red = Vec::new();
    let begun = Instant::now();
    for stage in &chosen {
        println!("{:>8} …", stage.name);
        let started = Instant::now();
        let outcome = (stage.run)().unwrap_or_else(|error| Outcome {
            count: Count::default(),
            ok: false,
            say: error.to_string(),
        });
        let mut count = outcome.count;
        if !outcome.ok && count.failed == 0 {
            count.failed = 1;
        }
        sum += count;
        let word = if outcome.ok { "ok" } else { "FAILED" };
        let seconds = started.elapsed().as_secs_f64();
        if outcome.ok {
            println!(
                "{:>8} {word} in {seconds:.1} s: {}",
                stage.name, outcome.say
            );
        } else {
            println!("{:>8} {word} in {seconds:.1} s", stage.name);
            println!("{}", outcome.say);
            red.push(stage.name);
        }
    }
    println!();
    println!(
        "{} stages in {:.0} s",
        chosen.len(),
        begun.elapsed().as_secs_f64()
    );
    if !red.is_empty() {
        println!(
            "failed: {}; again with `cargo xtask test --only {}`",
            red.join(", "),
            red.join(",")
        );
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    if sum.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn list(arguments: &[String], option: &str) -> BTreeSet<String> {
    let position = arguments.iter().position(|argument| argument == option);
    let value = position.and_then(|at| arguments.get(at + 1));
    value
        .map(|names| names.split(',').map(str::to_owned).collect())
        .unwrap_or_default()
}

fn tools() -> Fallible<Outcome> {
    let said = needs::install()?;
    needs::node_modules()?;
    Ok(Outcome::fine(said))
}

fn fmt() -> Fallible<Outcome> {
    // `-l` names the files instead of showing what differs.
    let command = &mut cargo();
    let mut outcome = shown(
        "fmt",
        command.args(["fmt", "--all", "--", "--check", "-l"]),
        30,
    )?;
    if !outcome.ok {
        outcome.say.insert_str(
            0,
            "not formatted (`cargo fmt --all`):
",
        );
    }
    Ok(outcome)
}

fn tidy_stage() -> Fallible<Outcome> {
    found(tidy::all()?, "the repository keeps its rules")
}

fn docs_stage() -> Fallible<Outcome> {
    found(docs::check()?, "every link leads somewhere")
}

fn deny() -> Fallible<Outcome> {
    let deny = needs::cargo_deny()?;
    let command = &mut program(deny);
    command.args(["--locked", "check", "bans", "licenses", "sources"]);
    let mut outcome = shown("deny", command, 60)?;
    if outcome.ok {
        outcome.say = "bans, licences, sources; advisories need the network: \
                       `cargo deny check advisories`"
            .to_owned();
    }
    Ok(outcome)
}

fn clippy() -> Fallible<Outcome> {
    let command = &mut cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--locked"]);
    shown("clippy", command.args(["--", "-D", "warnings"]), 80)
}

fn tests() -> Fallible<Outcome> {
    counted(
        "test",
        cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]),
    )
}

fn tests_of_changed() -> Fallible<Outcome> {
    let crates = changed_crates()?;
    if crates.is_empty() {
        return Ok(Outcome::fine("no crate changed"));
    }
    let command = &mut cargo();
    command.args(["test", "--locked", "--no-fail-fast"]);
    for name in &crates {
        command.args(["--package", name]);
    }
    counted("test", command)
}

/// Crates with files that differ from the main branch, committed or not.
fn changed_crates() -> Fallible<BTreeSet<String>> {
    let base = ["origin/main", "main", "HEAD~1"]
        .iter()
        .find_map(|base| output(program("git").args(["merge-base", "HEAD", base])).ok())
        .unwrap_or_else(|| "HEAD".to_owned());
    let differs = output(program("git").args(["diff", "--name-only", base.trim()]))?;
    let new = output(program("git").args(["ls-files", "--others", "--exclude-standard"]))?;
    Ok(differs
        .lines()
        .chain(new.lines())
        .filter_map(crate_of)
        .collect())
}

fn crate_of(path: &str) -> Option<String> {
    let mut parts = path.split('/');
    let name = match parts.next()? {
        "crates" => parts.next()?,
        "xtask" => "xtask",
        "microsites" | "examples" => "portico-registry",
        _ => return None,
    };
    let manifest = if name == "xtask" {
        root().join("xtask")
    } else {
        root().join("crates").join(name)
    };
    manifest
        .join("Cargo.toml")
        .is_file()
        .then(|| name.to_owned())
}

fn build() -> Fallible<Outcome> {
    shown(
        "build",
        cargo().args(["build", "--package", "portico", "--locked"]),
        40,
    )
}

/// What can only be seen from outside: metrics, OpenAPI.
fn running() -> Fallible<Outcome> {
    let portal = Portal::start(&portal::binary("debug"), "running")?;
    let mut problems = Vec::new();
    for path in ["/healthz", "/readyz"] {
        let answer = portal::request(&portal.url, "GET", path, &[], b"")?;
        if answer.status != 200 {
            problems.push(format!("GET {path} answers {}", answer.status));
        }
    }
    problems.extend(metrics(&portal)?);
    problems.extend(openapi::gate(&portal)?);
    problems.extend(docs::metrics_stale(&portal)?);
    problems.extend(docs::cli_stale(&portal::binary("debug"))?);
    found(
        problems,
        "metrics lint clean, the HTTP API is what is published",
    )
}

fn metrics(portal: &Portal) -> Fallible<Option<String>> {
    let answer = portal.ask("GET", "/metrics", None)?;
    if answer.status != 200 {
        return Ok(Some(format!("GET /metrics answers {}", answer.status)));
    }
    let file = sh::logs()?.join("metrics.txt");
    std::fs::write(&file, &answer.body)?;
    let promtool = sh::which("promtool").ok_or("promtool is missing (package prometheus)")?;
    let mut lint = program(promtool);
    lint.args(["check", "metrics"])
        .stdin(std::fs::File::open(&file)?);
    let out = lint.output()?;
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    // promtool answers 0 with remarks, too.
    Ok((!out.status.success() || !said.is_empty()).then(|| format!("promtool: {said}")))
}

fn browser() -> Fallible<Outcome> {
    needs::node_modules()?;
    let command = &mut program("node");
    command
        .arg("tests/browser/run.mjs")
        .env("PORTICO_BIN", portal::binary("debug"));
    if let Some(chromium) = needs::chromium() {
        command.env("CHROMIUM_BIN", chromium);
    }
    let done = logged("browser", command, LIMIT)?;
    let count = count::summary(&done.text);
    let say = if done.ok {
        counts(count)
    } else {
        trouble(&done, 80)
    };
    Ok(Outcome {
        count,
        ok: done.ok && count.failed == 0,
        say,
    })
}

/// A command whose exit code says it all.
fn shown(name: &str, command: &std::process::Command, lines: usize) -> Fallible<Outcome> {
    let done = logged(name, command, LIMIT)?;
    let say = if done.ok {
        "clean".to_owned()
    } else {
        trouble(&done, lines)
    };
    Ok(Outcome {
        count: Count::default(),
        ok: done.ok,
        say,
    })
}

/// A `cargo test`.
fn counted(name: &str, command: &std::process::Command) -> Fallible<Outcome> {
    let done = logged(name, command, LIMIT)?;
    let count = count::cargo(&done.text);
    let say = if done.ok {
        counts(count)
    } else {
        failures(&done)
    };
    Ok(Outcome {
        count,
        ok: done.ok,
        say,
    })
}

fn counts(count: Count) -> String {
    format!("{} tests passed", count.passed)
}

fn trouble(done: &sh::Logged, lines: usize) -> String {
    format!(
        "{}\n(all of it: {})",
        tail(&done.text, lines),
        done.log.display()
    )
}

/// Names of the failed tests first, then the end of the log.
fn failures(done: &sh::Logged) -> String {
    let names: Vec<&str> = done
        .text
        .lines()
        .filter(|line| line.starts_with("test ") && line.ends_with("FAILED"))
        .collect();
    let stdout: Vec<&str> = done
        .text
        .lines()
        .filter(|line| line.contains("panicked at") || line.starts_with("error"))
        .take(40)
        .collect();
    format!(
        "{}\n{}\n{}",
        names.join("\n"),
        stdout.join("\n"),
        trouble(done, 60)
    )
}

fn found(problems: impl IntoIterator<Item = String>, fine: &str) -> Fallible<Outcome> {
    let problems: Vec<String> = problems.into_iter().collect();
    if problems.is_empty() {
        return Ok(Outcome::fine(fine));
    }
    let failed = problems.len() as u64;
    Ok(Outcome {
        count: Count { passed: 0, failed },
        ok: false,
        say: problems.join("\n"),
    })
}
