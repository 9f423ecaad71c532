//! The dual writer: many requests, one transaction, both logs (architecture §6).
//!
//! Callers on any runtime put work into one bounded, fair queue; one task on the runtime of [`AuditWriter::start`]
//! takes up to 512 of it at a time and commits. Nothing waits for company: whatever gathered during one commit goes
//! with the next. A caller is answered after the commit, never before.

mod batch;
mod queue;
mod recovery;
mod repeats;
mod task;
mod uses;

#[cfg(test)]
mod tests;

use super::entry::{Entry, Outcome};
use super::rows::Opened;
use super::tree::Hash;
use crate::domain::ids::{OrgId, Subject};
use crate::domain::{RevokeReason, with_causes};
use crate::store::{Db, StoreError};
use parking_lot::Mutex;
use queue::{Fair, Shares};
use repeats::Repeats;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use uses::Uses;

/// Requests that may wait for the writer.
const QUEUE: usize = 4_096;
/// Requests that may be open, each with an outcome to come: so many outcomes can wait, and no more.
const OPEN: usize = 8_192;
/// How long a caller waits for its entry to be durable, unless it is set otherwise.
const PATIENCE: Duration = Duration::from_secs(2);

/// The entry can't be made durable now; nothing may be forwarded on it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// The queue is full or closed, or too many requests are open.
    #[error("the audit queue is full")]
    Busy,
    /// Not durable in time. It may become so yet; then it is closed as not forwarded.
    #[error("the audit log was not written within {} ms", .0.as_millis())]
    Late(Duration),
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

/// What the writer is doing, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditStats {
    /// Requests that wait for the writer.
    pub queued: usize,
    /// Intents without an outcome.
    pub open: usize,
    /// How long the last commit took, from asking for the transaction.
    pub last_commit: Duration,
    /// Whether the log is shut until restart.
    pub latched: bool,
}

/// An intent that is durable in both logs. Close it with [`OpenIntent::close`]; dropped unclosed it is
/// closed as `unknown`, by its drop or, after a crash, at the next start.
pub struct OpenIntent {
    shared: Arc<Shared>,
    /// Taken when it is closed.
    opened: Option<Opened>,
    /// Whose permit it holds.
    share: Subject,
    /// Every entry of its transaction stands behind this position.
    base: i64,
    seq: i64,
    /// What the intent is in the org's tree (or the platform's, when it concerns no org).
    leaf: Hash,
    /// What a drop means: `not_forwarded` until the caller has it.
    dropped: &'static str,
}

/// Handle to the one writer of this gateway. Cheap to clone.
#[derive(Clone)]
pub struct AuditWriter {
    shared: Arc<Shared>,
}

type Observer = Box<dyn Fn(Duration, Result<usize, &AuditError>) + Send + Sync>;

struct Shared {
    db: Db,
    /// Whose intents these are to close: the boot on PostgreSQL, a fixed name on SQLite.
    gateway: String,
    /// How long a caller waits.
    patience: Duration,
    /// Locked for moments, never while waiting: callers are on other runtimes.
    inbox: Mutex<Inbox>,
    /// Wakes the writer.
    wake: Notify,
    /// Permits for open intents. Locked alone.
    open: Mutex<Shares>,
    /// Locked alone.
    repeats: Mutex<Repeats>,
    /// Why the last transaction failed, until one succeeds.
    failing: Mutex<Option<AuditError>>,
    /// Set by an I/O error, never unset.
    latched: AtomicBool,
    last_commit_micros: AtomicU64,
    on_commit: OnceLock<Observer>,
    /// True when the writer has stopped.
    stopped: watch::Sender<bool>,
}

/// How it stands with what earlier boots of the gateway left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recovery {
    /// It has to be closed before anything is written.
    Due,
    /// Up to this position all is closed.
    Done(i64),
    /// Another process's to close.
    NotOurs,
}

/// What waits for the writer.
struct Inbox {
    work: Fair<Work>,
    /// Bounded by the permits of `open`.
    closings: VecDeque<Closing>,
    uses: Uses,
    /// Nothing new is taken.
    draining: bool,
}

/// An entry and who waits for it.
struct Work {
    entry: Entry,
    reply: Reply,
}

enum Reply {
    Intent(oneshot::Sender<Result<OpenIntent, IntentError>>),
    Plain(oneshot::Sender<Result<(), AuditError>>),
}

/// How an open intent went.
struct Closing {
    opened: Opened,
    share: Subject,
    base: i64,
    outcome: Outcome,
}

/// Whose share of queue and permits an entry takes: the grant's, or the actor's.
fn share_of(entry: &Entry) -> Subject {
    match &entry.impersonation_id {
        Some(id) => id.subject(),
        None => Subject::from_stored(&entry.actor),
    }
}

impl AuditWriter {
    /// Starts the writer on the current runtime. On SQLite `gateway` is a fixed name, and what an earlier boot
    /// left open is closed as `unknown`; on PostgreSQL it names this boot, and what boots left open whose lease
    /// (`gateway_lease`) is long gone is closed, now and every ten seconds. Have the lease before.
    ///
    /// On a full or read-only disk it starts all the same, shut until what was left open can be closed.
    ///
    /// # Errors
    /// [`StoreError`], of other kinds.
    pub async fn start(db: Db, gateway: &str) -> Result<Self, StoreError> {
        Self::start_with(db, gateway, PATIENCE).await
    }

    /// The same; a caller waits for so long until its entry is durable, and is refused then.
    ///
    /// # Errors
    /// As [`AuditWriter::start`].
    pub async fn start_with(db: Db, gateway: &str, patience: Duration) -> Result<Self, StoreError> {
        let recovery = match recovery::run(&db, gateway).await {
            Ok(at) => Recovery::Done(at),
            Err(error @ (StoreError::Full(_) | StoreError::ReadOnly(_))) => {
                tracing::error!(%error, "the audit log is shut: intents left open can't be closed");
                Recovery::Due
            }
            Err(error) => return Err(error),
        };
        Ok(Self::run(db, gateway, recovery, patience))
    }

    /// Starts the writer of an operator's command, which may run beside a live gateway: open intents are
    /// the gateway's to close, and it stays the one that is registered.
    #[must_use]
    pub fn beside(db: Db) -> Self {
        Self::run(db, "", Recovery::NotOurs, PATIENCE)
    }

    fn run(db: Db, gateway: &str, recovery: Recovery, patience: Duration) -> Self {
        let shared = Arc::new(Shared {
            db,
            gateway: gateway.to_owned(),
            patience,
            inbox: Mutex::new(Inbox {
                work: Fair::bounded(QUEUE),
                closings: VecDeque::new(),
                uses: Uses::default(),
                draining: false,
            }),
            wake: Notify::new(),
            open: Mutex::new(Shares::bounded(OPEN)),
            repeats: Mutex::default(),
            failing: Mutex::default(),
            latched: AtomicBool::new(false),
            last_commit_micros: AtomicU64::new(0),
            on_commit: OnceLock::new(),
            stopped: watch::Sender::new(false),
        });
        tokio::spawn(task::run(shared.clone(), recovery));
        if shared.db.is_shared() && recovery != Recovery::NotOurs {
            tokio::spawn(task::close_of_the_dead(shared.clone()));
        }
        Self { shared }
    }

    /// Records a permitted impersonated request in both logs, in the transaction that sees the grant live.
    ///
    /// # Errors
    /// [`IntentError`]; nothing may be forwarded then.
    pub async fn intent(&self, entry: Entry) -> Result<OpenIntent, IntentError> {
        self.shared.healthy()?;
        let permit = Permit::take(&self.shared, &entry)?;
        let (reply, answer) = oneshot::channel();
        self.shared.enqueue(Work { entry, reply: Reply::Intent(reply) })?;
        // From here on the writer gives the permit back: with the refusal, or with the outcome.
        permit.hand_over();
        match tokio::time::timeout(self.shared.patience, answer).await {
            Ok(Ok(Ok(mut open))) => {
                open.dropped = "unknown";
                Ok(open)
            }
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(AuditError::Busy.into()),
            // Nobody takes the answer any more, so the writer closes it as not forwarded.
            Err(_) => Err(AuditError::Late(self.shared.patience).into()),
        }
    }

    /// Records a refusal and waits until it is durable. Refusals outside impersonations are coalesced:
    /// the first of a kind is written at once, repeats are counted and written together.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn refusal(&self, entry: Entry) -> Result<(), AuditError> {
        self.shared.healthy()?;
        if entry.impersonation_id.is_some() {
            return self.record(entry).await;
        }
        let Some(first) = self.shared.repeats.lock().note(&entry) else { return Ok(()) };
        let recorded = self.record(entry).await;
        if recorded.is_err() {
            self.shared.repeats.lock().forget(&first);
        }
        recorded
    }

    /// Records one entry outside any act's transaction and waits until it is durable: what the gateway itself did
    /// (a policy set swapped in, say).
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn record(&self, entry: Entry) -> Result<(), AuditError> {
        self.shared.healthy()?;
        let (reply, answer) = oneshot::channel();
        self.shared.enqueue(Work { entry, reply: Reply::Plain(reply) })?;
        match tokio::time::timeout(self.shared.patience, answer).await {
            Ok(answered) => answered.unwrap_or(Err(AuditError::Busy)),
            Err(_) => Err(AuditError::Late(self.shared.patience)),
        }
    }

    /// Attribution (`use`): never waits; written within a second; a loss is itself an entry.
    pub fn attribute(&self, entry: Entry) {
        let mut inbox = self.shared.inbox.lock();
        inbox.uses.push(entry);
        let many = inbox.uses.len() == batch::MAX;
        drop(inbox);
        if many {
            self.shared.wake.notify_one();
        }
    }

    /// Writes what is queued, then stops (at shutdown). Open intents that are closed later are closed at the next start.
    pub async fn drain(&self) {
        self.shared.inbox.lock().draining = true;
        self.shared.wake.notify_one();
        let mut stopped = self.shared.stopped.subscribe();
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Gauges.
    #[must_use]
    pub fn stats(&self) -> AuditStats {
        AuditStats {
            queued: self.shared.inbox.lock().work.len(),
            open: self.shared.open.lock().taken(),
            last_commit: Duration::from_micros(self.shared.last_commit_micros.load(Ordering::Relaxed)),
            latched: self.shared.latched.load(Ordering::SeqCst),
        }
    }

    /// Why the log can't be written, with all causes on one line; `None` while it can.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        self.shared.failing.lock().as_ref().map(|error| with_causes(error))
    }

    /// Calls `observer` after each commit with the time that it took and the number of entries, or with why
    /// it failed. Once only: false when one is set.
    pub fn on_commit(
        &self,
        observer: impl Fn(Duration, Result<usize, &AuditError>) + Send + Sync + 'static,
    ) -> bool {
        self.shared.on_commit.set(Box::new(observer)).is_ok()
    }
}

impl Shared {
    fn healthy(&self) -> Result<(), AuditError> {
        if self.latched.load(Ordering::SeqCst) { Err(AuditError::Latched) } else { Ok(()) }
    }

    fn enqueue(&self, work: Work) -> Result<(), AuditError> {
        let mut inbox = self.inbox.lock();
        if inbox.draining {
            return Err(AuditError::Busy);
        }
        let taken = inbox.work.push(share_of(&work.entry), work);
        drop(inbox);
        self.wake.notify_one();
        taken.map_err(|_| AuditError::Busy)
    }
}

/// A permit on its way to the writer.
struct Permit<'a> {
    shared: &'a Shared,
    key: Option<Subject>,
}

impl<'a> Permit<'a> {
    fn take(shared: &'a Shared, entry: &Entry) -> Result<Self, AuditError> {
        let key = share_of(entry);
        if shared.open.lock().take(&key) {
            Ok(Self { shared, key: Some(key) })
        } else {
            Err(AuditError::Busy)
        }
    }

    fn hand_over(mut self) {
        self.key = None;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.shared.open.lock().give_back(key);
        }
    }
}

impl OpenIntent {
    /// Running number within the grant.
    #[must_use]
    pub const fn seq(&self) -> i64 {
        self.seq
    }

    /// What proves later that this request was recorded, as a structured field (RFC 9651, a dictionary): the
    /// request, the log, and the hash of its leaf there. `GET …/audit-log/proof?request_id=` redeems it.
    #[must_use]
    pub fn receipt(&self) -> String {
        let opened = self.opened.as_ref();
        let log = opened.and_then(|o| o.org_id.as_ref()).map_or("platform", OrgId::as_str);
        let request = opened.map_or("", |o| o.request_id.as_str());
        format!("request=\"{request}\", log=\"{log}\", leaf=:{}:", self.leaf)
    }

    /// Records how it went. Never waits (called from `Drop`).
    pub fn close(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        if let Some(opened) = self.opened.take() {
            let closing = Closing { opened, share: self.share.clone(), base: self.base, outcome };
            self.shared.inbox.lock().closings.push_back(closing);
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for OpenIntent {
    fn drop(&mut self) {
        self.finish(Outcome { outcome: self.dropped, ..Outcome::default() });
    }
}

impl std::fmt::Debug for OpenIntent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenIntent")
            .field("opened", &self.opened)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}
