//! `cargo xtask bundle`: pins the digests of the packages inside the binary.

use std::fs;

use crate::{
    Fallible,
    sh::{cargo, output, root},
};

/// Packs `microsites/` as the binary would and writes their digests to the lock file.
pub(crate) fn run() -> Fallible {
    let lock = output(cargo().args([
        "run",
        "--quiet",
        "--package",
        "portico-registry",
        "--example",
        "bundle_lock",
    ]))?;
    let file = root().join("microsites/bundled.lock");
    let before = fs::read_to_string(&file).unwrap_or_default();
    if before == lock {
        println!("{} is current", file.display());
    } else {
        fs::write(&file, lock)?;
        println!("wrote {}", file.display());
    }
    Ok(())
}
