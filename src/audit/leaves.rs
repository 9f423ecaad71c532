//! A log in the order of its tree: what exports, live tails, delivery and verification read. Nothing is missing in
//! it, and nothing is added before its end.

use super::tree::{Edge, Hash, LogName, parse_hash};
use crate::domain::Millis;
use crate::store::{Row, StoreError, Tx};

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
