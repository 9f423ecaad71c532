//! What leaves the logs: the longest beginning of each whose entries have all expired (architecture §6).
//!
//! The entries go; their leaves, the nodes above them and the checkpoints that were kept stay, so that what is left
//! still verifies, and so that somebody who kept an expired entry can still prove it. An entry `audit.expired` tells
//! of it in the log itself. The database decides by its own clock and its own table of days: it refuses to delete
//! anything younger, whoever asks. [`notices`](super::notices) tells of those who did.

#[cfg(test)]
mod tests;

use super::entry::{Entry, Logs, Stage};
use super::leaves::{Head, heads, signed, table, unsigned};
use super::rows::write_act;
use super::tree::LogName;
use crate::domain::retention::days;
use crate::domain::{Event, Millis, Retention, rfc3339};
use crate::store::{Db, StoreError, Tx};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Entries that go in one transaction, at most: on SQLite the writer waits for so long. PostgreSQL's function allows
/// no more.
const AT_ONCE: u64 = 1_000;

/// Agrees with the database on what is kept. SQLite's table is set as is `wanted`; PostgreSQL's is the owner's, and of
/// both the longer is kept.
///
/// # Errors
/// [`StoreError`].
pub async fn agree(db: &Db, wanted: Retention) -> Result<Retention, StoreError> {
    if !db.is_shared() {
        let mut tx = db.write().await?;
        tx.set_retention(wanted).await?;
        tx.commit().await?;
        return Ok(wanted);
    }
    let kept = db.read().await?.retention().await?;
    let both = wanted.longest(kept);
    if both != wanted {
        tracing::warn!(
            ?wanted,
            ?kept,
            "the database keeps entries for longer than [audit] asks: run `drawbridge migrate` with this configuration"
        );
    }
    Ok(both)
}

/// Takes out of all logs what has expired; how many entries went. Stops early, between two transactions, at `stop`.
///
/// # Errors
/// [`StoreError`]; what went before stays gone, and is told.
pub async fn expire(db: &Db, keep: Retention, stop: &CancellationToken) -> Result<u64, StoreError> {
    let all = heads(&mut db.read().await?).await?;
    let mut gone = 0;
    for head in all {
        let keep = days(match head.log {
            LogName::Platform => keep.platform_days,
            LogName::Org(_) => keep.org_days,
        });
        if stop.is_cancelled() {
            break;
        }
        // Looked at before anything is locked: most of the time there is nothing.
        if expired(&mut db.read().await?, &head, keep).await?.is_none() {
            continue;
        }
        let mut first = head.first;
        loop {
            let after = cut(db, &Head { first, ..head.clone() }, keep).await?;
            gone += after - first;
            if after - first < AT_ONCE || stop.is_cancelled() {
                break;
            }
            first = after;
        }
    }
    Ok(gone)
}

/// What of a log has expired.
struct Expired {
    /// The first that stays.
    upto: u64,
    /// What is older than this has expired.
    cutoff: Millis,
    /// Whether more goes than word of what went before.
    is_news: bool,
}

/// The beginning of the log of `head` that has expired, up to [`AT_ONCE`] entries of it.
async fn expired(tx: &mut Tx, head: &Head, keep: Millis) -> Result<Option<Expired>, StoreError> {
    let end = head.edge.size().min(head.first.saturating_add(AT_ONCE));
    let entries = format!(
        "FROM audit_leaf l LEFT JOIN {} e ON e.n = l.entry WHERE l.log = $1 AND l.idx >= $2 AND l.idx < $3",
        table(&head.log)
    );
    let cutoff = tx.now().await? - keep;
    let text =
        format!("SELECT l.idx, e.n {entries} AND (e.n IS NULL OR e.time >= $4) ORDER BY l.idx LIMIT 1");
    let args = [head.id.into(), signed(head.first).into(), signed(end).into(), cutoff.into()];
    let stays = tx.rows_dynamic(text, &args).await?;
    let upto = match stays.first() {
        Some(row) => {
            let index = unsigned(row.int(0)?)?;
            if row.opt_int(1)?.is_none() {
                // Not passed over: it would look as if retention had taken it.
                tracing::error!(log = %head.log, index, "an entry is gone that hasn't expired by retention: keep a copy \
                    of the database, and verify the log; its retention goes no further");
            }
            index
        }
        None => end,
    };
    if upto <= head.first {
        return Ok(None);
    }
    let text = format!("SELECT l.idx {entries} AND e.event <> $4 LIMIT 1");
    let word = Event::AuditExpired.as_str();
    let args = [head.id.into(), signed(head.first).into(), signed(upto).into(), word.into()];
    let is_news = !tx.rows_dynamic(text, &args).await?.is_empty();
    Ok(Some(Expired { upto, cutoff, is_news }))
}

/// One transaction: the first entry that is kept then.
async fn cut(db: &Db, seen: &Head, keep: Millis) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    // Whoever sequences or expires does so alone.
    tx.row("SELECT id FROM audit_log WHERE name = 'platform' {for_update}", &[]).await?;
    let Some(head) = super::leaves::head(&mut tx, &seen.log).await? else { return Ok(seen.first) };
    let Some(Expired { upto, cutoff, is_news }) = expired(&mut tx, &head, keep).await? else {
        return Ok(seen.first);
    };
    let args = [head.id.into(), signed(upto).into()];
    if db.is_shared() {
        tx.row("SELECT drawbridge_expire($1, $2)", &args).await?;
    } else {
        tx.execute("UPDATE audit_log SET first = $2 WHERE id = $1", &args).await?;
        let text = format!(
            "DELETE FROM {} WHERE n IN (SELECT entry FROM audit_leaf WHERE log = $1 AND idx >= $3 AND idx < $2)",
            table(&head.log)
        );
        let [id, upto] = args;
        tx.rows_dynamic(text, &[id, upto, signed(head.first).into()]).await?;
    }
    // The next checkpoint, which says where the log begins, is due now: until it is there, no export can begin.
    tx.execute("UPDATE audit_log SET signed_at = 0 WHERE id = $1", &[head.id.into()]).await?;
    let now = tx.now().await?;
    // Word of word would never end: the checkpoint's line `first` tells of that.
    if is_news {
        write_act(&mut tx, &told(&head, upto, cutoff, now)).await?;
    }
    tx.commit().await?;
    Ok(upto)
}

/// The entry that tells of it.
fn told(head: &Head, upto: u64, cutoff: Millis, now: Millis) -> Entry {
    let mut entry = Entry::system(Event::AuditExpired, Stage::Act, now);
    if let LogName::Org(org) = &head.log {
        entry.org_id = Some(org.clone());
        entry.logs = Logs::Both;
    }
    entry.resource = Some(head.log.to_string());
    for (name, value) in [
        ("log", json!(head.log.as_str())),
        ("first", json!(upto)),
        ("entries", json!(upto - head.first)),
        ("until", json!(rfc3339(cutoff))),
    ] {
        entry.details.insert(name.to_owned(), value);
    }
    entry
}
