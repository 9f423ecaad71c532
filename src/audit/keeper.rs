//! The task that lets expired entries leave, and that hears what the database has to tell.

use super::{notices, retention};
use crate::domain::{Retention, with_causes};
use crate::store::{Db, StoreError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Between two looks at the notices.
const NOTICES: Duration = Duration::from_secs(1);
/// Between two looks at what has expired.
const EXPIRY: Duration = Duration::from_secs(3_600);
/// The same after one that failed.
const AGAIN: Duration = Duration::from_secs(60);

/// The task of this gateway.
pub struct Keeper {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Keeper {
    /// Starts it on the current runtime. `wanted` is what the configuration asks for.
    #[must_use]
    pub fn start(db: Db, wanted: Retention) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(db, wanted, stop.clone()));
        Self { stop, task }
    }

    /// Stops it between two transactions.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "retention has stopped");
        }
    }
}

async fn run(db: Db, wanted: Retention, stop: CancellationToken) {
    let mut tick = tokio::time::interval(NOTICES);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut agreed = None;
    let mut due = Instant::now();
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        // The reserve is for revocations alone.
        if db.reserve_is_spent() {
            continue;
        }
        let work = async {
            notices::take(&db).await?;
            if due > Instant::now() {
                return Ok(false);
            }
            let keep = match agreed {
                Some(keep) => keep,
                None => *agreed.insert(retention::agree(&db, wanted).await?),
            };
            let gone = retention::expire(&db, keep, &stop).await?;
            if gone > 0 {
                tracing::info!(gone, "entries of the audit log have expired");
            }
            Ok(true)
        };
        let worked: Result<bool, StoreError> = work.await;
        let failed = worked.is_err();
        match worked {
            Ok(false) => {}
            Ok(true) => due = Instant::now() + EXPIRY,
            Err(error) => {
                if !failing {
                    let error = with_causes(&error);
                    tracing::error!(
                        error,
                        "expired entries can't leave the audit log, or notices can't be read"
                    );
                }
                due = Instant::now() + AGAIN;
                // What the disk says afterwards can't be believed.
                if matches!(error, StoreError::Io(_)) {
                    return;
                }
            }
        }
        failing = failed;
    }
}
