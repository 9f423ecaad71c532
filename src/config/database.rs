//! The URL of a database. It may hold a password, so nothing of this prints it whole.

use super::document::Complaint;
use crate::domain::Secret;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// What may stand behind the `?`.
const PARAMETERS: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "host"];
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// `postgres://user[:password]@host[:port]/database[?sslmode=…&sslrootcert=…]`. `Display` and `Debug` leave the
/// password out.
#[derive(Clone)]
pub struct DatabaseUrl {
    text: Secret,
    shown: String,
}

impl DatabaseUrl {
    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        let complain = |what: &str| {
            let help = "for example `postgres://drawbridge@db.internal:5432/drawbridge?sslmode=verify-full`";
            // Whatever is wrong with it, it may hold a password.
            Complaint { secret: true, ..Complaint::new(what).help(help) }
        };
        let mut url = Url::parse(text).map_err(|_| complain("not a URL"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(complain("wanted is a URL that begins with `postgres://`"));
        }
        if url.username().is_empty() {
            return Err(complain("the URL names no user"));
        }
        if url.path().trim_start_matches('/').is_empty() || url.fragment().is_some() {
            return Err(complain("the URL names no database"));
        }
        for (key, value) in url.query_pairs() {
            if !PARAMETERS.contains(&key.as_ref()) {
                let known = PARAMETERS.map(|name| format!("`{name}`")).join(", ");
                return Err(complain(&format!("a parameter that isn't known; known are {known}")));
            }
            if key == "sslmode" && !MODES.contains(&value.as_ref()) {
                return Err(complain(&format!("`sslmode` is none of {}", MODES.join(", "))));
            }
        }
        let whole = Secret::new(text);
        // A URL of this scheme has a host, and so takes a password.
        let _ = url.set_password(None);
        Ok(Self { text: whole, shown: url.to_string() })
    }

    /// The whole URL. For the driver only.
    #[must_use]
    pub const fn expose(&self) -> &Secret {
        &self.text
    }
}

/// A text that is no URL of a database. It isn't told: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a database: {0}")]
pub struct InvalidDatabaseUrl(String);

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        Self::parse(text).map_err(|complaint| InvalidDatabaseUrl(complaint.message))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.shown)
    }
}

impl PartialEq for DatabaseUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text.expose() == other.text.expose()
    }
}

impl Eq for DatabaseUrl {}
