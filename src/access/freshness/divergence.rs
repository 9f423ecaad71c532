//! The records were put back to an earlier state, or a failover lost the newest: what was revoked since may be
//! live again in them. So every staff session and every impersonation ends, and this gateway forgets what it knew.

use super::super::Access;
use super::super::end::{LiveGrants, end_grants};
use super::super::transaction::{ActError, Done};
use super::super::view::Whose;
use crate::audit::entry::{Entry, Stage};
use crate::domain::ids::{PlatformUserId, Subject};
use crate::domain::{Event, Millis, RevokeReason};
use crate::store::change::{self, Position};
use crate::store::{ChangeRecord, Db, Effect, StoreError, Tx};

/// Which history the database is in: a primary that was promoted is in another one, and may lack what the old
/// one had answered (asynchronous replication).
#[derive(Debug, Clone)]
pub(in crate::access) struct Timeline {
    now: String,
    recorded: Option<String>,
    /// What the database's clock said.
    pub(super) time: Millis,
}

/// What the records say of the timeline.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// Nothing yet.
    Nothing,
    /// This one.
    Same,
    /// Another one: there was a failover.
    Other,
}

impl Timeline {
    pub(super) async fn read(tx: &mut Tx) -> Result<Self, StoreError> {
        let row = tx
            .row("SELECT {timeline}, (SELECT value FROM setting WHERE key = 'timeline'), {now}", &[])
            .await?;
        let row = row.ok_or_else(|| StoreError::Corrupt("no timeline".to_owned()))?;
        Ok(Self {
            now: row.text(0)?.to_owned(),
            recorded: row.opt_text(1)?.map(str::to_owned),
            time: row.int(2)?,
        })
    }

    pub(super) fn state(&self) -> Recorded {
        match &self.recorded {
            None => Recorded::Nothing,
            Some(recorded) if *recorded == self.now => Recorded::Same,
            Some(_) => Recorded::Other,
        }
    }

    /// Records the first one.
    pub(super) async fn record(&self, db: &Db) -> Result<(), StoreError> {
        let mut tx = db.write().await?;
        tx.execute(
            "INSERT INTO setting (key, value) VALUES ('timeline', $1) ON CONFLICT DO NOTHING",
            &[self.now.as_str().into()],
        )
        .await?;
        tx.commit().await
    }

    /// Records that there is another one; false if another gateway has done so, and what follows from it.
    async fn move_on(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let before = self.recorded.as_deref().unwrap_or_default();
        let moved = tx
            .execute(
                "UPDATE setting SET value = $1 WHERE key = 'timeline' AND value = $2",
                &[self.now.as_str().into(), before.into()],
            )
            .await?;
        Ok(moved > 0)
    }
}

impl Access {
    /// Ends what must not be trusted, forgets everything, and gives the place to go on from.
    ///
    /// # Errors
    /// [`StoreError`]; the lease stays void until it is done.
    pub(in crate::access) async fn start_over(
        &self,
        timeline: Option<&Timeline>,
    ) -> Result<Position, StoreError> {
        tracing::error!(
            timeline = timeline.map(|t| t.now.as_str()),
            "the records are not those that were followed (a restore, or a failover that may have lost commits): \
             every staff session and impersonation ends"
        );
        self.lease.void();
        self.view.cut(Whose::Everybody);
        match self.end_all_staff_access(timeline).await {
            Ok(ended) => {
                tracing::error!(impersonations = ended, "staff sessions and impersonations are ended");
            }
            Err(ActError::Store(error)) => return Err(error),
            // Not gone on without it: what may have been revoked would be live.
            Err(error) => return Err(StoreError::Corrupt(format!("staff access can't be ended: {error}"))),
        }
        let mut tx = self.db.read().await?;
        let position = change::position(&mut tx).await?;
        drop(tx);
        self.view.start_over(&position);
        Ok(position)
    }

    async fn end_all_staff_access(&self, timeline: Option<&Timeline>) -> Result<usize, ActError> {
        const WHY: RevokeReason = RevokeReason::RecordsRestored;
        let template = Entry::system(Event::ImpersonationEnded, Stage::Act, self.clock.now());
        self.act(move |tx| {
            let (template, timeline) = (template.clone(), timeline.cloned());
            Box::pin(async move {
                if let Some(timeline) = timeline
                    && !timeline.move_on(tx).await?
                {
                    return Ok(Done::unchanged(0));
                }
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
