#![no_main]

use libfuzzer_sys::fuzz_target;
use portico_package::manifest::Manifest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::from_json(bytes) {
        let json = manifest.to_json().expect("a manifest is JSON");
        let again = Manifest::from_json(&json).expect("what is written can be read");
        assert_eq!(again.to_json().expect("a manifest is JSON"), json);
    }
});
