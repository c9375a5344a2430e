#![no_main]

use libfuzzer_sys::fuzz_target;
use portico_package::VersionRange;

fuzz_target!(|text: &str| {
    if let Ok(range) = text.parse::<VersionRange>() {
        assert_eq!(
            range
                .as_str()
                .parse::<VersionRange>()
                .expect("it was read once"),
            range
        );
        assert!(!range.intervals().is_empty());
    }
});
