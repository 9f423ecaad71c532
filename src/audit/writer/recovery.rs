//! At start: what an earlier boot of this gateway left open is closed as `unknown`, in both logs.

use super::batch::GATEWAY;
use crate::audit::entry::Outcome;
use crate::audit::rows::{Opened, Rows};
use crate::domain::ids::{BootId, ImpersonationId, OrgId, RequestId};
use crate::domain::{Clock as _, Event};
use crate::store::{Db, Row, StoreError};

/// Intents closed with one statement.
const CHUNK: i64 = 512;

/// Registers this boot and closes what earlier ones left open; the position up to which all is closed now.
pub(super) async fn run(db: &Db) -> Result<i64, StoreError> {
    let mut tx = db.write().await?;
    tx.execute(
        "INSERT INTO gateway (id, boot, started_at, closed_before) VALUES ($1, $2, {now}, 0) \
         ON CONFLICT (id) DO UPDATE SET boot = excluded.boot, started_at = excluded.started_at",
        &[GATEWAY.into(), BootId::random().as_str().into()],
    )
    .await?;
    let row = tx
        .row(
            "SELECT closed_before, (SELECT COALESCE(MAX(n), 0) FROM platform_audit) FROM gateway WHERE id = $1",
            &[GATEWAY.into()],
        )
        .await?
        .ok_or_else(|| StoreError::Corrupt("the gateway's row is gone".to_owned()))?;
    let (mut after, end) = (row.int(0)?, row.int(1)?);
    let outcome = Outcome { outcome: "unknown", ..Outcome::default() };
    let mut closed = 0_usize;
    loop {
        let open = tx
            .rows(
                "SELECT n, request_id, event, org_id, impersonation_id FROM platform_audit i \
                 WHERE n > $1 AND n <= $2 AND stage = 'intent' AND gateway = $3 AND NOT EXISTS \
                 (SELECT 1 FROM platform_audit o WHERE o.request_id = i.request_id AND o.stage = 'outcome') \
                 ORDER BY n LIMIT $4",
                &[after.into(), end.into(), GATEWAY.into(), CHUNK.into()],
            )
            .await?;
        let Some(last) = open.last() else { break };
        after = last.int(0)?;
        let mut rows = Rows::default();
        for row in &open {
            rows.close(&opened(row)?, db.clock().now(), &outcome)?;
        }
        rows.insert(&mut tx).await?;
        closed += open.len();
    }
    tx.execute("UPDATE gateway SET closed_before = $2 WHERE id = $1", &[GATEWAY.into(), end.into()]).await?;
    tx.commit().await?;
    if closed > 0 {
        tracing::warn!(closed, "requests that were open when the gateway last ended are closed as unknown");
    }
    Ok(end)
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
