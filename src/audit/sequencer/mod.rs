//! The sequencer: gives entries their places in the trees, and signs (architecture §6).
//!
//! Entries are written by many transactions at once; the place of each in its log is given afterwards, by one task
//! at a time, so that writers wait for none but their own commit. Every gateway runs it; on PostgreSQL a row's lock
//! says whose turn it is. What isn't in a tree yet is a metric; it is within a second.

mod cosign;
mod publish;
mod round;

#[cfg(test)]
mod tests;

use super::tree::LogKey;
use super::witness::{CosignerKey, Witness};
use crate::store::{Db, StoreError};
use cosign::Cosigner;
use parking_lot::Mutex;
use publish::{Due, publish};
use round::{Round, round};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether something is pending.
const TICK: Duration = Duration::from_millis(250);

/// The task of this gateway.
pub struct Sequencer {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

/// How sequencing goes, for metrics and readiness.
#[derive(Clone)]
pub struct SequencerState {
    /// Counts rounds that found something.
    progress: watch::Receiver<u64>,
    /// Why the last round failed, until one succeeds.
    failing: Arc<Mutex<Option<String>>>,
    /// What verifies the witness' signatures.
    witness: Option<CosignerKey>,
    /// Why the last checkpoint isn't cosigned, until one is.
    unwitnessed: Arc<Mutex<Option<String>>>,
}

impl SequencerState {
    /// Changes when a round found something.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.progress.clone()
    }

    /// What verifies the witness' signatures, if there is a witness.
    #[must_use]
    pub const fn witness(&self) -> Option<&CosignerKey> {
        self.witness.as_ref()
    }

    /// Why checkpoints aren't cosigned, with the log; `None` while they are, or when there is no witness.
    #[must_use]
    pub fn unwitnessed(&self) -> Option<String> {
        self.unwitnessed.lock().clone()
    }

    /// Why entries get no place, with all causes on one line; `None` while they do.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        self.failing.lock().clone()
    }
}

struct Task {
    db: Db,
    key: LogKey,
    cosigner: Option<Cosigner>,
    progress: watch::Sender<u64>,
    failing: Arc<Mutex<Option<String>>>,
}

impl Sequencer {
    /// Starts the task on the current runtime. What it publishes is cosigned by `witness`, if there is one.
    #[must_use]
    pub fn start(db: Db, key: LogKey, witness: Option<Arc<Witness>>) -> (Self, SequencerState) {
        let (progress, seen) = watch::channel(0);
        let (failing, unwitnessed) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let state = SequencerState {
            progress: seen,
            failing: failing.clone(),
            witness: witness.as_ref().map(|witness| witness.verifier_key().clone()),
            unwitnessed: unwitnessed.clone(),
        };
        let cosigner = witness.map(|witness| Cosigner::start(db.clone(), witness, unwitnessed));
        let stop = CancellationToken::new();
        let task = Task { db, key, cosigner, progress, failing };
        let task = tokio::spawn(task.run(stop.clone()));
        (Self { stop, task }, state)
    }

    /// Sequences and signs what is there, then stops: at shutdown, after the writer.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the sequencer has stopped");
        }
    }
}

impl Task {
    async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                () = stop.cancelled() => Due::Now,
                _ = tick.tick() => Due::InTime,
            };
            let done = self.turn(due).await;
            self.told(&done);
            // Never go on after an I/O error: what the disk says afterwards can't be believed.
            if due == Due::Now || matches!(done, Err(StoreError::Io(_))) {
                if let Some(cosigner) = self.cosigner.take() {
                    cosigner.stop().await;
                }
                return;
            }
        }
    }

    async fn turn(&self, due: Due) -> Result<(), StoreError> {
        // The reserve is for revocations alone.
        if self.db.reserve_is_spent() {
            return Ok(());
        }
        loop {
            match round(&self.db).await? {
                Round::Elsewhere => return Ok(()),
                Round::Done { leaves, more } => {
                    if leaves > 0 {
                        self.progress.send_modify(|n| *n += 1);
                    }
                    if !more {
                        break;
                    }
                }
            }
        }
        let published = publish(&self.db, &self.key, due).await?;
        if let Some(cosigner) = self.cosigner.as_ref().filter(|_| !published.is_empty()) {
            cosigner.ask(published);
        }
        Ok(())
    }

    fn told(&self, done: &Result<(), StoreError>) {
        let mut failing = self.failing.lock();
        match done {
            Ok(()) => {
                if failing.take().is_some() {
                    tracing::info!("entries of the audit log get their places in the trees again");
                }
            }
            Err(error) => {
                let text = crate::domain::with_causes(error);
                if failing.is_none() {
                    tracing::error!(
                        error = text,
                        "entries of the audit log can't get their places in the trees"
                    );
                }
                *failing = Some(text);
            }
        }
    }
}

/// Sequences and signs everything that is there now: for commands that work on a store alone.
///
/// # Errors
/// [`StoreError`].
pub async fn settle(db: &Db, key: &LogKey) -> Result<(), StoreError> {
    loop {
        match round(db).await? {
            Round::Done { more: false, .. } => break,
            Round::Done { more: true, .. } => {}
            Round::Elsewhere => tokio::task::yield_now().await,
        }
    }
    publish(db, key, Due::Now).await?;
    Ok(())
}
