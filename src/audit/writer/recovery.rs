//! What a gateway that is gone left open is closed as `unknown`, in both logs.
//!
//! On SQLite by the next start of the one gateway. On PostgreSQL by any gateway, at its start and every ten seconds,
//! for those whose lease is long gone; a gateway that only stood still goes on, and finds its outcomes written.

use super::batch::{self, ALL_CLOSED};
use crate::audit::entry::Outcome;
use crate::audit::rows::{Opened, Rows};
use crate::domain::ids::{BootId, ImpersonationId, OrgId, RequestId};
use crate::domain::{Clock as _, Event};
use crate::store::{Db, Row, StoreError, Tx};

/// Intents closed with one statement.
const CHUNK: i64 = 512;

/// Registers `gateway` and closes what it (SQLite) or others that are gone (PostgreSQL) left open; the position up
/// to which all of its own is closed now.
pub(super) async fn run(db: &Db, gateway: &str) -> Result<i64, StoreError> {
    let mut tx = db.write().await?;
    // A row that is new begins where the log ends; the row of the one gateway on SQLite is there since it began.
    tx.execute(
        "INSERT INTO gateway (id, boot, started_at, closed_before) VALUES ($1, $2, {now}, \
         (SELECT COALESCE(MAX(n), 0) FROM platform_audit)) \
         ON CONFLICT (id) DO UPDATE SET boot = excluded.boot, started_at = excluded.started_at",
        &[gateway.into(), BootId::random().as_str().into()],
    )
    .await?;
    let row = tx
        .row(
            "SELECT closed_before, (SELECT COALESCE(MAX(n), 0) FROM platform_audit) FROM gateway WHERE id = $1",
            &[gateway.into()],
        )
        .await?
        .ok_or_else(|| StoreError::Corrupt("the gateway's row is gone".to_owned()))?;
    let (after, end) = (row.int(0)?, row.int(1)?);
    let closed = close(db, &mut tx, gateway, after, end).await?;
    tx.execute("UPDATE gateway SET closed_before = $2 WHERE id = $1", &[gateway.into(), end.into()]).await?;
    tx.commit().await?;
    told(closed);
    if db.is_shared() {
        close_of_the_dead(db, gateway).await?;
    }
    Ok(end)
}

/// Closes what gateways left open whose lease ended more than 30 seconds ago, or who never had one; how many.
pub(super) async fn close_of_the_dead(db: &Db, me: &str) -> Result<usize, StoreError> {
    let dead = {
        let mut tx = db.read().await?;
        tx.rows(
            "SELECT id FROM gateway g WHERE id <> $1 AND closed_before < $2 AND started_at < {now} - 30000 \
             AND NOT EXISTS (SELECT 1 FROM gateway_lease l WHERE l.boot = g.id AND l.seen_at >= {now} - 30000) \
             ORDER BY id",
            &[me.into(), ALL_CLOSED.into()],
        )
        .await?
    };
    let mut closed = 0;
    for row in dead {
        let mut tries = 1;
        closed += loop {
            match close_of(db, row.text(0)?).await {
                Err(error) if db.again(&error, tries) => tries += 1,
                done => break done?,
            }
        };
    }
    told(closed);
    Ok(closed)
}

/// One gateway's, under the lock of its row: two that do this at once do it once, and its own writer, if it only
/// stood still, comes before or after.
async fn close_of(db: &Db, dead: &str) -> Result<usize, StoreError> {
    let mut tx = db.write().await?;
    let row = tx.row("SELECT closed_before FROM gateway WHERE id = $1 {for_update}", &[dead.into()]).await?;
    let after = row.map_or(Ok(ALL_CLOSED), |row| row.int(0))?;
    // Asked again, now that the row is held: it may have come back, or been closed by another.
    let back = tx
        .row("SELECT boot FROM gateway_lease WHERE boot = $1 AND seen_at >= {now} - 30000", &[dead.into()])
        .await?;
    if after == ALL_CLOSED || back.is_some() {
        return Ok(0);
    }
    let closed = close(db, &mut tx, dead, after, ALL_CLOSED).await?;
    tx.execute("UPDATE gateway SET closed_before = $2 WHERE id = $1", &[dead.into(), ALL_CLOSED.into()])
        .await?;
    tx.commit().await?;
    Ok(closed)
}

fn told(closed: usize) {
    if closed > 0 {
        tracing::warn!(closed, "requests that were open when their gateway ended are closed as unknown");
    }
}

/// Closes the open intents of `gateway` behind `after`, up to `end`.
async fn close(db: &Db, tx: &mut Tx, gateway: &str, mut after: i64, end: i64) -> Result<usize, StoreError> {
    let outcome = Outcome { outcome: "unknown", ..Outcome::default() };
    let mut closed = 0_usize;
    loop {
        let open = tx
            .rows(
                "SELECT n, request_id, event, org_id, impersonation_id FROM platform_audit i \
                 WHERE n > $1 AND n <= $2 AND stage = 'intent' AND gateway = $3 AND NOT EXISTS \
                 (SELECT 1 FROM platform_audit o WHERE o.request_id = i.request_id AND o.stage = 'outcome') \
                 ORDER BY n LIMIT $4",
                &[after.into(), end.into(), gateway.into(), CHUNK.into()],
            )
            .await?;
        let Some(last) = open.last() else { break };
        after = last.int(0)?;
        let mut rows = Rows::default();
        for row in &open {
            rows.close(&opened(row)?, db.clock().now(), &outcome)?;
        }
        rows.insert(tx).await?;
        closed += open.len();
    }
    Ok(closed)
}

/// Closes as `not_forwarded` those of `doubtful` that are in the log after all: the answer of their COMMIT was lost,
/// and their callers were refused.
pub(super) async fn settle(db: &Db, doubtful: &[Opened]) -> Result<(), StoreError> {
    let mut grants: Vec<&ImpersonationId> =
        doubtful.iter().filter_map(|opened| opened.impersonation_id.as_ref()).collect();
    grants.sort();
    grants.dedup();
    let mut tx = db.write().await?;
    // The lost transaction may still be under way: it holds these locks until it has ended.
    batch::lock(&mut tx, &grants).await?;
    let outcome = Outcome { outcome: "not_forwarded", ..Outcome::default() };
    let mut rows = Rows::default();
    for opened in doubtful {
        let there = tx
            .row(
                "SELECT 1 FROM platform_audit i WHERE request_id = $1 AND stage = 'intent' AND NOT EXISTS \
                 (SELECT 1 FROM platform_audit o WHERE o.request_id = i.request_id AND o.stage = 'outcome')",
                &[opened.request_id.as_str().into()],
            )
            .await?;
        if there.is_some() {
            rows.close(opened, db.clock().now(), &outcome)?;
        }
    }
    rows.insert(&mut tx).await?;
    tx.commit().await
}

fn opened(row: &Row) -> Result<Opened, StoreError> {
    let corrupt = |e: crate::domain::ids::InvalidId| StoreError::Corrupt(format!("intent: {e}"));
    Ok(Opened {
        request_id: RequestId::parse(row.text(1)?).map_err(corrupt)?,
        event: Event::from_name(row.text(2)?).unwrap_or(Event::ImpersonatedRequest),
        org_id: row.opt_text(3)?.map(OrgId::parse).transpose().map_err(corrupt)?,
        impersonation_id: row.opt_text(4)?.map(ImpersonationId::parse).transpose().map_err(corrupt)?,
    })
}
