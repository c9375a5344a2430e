//! Prints what `microsites/bundled.lock` should hold; `cargo xtask bundle` writes it there.

use std::{
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    let (written, code) = match portico_registry::bundled::compute_lock() {
        Ok(text) => (io::stdout().write_all(text.as_bytes()), ExitCode::SUCCESS),
        Err(problems) => (writeln!(io::stderr(), "{problems}"), ExitCode::FAILURE),
    };
    if written.is_err() {
        ExitCode::FAILURE
    } else {
        code
    }
}
