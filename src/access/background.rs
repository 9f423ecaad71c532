//! What comes by itself: time being over, and changes that an operator's command committed beside us.
//!
//! What is open under a session whose time is over is cut in memory, and each expired grant is ended in the
//! records, with its entry, soon after (never lazily by the next request).

use super::Access;
use super::end::{LiveGrants, end_grants};
use super::freshness::{Followed, Follower};
use super::transaction::{ActError, Done};
use crate::audit::entry::{Entry, Stage};
use crate::domain::ids::{ImpersonationId, Subject};
use crate::domain::{Event, Millis, RevokeReason};
use crate::store::StoreError;
use std::sync::Arc;
use std::time::Duration;

/// How late an expiry may be noticed.
const TICK: Duration = Duration::from_millis(250);
/// How long a session may be idle before what was made ready for it is let go; twice that at most.
const IDLE: Duration = Duration::from_secs(60);
/// Grants ended in one transaction.
const BATCH: i64 = 100;

impl Access {
    /// Runs until the task is dropped.
    pub async fn watch(self: Arc<Self>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut cooled = tokio::time::Instant::now();
        let mut told = false;
        let mut follower = Follower::starting_at(self.started_at.clone());
        loop {
            tick.tick().await;
            self.view.expire(self.clock.now());
            // By itself too: the first request after the setup finds the gate open.
            self.is_set_up().await;
            if cooled.elapsed() >= IDLE {
                self.let_idle_cool().await;
                cooled = tokio::time::Instant::now();
            }
            // Among several gateways the renewal of the lease does it.
            if self.cluster.is_none()
                && let Err(error) = self.follow_alone(&mut follower).await
            {
                tracing::warn!(error = &error as &dyn std::error::Error, "the change log can't be read");
            }
            match self.end_expired().await {
                Ok(_) => told = false,
                // Said once, not four times a second: a full disk stays full for a while.
                Err(error) if !std::mem::replace(&mut told, true) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "expired impersonations can't be recorded yet"
                ),
                Err(_) => {}
            }
        }
    }

    /// Lets go of what was made ready for sessions that don't ask.
    async fn let_idle_cool(&self) {
        let mut next = Some((Millis::MIN, Subject::from_stored("")));
        while let Some(place) = next {
            next = self.view.let_idle_cool(&place);
            tokio::task::yield_now().await;
        }
    }

    /// Applies what an operator's command committed beside us.
    async fn follow_alone(&self, follower: &mut Follower) -> Result<(), StoreError> {
        let followed = follower.read(&self.view, &self.db).await?.follow().await?;
        match followed {
            Followed::Applied(_) => self.followed(),
            Followed::Diverged => *follower = Follower::starting_at(self.start_over(None).await?),
        }
        Ok(())
    }

    /// Ends the impersonations whose time is over; how many.
    ///
    /// # Errors
    /// [`ActError::Store`]; they are refused all the same.
    pub async fn end_expired(&self) -> Result<usize, ActError> {
        let due = {
            let mut tx = self.db.read().await?;
            let rows = tx
                .rows(
                    "SELECT id FROM impersonation WHERE ended_at IS NULL AND expires_at <= {now} ORDER BY id LIMIT $1",
                    &[BATCH.into()],
                )
                .await?;
            rows.iter()
                .map(|row| {
                    ImpersonationId::parse(row.text(0)?).map_err(|e| StoreError::Corrupt(e.to_string()))
                })
                .collect::<Result<Vec<_>, _>>()?
        };
        if due.is_empty() {
            return Ok(0);
        }
        let template = Entry::system(Event::ImpersonationEnded, Stage::Act, self.clock.now());
        self.act(move |tx| {
            let (due, template) = (due.clone(), template.clone());
            Box::pin(async move {
                let (mut ended, mut changes) = (0, Vec::new());
                for id in due {
                    let (all, change) =
                        end_grants(tx, &LiveGrants::One(id), RevokeReason::Expired, &template).await?;
                    ended += all.len();
                    changes.extend(change);
                }
                Ok(Done::changed(ended, changes))
            })
        })
        .await
    }
}
