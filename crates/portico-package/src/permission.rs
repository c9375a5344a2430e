//! What a package may ask for.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// A permission: `:`-separated lower-case words, such as `api:schedules:read`, `storage:100gb`
/// or `microsite:install`. Used = asked ∧ granted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(Arc<str>);

/// Why a text is not a [`Permission`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a permission: write words of a-z, 0-9, `_`, `.`, `-` joined by `:`, such as `api:schedules:read`"
)]
pub struct InvalidPermission(pub String);

impl Permission {
    /// The permission as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For `storage:<size>`: the ceiling asked for, in bytes.
    pub fn storage_bytes(&self) -> Option<u64> {
        parse_size(self.0.strip_prefix("storage:")?)
    }
}

/// What a permission means in plain words: its group and a short sentence without a subject.
///
/// Groups are `reads`, `changes`, `connects`, `stores`, `shows`, `manages`. A permission that this
/// build does not know says so instead of pretending.
pub fn describe(permission: &Permission) -> (&'static str, String) {
    let words: Vec<&str> = permission.as_str().split(':').collect();
    let sentence = |text: &str| text.to_owned();
    match words.as_slice() {
        ["api", "*", "read"] => ("reads", sentence("Reads everything in the portal's API")),
        ["api", "*", "write"] => (
            "changes",
            sentence("Changes everything in the portal's API"),
        ),
        ["api", "*", "*"] | ["api", "*"] => (
            "changes",
            sentence("Reads and changes everything in the portal's API"),
        ),
        ["api", what, "read"] => ("reads", format!("Reads {}", spoken(what))),
        ["api", what, "write"] => ("changes", format!("Adds and changes {}", spoken(what))),
        ["api", what, "delete"] => ("changes", format!("Deletes {}", spoken(what))),
        ["api", what, "*"] => ("changes", format!("Reads and changes {}", spoken(what))),
        ["storage", _] => match permission.storage_bytes() {
            Some(bytes) => ("stores", format!("Stores up to {}", size_text(bytes))),
            None => ("stores", sentence("Stores files")),
        },
        ["network" | "http", "outbound"] => (
            "connects",
            sentence("Connects to servers outside the portal"),
        ),
        ["network" | "http", "outbound", host] => ("connects", format!("Connects to {host}")),
        ["events", "publish"] => (
            "changes",
            sentence("Sends events that other packages receive"),
        ),
        ["events", "subscribe"] => ("reads", sentence("Receives events of other packages")),
        ["db", "read"] => ("reads", sentence("Reads its own database")),
        ["db", "write"] => ("stores", sentence("Writes to its own database")),
        ["secrets", "read"] => ("reads", sentence("Reads secrets that were given to it")),
        ["microsite", "discover"] => ("reads", sentence("Searches the registries for packages")),
        ["microsite", "install"] => (
            "manages",
            sentence("Asks to install, upgrade and switch packages; you approve each time"),
        ),
        ["microsite", "uninstall"] => (
            "manages",
            sentence("Asks to remove packages; you approve each time"),
        ),
        ["ui", "in-page"] => (
            "shows",
            sentence("Runs its own code in your pages, with what you may do"),
        ),
        ["runtime", "process"] => (
            "manages",
            sentence("Runs a program of its own on the portal's machine"),
        ),
        ["portal", "read"] => ("reads", sentence("Reads how the portal is")),
        ["portal", "configure"] => ("manages", sentence("Reads the configuration file again")),
        ["operations", "read"] => (
            "reads",
            sentence("Reads what is being installed and what failed"),
        ),
        ["audit", "read"] => ("reads", sentence("Reads who did what")),
        ["token", "manage"] => ("manages", sentence("Makes and revokes API tokens")),
        ["registry", "manage"] => ("manages", sentence("Decides which registries are trusted")),
        ["grants", "approve"] => ("manages", sentence("Grants packages what they ask for")),
        _ => (
            "manages",
            format!("Uses `{permission}`, which this portal does not know"),
        ),
    }
}

/// `job_runs` → `job runs`.
fn spoken(word: &str) -> String {
    word.replace(['_', '-', '.'], " ")
}

/// Bytes as people write them: `100 GiB`, `1.5 MiB`, `512 bytes`.
pub fn size_text(bytes: u64) -> String {
    let units = [
        (1u64 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    for (unit, name) in units {
        if bytes >= unit {
            // Tenths, rounded down: a ceiling must not be shown larger than it is.
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            return match tenths % 10 {
                0 => format!("{} {name}", tenths / 10),
                rest => format!("{}.{rest} {name}", tenths / 10),
            };
        }
    }
    if bytes == 1 {
        "1 byte".into()
    } else {
        format!("{bytes} bytes")
    }
}

/// Bytes of a size such as `10GB`, `100gb`, `512 MiB` or `4096`; decimal and binary units are both
/// read as powers of 1024, as operators of such limits expect.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..at].parse().ok()?;
    let shift = match text[at..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

impl FromStr for Permission {
    type Err = InvalidPermission;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let word = |w: &str| {
            !w.is_empty()
                && w.bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'*'))
        };
        let ok = s.len() <= 128 && s.contains(':') && s.split(':').all(word);
        if ok {
            Ok(Self(s.into()))
        } else {
            Err(InvalidPermission(s.to_owned()))
        }
    }
}

impl TryFrom<String> for Permission {
    type Error = InvalidPermission;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Permission> for String {
    fn from(p: Permission) -> Self {
        p.0.as_ref().to_owned()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(permission: &str) -> (&'static str, String) {
        describe(&permission.parse().unwrap())
    }

    #[test]
    fn permissions_are_described_in_plain_words() {
        let table = [
            ("api:schedules:read", "reads", "Reads schedules"),
            ("api:job_runs:read", "reads", "Reads job runs"),
            ("api:handlers:write", "changes", "Adds and changes handlers"),
            (
                "api:*:read",
                "reads",
                "Reads everything in the portal's API",
            ),
            ("storage:100gb", "stores", "Stores up to 100 GiB"),
            ("storage:1536mb", "stores", "Stores up to 1.5 GiB"),
            (
                "network:outbound",
                "connects",
                "Connects to servers outside the portal",
            ),
            (
                "microsite:discover",
                "reads",
                "Searches the registries for packages",
            ),
            ("audit:read", "reads", "Reads who did what"),
            (
                "moon:land",
                "manages",
                "Uses `moon:land`, which this portal does not know",
            ),
        ];
        for (permission, group, summary) in table {
            assert_eq!(
                said(permission),
                (group, summary.to_owned()),
                "{permission}"
            );
        }
    }

    #[test]
    fn sizes_read_and_write() {
        let table = [
            ("10GB", Some(10 << 30)),
            ("100gb", Some(100 << 30)),
            (" 512 MiB ", Some(512 << 20)),
            ("4096", Some(4096)),
            ("1t", Some(1 << 40)),
            ("10 apples", None),
            ("", None),
            ("-1", None),
            ("1.5gb", None),
            ("99999999999t", None),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
        assert_eq!(size_text(0), "0 bytes");
        assert_eq!(size_text(1), "1 byte");
        assert_eq!(size_text(1023), "1023 bytes");
        assert_eq!(size_text(1 << 20), "1 MiB");
        assert_eq!(size_text((1 << 20) + 1), "1 MiB");
        assert_eq!(size_text((2 << 30) - 1), "1.9 GiB");
        assert_eq!(size_text(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn permissions_are_words() {
        for good in [
            "api:schedules:read",
            "storage:100gb",
            "api:*:read",
            "http:outbound:api.example.com",
        ] {
            assert!(good.parse::<Permission>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "api",
            "api:",
            ":read",
            "API:read",
            "api: read",
            "api:read\n",
        ] {
            assert!(bad.parse::<Permission>().is_err(), "{bad}");
        }
    }
}
