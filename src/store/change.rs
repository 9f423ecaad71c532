//! The change log: whatever a gateway may cache changes only together with a record here (architecture §5.2).
//!
//! Numbers come from one head row, so their order is the order of commits, without gaps. Each record's hash
//! covers the one before, so that a log which was put back to an earlier state and then went on is noticed.

use super::db::{Db, Row, StoreError, Tx, Value};
use crate::domain::ids::Subject;
use crate::domain::{Millis, RevokeReason};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// What a change does to those under its subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Facts changed: read them again.
    Changed,
    /// Sessions of these subjects are over: cut what is open under them.
    Ended(Option<RevokeReason>),
}

/// One record of the change log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// What happened.
    pub effect: Effect,
    /// To whom.
    pub subjects: Vec<Subject>,
}

/// A record in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number, from 1 without gaps.
    pub n: u64,
    /// The record.
    pub record: ChangeRecord,
    /// Hash of the record before; empty for the first.
    pub prev: String,
    /// Hash of this record, over its content and `prev`.
    pub tip: String,
    /// When, by the database's clock.
    pub time: Millis,
}

impl Change {
    /// Whether the record is the one that was written after the one whose hash is `prev`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the record can't be written out again.
    pub fn follows(&self, prev: &str) -> Result<bool, StoreError> {
        let (effect, subjects) = content(&self.record)?;
        Ok(self.prev == prev && self.tip == hash(prev, self.n, self.time, &effect, &subjects))
    }
}

/// A place in the change log: after record `n`, whose hash is `tip`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Number of the record; 0 before the first.
    pub n: u64,
    /// Its hash; empty before the first.
    pub tip: String,
}

impl Position {
    /// Tells this log from any other that has a record with the same number: the beginning of the hash, which
    /// covers all records before.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.tip.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default()
    }
}

/// The newest place that this transaction can see.
///
/// # Errors
/// [`StoreError`].
pub async fn position(tx: &mut Tx) -> Result<Position, StoreError> {
    let row = tx.row("SELECT n, tip FROM change_head WHERE id = 1", &[]).await?.ok_or_else(no_head)?;
    Ok(Position { n: number(row.int(0)?)?, tip: row.text(1)?.to_owned() })
}

/// The number of the newest change that this transaction can see. Read it before the rows that are stamped with it.
///
/// # Errors
/// [`StoreError`].
pub async fn head(tx: &mut Tx) -> Result<u64, StoreError> {
    let row = tx.row("SELECT n FROM change_head WHERE id = 1", &[]).await?;
    number(row.ok_or_else(no_head)?.int(0)?)
}

/// Appends `record` under the head row's lock, which must be the last lock that the transaction takes. Gives its place.
///
/// # Errors
/// [`StoreError`].
pub async fn append(tx: &mut Tx, record: &ChangeRecord) -> Result<Position, StoreError> {
    let (effect, subjects) = content(record)?;
    let row = tx
        .row("UPDATE change_head SET n = n + 1 WHERE id = 1 RETURNING n, tip, {now}", &[])
        .await?
        .ok_or_else(no_head)?;
    let (n, prev, time) = (row.int(0)?, row.text(1)?, row.int(2)?);
    let tip = hash(prev, number(n)?, time, &effect, &subjects);
    tx.execute(
        "INSERT INTO change_log (n, effect, subjects, prev, tip, time) VALUES ($1, $2, $3, $4, $5, $6)",
        &[n.into(), effect.into(), subjects.into(), prev.into(), tip.as_str().into(), time.into()],
    )
    .await?;
    tx.execute("UPDATE change_head SET tip = $1 WHERE id = 1", &[tip.as_str().into()]).await?;
    Ok(Position { n: number(n)?, tip })
}

/// Draws a number in a transaction of its own, as a sequence would. For the test that shows what is lost so:
/// who draws first may commit last, and a follower who has read the later number never reads the earlier one.
///
/// # Errors
/// [`StoreError`].
#[doc(hidden)]
pub async fn draw(db: &Db) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    let row = tx.row("UPDATE change_head SET n = n + 100 WHERE id = 1 RETURNING n", &[]).await?;
    tx.commit().await?;
    number(row.ok_or_else(no_head)?.int(0)?)
}

/// Appends with a number from [`draw`], or the first free one after it.
///
/// # Errors
/// [`StoreError`].
#[doc(hidden)]
pub async fn append_unchained(
    tx: &mut Tx,
    drawn: u64,
    record: &ChangeRecord,
) -> Result<Position, StoreError> {
    let (effect, subjects) = content(record)?;
    let row = tx
        .row(
            "INSERT INTO change_log (n, effect, subjects, prev, tip, time) \
             SELECT COALESCE(MAX(n) + 1, CAST($1 AS BIGINT)), CAST($3 AS TEXT), CAST($4 AS TEXT), '', '', {now} \
             FROM change_log WHERE n >= $1 AND n < $2 RETURNING n",
            &[
                i64::try_from(drawn).unwrap_or(i64::MAX).into(),
                i64::try_from(drawn + 100).unwrap_or(i64::MAX).into(),
                effect.into(),
                subjects.into(),
            ],
        )
        .await?;
    Ok(Position { n: number(row.ok_or_else(no_head)?.int(0)?)?, tip: String::new() })
}

/// The records after number `n`, oldest first, at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn since(tx: &mut Tx, n: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
    let bound = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let rows = tx
        .rows(
            "SELECT n, effect, subjects, prev, tip, time FROM change_log WHERE n > $1 ORDER BY n LIMIT $2",
            &[bound(n), bound(limit as u64)],
        )
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Change, StoreError> {
    let corrupt = |e: serde_json::Error| StoreError::Corrupt(format!("change record: {e}"));
    Ok(Change {
        n: number(row.int(0)?)?,
        record: ChangeRecord {
            effect: serde_json::from_str(row.text(1)?).map_err(corrupt)?,
            subjects: serde_json::from_str(row.text(2)?).map_err(corrupt)?,
        },
        prev: row.text(3)?.to_owned(),
        tip: row.text(4)?.to_owned(),
        time: row.int(5)?,
    })
}

fn content(record: &ChangeRecord) -> Result<(String, String), StoreError> {
    let text = |e: serde_json::Error| StoreError::Corrupt(format!("change record: {e}"));
    Ok((
        serde_json::to_string(&record.effect).map_err(text)?,
        serde_json::to_string(&record.subjects).map_err(text)?,
    ))
}

/// SHA-256 over lines, none of which can hold a line feed (hexadecimal, numbers, JSON).
fn hash(prev: &str, n: u64, time: Millis, effect: &str, subjects: &str) -> String {
    let content = format!("drawbridge change v1\n{prev}\n{n}\n{time}\n{effect}\n{subjects}\n");
    hex::encode(digest(&SHA256, content.as_bytes()))
}

fn number(n: i64) -> Result<u64, StoreError> {
    u64::try_from(n).map_err(|_| StoreError::Corrupt(format!("change number {n}")))
}

fn no_head() -> StoreError {
    StoreError::Corrupt("the change log has no head".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::OrgId;
    use crate::store::db::testing::{Engine, Store, on_both_engines};

    on_both_engines!(numbers_have_no_gaps_and_hashes_make_a_chain, many_writers_make_one_chain);

    fn record(effect: Effect, org: &str) -> ChangeRecord {
        ChangeRecord { effect, subjects: vec![OrgId::parse(org).unwrap().subject()] }
    }

    async fn numbers_have_no_gaps_and_hashes_make_a_chain(engine: Engine) {
        let store = Store::open(engine).await;
        let db = &store.db;
        for n in 1..=5 {
            let mut tx = db.write().await.unwrap();
            let effect = if n % 2 == 0 { Effect::Changed } else { Effect::Ended(Some(RevokeReason::Logout)) };
            assert_eq!(append(&mut tx, &record(effect, "org_a")).await.unwrap().n, n);
            // Rolled back: its number is given again.
            if n == 3 {
                drop(tx);
                let mut tx = db.write().await.unwrap();
                assert_eq!(append(&mut tx, &record(Effect::Ended(None), "org_b")).await.unwrap().n, 3);
                tx.commit().await.unwrap();
            } else {
                tx.commit().await.unwrap();
            }
        }
        let mut tx = db.read().await.unwrap();
        assert_eq!(head(&mut tx).await.unwrap(), 5);
        let log = since(&mut tx, 0, 100).await.unwrap();
        assert_eq!(log.iter().map(|c| c.n).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(log[2].record, record(Effect::Ended(None), "org_b"));
        let mut prev = String::new();
        for change in &log {
            assert!(change.follows(&prev).unwrap(), "record {}", change.n);
            prev.clone_from(&change.tip);
        }
        let mut forged = log[3].clone();
        forged.record.subjects.clear();
        assert!(!forged.follows(&log[2].tip).unwrap());
        assert_eq!(since(&mut tx, 3, 1).await.unwrap(), log[3..4]);
    }

    /// A follower that reads while several gateways append sees every number, in order, once.
    async fn many_writers_make_one_chain(engine: Engine) {
        const WRITERS: u64 = 8;
        const EACH: u64 = 40;
        let store = Store::open(engine).await;
        let other = store.beside().await;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let db = if writer % 2 == 0 { store.db.clone() } else { other.clone() };
            writers.spawn(async move {
                for n in 0..EACH {
                    let mut tx = db.write().await.unwrap();
                    append(&mut tx, &record(Effect::Changed, &format!("org_{writer}-{n}"))).await.unwrap();
                    tx.commit().await.unwrap();
                }
            });
        }
        let (mut seen, mut tip) = (0, String::new());
        while seen < WRITERS * EACH {
            let mut tx = store.db.read().await.unwrap();
            for change in since(&mut tx, seen, 1_000).await.unwrap() {
                assert_eq!(change.n, seen + 1, "no gap");
                assert!(change.follows(&tip).unwrap(), "record {}", change.n);
                (seen, tip) = (change.n, change.tip);
            }
            drop(tx);
            tokio::task::yield_now().await;
        }
        writers.join_all().await;
        assert_eq!(store.db.repeats() + other.repeats(), 0);
    }
}
