//! What the gateway's own routes, delivery and commands read the logs through.

use super::leaves::{self, Head, Leaf};
use super::tree::{LogKey, LogName, VerifierKey};
use crate::store::{Db, StoreError, Tx};
use tokio::sync::watch;

/// Reads the logs. Cheap to clone.
#[derive(Clone)]
pub struct AuditReader {
    db: Db,
    key: LogKey,
    /// Counts the rounds in which this gateway's sequencer found something.
    progress: watch::Receiver<u64>,
}

impl AuditReader {
    /// Reads `db`, whose checkpoints `key` signs.
    #[must_use]
    pub const fn new(db: Db, key: LogKey, progress: watch::Receiver<u64>) -> Self {
        Self { db, key, progress }
    }

    /// The records themselves, for what beside the logs is kept in them.
    pub(super) const fn db(&self) -> &Db {
        &self.db
    }

    /// A consistent view of the logs.
    pub(super) async fn read(&self) -> Result<Tx, StoreError> {
        self.db.read().await
    }

    /// What verifies the checkpoints of `log`; its name is the log's origin.
    #[must_use]
    pub fn verifier(&self, log: &LogName) -> VerifierKey {
        self.key.verifier(log)
    }

    /// How far `log` has come; `None` while it has no entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn head(&self, log: &LogName) -> Result<Option<Head>, StoreError> {
        leaves::head(&mut self.db.read().await?, log).await
    }

    /// The heads of all logs, the platform's first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        leaves::heads(&mut self.db.read().await?).await
    }

    /// The leaves of a log from `from` on, at most `limit`; fewer only at the end of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leaves(&self, head: &Head, from: u64, limit: usize) -> Result<Vec<Leaf>, StoreError> {
        leaves::leaves(&mut self.db.read().await?, head, from, limit).await
    }

    /// Changes when this gateway's sequencer has found something. Another gateway may be the one that sequences:
    /// look every second too.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.progress.clone()
    }
}
