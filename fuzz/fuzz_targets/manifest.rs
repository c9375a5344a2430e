#![no_main]

use libfuzzer_sys::fuzz_target;
use portico_package::manifest::{Manifest, read};

fuzz_target!(|text: &str| {
    let (manifest, findings) = read::from_yaml("microsite_manifest.yaml", text);
    assert_eq!(manifest.is_none(), findings.has_errors());
    if let Some(manifest) = manifest {
        let json = manifest.to_json().expect("a manifest is JSON");
        let again = Manifest::from_json(&json).expect("what is written can be read");
        assert_eq!(again.to_json().expect("a manifest is JSON"), json);
    }
});
