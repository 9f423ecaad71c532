//! What the gateway's own routes, delivery and commands read the logs through.

use super::leaves::{self, Head, Leaf};
use super::sequencer::SequencerState;
use super::tree::{self, Checkpoint, Edge, Hash, LogKey, LogName, ProofError, VerifierKey};
use super::witness::CosignerKey;
use crate::domain::Millis;
use crate::store::{Db, StoreError, Tx};
use tokio::sync::watch;

/// Reads the logs. Cheap to clone.
#[derive(Clone)]
pub struct AuditReader {
    db: Db,
    key: LogKey,
    /// How this gateway's sequencer does; an operator's command has none.
    sequencer: Option<SequencerState>,
}

impl AuditReader {
    /// Reads `db`, whose checkpoints `key` signs.
    #[must_use]
    pub const fn new(db: Db, key: LogKey, sequencer: Option<SequencerState>) -> Self {
        Self { db, key, sequencer }
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

    /// The right edge of a log when it had `size` entries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn edge_at(&self, head: &Head, size: u64) -> Result<Edge, StoreError> {
        super::export::edge_at(&mut self.db.read().await?, head, size).await
    }

    /// Changes when this gateway's sequencer has found something. Another gateway may be the one that sequences:
    /// look every second too.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<u64> {
        match &self.sequencer {
            Some(sequencer) => sequencer.progress(),
            None => watch::channel(0).1,
        }
    }

    /// The newest signed checkpoint of `log`; `None` while nothing was signed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn checkpoint(&self, log: &LogName) -> Result<Option<String>, StoreError> {
        Ok(self.head(log).await?.and_then(|head| head.checkpoint))
    }

    /// The checkpoints of a log that are kept, of sizes from `from` on, smallest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn kept_checkpoints(&self, head: &Head, from: u64) -> Result<Vec<(u64, String)>, StoreError> {
        leaves::kept_checkpoints(&mut self.db.read().await?, head, from).await
    }

    /// The proof that the entry at `index` is in the newest checkpoint, as a C2SP tlog-proof that can be checked by
    /// itself; `None` while nothing was signed.
    ///
    /// # Errors
    /// [`ProofError`].
    pub async fn inclusion(&self, log: &LogName, index: u64) -> Result<Option<String>, ProofError> {
        let mut tx = self.db.read().await?;
        let Some((head, checkpoint)) = signed(&mut tx, log).await? else { return Ok(None) };
        let path = tree::inclusion(&mut tx, &head, &checkpoint, index).await?;
        let leaf = leaves::leaves(&mut tx, &head, index, 1).await?.pop();
        let Some(Leaf { line: Some(line), bond, .. }) = leaf else { return Err(ProofError::Expired) };
        Ok(Some(tree::tlog_proof(&line, bond.as_ref(), index, &path, &checkpoint.note)))
    }

    /// The proof that the newest checkpoint grew out of the log's first `from` entries, with that checkpoint; `None`
    /// while nothing was signed.
    ///
    /// # Errors
    /// [`ProofError`].
    pub async fn consistency(
        &self,
        log: &LogName,
        from: u64,
    ) -> Result<Option<(Vec<Hash>, Checkpoint)>, ProofError> {
        let mut tx = self.db.read().await?;
        let Some((head, checkpoint)) = signed(&mut tx, log).await? else { return Ok(None) };
        let path = tree::consistency(&mut tx, &head, &checkpoint, from).await?;
        Ok(Some((path, checkpoint)))
    }

    /// Where the intent (or else the first entry) of a request stands in `log`; `None` while it has no place there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn place_of(&self, log: &LogName, request: &str) -> Result<Option<u64>, StoreError> {
        leaves::place_of(&mut self.db.read().await?, log, request).await
    }

    /// How far sequencing is behind: transactions whose entries have no place, and milliseconds since the oldest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unsequenced(&self) -> Result<(i64, Millis), StoreError> {
        let mut tx = self.db.read().await?;
        let text = "SELECT COUNT(*), COALESCE({now} - MIN(time), 0) FROM audit_pending WHERE time > 0";
        let row = tx.row(text, &[]).await?;
        row.map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
    }

    /// What verifies the witness' signatures under checkpoints, if there is a witness.
    #[must_use]
    pub fn witness(&self) -> Option<&CosignerKey> {
        self.sequencer.as_ref()?.witness()
    }

    /// Why checkpoints aren't cosigned; `None` while they are, or when there is no witness.
    #[must_use]
    pub fn unwitnessed(&self) -> Option<String> {
        self.sequencer.as_ref().and_then(SequencerState::unwitnessed)
    }

    /// Why entries get no place; `None` while they do.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        self.sequencer.as_ref().and_then(SequencerState::failing)
    }
}

/// The head of `log` with its newest checkpoint.
async fn signed(tx: &mut Tx, log: &LogName) -> Result<Option<(Head, Checkpoint)>, ProofError> {
    let Some(head) = leaves::head(tx, log).await? else { return Ok(None) };
    let Some(note) = &head.checkpoint else { return Ok(None) };
    let checkpoint = Checkpoint::read(note)?;
    Ok(Some((head, checkpoint)))
}
