//! One transaction of the writer: see the grants live, number the requests, write both logs (architecture §5.1).

use super::{Closing, Reply, Work};
use crate::audit::entry::{Entry, Stage};
use crate::audit::rows::Rows;
use crate::audit::tree::Hash;
use crate::domain::ids::ImpersonationId;
use crate::domain::{Clock as _, RevokeReason, fail_point};
use crate::store::{Db, StoreError, Tx, Value};
use std::collections::{BTreeMap, HashMap};

/// At most so many requests, as many outcomes and as many other entries in one transaction.
pub(super) const MAX: usize = 512;
/// Grants in one statement, at most: SQLite looks numbered parameters up one by one.
const GRANTS: usize = 16;

/// In `closed_before`: nothing of this gateway is open.
pub(super) const ALL_CLOSED: i64 = i64::MAX;

/// What one transaction is to write.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) work: Vec<Work>,
    pub(super) closings: Vec<Closing>,
    /// Attribution, counted repeats.
    pub(super) others: Vec<Entry>,
    /// Every intent at or below this position is closed.
    pub(super) closed_before: Option<i64>,
}

/// What the transaction found, in the order of the work.
pub(super) struct Committed {
    pub(super) verdicts: Vec<Verdict>,
    /// The leaf that each becomes.
    pub(super) leaves: Vec<Hash>,
    /// Position before the transaction's entries; known when there is an intent among them.
    pub(super) base: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The grant is live; this is the request's number.
    Live(i64),
    /// The grant is over.
    Ended(RevokeReason),
    /// Not under a grant.
    Recorded,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.work.is_empty()
            && self.closings.is_empty()
            && self.others.is_empty()
            && self.closed_before.is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.work.len() + self.closings.len() + self.others.len()
    }

    /// Writes all of it, or nothing; once more when the database broke a deadlock by it. `gateway`: whose intents
    /// these are to close.
    pub(super) async fn commit(&self, db: &Db, gateway: &str) -> Result<Committed, StoreError> {
        let mut tries = 1;
        loop {
            match self.attempt(db, gateway).await {
                Err(error) if db.again(&error, tries) => tries += 1,
                done => return done,
            }
        }
    }

    async fn attempt(&self, db: &Db, gateway: &str) -> Result<Committed, StoreError> {
        let mut tx = db.write().await?;
        let verdicts = judge(&mut tx, &self.work).await?;
        let live = verdicts.iter().any(|v| matches!(v, Verdict::Live(_)));
        let base = if live { position(&mut tx, gateway).await? } else { 0 };
        let mut rows = Rows::default();
        let mut leaves = Vec::with_capacity(self.work.len());
        for (work, verdict) in self.work.iter().zip(&verdicts) {
            leaves.push(match verdict {
                Verdict::Live(seq) => rows.push(&work.entry, Some(*seq), Some(gateway))?,
                Verdict::Ended(reason) => rows.push(&after_end(&work.entry, *reason), None, None)?,
                Verdict::Recorded => rows.push(&work.entry, None, None)?,
            });
        }
        let now = db.clock().now();
        for closing in &self.closings {
            rows.close(&closing.opened, now, &closing.outcome)?;
        }
        for entry in &self.others {
            rows.push(entry, None, None)?;
        }
        rows.insert(&mut tx).await?;
        fail_point("writer.written");
        if let Some(n) = self.closed_before {
            tx.execute("UPDATE gateway SET closed_before = $2 WHERE id = $1", &[gateway.into(), n.into()])
                .await?;
        }
        tx.commit().await?;
        fail_point("writer.committed");
        Ok(Committed { verdicts, leaves, base })
    }
}

/// The position before what this transaction is about to write. The gateway's row is locked, so that who closes
/// for a gateway that seems to be gone either sees these intents, or is seen here to have been at work.
async fn position(tx: &mut Tx, gateway: &str) -> Result<i64, StoreError> {
    let row = tx
        .row(
            "SELECT closed_before, (SELECT COALESCE(MAX(n), 0) FROM platform_audit) \
             FROM gateway WHERE id = $1 {for_update}",
            &[gateway.into()],
        )
        .await?;
    if let Some(row) = row {
        let base = row.int(1)?;
        if row.int(0)? == ALL_CLOSED {
            // This gateway was taken for dead and lives: what it opens from here on is to be closed again.
            tx.execute("UPDATE gateway SET closed_before = $2 WHERE id = $1", &[gateway.into(), base.into()])
                .await?;
        }
        return Ok(base);
    }
    let row = tx.row("SELECT COALESCE(MAX(n), 0) FROM platform_audit", &[]).await?;
    row.ok_or_else(|| StoreError::Corrupt("no position".to_owned()))?.int(0)
}

/// The request came after the end of its grant: recorded unnumbered, so that nothing follows the last number.
fn after_end(entry: &Entry, reason: RevokeReason) -> Entry {
    let code = match reason {
        RevokeReason::Expired => "IMPERSONATION_EXPIRED",
        RevokeReason::EndedByActor
        | RevokeReason::Logout
        | RevokeReason::SupportAccessDisabled
        | RevokeReason::EndedByCustomer
        | RevokeReason::PlatformUserDisabled
        | RevokeReason::CredentialsChanged
        | RevokeReason::AccountDeactivated
        | RevokeReason::CodeReused
        | RevokeReason::OrgClosed
        | RevokeReason::RecordsRestored => "IMPERSONATION_REVOKED",
    };
    let mut refused = Entry {
        stage: Stage::Refused,
        decision: Some("deny"),
        code: Some(code.to_owned()),
        status: Some(401),
        revoke_reason: Some(reason),
        impersonation_seq: None,
        ..entry.clone()
    };
    refused.details.insert("after_end".to_owned(), true.into());
    refused
}

/// The grant that `work` is an intent under.
fn grant(work: &Work) -> Option<&ImpersonationId> {
    match work.reply {
        Reply::Intent(_) => work.entry.impersonation_id.as_ref(),
        Reply::Plain(_) => None,
    }
}

/// Locks grants, which come in the order of their ids: in one order everywhere, or two gateways' batches wait for
/// each other for ever.
pub(super) async fn lock(tx: &mut Tx, grants: &[&ImpersonationId]) -> Result<(), StoreError> {
    for some in grants.chunks(MAX / 2) {
        let (list, args) = list(some.iter().copied(), some.len());
        let text = format!("SELECT id FROM impersonation WHERE id IN ({list}) ORDER BY id {{for_update}}");
        tx.rows_dynamic(text, &args).await?;
    }
    Ok(())
}

/// Asks the grants, under their locks, and numbers the requests of those that are live.
async fn judge(tx: &mut Tx, work: &[Work]) -> Result<Vec<Verdict>, StoreError> {
    let mut counts: BTreeMap<&ImpersonationId, i64> = BTreeMap::new();
    for id in work.iter().filter_map(grant) {
        *counts.entry(id).or_default() += 1;
    }
    let grants: Vec<(&ImpersonationId, i64)> = counts.into_iter().collect();
    if grants.len() > 1 && tx.locks_rows() {
        let ids: Vec<_> = grants.iter().map(|(id, _)| *id).collect();
        lock(tx, &ids).await?;
    }
    let mut next: HashMap<String, i64> = HashMap::with_capacity(grants.len());
    for some in grants.chunks(GRANTS) {
        advance(tx, some, &mut next).await?;
    }
    let dead: Vec<&ImpersonationId> =
        grants.iter().map(|(id, _)| *id).filter(|id| !next.contains_key(id.as_str())).collect();
    let reasons = reasons(tx, &dead).await?;
    Ok(work
        .iter()
        .map(|w| match (&w.reply, grant(w)) {
            (Reply::Plain(_), _) => Verdict::Recorded,
            (Reply::Intent(_), None) => Verdict::Live(0),
            (Reply::Intent(_), Some(id)) => match next.get_mut(id.as_str()) {
                Some(n) => {
                    *n += 1;
                    Verdict::Live(*n)
                }
                None => Verdict::Ended(reasons.get(id.as_str()).copied().unwrap_or(RevokeReason::Expired)),
            },
        })
        .collect())
}

/// Moves the running numbers of those of `grants` that are live; `before` gets what they were.
async fn advance(
    tx: &mut Tx,
    grants: &[(&ImpersonationId, i64)],
    before: &mut HashMap<String, i64>,
) -> Result<(), StoreError> {
    // Few texts: their number of rows is a power of two, made up with a grant that there isn't.
    let width = grants.len().next_power_of_two();
    let mut values = String::new();
    let mut args: Vec<Value> = Vec::with_capacity(width * 2);
    for i in 0..width {
        let comma = if i == 0 { "" } else { ", " };
        values.push_str(&format!("{comma}(CAST(${} AS TEXT), CAST(${} AS BIGINT))", 2 * i + 1, 2 * i + 2));
        let (id, k) = grants.get(i).map_or(("", 0), |(id, k)| (id.as_str(), *k));
        args.extend([id.into(), k.into()]);
    }
    // Expiry is asked again in RETURNING: what stands in WHERE may have been looked at before a wait for the row.
    let text = format!(
        "UPDATE impersonation SET seq = seq + v.column2 FROM (VALUES {values}) AS v \
         WHERE impersonation.id = v.column1 AND ended_at IS NULL AND expires_at > {{now}} \
         RETURNING id, seq, CAST(CASE WHEN expires_at > {{now}} THEN 1 ELSE 0 END AS BIGINT)"
    );
    for row in tx.rows_dynamic(text, &args).await? {
        let (id, seq, live) = (row.text(0)?, row.int(1)?, row.int(2)? == 1);
        let k = grants.iter().find(|(grant, _)| grant.as_str() == id).map_or(0, |(_, k)| *k);
        if live {
            before.insert(id.to_owned(), seq - k);
        } else {
            tx.execute("UPDATE impersonation SET seq = seq - $2 WHERE id = $1", &[id.into(), k.into()])
                .await?;
        }
    }
    Ok(())
}

/// Why each of `dead` is over.
async fn reasons(
    tx: &mut Tx,
    dead: &[&ImpersonationId],
) -> Result<HashMap<String, RevokeReason>, StoreError> {
    let mut reasons = HashMap::with_capacity(dead.len());
    for some in dead.chunks(MAX / 2) {
        let (list, args) = list(some.iter().copied(), some.len());
        let text = format!(
            "SELECT id, revoke_reason FROM impersonation WHERE id IN ({list}) AND ended_at IS NOT NULL"
        );
        for row in tx.rows_dynamic(text, &args).await? {
            if let Some(reason) = row.opt_text(1)?.and_then(RevokeReason::from_name) {
                reasons.insert(row.text(0)?.to_owned(), reason);
            }
        }
    }
    Ok(reasons)
}

/// Parameters for an IN list, their number a power of two.
fn list<'a>(ids: impl Iterator<Item = &'a ImpersonationId>, len: usize) -> (String, Vec<Value>) {
    let width = len.next_power_of_two();
    let mut args: Vec<Value> = ids.map(|id| id.as_str().into()).collect();
    args.resize(width, "".into());
    let list: Vec<String> = (1..=width).map(|n| format!("${n}")).collect();
    (list.join(", "), args)
}
