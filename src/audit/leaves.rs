//! A log in the order of its tree: what exports, live tails, delivery and verification read. Nothing is missing in
//! it, and nothing is added before its end.

use super::tree::{Edge, Hash, LogName, parse_hash};
use crate::domain::Millis;
use crate::store::{Row, StoreError, Tx, Value};

/// Leaves read at once, at most.
pub const MAX: usize = 1_000;

/// How far a log has come.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its number in the tables.
    pub(super) id: i64,
    /// Which log.
    pub log: LogName,
    /// The tree's right edge, which knows size and root.
    pub edge: Edge,
    /// The first leaf whose entry is kept; those before have expired.
    pub first: u64,
    /// The newest signed checkpoint, a note. It may be of an earlier size.
    pub checkpoint: Option<String>,
    /// The size that it is of.
    pub signed_size: u64,
    /// When it was signed, database time.
    pub signed_at: Millis,
}

/// One leaf.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// From 0, without gaps.
    pub index: u64,
    /// The hash that stands in the tree.
    pub hash: Hash,
    /// The bond to the other log's line as it is stored; `None` for an entry that is in one log only.
    pub bond: Option<Hash>,
    /// The entry: one line of JSON, exactly as it was hashed. `None` when it has expired (or is gone).
    pub line: Option<String>,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} of the audit log"))
}

pub(super) fn unsigned(n: i64) -> Result<u64, StoreError> {
    u64::try_from(n).map_err(|_| corrupt("a negative number"))
}

pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

const COLUMNS: &str = "id, name, size, first, edge, checkpoint, signed_size, signed_at";

fn read_head(row: &Row) -> Result<Head, StoreError> {
    let size = unsigned(row.int(2)?)?;
    Ok(Head {
        id: row.int(0)?,
        log: LogName::parse(row.text(1)?).ok_or_else(|| corrupt("the name"))?,
        edge: Edge::parse(size, row.text(4)?).ok_or_else(|| corrupt("the edge"))?,
        first: unsigned(row.int(3)?)?,
        checkpoint: row.opt_text(5)?.map(str::to_owned),
        signed_size: unsigned(row.int(6)?)?,
        signed_at: row.int(7)?,
    })
}

/// The head of `log`; `None` for an org's log in which nothing has been sequenced.
///
/// # Errors
/// [`StoreError`].
pub async fn head(tx: &mut Tx, log: &LogName) -> Result<Option<Head>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM audit_log WHERE name = $1");
    tx.rows_dynamic(text, &[log.as_str().into()]).await?.first().map(read_head).transpose()
}

/// The heads of all logs, the platform's first, then in the order in which the logs began.
///
/// # Errors
/// [`StoreError`].
pub async fn heads(tx: &mut Tx) -> Result<Vec<Head>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM audit_log ORDER BY id");
    tx.rows_dynamic(text, &[]).await?.iter().map(read_head).collect()
}

/// The heads of those of `logs` that have one.
pub(super) async fn heads_of(tx: &mut Tx, logs: &[&LogName]) -> Result<Vec<Head>, StoreError> {
    let mut heads = Vec::with_capacity(logs.len());
    for some in logs.chunks(64) {
        let list: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
        let text = format!("SELECT {COLUMNS} FROM audit_log WHERE name IN ({})", list.join(", "));
        let args: Vec<Value> = some.iter().map(|log| log.as_str().into()).collect();
        for row in tx.rows_dynamic(text, &args).await? {
            heads.push(read_head(&row)?);
        }
    }
    Ok(heads)
}

/// Of which logs a checkpoint is due. Two statements, each with an index for it: asked as one, SQLite goes through all
/// logs, four times a second. By the time of signing it would go through nearly all of those too that haven't grown.
const DUE: [&str; 2] = [
    "WHERE size > signed_size AND signed_at <= $1 ORDER BY id LIMIT $2",
    "WHERE signed_at <= $1 ORDER BY signed_at LIMIT $2",
];

/// Up to `limit` heads whose checkpoint is due, in the order in which the logs began: signed at or before `grown` and
/// grown since, or signed at or before `rested`. Fewer only when there are no others.
pub(super) async fn due(
    tx: &mut Tx,
    grown: Millis,
    rested: Millis,
    limit: i64,
) -> Result<Vec<Head>, StoreError> {
    let mut due: Vec<Head> = Vec::new();
    for (which, until) in DUE.into_iter().zip([grown, rested]) {
        let text = format!("SELECT {COLUMNS} FROM audit_log {which}");
        for row in tx.rows_dynamic(text, &[until.into(), limit.into()]).await? {
            due.push(read_head(&row)?);
        }
    }
    due.sort_by_key(|head| head.id);
    due.dedup_by_key(|head| head.id);
    due.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(due)
}

/// The leaves of the log of `head` from `from` on: up to `limit` (at most [`MAX`]), fewer only at the end of the log.
///
/// # Errors
/// [`StoreError`].
pub async fn leaves(tx: &mut Tx, head: &Head, from: u64, limit: usize) -> Result<Vec<Leaf>, StoreError> {
    let until = from.saturating_add(limit.clamp(1, MAX) as u64);
    let table = table(&head.log);
    let text = format!(
        "SELECT l.idx, l.hash, e.bond, e.body FROM audit_leaf l LEFT JOIN {table} e ON e.n = l.entry \
         WHERE l.log = $1 AND l.idx >= $2 AND l.idx < $3 ORDER BY l.idx"
    );
    let args = [head.id.into(), signed(from).into(), signed(until).into()];
    tx.rows_dynamic(text, &args).await?.iter().map(read_leaf).collect()
}

/// The kept checkpoints of sizes from `from` on, smallest first.
pub(super) async fn kept_checkpoints(
    tx: &mut Tx,
    head: &Head,
    from: u64,
) -> Result<Vec<(u64, String)>, StoreError> {
    let text = "SELECT size, note FROM audit_checkpoint WHERE log = $1 AND size >= $2 ORDER BY size";
    let rows = tx.rows(text, &[head.id.into(), signed(from).into()]).await?;
    rows.iter().map(|row| Ok((unsigned(row.int(0)?)?, row.text(1)?.to_owned()))).collect()
}

/// The index of a request's intent, or else of its first entry.
pub(super) async fn place_of(tx: &mut Tx, log: &LogName, request: &str) -> Result<Option<u64>, StoreError> {
    let Some(head) = head(tx, log).await? else { return Ok(None) };
    let (table, org) = match log {
        LogName::Platform => (table(log), ""),
        LogName::Org(_) => (table(log), " AND e.org_id = $3"),
    };
    let text = format!(
        "SELECT l.idx FROM {table} e JOIN audit_leaf l ON l.log = $2 AND l.entry = e.n \
         WHERE e.request_id = $1{org} ORDER BY CASE WHEN e.stage = 'intent' THEN 0 ELSE 1 END, l.idx LIMIT 1"
    );
    let mut args = vec![request.into(), head.id.into()];
    if let LogName::Org(org) = log {
        args.push(org.as_str().into());
    }
    tx.rows_dynamic(text, &args).await?.first().map(|row| unsigned(row.int(0)?)).transpose()
}

fn read_leaf(row: &Row) -> Result<Leaf, StoreError> {
    Ok(Leaf {
        index: unsigned(row.int(0)?)?,
        hash: parse_hash(row.text(1)?).ok_or_else(|| corrupt("a hash"))?,
        bond: match row.opt_text(2)? {
            None | Some("") => None,
            Some(text) => Some(parse_hash(text).ok_or_else(|| corrupt("a bond"))?),
        },
        line: row.opt_text(3)?.map(str::to_owned),
    })
}

/// The table that holds the entries of `log`.
pub(super) const fn table(log: &LogName) -> &'static str {
    match log {
        LogName::Platform => "platform_audit",
        LogName::Org(_) => "org_audit",
    }
}

#[cfg(test)]
mod tests;
