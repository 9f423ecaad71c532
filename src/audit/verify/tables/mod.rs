//! The logs as they stand in the database: the same lines through the same [`Verifier`], and whatever a table can
//! hold besides: leaves without entries and entries without leaves, nodes, heads, columns, bonds.
//!
//! Everything is read in pages, each in a transaction of its own, beside a gateway that goes on. `tree` goes through
//! the leaves of a log; `columns` compares what entries are looked up by with what they say; `strays` finds entries
//! that are in no tree; `bonds` holds the two halves of an entry together.

mod bonds;
mod columns;
mod strays;
mod tree;

use super::{Expect, Fault, Report};
use crate::audit::leaves::{self, Head};
use crate::audit::tree::{LogName, VerifierKey};
use crate::store::{Db, StoreError};

/// Rows read in one transaction.
const PAGE: u64 = 500;

/// Why a log isn't found right.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something is wrong with it.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// It can't be read.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            // What isn't as the gateway writes it was written by another.
            StoreError::Corrupt(what) => Self::Fault(Fault::new(what)),
            error => Self::Store(error),
        }
    }
}

/// What was found right in the database.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TablesReport {
    /// As of an export; `None` when there is nothing in the log.
    #[serde(flatten)]
    pub report: Option<Report>,
    /// Entries in the tree that no checkpoint covers yet.
    pub unsigned: u64,
    /// Entries that wait for their place in the tree.
    pub pending: u64,
}

/// The logs in a database.
pub struct Tables<'a> {
    db: &'a Db,
    expect: &'a Expect,
    /// The key of one of the logs; an installation has one key, and a name of it for each log.
    key: &'a VerifierKey,
}

impl<'a> Tables<'a> {
    /// Those of `db`, whose checkpoints `key` signs, under its name for any of the logs. Of `expect`, the key and
    /// the log aren't looked at, and checkpoints of other logs are passed over.
    #[must_use]
    pub const fn new(db: &'a Db, key: &'a VerifierKey, expect: &'a Expect) -> Self {
        Self { db, expect, key }
    }

    /// The logs that there are, the platform's first.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn logs(&self) -> Result<Vec<Head>, Failure> {
        Ok(leaves::heads(&mut self.db.read().await?).await?)
    }

    /// The key of `log`.
    ///
    /// # Errors
    /// [`Failure`] when the key has no name that ends with that of a log.
    pub fn key_of(&self, log: &LogName) -> Result<VerifierKey, Failure> {
        let key = self.key.for_log(log);
        key.ok_or_else(|| Fault::new(format!("the key `{}` isn't that of a log", self.key)).into())
    }

    /// Checks one log; `progress` is told of every page, with the leaves so far.
    ///
    /// # Errors
    /// [`Failure`]: the first fault, or that the database can't be read.
    pub async fn log(
        &self,
        head: &Head,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<TablesReport, Failure> {
        let (report, unsigned) = self.tree(head, progress).await?;
        let pending = self.strays(head).await?;
        Ok(TablesReport { report, unsigned, pending })
    }
}

#[cfg(test)]
mod tests;
