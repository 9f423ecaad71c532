//! The witness' signature under what was published: asked for beside the sequencer, which never waits for it.

use super::publish::Published;
use crate::audit::tree::{self, Checkpoint, LogName, ProofError};
use crate::audit::witness::{Witness, WitnessError};
use crate::domain::with_causes;
use crate::store::{Db, StoreError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Asks the witness for its signature, always for the newest checkpoint of a log.
pub(super) struct Cosigner {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    witness: Arc<Witness>,
    /// The newest of each log that isn't cosigned. Locked for moments.
    waiting: Mutex<BTreeMap<LogName, Published>>,
    wake: Notify,
    failing: Arc<Mutex<Option<String>>>,
}

impl Cosigner {
    pub(super) fn start(db: Db, witness: Arc<Witness>, failing: Arc<Mutex<Option<String>>>) -> Self {
        let (waiting, wake) = (Mutex::default(), Notify::new());
        let shared = Arc::new(Shared { db, witness, waiting, wake, failing });
        let stop = CancellationToken::new();
        let task = tokio::spawn(shared.clone().run(stop.clone()));
        Self { stop, task, shared }
    }

    pub(super) fn ask(&self, published: Vec<Published>) {
        let mut waiting = self.shared.waiting.lock();
        waiting.extend(published.into_iter().map(|p| (p.head.log.clone(), p)));
        drop(waiting);
        self.shared.wake.notify_one();
    }

    /// Asks for what waits, once more, then stops.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "cosigning has stopped");
        }
    }
}

impl Shared {
    async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let last = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                () = self.wake.notified() => false,
            };
            self.turn().await;
            if last {
                return;
            }
        }
    }

    /// One log after the other; the first that fails ends the turn, for the witness would fail the others too.
    async fn turn(&self) {
        loop {
            let Some((_, published)) = self.waiting.lock().pop_first() else { return };
            let done = self.cosign(&published).await;
            self.told(&published, &done);
            // A refusal is of one log; a witness that doesn't answer is asked again with the next checkpoint.
            if matches!(done, Err(CosignError::Witness(ref e)) if !matches!(e, WitnessError::Refused { .. }))
            {
                let mut waiting = self.waiting.lock();
                waiting.entry(published.head.log.clone()).or_insert(published);
                return;
            }
        }
    }

    async fn cosign(&self, published: &Published) -> Result<(), CosignError> {
        let checkpoint = Checkpoint::read(&published.note).map_err(ProofError::from)?;
        let prove = async |from: u64| {
            let mut tx = self.db.read().await?;
            let path = tree::consistency(&mut tx, &published.head, &checkpoint, from).await;
            path.map_err(|error| match error {
                ProofError::Store(error) => error,
                other => StoreError::Corrupt(with_causes(&other)),
            })
        };
        let lines = self.witness.cosign(&published.note, prove).await?;
        let mut note = checkpoint.note.clone();
        note.push_str(&lines);
        let mut tx = self.db.write().await?;
        tx.execute(
            "UPDATE audit_log SET checkpoint = $2 WHERE id = $1 AND checkpoint = $3",
            &[published.head.id.into(), note.into(), published.note.as_str().into()],
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    fn told(&self, published: &Published, done: &Result<(), CosignError>) {
        let mut failing = self.failing.lock();
        match done {
            Ok(()) => {
                if failing.take().is_some() {
                    tracing::info!("the witness cosigns again");
                }
            }
            Err(error) => {
                let text = format!("{}: {}", published.head.log, with_causes(error));
                if failing.is_none() {
                    tracing::error!(error = text, "a checkpoint of the audit log isn't cosigned");
                }
                *failing = Some(text);
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum CosignError {
    #[error(transparent)]
    Witness(#[from] WitnessError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
