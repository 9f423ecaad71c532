//! The writer's task: gather, commit, answer, again.

use super::batch::{Batch, Committed, MAX, Verdict};
use super::{AuditError, Closing, OpenIntent, Recovery, Reply, Shared, Work, share_of};
use crate::audit::entry::Entry;
use crate::audit::rows::Opened;
use crate::audit::tree::Hash;
use crate::domain::fail_point;
use crate::store::StoreError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// How often attribution is written and `closed_before` moved.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether another gateway is gone.
const DEAD: Duration = Duration::from_secs(10);
/// Ticks between two countings of repeated refusals.
const REPEATS: u32 = 10;

/// What the task knows between two commits.
struct Writer {
    shared: Arc<Shared>,
    /// Whether earlier boots' intents are closed.
    recovery: Recovery,
    /// Positions before the transactions of open intents, with how many are open of each.
    bases: BTreeMap<i64, usize>,
    /// The latest of them.
    latest: i64,
    /// What stands in the gateway's row.
    closed_before: i64,
    /// Outcomes and other entries of a transaction that failed: they go with the next.
    carried: (Vec<Closing>, Vec<Entry>),
    /// Intents whose transaction may be there though its answer was lost.
    doubtful: Vec<Opened>,
    ticks: u32,
    /// What gathers without being pressing is due.
    due: bool,
    /// Repeated refusals are due.
    repeats_due: bool,
    /// The last transaction failed: what only waits is tried again at the next tick.
    failing: bool,
    /// The failure has been told.
    told: bool,
}

/// Runs until drained.
pub(super) async fn run(shared: Arc<Shared>, recovery: Recovery) {
    let _last = Last(shared.clone());
    let closed = match recovery {
        Recovery::Done(at) => at,
        Recovery::Due | Recovery::NotOurs => 0,
    };
    let mut writer = Writer {
        shared: shared.clone(),
        recovery,
        bases: BTreeMap::new(),
        latest: closed,
        closed_before: closed,
        carried: (Vec::new(), Vec::new()),
        doubtful: Vec::new(),
        ticks: 0,
        due: false,
        repeats_due: false,
        failing: false,
        told: false,
    };
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let draining = shared.inbox.lock().draining;
        let batch = writer.gather(draining);
        if !batch.is_empty() {
            writer.write(batch).await;
        } else if draining {
            break;
        } else {
            tokio::select! {
                () = shared.wake.notified() => {}
                _ = tick.tick() => writer.tick(),
            }
        }
        if draining && writer.failing {
            break;
        }
    }
}

/// However the task ends, nobody waits for it.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        let mut inbox = self.0.inbox.lock();
        inbox.draining = true;
        // Whoever waits for an answer hears that there is none.
        let mut left = std::mem::replace(&mut inbox.work, super::Fair::bounded(0));
        drop(inbox);
        left.clear();
        self.0.stopped.send_replace(true);
    }
}

impl Writer {
    fn tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        self.due = true;
        self.repeats_due |= self.ticks.is_multiple_of(REPEATS);
        self.failing = false;
    }

    /// What the next transaction writes.
    fn gather(&mut self, draining: bool) -> Batch {
        let mut batch = Batch::default();
        let mut inbox = self.shared.inbox.lock();
        while batch.work.len() < MAX
            && let Some(work) = inbox.work.pop()
        {
            batch.work.push(work);
        }
        if self.failing && batch.work.is_empty() && !draining {
            return batch;
        }
        (batch.closings, batch.others) = std::mem::take(&mut self.carried);
        let room = MAX.saturating_sub(batch.closings.len()).min(inbox.closings.len());
        batch.closings.extend(inbox.closings.drain(..room));
        let full = inbox.uses.len() >= MAX;
        if (self.due || full || draining) && batch.others.len() < MAX {
            batch.others.extend(inbox.uses.take(MAX - batch.others.len()));
        }
        drop(inbox);
        if (self.repeats_due || draining) && batch.others.len() < MAX {
            batch.others.extend(self.shared.repeats.lock().take());
            self.repeats_due = false;
        }
        if self.due || draining {
            let closed = self.bases.first_key_value().map_or(self.latest, |(base, _)| *base);
            // After a failure it is written again as it is: a small write that shows whether there is room.
            let ours = matches!(self.recovery, Recovery::Done(_));
            batch.closed_before = Some(closed).filter(|n| (*n > self.closed_before || self.told) && ours);
            self.due = false;
        }
        batch
    }

    async fn write(&mut self, batch: Batch) {
        let begun = Instant::now();
        let committed = self.commit(&batch).await;
        let took = begun.elapsed();
        match committed {
            Ok(committed) => {
                self.failing = false;
                if std::mem::take(&mut self.told) {
                    tracing::info!("the audit log is written again");
                    *self.shared.failing.lock() = None;
                }
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.shared.last_commit_micros.store(micros, Ordering::Relaxed);
                if let Some(observer) = self.shared.on_commit.get() {
                    observer(took, Ok(batch.len()));
                }
                self.committed(batch, &committed);
            }
            Err(error) => {
                if let Some(observer) = self.shared.on_commit.get() {
                    observer(took, Err(&error));
                }
                self.failed(batch, &error);
            }
        }
    }

    async fn commit(&mut self, batch: &Batch) -> Result<Committed, AuditError> {
        self.shared.healthy()?;
        let stored = async {
            let db = &self.shared.db;
            if db.reserve_is_spent() && !db.refill_reserve() {
                return Err(StoreError::kept_for_revocations());
            }
            if self.recovery == Recovery::Due {
                self.latest = super::recovery::run(db, &self.shared.gateway).await?;
                self.closed_before = self.latest;
                self.recovery = Recovery::Done(self.latest);
            }
            if !self.doubtful.is_empty() {
                super::recovery::settle(db, &self.doubtful).await?;
                self.doubtful.clear();
            }
            batch.commit(db, &self.shared.gateway).await
        };
        let stored = stored.await;
        if let Err(StoreError::Unknown(_)) = &stored {
            let intents = batch.work.iter().filter(|work| matches!(work.reply, Reply::Intent(_)));
            self.doubtful.extend(intents.map(|work| opened(&work.entry)));
        }
        stored.map_err(|error| {
            if matches!(error, StoreError::Io(_)) {
                // What was refused may be there after a restart: nothing is tried again before.
                self.shared.latched.store(true, Ordering::SeqCst);
                tracing::error!(%error, "the audit log is shut until the gateway is restarted");
            }
            AuditError::Store(Arc::new(error))
        })
    }

    fn committed(&mut self, batch: Batch, committed: &Committed) {
        {
            let mut open = self.shared.open.lock();
            for closing in &batch.closings {
                open.give_back(&closing.share);
                if let Some(count) = self.bases.get_mut(&closing.base) {
                    *count -= 1;
                    if *count == 0 {
                        self.bases.remove(&closing.base);
                    }
                }
            }
        }
        if let Some(n) = batch.closed_before {
            self.closed_before = n;
        }
        let found = committed.verdicts.iter().zip(&committed.leaves);
        for (work, (verdict, leaf)) in batch.work.into_iter().zip(found) {
            self.answer(work, *verdict, *leaf, committed.base);
            fail_point("writer.answered");
        }
    }

    fn answer(&mut self, work: Work, verdict: Verdict, leaf: Hash, base: i64) {
        match (work.reply, verdict) {
            (Reply::Intent(reply), Verdict::Live(seq)) => {
                *self.bases.entry(base).or_default() += 1;
                self.latest = base;
                let open = OpenIntent {
                    shared: self.shared.clone(),
                    share: share_of(&work.entry),
                    opened: Some(opened(&work.entry)),
                    base,
                    seq,
                    leaf,
                    dropped: "not_forwarded",
                };
                // Nobody there to take it: dropped, and so closed as not forwarded.
                let _ = reply.send(Ok(open));
            }
            (Reply::Intent(reply), Verdict::Ended(reason)) => {
                self.shared.open.lock().give_back(&share_of(&work.entry));
                let _ = reply.send(Err(super::IntentError::Ended(reason)));
            }
            (Reply::Intent(reply), Verdict::Recorded) => {
                self.shared.open.lock().give_back(&share_of(&work.entry));
                let _ = reply.send(Err(AuditError::Busy.into()));
            }
            (Reply::Plain(reply), _) => {
                let _ = reply.send(Ok(()));
            }
        }
    }

    fn failed(&mut self, batch: Batch, error: &AuditError) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::error!(
                error = crate::domain::with_causes(error),
                entries = batch.len(),
                "the audit log wasn't written"
            );
        }
        *self.shared.failing.lock() = Some(error.clone());
        self.failing = true;
        self.carried = (batch.closings, batch.others);
        for work in batch.work {
            match work.reply {
                Reply::Intent(reply) => {
                    self.shared.open.lock().give_back(&share_of(&work.entry));
                    let _ = reply.send(Err(error.clone().into()));
                }
                Reply::Plain(reply) => {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// What closing the intent `entry` will need.
fn opened(entry: &Entry) -> Opened {
    Opened {
        request_id: entry.request_id.clone(),
        event: entry.event,
        org_id: entry.org_id.clone(),
        impersonation_id: entry.impersonation_id.clone(),
    }
}

/// Closes what gateways that are gone left open, now and then, until the writer has stopped.
pub(super) async fn close_of_the_dead(shared: Arc<Shared>) {
    let mut stopped = shared.stopped.subscribe();
    let mut tick = tokio::time::interval(DEAD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = super::recovery::close_of_the_dead(&shared.db, &shared.gateway).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what other gateways left open can't be closed yet"
            );
        }
    }
}
