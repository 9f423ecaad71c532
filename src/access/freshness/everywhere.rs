//! What a revoking call waits for before it answers: that the change is in force on every gateway.

use super::super::Access;
use super::lease::RUN_OUT;
use super::{Cluster, Gateway, Rule, gateways};
use crate::domain::boot_time;
use crate::store::StoreError;
use std::time::Duration;

/// However long the records take to answer: by then no lease of before the commit is good any more.
const LEASES_RUN_OUT: Duration = Duration::from_millis(RUN_OUT.unsigned_abs());
/// Between two looks at the others' rows, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(8));

impl Access {
    /// Waits until change `n`, which is committed, is in force on every gateway that may be serving: it says so
    /// in its row, or its lease has run out. That takes [`RUN_OUT`] at most, whatever can't be reached: a lease
    /// that was renewed after the commit has the change applied (architecture §5.4).
    pub(in crate::access) async fn in_force_everywhere(&self, n: u64) {
        let Some(cluster) = self.cluster.as_ref().filter(|_| !self.is_without(Rule::Wait)) else { return };
        let asking = self.all_have_applied(cluster, n);
        if tokio::time::timeout(LEASES_RUN_OUT, asking).await.is_err() {
            tracing::warn!(
                boot = %cluster.boot, change = n,
                "a change is answered because leases have run out, not because all gateways said they applied it"
            );
        }
    }

    /// Asks until all say so, however long that takes.
    async fn all_have_applied(&self, cluster: &Cluster, n: u64) {
        let mut pause = PAUSES.0;
        loop {
            match self.laggards(cluster, n).await {
                Ok(late) if late.is_empty() => return,
                Ok(late) => tracing::debug!(late = late.join(", "), change = n, "waiting for gateways"),
                Err(error) => tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the gateways can't be asked how far they are; their leases are waited for"
                ),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// The gateways that may be serving and haven't applied change `n`.
    async fn laggards(&self, cluster: &Cluster, n: u64) -> Result<Vec<String>, StoreError> {
        // What this process has committed is in force here before its row says so.
        let own = |g: &Gateway| g.boot == cluster.boot.as_str() && self.view.has_applied(n);
        let all = self.gateways().await?;
        Ok(all.into_iter().filter(|g| g.applied < n && !own(g)).map(|g| g.name).collect())
    }

    /// The gateways that may be serving, this one too once it has joined.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gateways(&self) -> Result<Vec<Gateway>, StoreError> {
        let Some(cluster) = &self.cluster else { return Ok(Vec::new()) };
        let mut tx = self.db.read().await?;
        let rows = gateways::all(&mut tx).await?;
        drop(tx);
        Ok(cluster.sightings.note(rows, boot_time()))
    }
}
