//! The records were put back to an earlier state, or a failover lost the newest: what was revoked since may be
//! live again in them. So every staff session and every impersonation ends, and this gateway forgets what it knew.

use super::super::Access;
use super::super::end::{LiveGrants, end_grants};
use super::super::entries;
use super::super::transaction::{ActError, Done};
use super::super::view::Whose;
use crate::audit::entry::Stage;
use crate::domain::ids::{PlatformUserId, Subject};
use crate::domain::{Event, RevokeReason};
use crate::store::change::{self, Position};
use crate::store::{ChangeRecord, Db, Effect, StoreError};

impl Access {
    /// Ends what must not be trusted, forgets everything, and gives the place to go on from.
    ///
    /// # Errors
    /// [`StoreError`]; the lease stays void until it is done.
    pub(in crate::access) async fn start_over(&self, db: &Db) -> Result<Position, StoreError> {
        tracing::error!(
            "the change log is not the one that was read before (a restore, or a failover that lost commits): \
             every staff session and impersonation ends"
        );
        self.lease.void();
        self.view.cut(Whose::Everybody);
        match self.end_all_staff_access().await {
            Ok(ended) => {
                tracing::error!(impersonations = ended, "staff sessions and impersonations are ended");
            }
            Err(ActError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "staff access can't be ended");
            }
        }
        let mut tx = db.read().await?;
        let position = change::position(&mut tx).await?;
        drop(tx);
        self.view.start_over(position.n);
        self.live.start_over(position.n);
        Ok(position)
    }

    async fn end_all_staff_access(&self) -> Result<usize, ActError> {
        const WHY: RevokeReason = RevokeReason::RecordsRestored;
        let template = entries::system(Event::ImpersonationEnded, Stage::Act, self.clock.now());
        self.act(move |tx| {
            let template = template.clone();
            Box::pin(async move {
                tx.rows("SELECT id FROM platform_user ORDER BY id {for_update}", &[]).await?;
                let (ended, change) = end_grants(tx, &LiveGrants::All, WHY, &template).await?;
                let pattern = format!("{}%", PlatformUserId::PREFIX);
                let sessions = tx
                    .rows(
                        "UPDATE session SET ended_at = {now}, revoke_reason = $1 \
                         WHERE ended_at IS NULL AND subject_id LIKE $2 RETURNING id",
                        &[WHY.as_str().into(), pattern.into()],
                    )
                    .await?;
                let subjects: Vec<Subject> = sessions
                    .iter()
                    .map(|row| Ok(Subject::from_stored(row.text(0)?)))
                    .collect::<Result<_, StoreError>>()?;
                let mut changes: Vec<ChangeRecord> = change.into_iter().collect();
                if !subjects.is_empty() {
                    changes.push(ChangeRecord { effect: Effect::Ended(Some(WHY)), subjects });
                }
                Ok(Done::changed(ended.len(), changes))
            })
        })
        .await
    }
}
