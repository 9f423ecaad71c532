//! What the database itself has to tell (table `audit_notice`), made entries: somebody tried to change or delete what
//! the logs hold (SQLite tells of it; PostgreSQL's own log does, see `drawbridge doctor`), or changed how long it is
//! kept.

use super::entry::{Entry, Stage};
use super::rows::write_act;
use crate::domain::{Event, Millis};
use crate::store::{Db, StoreError};
use serde_json::json;
use std::collections::BTreeMap;

/// Notices that are taken at once.
const AT_ONCE: i64 = 1_000;

/// What is told of one thing.
struct Told {
    detail: String,
    time: Millis,
    count: u64,
}

/// Makes entries of the notices that are there, many of the same kind one; how many notices there were.
///
/// # Errors
/// [`StoreError`].
pub async fn take(db: &Db) -> Result<usize, StoreError> {
    if db.read().await?.row("SELECT id FROM audit_notice LIMIT 1", &[]).await?.is_none() {
        return Ok(0);
    }
    let mut tx = db.write().await?;
    let rows = tx
        .rows(
            "SELECT id, time, what, about, detail FROM audit_notice ORDER BY id LIMIT $1 {for_update} {skip_locked}",
            &[AT_ONCE.into()],
        )
        .await?;
    let mut all: BTreeMap<(String, String), Told> = BTreeMap::new();
    for row in &rows {
        let kind = (row.text(2)?.to_owned(), row.text(3)?.to_owned());
        let first = || Told { detail: String::new(), time: 0, count: 0 };
        let told = all.entry(kind).or_insert_with(first);
        (told.detail, told.time) = (row.text(4)?.to_owned(), row.int(1)?);
        told.count += 1;
        tx.execute("DELETE FROM audit_notice WHERE id = $1", &[row.int(0)?.into()]).await?;
    }
    for ((what, about), told) in all {
        let event = match what.as_str() {
            "retention_changed" => Event::RetentionChanged,
            _ => Event::AuditChangeRefused,
        };
        tracing::warn!(what, about, detail = told.detail, count = told.count, "the database tells");
        let mut entry = Entry::system(event, Stage::Act, told.time);
        entry.count = told.count;
        entry.resource = Some(about);
        entry.details.insert("detail".to_owned(), json!(told.detail));
        write_act(&mut tx, &entry).await?;
    }
    tx.commit().await?;
    Ok(rows.len())
}
