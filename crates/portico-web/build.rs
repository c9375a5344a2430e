//! Tells cargo that the embedded files are part of the crate.

fn main() {
    println!("cargo:rerun-if-changed=assets");
}
