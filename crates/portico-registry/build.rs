//! Rebuilds the crate when a file appears in or disappears from the embedded folders: the embedding
//! macro notices changed files only.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../microsites");
    println!("cargo:rerun-if-changed=../../examples");
}
