//! What can go wrong with the store, by what it means for the caller.

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;
use std::io;
use std::path::PathBuf;

/// Why the store didn't do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full (SQLITE_FULL). Nothing was written.
    #[error("the disk is full")]
    Full(#[source] sqlx::Error),
    /// The disk or folder is read-only. Nothing was written.
    #[error("the data folder can't be written")]
    ReadOnly(#[source] sqlx::Error),
    /// An I/O error: whether the transaction is there is unknown until the store is reopened.
    #[error("the disk failed; whether the last transaction is there is unknown")]
    Io(#[source] sqlx::Error),
    /// PostgreSQL can't be reached, or doesn't answer in time. Nothing was written.
    #[error("the database can't be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The answer of a COMMIT was lost: whether the transaction is there is unknown.
    #[error("the database didn't say whether it committed")]
    Unknown(#[source] sqlx::Error),
    /// PostgreSQL broke a deadlock (40P01) or found no serial order (40001). Nothing was written; the same work
    /// may well pass when it is done again.
    #[error("the database asks to try again")]
    Retry(#[source] sqlx::Error),
    /// A unique constraint.
    #[error("a record with this key is there already")]
    Conflict(#[source] sqlx::Error),
    /// Anything else the database said.
    #[error("the database refused")]
    Database(#[source] sqlx::Error),
    /// A stored value that this version can't read.
    #[error("a stored record can't be read: {0}")]
    Corrupt(String),
    /// The store couldn't be opened. Only [`super::Db::open`] answers this.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Why the store couldn't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another gateway holds the lock on the folder.
    #[error("another gateway is running on the data folder `{}`", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder can't be created or opened.
    #[error("the data folder `{}` can't be opened", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder is on a full disk.
    #[error("the disk that holds the data folder `{}` is full", folder.display())]
    Full {
        /// The folder.
        folder: PathBuf,
        /// What was met.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The folder or its disk is read-only.
    #[error("the data folder `{}` is read-only", folder.display())]
    ReadOnly {
        /// The folder.
        folder: PathBuf,
        /// What was met.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// PostgreSQL doesn't take us.
    #[error("PostgreSQL at {at} can't be used")]
    Connect {
        /// Where, without the password.
        at: String,
        /// What was met.
        source: sqlx::Error,
    },
    /// PostgreSQL can't be used; what is wrong, and what to do.
    #[error("{0}")]
    Postgres(String),
    /// The tables in PostgreSQL are not those of this version.
    #[error(
        "the tables in the database are not those of this version of the gateway: run `drawbridge migrate`"
    )]
    Unmigrated {
        /// What the migrator said.
        source: sqlx::migrate::MigrateError,
    },
    /// The tables are not those of this version.
    #[error("the tables in `{}` are not those of this version of the gateway", folder.display())]
    Migration {
        /// The folder.
        folder: PathBuf,
        /// What the migrator said.
        source: sqlx::migrate::MigrateError,
    },
}

/// SQLite's primary result codes (the low byte of the extended code), <https://www.sqlite.org/rescode.html>.
const READONLY: i64 = 8;
const IOERR: i64 = 10;
const FULL: i64 = 13;
const CANTOPEN: i64 = 14;
/// Extended codes of a failed fsync, of a file or of its folder.
const IOERR_FSYNC: i64 = 1034;
const IOERR_DIR_FSYNC: i64 = 1290;

/// SQLite's extended result code.
fn code(error: &sqlx::Error) -> Option<i64> {
    let error = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    sqlx::error::DatabaseError::code(error)?.parse().ok()
}

/// PostgreSQL's SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn state(error: &sqlx::Error) -> Option<&str> {
    Some(error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.code())
}

/// Whether the connection can't be used any more, or never came about.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Connection exceptions; sent away by an administrator, a crash, a start, a time-out; too many connections.
        other => state(other).is_some_and(|state| {
            state.starts_with("08") || state.starts_with("57P") || matches!(state, "25P03" | "53300")
        }),
    }
}

fn of_postgres(state: &str, error: sqlx::Error) -> StoreError {
    match state {
        "23505" => StoreError::Conflict(error),
        "40001" | "40P01" => StoreError::Retry(error),
        "53100" => StoreError::Full(error),
        "25006" => StoreError::ReadOnly(error),
        // Cancelled by `statement_timeout`, or by `lock_timeout`.
        "57014" | "55P03" => StoreError::Unreachable(error),
        _ if is_broken(&error) => StoreError::Unreachable(error),
        _ => StoreError::Database(error),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let Some(state) = state(&error).map(str::to_owned) {
            return of_postgres(&state, error);
        }
        if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
            return Self::Conflict(error);
        }
        match code(&error).map(|c| c & 0xff) {
            Some(FULL) => Self::Full(error),
            Some(READONLY) => Self::ReadOnly(error),
            Some(IOERR) => Self::Io(error),
            _ => Self::Database(error),
        }
    }
}

impl StoreError {
    /// Whether an fsync failed: the kernel may have dropped what it was to keep, so that no later success
    /// on the same files proves anything.
    pub(super) fn is_failed_fsync(&self) -> bool {
        matches!(self, Self::Io(e) if matches!(code(e), Some(IOERR_FSYNC | IOERR_DIR_FSYNC)))
    }

    /// The answer of a store that is shut since an fsync failed.
    pub(super) fn shut() -> Self {
        Self::Io(sqlx::Error::Io(io::Error::other("shut since an fsync failed; restart the gateway")))
    }

    /// PostgreSQL's error on a connection, where sqlx tells only of a socket.
    pub(super) fn of_connection(error: sqlx::Error) -> Self {
        if is_broken(&error) { Self::Unreachable(error) } else { error.into() }
    }

    /// This error, met when PostgreSQL was first asked.
    pub(super) fn at(self, options: &super::PostgresOptions) -> Self {
        match self {
            Self::Unreachable(source) | Self::Database(source) | Self::ReadOnly(source) => {
                OpenError::Connect { at: options.shown(), source }.into()
            }
            other => other,
        }
    }

    /// This error, met by a COMMIT: a lost answer tells nothing.
    pub(super) fn at_commit(error: sqlx::Error) -> Self {
        if is_broken(&error) { Self::Unknown(error) } else { error.into() }
    }

    /// The answer when the database took too long for the caller.
    #[must_use]
    pub fn silent() -> Self {
        Self::Unreachable(Self::timed_out("the database doesn't answer in time"))
    }

    /// The answer when PostgreSQL took too long.
    pub(super) fn timed_out(what: &'static str) -> sqlx::Error {
        sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, what))
    }

    /// The answer while what is left of the disk is kept for revocations.
    pub(crate) fn kept_for_revocations() -> Self {
        Self::Full(sqlx::Error::Io(io::Error::new(
            io::ErrorKind::StorageFull,
            "what is left is kept for revocations",
        )))
    }

    /// This error, met at opening.
    pub(super) fn at_open(self, folder: &std::path::Path) -> Self {
        let folder = folder.to_owned();
        match self {
            Self::Full(e) => OpenError::Full { folder, source: e.into() }.into(),
            Self::ReadOnly(e) => OpenError::ReadOnly { folder, source: e.into() }.into(),
            // SQLite can't tell why it can't create a file in the folder.
            Self::Database(e) if code(&e).map(|c| c & 0xff) == Some(CANTOPEN) => {
                OpenError::Folder { folder, source: io::Error::other(e) }.into()
            }
            other => other,
        }
    }
}

impl OpenError {
    /// An error of the file system, told apart.
    pub(super) fn of_folder(folder: &std::path::Path, source: io::Error) -> Self {
        let folder = folder.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { folder, source: source.into() }
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { folder, source: source.into() },
            _ => Self::Folder { folder, source },
        }
    }

    /// An error of the migrator, told apart.
    pub(super) fn of_migration(folder: &std::path::Path, source: sqlx::migrate::MigrateError) -> StoreError {
        use sqlx::migrate::MigrateError::{Execute, ExecuteMigration};
        match source {
            Execute(e) | ExecuteMigration(e, _) => StoreError::from(e).at_open(folder),
            source => Self::Migration { folder: folder.to_owned(), source }.into(),
        }
    }
}
