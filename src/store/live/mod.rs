//! The shared live view of sessions: a trait, two implementations (in memory for one gateway, Redis for many),
//! and the contract that both keep.

mod embedded;
mod redis;

#[cfg(test)]
pub(crate) mod contract;

pub use embedded::Embedded;
pub use redis::{Redis, RedisOptions};

use crate::domain::ids::{ImpersonationId, PlatformUserId, Subject};
use crate::domain::{Millis, Session};
use crate::telemetry::LiveCounts;
use serde::Serialize;
use std::sync::Arc;

/// A session's facts with the change number at which they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// The facts.
    pub session: Arc<Session>,
    /// Head of the change log, read before the facts.
    pub as_of: u64,
    /// Which log that was: [`crate::store::change::Position::fingerprint`] of its head.
    pub log: u64,
}

/// The live store can't be used now. Never an obstacle: SQL has the record.
#[derive(Debug, thiserror::Error)]
#[error("the live store can't be reached: {0}")]
pub struct LiveError(pub String);

/// How a live store is, for `/readyz`. Never a reason to send traffic away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiveHealth {
    /// `memory` or `redis`.
    pub store: &'static str,
    /// Whether it can be asked.
    pub connected: bool,
    /// Whether hints of other gateways are heard.
    pub hearing_hints: bool,
    /// What was wrong last, if anything was.
    pub last_error: Option<&'static str>,
    /// What came of asking.
    #[serde(flatten)]
    pub counts: LiveCounts,
}

/// Live sessions with their facts, expiring with the session.
///
/// May lose, resurrect or delay anything: a miss or a stale stamp costs a look-up in SQL, never safety.
#[async_trait::async_trait]
pub trait Live: Send + Sync {
    /// Whether other gateways read what is kept here. If not, it is of no use to put sessions in that the asking
    /// process holds itself.
    fn is_shared(&self) -> bool;
    /// The facts of a session, if they are here and not expired at `now`.
    async fn get(&self, key: &Subject, now: Millis) -> Result<Option<Stamped>, LiveError>;
    /// Keeps facts until the session expires. Facts with an older stamp never replace newer ones.
    async fn put(&self, facts: Stamped) -> Result<(), LiveError>;
    /// Forgets a session, and refuses facts of it stamped before `as_of`.
    async fn forget(&self, key: &Subject, as_of: u64) -> Result<(), LiveError>;
    /// The live impersonations of a platform user, by id.
    async fn impersonations(&self, user: &PlatformUserId) -> Result<Vec<ImpersonationId>, LiveError>;
    /// Tells every gateway that the change log has reached `n`.
    async fn hint(&self, n: u64) -> Result<(), LiveError>;
    /// The newest hint, to wait on.
    fn hints(&self) -> tokio::sync::watch::Receiver<u64>;
    /// The change log, as this process has read it, has reached `n`: what is stamped later isn't believed.
    fn reached(&self, n: u64);
    /// How it is.
    fn health(&self) -> LiveHealth;
}
