#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (config, findings) = portico_config::read("portal_config.yaml", text);
    assert_eq!(config.is_none(), findings.has_errors());
    if let Some(config) = config {
        config.to_json().expect("a configuration is JSON");
        assert!(!config.unsupported().has_errors());
        assert!(
            portico_config::diff(&config, &config)
                .expect("it is JSON")
                .is_empty()
        );
    }
});
