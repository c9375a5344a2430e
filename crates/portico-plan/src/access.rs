//! Who may: the one place that decides.

use std::{collections::BTreeSet, sync::Arc};

use portico_package::{PackageId, Permission, permission};
use serde::{Deserialize, Serialize};

use crate::TenantId;

/// Who asks. Made from a session or a token once, then carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Whose portal.
    pub tenant: TenantId,
    /// What kind of actor.
    pub actor: Actor,
    /// Name that people read.
    pub name: String,
    /// Permissions held; `*` alone is everything, a last word of `*` is a prefix (`microsite:*`).
    pub permissions: Arc<BTreeSet<String>>,
}

/// What kind of actor asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum Actor {
    /// Nobody signed in.
    Anonymous,
    /// A signed-in person.
    User(String),
    /// An API token, by its id.
    Token(String),
    /// A package, with its grants.
    Package(PackageId),
    /// The portal itself: configuration, first start, reconciler.
    System,
}

impl Actor {
    /// How the actor stands in audit records: `user:<id>`, `token:<id>`, `package:<id>`, `system`, `anonymous`.
    pub fn label(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".into(),
            Self::User(id) => format!("user:{id}"),
            Self::Token(id) => format!("token:{id}"),
            Self::Package(id) => format!("package:{id}"),
            Self::System => "system".into(),
        }
    }
}

impl Identity {
    /// Nobody.
    pub fn anonymous(tenant: TenantId) -> Self {
        Self {
            tenant,
            actor: Actor::Anonymous,
            name: String::new(),
            permissions: Arc::default(),
        }
    }

    /// The portal itself, allowed everything.
    pub fn system(tenant: TenantId) -> Self {
        Self {
            tenant,
            actor: Actor::System,
            name: "Portico".into(),
            permissions: Arc::new(BTreeSet::from(["*".to_owned()])),
        }
    }

    /// Whether somebody is signed in.
    pub fn is_signed_in(&self) -> bool {
        self.actor != Actor::Anonymous
    }
}

/// Permission to grant anything to a package, whoever asks for its installation.
pub const APPROVE_GRANTS: &str = "grants:approve";

/// The roles that every portal has, with what they hold, widest first.
pub const fn roles() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        ("admin", &["*"]),
        (
            "operator",
            &[
                "portal:*",
                "microsite:*",
                "operations:read",
                "audit:read",
                APPROVE_GRANTS,
            ],
        ),
        ("member", &["microsite:discover", "portal:read"]),
    ]
}

/// What a role holds; nothing for a role that no portal has.
pub fn role_permissions(role: &str) -> &'static [&'static str] {
    roles()
        .iter()
        .find(|(name, _)| *name == role)
        .map_or(&[], |(_, permissions)| permissions)
}

/// Whether `held` contains `wanted`: the same text, `*`, or a prefix that ends in `:*`.
pub fn can(held: &BTreeSet<String>, wanted: &str) -> bool {
    if held.contains("*") || held.contains(wanted) {
        return true;
    }
    wanted
        .match_indices(':')
        .any(|(at, _)| held.contains(&format!("{}:*", &wanted[..at])))
}

/// Whether a package with these grants may use `wanted`: the same permission, or a wider one. A word `*` stands for
/// any one word, as the last one for all that follow; `network:outbound` is wider than `http:outbound`, a higher
/// `storage` ceiling wider than a lower one.
pub fn granted(grants: &BTreeSet<Permission>, wanted: &str) -> bool {
    grants.iter().any(|grant| is_wider(grant, wanted))
}

fn is_wider(grant: &Permission, wanted: &str) -> bool {
    let text = grant.as_str();
    if text == wanted || (text == "network:outbound" && wanted == "http:outbound") {
        return true;
    }
    if let Some(ceiling) = grant.storage_bytes() {
        let wanted = wanted
            .strip_prefix("storage:")
            .and_then(permission::parse_size);
        return wanted.is_some_and(|wanted| wanted <= ceiling);
    }
    let mut wanted = wanted.split(':');
    let mut words = text.split(':').peekable();
    while let Some(word) = words.next() {
        match (word, wanted.next()) {
            (_, None) => return false,
            ("*", Some(_)) if words.peek().is_none() => return true,
            (word, Some(other)) if word != "*" && word != other => return false,
            _ => {}
        }
    }
    wanted.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(permissions: &[&str]) -> BTreeSet<String> {
        permissions.iter().map(|p| (*p).to_owned()).collect()
    }

    fn grants(permissions: &[&str]) -> BTreeSet<Permission> {
        permissions.iter().map(|p| p.parse().expect(p)).collect()
    }

    #[test]
    fn a_person_can_what_is_held_and_no_more() {
        for (permissions, wanted, expected) in [
            (&["*"][..], "microsite:install", true),
            (&["microsite:install"], "microsite:install", true),
            (&["microsite:*"], "microsite:install", true),
            (&["api:*"], "api:schedules:read", true),
            (&["api:schedules:*"], "api:schedules:read", true),
            (&[], "microsite:install", false),
            (&["microsite:install"], "microsite:uninstall", false),
            (&["microsite:install"], "microsite", false),
            (&["micro:*"], "microsite:install", false),
            (&["microsite:*"], "microsite", false),
            (&["api:schedules:*"], "api:schedulesx:read", false),
            (&["api:*:read"], "api:schedules:read", false),
            (&["*:read"], "api:read", false),
        ] {
            assert_eq!(
                can(&held(permissions), wanted),
                expected,
                "{permissions:?} for {wanted}"
            );
        }
    }

    #[test]
    fn a_package_may_use_what_it_holds_or_less() {
        for (permissions, wanted, expected) in [
            (&["api:schedules:read"][..], "api:schedules:read", true),
            (&["api:schedules:read"], "api:schedules:write", false),
            (&["api:*"], "api:schedules:read", true),
            (&["api:*"], "apix:schedules:read", false),
            (&["api:*:read"], "api:schedules:read", true),
            (&["api:*:read"], "api:schedules:write", false),
            (&["api:*:read"], "api:schedules", false),
            (&["api:schedules"], "api:schedules:read", false),
            (&["api:schedules:read"], "api:*:read", false),
            (&["network:outbound"], "http:outbound", true),
            (&["http:outbound"], "network:outbound", false),
            (&["storage:100gb"], "storage:10gb", true),
            (&["storage:10gb"], "storage:100gb", false),
            (&["storage:10gb"], "storage:lots", false),
        ] {
            assert_eq!(
                granted(&grants(permissions), wanted),
                expected,
                "{permissions:?} for {wanted}"
            );
        }
    }

    #[test]
    fn roles_differ_in_what_decides() {
        let of = |role| held(role_permissions(role));
        for (wanted, operator, member) in [
            ("microsite:install", true, false),
            ("microsite:discover", true, true),
            ("portal:read", true, true),
            (APPROVE_GRANTS, true, false),
            ("users:write", false, false),
        ] {
            assert!(can(&of("admin"), wanted), "{wanted}");
            assert_eq!(can(&of("operator"), wanted), operator, "operator, {wanted}");
            assert_eq!(can(&of("member"), wanted), member, "member, {wanted}");
        }
        assert!(role_permissions("root").is_empty());
    }
}
