//! Signing: a log that has grown gets a new checkpoint at most twice a second, one at rest once an hour.

use crate::audit::leaves::{Head, due, signed};
use crate::audit::tree::LogKey;
use crate::domain::{Millis, fail_point};
use crate::store::{Db, StoreError, Tx};

/// Between two checkpoints of a log that grows.
const GROWING: Millis = 500;
/// Between two checkpoints of a log at rest, and between two that are kept.
const HOUR: Millis = 3_600_000;
/// Logs signed in one transaction.
const LOGS: i64 = 256;

/// When a checkpoint is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Half a second after the one before.
    InTime,
    /// As soon as the log has grown.
    Now,
}

/// A checkpoint that was signed and written.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) head: Head,
    pub(super) note: String,
}

/// Signs the logs whose checkpoint is due.
pub(super) async fn publish(db: &Db, key: &LogKey, when: Due) -> Result<Vec<Published>, StoreError> {
    let mut published = Vec::new();
    loop {
        let (heads, now) = {
            let mut tx = db.read().await?;
            let now = tx.now().await?;
            let grown = match when {
                Due::InTime => now - GROWING,
                Due::Now => Millis::MAX,
            };
            (due(&mut tx, grown, now - HOUR, LOGS).await?, now)
        };
        if heads.is_empty() {
            return Ok(published);
        }
        let last = (heads.len() as i64) < LOGS;
        published.extend(sign(db, key, heads, now).await?);
        if last {
            return Ok(published);
        }
    }
}

async fn sign(db: &Db, key: &LogKey, heads: Vec<Head>, now: Millis) -> Result<Vec<Published>, StoreError> {
    let mut notes = Vec::with_capacity(heads.len());
    for head in heads {
        let note = key
            .sign(&head.log, head.edge.size(), head.edge.root(), now, head.first)
            .map_err(|e| StoreError::Corrupt(format!("a checkpoint can't be signed: {e}")))?;
        notes.push(Published { head, note });
    }
    fail_point("sequencer.signed");
    let mut tx = db.write().await?;
    let mut published = Vec::with_capacity(notes.len());
    for one in notes {
        if write(&mut tx, &one, now).await? {
            published.push(one);
        }
    }
    fail_point("sequencer.publishing");
    tx.commit().await?;
    Ok(published)
}

/// Whatever another gateway may have written meanwhile, the newest stays.
async fn write(tx: &mut Tx, one: &Published, now: Millis) -> Result<bool, StoreError> {
    let (head, note) = (&one.head, one.note.as_str());
    let size = signed(head.edge.size());
    let written = tx
        .execute(
            "UPDATE audit_log SET checkpoint = $2, signed_size = $3, signed_at = $4 \
             WHERE id = $1 AND signed_size <= $3 AND signed_at < $4",
            &[head.id.into(), note.into(), size.into(), now.into()],
        )
        .await?;
    if written == 0 {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO audit_checkpoint (log, size, signed_at, note) SELECT $1, $2, $3, $4 \
         WHERE NOT EXISTS (SELECT 1 FROM audit_checkpoint WHERE log = $1 AND (size >= $2 OR signed_at > $5))",
        &[head.id.into(), size.into(), now.into(), note.into(), (now - HOUR).into()],
    )
    .await?;
    Ok(true)
}
