//! The `portico` command: the portal, and everything people do with it from a terminal.

mod cli;
mod client;
mod commands;
mod exit;
mod output;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let mut out = output::Output::new(cli.json, cli.quiet);
    match commands::run(cli, &mut out) {
        Ok(()) => ExitCode::from(out.exit()),
        Err(failure) => {
            out.failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}
