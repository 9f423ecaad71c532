//! How to reach PostgreSQL. The password is in here, and nothing of this prints it.

use super::{OpenError, StoreError};
use crate::domain::Secret;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

/// How long a transaction may wait for its gateway: one that was paused or cut off holds its locks against the
/// others, revocations among them, for no longer than its lease.
const LONGEST_IDLE: Duration = Duration::from_secs(1);

/// A database of PostgreSQL, and how patient to be with it.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user@host:port/database?sslmode=…&sslrootcert=…`.
    pub url: Secret,
    /// Instead of one in the URL.
    pub password: Option<Secret>,
    /// At most so many connections.
    pub connections: usize,
    /// Until a connection stands, TLS and authentication included.
    pub connect_timeout: Duration,
    /// For one statement; half of it for one lock.
    pub statement_timeout: Duration,
}

impl PostgresOptions {
    /// The defaults of `[database]`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url),
            password: None,
            connections: 16,
            connect_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
        }
    }

    /// Where it is: host or socket, port, database and user; never the password.
    #[must_use]
    pub fn shown(&self) -> String {
        self.parsed().map_or_else(
            |_| "an unusable URL".to_owned(),
            |o| {
                let host = o
                    .get_socket()
                    .map_or_else(|| o.get_host().to_owned(), |socket| socket.display().to_string());
                let database = o.get_database().unwrap_or(o.get_username());
                format!("{}@{host}:{}/{database}", o.get_username(), o.get_port())
            },
        )
    }

    /// The user of the URL.
    #[must_use]
    pub fn role(&self) -> Option<String> {
        self.parsed().ok().map(|options| options.get_username().to_owned())
    }

    fn parsed(&self) -> Result<PgConnectOptions, StoreError> {
        // What the parser says of a URL isn't told: it may quote it.
        let options = PgConnectOptions::from_str(self.url.expose())
            .map_err(|_| OpenError::Postgres("`database.url` is not a URL of PostgreSQL".to_owned()))?;
        Ok(match &self.password {
            Some(password) => options.password(password.expose()),
            None => options,
        })
    }

    /// For the owner's connection: a migration takes as long as it takes.
    pub(super) fn owner_options(&self) -> Result<PgConnectOptions, StoreError> {
        Ok(self.parsed()?.application_name("drawbridge migrate").disable_statement_logging())
    }

    /// For a connection that keeps to the limits.
    pub(super) fn connect_options(&self) -> Result<PgConnectOptions, StoreError> {
        let statement = self.statement_timeout.as_millis();
        let limits = [
            ("statement_timeout", statement.to_string()),
            ("lock_timeout", (statement / 2).max(1).to_string()),
            ("idle_in_transaction_session_timeout", statement.min(LONGEST_IDLE.as_millis()).to_string()),
        ];
        Ok(self
            .parsed()?
            .application_name("drawbridge")
            .statement_cache_capacity(512)
            .options(limits)
            .disable_statement_logging())
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("at", &self.shown())
            .field("connections", &self.connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}
