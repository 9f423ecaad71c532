//! How far each receiver has come, and which gateway delivers to it: two tables of the records.

use super::super::leaves::{self, Head, signed, unsigned};
use super::super::tree::LogName;
use crate::config::DeliveredLogs;
use crate::store::{Db, StoreError};
use std::collections::HashMap;
use std::time::Duration;

/// The rows of one receiver, as one gateway sees them.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) db: Db,
    pub(super) sink: String,
    /// This gateway's name among those that share the records.
    pub(super) holder: String,
}

impl Places {
    /// Takes the lease, or prolongs it; false while another gateway has it. The database's clock counts, so that
    /// no gateway's own does.
    pub(super) async fn hold(&self, lasts: Duration) -> Result<bool, StoreError> {
        let lasts = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        let mut tx = self.db.write().await?;
        let touched = tx
            .execute(
                "INSERT INTO audit_delivery_lease (sink, holder, until) VALUES ($1, $2, {now} + $3) \
                 ON CONFLICT (sink) DO UPDATE SET holder = excluded.holder, until = excluded.until \
                 WHERE audit_delivery_lease.holder = excluded.holder OR audit_delivery_lease.until <= {now}",
                &[self.sink.as_str().into(), self.holder.as_str().into(), lasts.into()],
            )
            .await?;
        tx.commit().await?;
        Ok(touched > 0)
    }

    /// Gives the lease back, so that another gateway need not wait for its end.
    pub(super) async fn let_go(&self) -> Result<(), StoreError> {
        let mut tx = self.db.write().await?;
        tx.execute(
            "UPDATE audit_delivery_lease SET until = 0 WHERE sink = $1 AND holder = $2",
            &[self.sink.as_str().into(), self.holder.as_str().into()],
        )
        .await?;
        tx.commit().await
    }

    /// The logs that have entries which the receiver has not, each with the index of the first of them.
    pub(super) async fn behind(&self, logs: &DeliveredLogs) -> Result<Vec<(Head, u64)>, StoreError> {
        let mut tx = self.db.read().await?;
        let heads = leaves::heads(&mut tx).await?;
        let rows = tx
            .rows("SELECT log, next FROM audit_delivery WHERE sink = $1", &[self.sink.as_str().into()])
            .await?;
        let mut places = HashMap::with_capacity(rows.len());
        for row in &rows {
            places.insert(row.text(0)?.to_owned(), unsigned(row.int(1)?)?);
        }
        let mut behind = Vec::new();
        for head in heads {
            let next = places.get(head.log.as_str()).copied().unwrap_or(0);
            if wanted(logs, &head.log) && next < head.edge.size() {
                behind.push((head, next));
            }
        }
        Ok(behind)
    }

    /// Notes that everything before `to` has been delivered. False, and nothing done, when this gateway doesn't
    /// hold the lease any more or the place isn't `from`: then another has gone on.
    pub(super) async fn advance(&self, log: &LogName, from: u64, to: u64) -> Result<bool, StoreError> {
        let mut tx = self.db.write().await?;
        let touched = tx
            .execute(
                "INSERT INTO audit_delivery (sink, log, next) \
                 SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT) WHERE EXISTS \
                     (SELECT 1 FROM audit_delivery_lease WHERE sink = $1 AND holder = $5 AND until > {now}) \
                 ON CONFLICT (sink, log) DO UPDATE SET next = excluded.next WHERE audit_delivery.next = $4",
                &[
                    self.sink.as_str().into(),
                    log.as_str().into(),
                    signed(to).into(),
                    signed(from).into(),
                    self.holder.as_str().into(),
                ],
            )
            .await?;
        tx.commit().await?;
        Ok(touched > 0)
    }
}

fn wanted(logs: &DeliveredLogs, log: &LogName) -> bool {
    match (logs, log) {
        (DeliveredLogs::All, _)
        | (DeliveredLogs::Platform, LogName::Platform)
        | (DeliveredLogs::Orgs, LogName::Org(_)) => true,
        (DeliveredLogs::Org(wanted), LogName::Org(org)) => wanted == org,
        (DeliveredLogs::Platform, LogName::Org(_))
        | (DeliveredLogs::Orgs | DeliveredLogs::Org(_), LogName::Platform) => false,
    }
}
