//! The dual writer: many requests, one transaction, both logs.

use super::entry::{Entry, Outcome};
use crate::domain::RevokeReason;
use crate::store::{Db, StoreError, Tx};
use std::sync::Arc;

/// The entry can't be made durable now; nothing may be forwarded on it.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The queue is full or closed, or too many requests are open.
    #[error("the audit queue is full")]
    Busy,
    /// After an I/O error: shut until restart.
    #[error("the audit log is shut after a disk error; restart the gateway")]
    Latched,
    /// The store refused.
    #[error("the audit log can't be written")]
    Store(#[source] Arc<StoreError>),
}

/// Why an intent was not recorded as live.
#[derive(Debug, thiserror::Error)]
pub enum IntentError {
    /// The grant is over (and the attempt is recorded as `after_end`).
    #[error("the impersonation has ended ({0})")]
    Ended(RevokeReason),
    /// Not durable.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// An intent that is durable in both logs. Close it with [`OpenIntent::close`]; dropped unclosed it is
/// closed as `unknown` at the next start.
#[derive(Debug)]
pub struct OpenIntent {
    _private: (),
}

impl OpenIntent {
    /// Running number within the grant.
    #[must_use]
    pub fn seq(&self) -> i64 {
        unimplemented!()
    }
    /// Records how it went. Never waits (called from `Drop`).
    pub fn close(self, _outcome: Outcome) {
        unimplemented!()
    }
}

/// Handle to the one writer of this gateway. Cheap to clone.
#[derive(Clone)]
pub struct AuditWriter {
    _private: (),
}

impl AuditWriter {
    /// Starts the writer on the current runtime; closes what an earlier boot left open as `unknown`.
    pub async fn start(_db: Db) -> Result<Self, StoreError> {
        unimplemented!()
    }
    /// Records a permitted impersonated request in both logs, in the transaction that sees the grant live.
    pub async fn intent(&self, _entry: Entry) -> Result<OpenIntent, IntentError> {
        unimplemented!()
    }
    /// Records a refusal and waits until it is durable. Refusals outside impersonations are coalesced:
    /// the first of a kind is written at once, repeats are counted and written together.
    pub async fn refusal(&self, _entry: Entry) -> Result<(), AuditError> {
        unimplemented!()
    }
    /// Attribution (`use`): never waits; written within a second; a loss is itself an entry.
    pub fn attribute(&self, _entry: Entry) {
        unimplemented!()
    }
    /// Writes what is queued, then stops (at shutdown).
    pub async fn drain(&self) {
        unimplemented!()
    }
}

/// Writes an act's entry inside the act's own transaction.
pub async fn write_act(_tx: &mut Tx, _entry: &Entry) -> Result<(), StoreError> {
    unimplemented!()
}
