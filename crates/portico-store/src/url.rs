//! Where the database is.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::StoreError;

/// A database address: `sqlite://<path>` or `postgres://…`. It prints without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub(crate) Place);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

impl DatabaseUrl {
    /// The SQLite database in the file `path`, which is made when it is missing.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self(Place::Sqlite(path.into()))
    }

    /// The file, for SQLite.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Place::Sqlite(path) => Some(path),
            Place::Postgres(_) => None,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = StoreError;

    fn from_str(s: &str) -> Result<Self, StoreError> {
        let invalid = |reason: &str| StoreError::InvalidUrl {
            url: masked(s),
            reason: reason.into(),
        };
        if let Some(path) = s.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err(invalid("the path of the file is missing"));
            }
            if path.starts_with(':') || path.contains('?') {
                return Err(invalid(
                    "only a plain path of a file may follow `sqlite://`",
                ));
            }
            return Ok(Self(Place::Sqlite(path.into())));
        }
        if s.starts_with("postgres://") || s.starts_with("postgresql://") {
            // Parsed again when it is opened; here only so that a mistake is told early.
            sqlx::postgres::PgConnectOptions::from_str(s)
                .map_err(|_| invalid("it does not parse as a URL"))?;
            return Ok(Self(Place::Postgres(s.to_owned())));
        }
        Err(invalid(
            "it does not start with `sqlite://` or `postgres://`",
        ))
    }
}

/// `url` with its password replaced by `***`, wherever it stands.
fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (rest, query) = rest
        .split_once('?')
        .map_or((rest, None), |(a, b)| (a, Some(b)));
    // The last `@`: a password may hold one that was not escaped.
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:***@{host}"),
            None => format!("{user}@{host}"),
        },
        None => rest.to_owned(),
    };
    match query {
        None => format!("{scheme}://{rest}"),
        Some(query) => {
            let query: Vec<String> = query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((key, _)) if key.eq_ignore_ascii_case("password") => format!("{key}=***"),
                    _ => pair.to_owned(),
                })
                .collect();
            format!("{scheme}://{rest}?{}", query.join("&"))
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Place::Postgres(url) => f.write_str(&masked(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(s: &str) -> String {
        s.parse::<DatabaseUrl>()
            .map_or_else(|e| e.to_string(), |u| u.to_string())
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgres://portico:hunter2@db.example/portal",
            "postgres://portico@db.example/portal?sslmode=require&password=hunter2",
            "postgres://portico:hunt@er2@db.example/portal",
            "mysql://portico:hunter2@db.example/portal",
        ] {
            assert!(!shown(url).contains("er2"), "{}", shown(url));
        }
        assert_eq!(
            shown("postgres://portico:hunter2@db.example/portal"),
            "postgres://portico:***@db.example/portal"
        );
    }

    #[test]
    fn paths_of_sqlite_are_taken_as_written() {
        let file = |s: &str| s.parse::<DatabaseUrl>().unwrap().file().map(Path::to_owned);
        assert_eq!(
            file("sqlite:///var/lib/portico.db"),
            Some("/var/lib/portico.db".into())
        );
        assert_eq!(
            file("sqlite://data/portico.db"),
            Some("data/portico.db".into())
        );
        assert_eq!(file("postgresql://localhost/portal"), None);
    }

    #[test]
    fn anything_else_is_refused_with_the_two_forms() {
        for url in [
            "",
            "portico.db",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://a?mode=ro",
            "mysql://localhost",
        ] {
            let error = url.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(error.contains("Write `sqlite://path"), "{url}: {error}");
        }
    }
}
