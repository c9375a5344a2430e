#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use portico_package::{
    archive::{Limits, inspect, pack},
    signature::SigningKey,
};

/// Small, so that the fuzzer spends its time on shapes and not on megabytes.
const LIMITS: Limits = Limits {
    archive: 1 << 20,
    file: 1 << 18,
    total: 1 << 20,
    entries: 100,
};

fn look(bytes: &[u8]) {
    if let Ok(package) = inspect(bytes, &LIMITS) {
        let key = SigningKey::from_seed([0; 32]).expect("a seed of zeros is a key");
        pack(&package.files, &package.manifest, &key).expect("what is accepted packs again");
    }
}

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    // The fuzzer rarely finds the checksum of a frame; let it get at what is inside.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder into memory");
    encoder.write_all(bytes).expect("memory takes it");
    look(&encoder.finish().expect("memory takes it"));
});
