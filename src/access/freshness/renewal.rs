//! The renewal of the lease: a thread, a runtime and a connection of their own, so that no load elsewhere makes
//! it late.
//!
//! Each round: note the time, write one's row, *then* read the change log and apply it, then extend the lease
//! from the noted time. The write is committed before the log is read, never in one statement with it: a revoker
//! who doesn't see the row has committed before the reading began (Dekker's argument; docs/adr/0005).

use super::super::Access;
use super::super::view::Whose;
use super::divergence::{Recorded, Timeline};
use super::follower::{Followed, Follower};
use super::gateways::{self, Own};
use super::{Cluster, Freshness, Rule};
use crate::domain::{Millis, boot_time};
use crate::store::{Db, StoreError};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// From one renewal to the next.
const INTERVAL: Duration = Duration::from_millis(200);
/// A renewal that takes longer is given up.
const TOO_LONG: Duration = Duration::from_secs(1);
/// What is open is cut so long after its lease has lapsed, so that it is closed within a second of a revocation
/// that this gateway didn't hear of, and a short outage of the records cuts nothing.
const GRACE: Millis = 800;
/// How often that is looked at.
const WATCH: Duration = Duration::from_millis(100);

/// A gateway's renewal, running until it is told to leave.
pub struct Following {
    ended: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Following {
    /// Leaves: the others need not wait for this gateway any more. To be called when nothing is served.
    pub async fn leave(mut self) {
        self.ended.cancel();
        if let Some(thread) = self.thread.take() {
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl Access {
    /// Begins to renew the lease; `None` where none is needed.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn follow(self: &Arc<Self>) -> std::io::Result<Option<Following>> {
        if self.cluster.is_none() {
            return Ok(None);
        }
        let (access, ended) = (self.clone(), CancellationToken::new());
        let stop = ended.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || runtime.block_on(access.keep(&stop)))?;
        Ok(Some(Following { ended, thread: Some(thread) }))
    }

    async fn keep(&self, ended: &CancellationToken) {
        let Some(cluster) = &self.cluster else { return };
        let follower = Follower::starting_at(self.started_at.clone());
        let follower = if self.is_without(Rule::HeadRow) { follower.unchecked() } else { follower };
        let mut rounds =
            Rounds { access: self, cluster, db: None, follower, hints: self.live.hints(), told: false };
        tokio::select! {
            () = rounds.run() => {}
            () = self.cut_what_is_stale() => {}
            () = ended.cancelled() => {}
        }
        rounds.leave().await;
    }

    /// A gateway that can't hear of revocations closes what is open, as it refuses what is new.
    async fn cut_what_is_stale(&self) {
        let mut tick = tokio::time::interval(WATCH);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // Impersonations too: their requests ask the records one by one, what is open under them doesn't.
            let cut = match self.lease.at(boot_time().saturating_sub(GRACE)) {
                Freshness::Fresh => 0,
                Freshness::Tolerable => self.view.cut(Whose::Staff),
                Freshness::Lapsed => self.view.cut(Whose::Everybody),
            };
            if cut > 0 {
                tracing::error!(sessions = cut, "the view is stale: what was open under sessions is cut");
            }
        }
    }
}

struct Rounds<'a> {
    access: &'a Access,
    cluster: &'a Cluster,
    /// A connection of its own, once there is one.
    db: Option<Db>,
    follower: Follower,
    hints: watch::Receiver<u64>,
    /// Whether the running trouble has been said.
    told: bool,
}

/// What a round has shown.
enum Round {
    /// The lease is extended; `news`: something was applied, which the others wait to be told.
    Renewed { news: bool },
    /// The records are not those that were followed.
    Diverged(Option<Timeline>),
}

impl Rounds<'_> {
    async fn run(&mut self) {
        loop {
            let began = tokio::time::Instant::now();
            let again = match self.round_in_time().await {
                Ok(again) => {
                    if std::mem::take(&mut self.told) {
                        tracing::info!("the lease is renewed again");
                    }
                    again
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.told, true) {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "the lease can't be renewed; when it has lapsed, requests are refused (VIEW_STALE)"
                        );
                    }
                    false
                }
            };
            if !again {
                self.pause(began).await;
            }
        }
    }

    /// One renewal; whether another should follow at once. One that takes too long is given up with its
    /// connection: the next may find another server, or another way to this one.
    async fn round_in_time(&mut self) -> Result<bool, StoreError> {
        let round = tokio::time::timeout(TOO_LONG, self.round()).await;
        match round.unwrap_or_else(|_| Err(StoreError::silent()))? {
            Round::Renewed { news } => Ok(news),
            Round::Diverged(timeline) => {
                let position = self.access.start_over(timeline.as_ref()).await?;
                self.follower = Follower::starting_at(position);
                Ok(true)
            }
        }
    }

    /// Until the next renewal is due, or a hint says that there is news.
    async fn pause(&mut self, began: tokio::time::Instant) {
        let applied = self.follower.applied();
        let news = async {
            loop {
                if self.hints.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                if *self.hints.borrow_and_update() > applied {
                    break;
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(began + INTERVAL) => {}
            // Never at once again, whatever the hints say: they come from outside.
            () = news => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }

    async fn round(&mut self) -> Result<Round, StoreError> {
        let db = match &self.db {
            Some(db) => db.clone(),
            None => self.db.insert(self.access.db.private().await?).clone(),
        };
        let policy_hash = self.access.policy.snapshot().hash().clone();
        let own = Own {
            boot: &self.cluster.boot,
            name: &self.cluster.name,
            policy_hash: &policy_hash,
            applied: self.follower.applied(),
        };
        let sent = boot_time();
        let mut tx = db.write().await?;
        gateways::renew(&mut tx, &own).await?;
        tx.commit().await?;
        // In a transaction that begins after that commit, and never before it.
        let mut reading = self.follower.read(&self.access.view, &db).await?;
        let asked = self.access.clock.now();
        let timeline = Timeline::read(&mut reading.tx).await?;
        self.access.note_skew(asked, timeline.time);
        let followed = reading.follow().await?;
        let rows = gateways::all(&mut reading.tx).await?;
        drop(reading);
        self.cluster.sightings.note(rows, boot_time());
        let news = match followed {
            Followed::Diverged => return Ok(Round::Diverged(None)),
            Followed::Applied(news) => news,
        };
        match timeline.state() {
            Recorded::Same => {}
            Recorded::Other => return Ok(Round::Diverged(Some(timeline))),
            Recorded::Nothing => timeline.record(&db).await?,
        }
        self.access.lease.extend(sent);
        self.access.followed();
        Ok(Round::Renewed { news })
    }

    async fn leave(self) {
        self.access.lease.void();
        let Some(db) = self.db else { return };
        let left = async {
            let mut tx = db.write().await?;
            gateways::leave(&mut tx, &self.cluster.boot).await?;
            tx.commit().await
        };
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(1), left).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "others will wait for this gateway's lease to run out"
            );
        }
    }
}
