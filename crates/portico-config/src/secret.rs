//! Values that must not be shown.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};
use url::Url;

/// `server.database_url`. Showing it in any way leaves passwords out.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

/// Why a text is not a [`DatabaseUrl`]; it never quotes the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// No URL.
    #[error(
        "this is not a URL; write `sqlite:portal.db` or `postgres://user:password@host/database`"
    )]
    NotUrl,
    /// Another database.
    #[error(
        "the portal keeps its data in SQLite or PostgreSQL, not in `{0}`; write `sqlite:…` or `postgres://…`"
    )]
    Scheme(String),
}

const HIDDEN: &str = "***";

impl DatabaseUrl {
    /// The URL with its secrets, for whoever opens the connection.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The URL without its secrets.
    pub fn redacted(&self) -> String {
        let Ok(mut url) = Url::parse(&self.0) else {
            return HIDDEN.into();
        };
        if url.password().is_some() && url.set_password(Some(HIDDEN)).is_err() {
            return HIDDEN.into();
        }
        let query: Vec<(String, String)> = url
            .query_pairs()
            .map(|(key, value)| {
                let secret = key.to_ascii_lowercase().contains("password");
                (
                    key.into_owned(),
                    if secret {
                        HIDDEN.into()
                    } else {
                        value.into_owned()
                    },
                )
            })
            .collect();
        if !query.is_empty() {
            url.query_pairs_mut().clear().extend_pairs(query);
        }
        url.into()
    }

    /// Whether it names PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.0.starts_with("postgres")
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(s).map_err(|_| InvalidDatabaseUrl::NotUrl)?;
        match url.scheme() {
            "postgres" | "postgresql" if !url.has_host() => Err(InvalidDatabaseUrl::NotUrl),
            "sqlite" | "postgres" | "postgresql" => Ok(Self(s.into())),
            other => Err(InvalidDatabaseUrl::Scheme(other.into())),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let table = [
            (
                "postgres://portico:hunter2@db:5432/portal",
                "postgres://portico:***@db:5432/portal",
            ),
            (
                "postgres://db/portal?user=a&password=hunter2",
                "postgres://db/portal?user=a&password=***",
            ),
            ("sqlite:portal.db", "sqlite:portal.db"),
            (
                "sqlite://data/portal.db?mode=rwc",
                "sqlite://data/portal.db?mode=rwc",
            ),
        ];
        for (text, shown) in table {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.redacted(), shown);
            assert_eq!(format!("{url:?} {url}"), format!("{shown} {shown}"));
            assert_eq!(url.expose(), text);
        }
    }

    #[test]
    fn other_databases_are_refused_without_quoting() {
        let error = "mysql://u:hunter2@h/d".parse::<DatabaseUrl>().unwrap_err();
        assert_eq!(error, InvalidDatabaseUrl::Scheme("mysql".into()));
        for text in ["hunter2", "postgres:hunter2", ""] {
            let error = text.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(error, InvalidDatabaseUrl::NotUrl, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
