//! Makes the example registry below a folder, as the first start of a portal does, and prints where
//! it is: something to point other readers at.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use aws_lc_rs::rand::SystemRandom;
use portico_host::{Clock, SystemClock};
use portico_registry::examples::ensure_example_registry;

fn main() -> ExitCode {
    let data = std::env::args_os()
        .nth(1)
        .map_or_else(|| "portico-data".into(), PathBuf::from);
    match ensure_example_registry(&data, SystemClock.now(), &SystemRandom::new()) {
        Ok(made) => {
            let _ = writeln!(io::stdout(), "{}", made.folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
