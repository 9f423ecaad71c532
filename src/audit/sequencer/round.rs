//! One transaction of the sequencer: what transactions added gets its places in the trees.
//!
//! The order is that of the pending rows, and in each that of the entries' positions. Both are drawn under the
//! lock of the grant that a request runs under, so a log tells of a grant's requests in the order of their numbers.

use crate::audit::leaves::{Head, heads_of, signed};
use crate::audit::pending::{Pending, Waiting};
use crate::audit::ranges::Ranges;
use crate::audit::tree::{LogName, leaf_hash, parse_hash};
use crate::domain::fail_point;
use crate::domain::ids::OrgId;
use crate::store::{Db, Row, StoreError, Tx, Value};
use std::collections::BTreeMap;

/// Transactions of the writers in one round, at most.
const TRANSACTIONS: i64 = 256;
/// Entries in one round, about: on SQLite the writer waits for so long.
const ENTRIES: usize = 1_024;

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// Another gateway is at it.
    Elsewhere,
    /// So many leaves; with `more`, something is left.
    Done {
        /// Leaves that were added.
        leaves: usize,
        /// Whether something is left.
        more: bool,
    },
}

/// Takes part in sequencing until the transaction ends; false when another gateway is at it.
pub(in crate::audit) async fn lock(tx: &mut Tx) -> Result<bool, StoreError> {
    let row =
        tx.row("SELECT id FROM audit_log WHERE name = 'platform' {for_update} {skip_locked}", &[]).await?;
    Ok(row.is_some())
}

/// Sequences what is pending, or some of it.
pub(super) async fn round(db: &Db) -> Result<Round, StoreError> {
    if !any_pending(db).await? {
        return Ok(Round::Done { leaves: 0, more: false });
    }
    let mut tx = db.write().await?;
    if !lock(&mut tx).await? {
        return Ok(Round::Elsewhere);
    }
    let (pending, more) = pending(&mut tx).await?;
    let waiting = waiting(&mut tx, &pending).await?;
    let leaves = waiting.len();
    place(&mut tx, waiting).await?;
    fail_point("sequencer.placed");
    forget(&mut tx, &pending).await?;
    fail_point("sequencer.before_commit");
    tx.commit().await?;
    fail_point("sequencer.committed");
    Ok(Round::Done { leaves, more })
}

async fn any_pending(db: &Db) -> Result<bool, StoreError> {
    Ok(db.read().await?.row("SELECT id FROM audit_pending LIMIT 1", &[]).await?.is_some())
}

/// The oldest pending rows, and whether there are others.
async fn pending(tx: &mut Tx) -> Result<(Vec<Pending>, bool), StoreError> {
    let mut rows = Pending::oldest(tx, TRANSACTIONS).await?;
    let found = rows.len();
    let mut entries = 0;
    let enough = rows.iter().position(|row| {
        entries += row.len();
        entries >= ENTRIES
    });
    rows.truncate(enough.map_or(found, |last| last + 1));
    let more = rows.len() < found || found as i64 == TRANSACTIONS;
    Ok((rows, more))
}

/// Takes these rows away, and none that was committed meanwhile.
async fn forget(tx: &mut Tx, pending: &[Pending]) -> Result<(), StoreError> {
    for some in pending.chunks(64) {
        let list: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
        let args: Vec<Value> = some.iter().map(|row| row.id.into()).collect();
        let text = format!("DELETE FROM audit_pending WHERE id IN ({})", list.join(", "));
        tx.rows_dynamic(text, &args).await?;
    }
    Ok(())
}

/// The entries that `pending` tells of, in the order that they get.
async fn waiting(tx: &mut Tx, pending: &[Pending]) -> Result<Vec<Waiting>, StoreError> {
    let mut waiting = Vec::new();
    for row in pending {
        match &row.leaves {
            Some(leaves) => waiting.extend_from_slice(leaves),
            None => {
                waiting.extend(read(tx, "org_audit", &row.org).await?);
                waiting.extend(read(tx, "platform_audit", &row.platform).await?);
            }
        }
    }
    Ok(waiting)
}

/// The entries at `ranges`, by their lines. One that is gone already (nobody has the right to that) is missed by its
/// other half, whose bond names it; the others don't wait for it.
async fn read(tx: &mut Tx, table: &'static str, ranges: &Ranges) -> Result<Vec<Waiting>, StoreError> {
    let platform = table == crate::audit::leaves::table(&LogName::Platform);
    let mut found = Vec::with_capacity(ranges.len());
    for (from, to) in ranges.iter() {
        let text = format!("SELECT n, org_id, body, bond FROM {table} WHERE n >= $1 AND n <= $2 ORDER BY n");
        for row in tx.rows_dynamic(text, &[from.into(), to.into()]).await? {
            let log = if platform { LogName::Platform } else { LogName::Org(org_of(&row)?) };
            let leaf = leaf_hash(row.text(2)?, parse_hash(row.text(3)?).as_ref());
            found.push(Waiting { n: row.int(0)?, log, leaf });
        }
    }
    Ok(found)
}

fn org_of(row: &Row) -> Result<OrgId, StoreError> {
    OrgId::parse(row.text(1)?).map_err(|e| StoreError::Corrupt(format!("org of an entry: {e}")))
}

const LEAF: &str = "INSERT INTO audit_leaf (log, idx, entry, hash)";
const NODE: &str = "INSERT INTO audit_node (log, level, idx, hash)";

/// Lets the trees grow.
async fn place(tx: &mut Tx, waiting: Vec<Waiting>) -> Result<(), StoreError> {
    let mut by_log: BTreeMap<LogName, Vec<Waiting>> = BTreeMap::new();
    for entry in waiting {
        by_log.entry(entry.log.clone()).or_default().push(entry);
    }
    let mut heads = heads(tx, by_log.keys()).await?;
    let (mut leaves, mut nodes): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for (log, entries) in &by_log {
        let head =
            heads.get_mut(log).ok_or_else(|| StoreError::Corrupt(format!("the log `{log}` has no head")))?;
        for entry in entries {
            let hash = entry.leaf;
            let index = signed(head.edge.size());
            leaves.extend([head.id.into(), index.into(), entry.n.into(), hash.to_string().into()]);
            head.edge.push(hash, |node| {
                nodes.extend([
                    head.id.into(),
                    i64::from(node.level).into(),
                    signed(node.index).into(),
                    node.hash.to_string().into(),
                ]);
            });
        }
    }
    tx.insert_many(LEAF, "", 4, &leaves).await?;
    tx.insert_many(NODE, "", 4, &nodes).await?;
    for head in heads.values() {
        tx.execute(
            "UPDATE audit_log SET size = $2, edge = $3 WHERE id = $1",
            &[head.id.into(), signed(head.edge.size()).into(), head.edge.roots_text().into()],
        )
        .await?;
    }
    Ok(())
}

/// The heads of `logs`; a log that is new gets one.
async fn heads<'a>(
    tx: &mut Tx,
    logs: impl Iterator<Item = &'a LogName>,
) -> Result<BTreeMap<LogName, Head>, StoreError> {
    let names: Vec<&LogName> = logs.collect();
    let mut found = BTreeMap::new();
    for head in heads_of(tx, &names).await? {
        found.insert(head.log.clone(), head);
    }
    let new: Vec<&LogName> = names.into_iter().filter(|log| !found.contains_key(*log)).collect();
    if !new.is_empty() {
        let values: Vec<Value> = new.iter().map(|log| log.as_str().into()).collect();
        tx.insert_many("INSERT INTO audit_log (name)", "", 1, &values).await?;
        for head in heads_of(tx, &new).await? {
            found.insert(head.log.clone(), head);
        }
    }
    Ok(found)
}
