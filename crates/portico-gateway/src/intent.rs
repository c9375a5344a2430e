//! Pages that ask the shell for something: who may ask, and how the shell is told.

use http::HeaderValue;
use portico_package::{PackageId, Version, manifest::Intent};
use portico_plan::access::{can, granted};
use portico_plan::{Identity, snapshot::PackageView};
use serde_json::{Map, Value, json};

/// The permission that both the package and the person need.
pub(crate) fn permission(intent: Intent) -> &'static str {
    match intent {
        Intent::Install | Intent::Upgrade | Intent::Rollback | Intent::Enable | Intent::Disable => {
            "microsite:install"
        }
        Intent::Uninstall => "microsite:uninstall",
    }
}

fn verb(intent: Intent) -> &'static str {
    match intent {
        Intent::Install => "install",
        Intent::Upgrade => "upgrade",
        Intent::Rollback => "rollback",
        Intent::Disable => "disable",
        Intent::Enable => "enable",
        Intent::Uninstall => "uninstall",
    }
}

/// Why an intent is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The package may not ask for it.
    Package,
    /// The person may not.
    Person,
}

/// Whether the package holds what it asks the shell to do, and the person who asks too.
pub(crate) fn allowed(
    intent: Intent,
    package: &PackageView,
    identity: &Identity,
) -> Result<(), Refused> {
    let permission = permission(intent);
    if !granted(&package.grants, permission) {
        return Err(Refused::Package);
    }
    if !can(&identity.permissions, permission) {
        return Err(Refused::Person);
    }
    Ok(())
}

/// What the shell is asked to do, from the fields of the form. Only well-formed ids and versions are
/// passed on; everything else in a form is the package's own business.
pub(crate) fn request(
    intent: Intent,
    asking: &PackageId,
    fields: &[(String, String)],
) -> Result<Value, String> {
    let field = |name: &str| {
        fields
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .filter(|v| !v.is_empty())
    };
    let microsite = field("microsite_id").ok_or("the form has no field `microsite_id`")?;
    let microsite: PackageId = microsite
        .parse()
        .map_err(|e| format!("`microsite_id`: {e}"))?;
    let mut request = Map::from_iter([
        ("verb".to_owned(), json!(verb(intent))),
        ("package".to_owned(), json!(asking)),
        ("microsite_id".to_owned(), json!(microsite)),
    ]);
    if let Some(version) = field("version") {
        let version: Version = version
            .parse()
            .map_err(|e| format!("`version`: `{version}`: {e}"))?;
        request.insert("version".to_owned(), json!(version));
    }
    if let Some(registry) = field("registry") {
        let ok = registry.len() <= 64
            && registry
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !ok {
            return Err(format!(
                "`registry`: `{registry}` is not the name of a registry"
            ));
        }
        request.insert("registry".to_owned(), json!(registry));
    }
    Ok(Value::Object(request))
}

/// `HX-Trigger`: an event for the shell's script. Its values are plain ASCII by construction.
pub(crate) fn trigger(request: &Value) -> Option<HeaderValue> {
    HeaderValue::try_from(json!({ "portico:intent": request }).to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(fields: &[(&str, &str)]) -> Result<Value, String> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        request(Intent::Install, &"sz_marketplace".parse().unwrap(), &fields)
    }

    #[test]
    fn passes_on_what_is_well_formed() {
        let request = ask(&[
            ("microsite_id", "logstream"),
            ("version", "2.1.0"),
            ("note", "ü\r\nx: y"),
        ])
        .unwrap();
        assert_eq!(
            request,
            json!({"verb": "install", "package": "sz_marketplace", "microsite_id": "logstream", "version": "2.1.0"})
        );
        let header = trigger(&request).unwrap();
        assert!(
            header
                .to_str()
                .unwrap()
                .starts_with("{\"portico:intent\":{"),
            "{header:?}"
        );
    }

    #[test]
    fn refuses_the_rest() {
        for fields in [
            &[][..],
            &[("microsite_id", "")],
            &[("microsite_id", "../x")],
            &[("microsite_id", "Ü")],
            &[("microsite_id", "a"), ("version", "latest")],
            &[("microsite_id", "a"), ("registry", "a\nb")],
        ] {
            assert!(ask(fields).is_err(), "{fields:?}");
        }
    }
}
