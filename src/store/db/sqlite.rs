//! Connections to SQLite: one that writes, a few that read.
//!
//! They are kept here rather than in `sqlx::Pool`: a pool's connections go home on a task of the runtime that
//! they were used on, and ours are used on several, some of which end before the others.

use super::StoreError;
use parking_lot::Mutex;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous, SqliteTransactionManager,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlStr};
use sqlx_core::transaction::TransactionManager;
use std::ops::DerefMut as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// How long to wait for an operator's command that writes beside the gateway.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Readers at a time. Each costs a thread and a page cache of 2 MB at most.
const READERS: usize = 8;

/// The connections of one data folder.
pub(super) struct Sqlite {
    read_options: SqliteConnectOptions,
    write_options: SqliteConnectOptions,
    /// A fair lock: writers go in the order of asking.
    writer: Arc<AsyncMutex<SqliteConnection>>,
    readers: Arc<Readers>,
    /// Set when an fsync failed: nothing more is written until the gateway starts again.
    shut: AtomicBool,
}

/// Readers at rest. At least one stays open as long as the store does: closing the last connection would
/// checkpoint, which needs room on a full disk and brings commits back that were refused.
pub(super) struct Readers {
    idle: Mutex<Vec<SqliteConnection>>,
    permits: Arc<Semaphore>,
}

/// A connection on loan, at home again when dropped.
pub(super) enum Lease {
    Writer(OwnedMutexGuard<SqliteConnection>),
    Reader { connection: Option<SqliteConnection>, home: Arc<Readers>, _permit: OwnedSemaphorePermit },
}

impl Sqlite {
    /// Opens `file`, creating it if it is missing.
    pub(super) async fn open(file: &Path, max_pages: Option<u32>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // Without it `INSERT OR REPLACE` deletes a row past the triggers that keep the logs.
            .pragma("recursive_triggers", "ON")
            .statement_cache_capacity(512)
            .disable_statement_logging();
        let mut write_options = options.clone();
        if let Some(pages) = max_pages {
            write_options = write_options.pragma("max_page_count", pages.to_string());
        }
        let writer = write_options.connect().await?;
        // See `migrated`: what is connected anew later has been migrated.
        let write_options = write_options.pragma("temp_store", "MEMORY");
        let read_options = options.pragma("query_only", "ON");
        let reader = read_options.connect().await?;
        Ok(Self {
            read_options,
            write_options,
            writer: Arc::new(AsyncMutex::new(writer)),
            readers: Arc::new(Readers {
                idle: Mutex::new(vec![reader]),
                permits: Arc::new(Semaphore::new(READERS)),
            }),
            shut: AtomicBool::new(false),
        })
    }

    /// The tables are as they should be: from now on, what a statement that inserts many rows would undo is noted in
    /// memory, not in a file that is made for it. Not before: a migration may sort all rows of a log.
    pub(super) async fn migrated(lease: &mut Lease) -> Result<(), StoreError> {
        sqlx::raw_sql("PRAGMA temp_store = MEMORY").execute(lease.connection()?).await?;
        Ok(())
    }

    /// The writer's connection, when it is this caller's turn.
    pub(super) async fn writer(&self) -> Result<Lease, StoreError> {
        let guard = self.writer.clone().lock_owned().await;
        if self.shut.load(Ordering::SeqCst) {
            return Err(StoreError::shut());
        }
        Ok(Lease::Writer(guard))
    }

    /// A reader's connection.
    pub(super) async fn reader(&self) -> Result<Lease, StoreError> {
        let permit = self
            .readers
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Database(sqlx::Error::PoolClosed))?;
        let idle = self.readers.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.read_options.connect().await?,
        };
        Ok(Lease::Reader { connection: Some(connection), home: self.readers.clone(), _permit: permit })
    }

    /// Begins a transaction. A connection whose transaction SQLite ended by itself is brought to order first.
    pub(super) async fn begin(&self, lease: &mut Lease) -> Result<(), StoreError> {
        match lease.begin().await {
            Err(sqlx::Error::InvalidSavePointStatement) => {
                heal(lease.connection()?).await?;
                Ok(lease.begin().await?)
            }
            Err(sqlx::Error::WorkerCrashed) => {
                let options = match lease {
                    Lease::Writer(_) => &self.write_options,
                    Lease::Reader { .. } => &self.read_options,
                };
                *lease.connection()? = options.connect().await?;
                Ok(lease.begin().await?)
            }
            done => Ok(done?),
        }
    }

    /// Takes note of what a writer met.
    pub(super) fn note(&self, error: &StoreError) {
        if error.is_failed_fsync() {
            self.shut.store(true, Ordering::SeqCst);
            tracing::error!("an fsync failed: nothing is written until the gateway starts again");
        }
    }

    /// Moves the test hook's limit.
    pub(super) async fn set_max_pages(&self, lease: &mut Lease, pages: u32) -> Result<(), StoreError> {
        let text = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::raw_sql(text).execute(lease.connection()?).await?;
        Ok(())
    }
}

/// SQLite rolled back by itself (full disk, I/O error) but the driver still counts a transaction, and would
/// refuse to begin another for ever. Give it one to roll back.
async fn heal(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    // The roll-back of the transaction dropped before may still be on its way: be behind it.
    connection.ping().await?;
    if SqliteTransactionManager::get_transaction_depth(connection) == 0 {
        return Ok(());
    }
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    SqliteTransactionManager::rollback(connection).await?;
    Ok(())
}

impl Lease {
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        match self {
            Self::Writer(guard) => Ok(guard.deref_mut()),
            Self::Reader { connection, .. } => {
                connection.as_mut().ok_or(StoreError::Database(sqlx::Error::PoolClosed))
            }
        }
    }

    async fn begin(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Writer(guard) => {
                SqliteTransactionManager::begin(guard, Some(SqlStr::from_static("BEGIN IMMEDIATE"))).await
            }
            Self::Reader { connection: Some(connection), .. } => {
                SqliteTransactionManager::begin(connection, Some(SqlStr::from_static("BEGIN DEFERRED"))).await
            }
            Self::Reader { connection: None, .. } => Err(sqlx::Error::PoolClosed),
        }
    }

    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        Ok(SqliteTransactionManager::commit(self.connection()?).await?)
    }

    /// Sends the roll-back without waiting for it; whatever comes next on the connection comes after it.
    pub(super) fn start_rollback(&mut self) {
        if let Ok(connection) = self.connection() {
            SqliteTransactionManager::start_rollback(connection);
        }
    }

    pub(super) const fn is_writer(&self) -> bool {
        matches!(self, Self::Writer(_))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Self::Reader { connection, home, .. } = self
            && let Some(connection) = connection.take()
        {
            home.idle.lock().push(connection);
        }
    }
}
