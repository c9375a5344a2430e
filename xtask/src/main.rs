//! The chores of the project: `cargo xtask <task>`.
//!
//! Only the standard library and `serde_json`, so that it builds in seconds on a cold machine.

#![expect(
    clippy::print_stdout,
    reason = "a command line tool talks to its terminal"
)]

mod bench;
mod bundle;
mod count;
mod docs;
mod needs;
mod openapi;
mod portal;
mod sh;
mod stages;
mod tidy;

use std::process::ExitCode;

/// What every task answers: nothing, or a sentence.
type Fallible<T = ()> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
cargo xtask <task>

  test [--quick] [--only STAGE,…] [--skip STAGE,…]   everything that must hold; ends with `N passed, N failed`
  tidy                 rules about the repository itself: edges between crates, file lengths, licences
  docs                 writes the generated parts of docs/reference
  docs-check           links, anchors and code blocks of the documentation
  openapi [--breaking] writes docs/reference/openapi.json from a running build; refuses what breaks clients
  bundle               writes microsites/bundled.lock: the digests of the packages inside the binary
  bench NAME           assets | page | live | shell; needs a release build, see bench/README.md
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", &[][..]),
    };
    let result = match task {
        "test" => return stages::run(rest),
        "tidy" => tidy::run(),
        "docs" => docs::write(),
        "docs-check" => docs::check_and_report(),
        "openapi" => openapi::run(rest),
        "bundle" => bundle::run(),
        "bench" => bench::run(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(format!("no task `{other}`\n\n{USAGE}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
