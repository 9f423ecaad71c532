//! One receiver's task: take the lease, send what is behind in order, note how far that was, wait for more.

use super::Timing;
use super::pause::Pauses;
use super::place::Places;
use super::send::Way;
use super::webhook;
use crate::audit::follow::grown;
use crate::audit::leaves::Head;
use crate::audit::message::Message;
use crate::audit::reader::AuditReader;
use crate::audit::tree::LogName;
use crate::config::{DeliveredAs, DeliveredLogs};
use crate::domain::{Clock as _, Millis};
use crate::store::StoreError;
use crate::telemetry::DeliveryMetrics;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What one task has.
pub(super) struct Task {
    pub(super) reader: AuditReader,
    pub(super) places: Places,
    pub(super) logs: DeliveredLogs,
    pub(super) shape: DeliveredAs,
    pub(super) way: Way,
    pub(super) metrics: DeliveryMetrics,
    pub(super) timing: Timing,
    pub(super) stop: CancellationToken,
    /// Until when, by this machine's clock, nobody else delivers.
    pub(super) held: Option<Instant>,
    /// Logs whose last try failed, and those that aren't delivered to the end.
    pub(super) behind: HashMap<LogName, Behind>,
}

/// A log of which the receiver hasn't got all.
#[derive(Default)]
pub(super) struct Behind {
    /// Not before.
    until: Option<Instant>,
    pauses: Option<Pauses>,
    /// Where the message that failed ended: tried again it is the same, with the same id.
    ended: Option<u64>,
    /// When the first entry that it hasn't got was written.
    oldest: Option<Millis>,
}

impl Task {
    /// Delivers until it is told to stop.
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut progress = self.reader.progress();
        let mut told = false;
        while !stop.is_cancelled() {
            progress.mark_unchanged();
            let wait = match self.round().await {
                Ok(wait) => {
                    told = false;
                    wait
                }
                Err(error) => {
                    // Once, not every second: a database stays away for a while.
                    if !std::mem::replace(&mut told, true) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(sink = %self.places.sink, error, "delivery can't read the records");
                    }
                    self.timing.look
                }
            };
            let more = async {
                // Who doesn't deliver has nothing to do with what comes.
                if self.held.is_some() {
                    grown(&mut progress, wait).await;
                } else {
                    tokio::time::sleep(wait).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = more => {}
            }
        }
        if self.held.is_some()
            && let Err(error) = self.places.let_go().await
        {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(sink = %self.places.sink, error, "the lease on a receiver runs out by itself");
        }
    }

    /// Sends what is there to send; how long to wait before looking again.
    async fn round(&mut self) -> Result<Duration, StoreError> {
        loop {
            if !self.hold().await? {
                self.behind.clear();
                self.metrics.oldest(&self.places.sink, 0.0);
                return Ok(self.timing.takeover);
            }
            let behind = self.places.behind(&self.logs).await?;
            self.behind.retain(|log, _| behind.iter().any(|(head, _)| head.log == *log));
            let mut sent = false;
            // One message of each log in turn, so that a long one doesn't keep the others waiting.
            for (head, next) in behind {
                if self.stop.is_cancelled() {
                    return Ok(Duration::ZERO);
                }
                let paused = self.behind.get(&head.log).and_then(|behind| behind.until);
                if paused.is_none_or(|until| until <= Instant::now()) {
                    if !self.hold().await? {
                        break;
                    }
                    sent |= self.deliver(&head, next).await?;
                }
            }
            self.show_oldest();
            if !sent {
                let due = self.behind.values().filter_map(|behind| behind.until).min();
                let due = due.map(|until| until.saturating_duration_since(Instant::now()));
                return Ok(due.map_or(self.timing.look, |due| due.min(self.timing.look)));
            }
        }
    }

    /// Whether this gateway delivers, for long enough to try once.
    async fn hold(&mut self) -> Result<bool, StoreError> {
        let asked = Instant::now();
        // More than a try may take is left of it: the lease outlives what is done under it.
        if self.held.is_some_and(|until| until > asked + self.timing.lease / 2) {
            return Ok(true);
        }
        self.held = None;
        if self.places.hold(self.timing.lease).await? {
            self.held = Some(asked + self.timing.lease);
        }
        Ok(self.held.is_some())
    }

    /// Sends the next message of one log; whether it got through.
    async fn deliver(&mut self, head: &Head, from: u64) -> Result<bool, StoreError> {
        let ended = self.behind.get(&head.log).and_then(|behind| behind.ended);
        let message = Message::read(&self.reader, head, from, ended, self.shape).await?;
        let Some(message) = message else { return Ok(false) };
        self.behind.entry(head.log.clone()).or_default().oldest = message.oldest;
        let sink = &self.places.sink;
        let verifier = self.reader.verifier(&head.log);
        let id = webhook::id(&verifier.to_string(), sink, message.from, message.to);
        let now = self.places.db.clock().now();
        // Nothing to say is said by nobody: intents alone make no event.
        let sent = if message.items.is_empty() {
            Ok(())
        } else {
            tokio::select! {
                sent = self.way.send(&message, &id, now, self.timing.answer) => sent,
                () = self.over() => return Ok(false),
            }
        };
        if let Err(error) = sent {
            self.metrics.failure(sink);
            let error = &error as &dyn std::error::Error;
            tracing::warn!(%sink, log = %head.log, from, error, "entries can't be delivered; they will be sent again");
            let (first, longest) = (self.timing.first_pause, self.timing.longest_pause);
            let behind = self.behind.entry(head.log.clone()).or_default();
            let pause = behind.pauses.get_or_insert_with(|| Pauses::new(first, longest)).next();
            behind.until = Some(Instant::now() + pause);
            behind.ended = Some(message.to);
            return Ok(false);
        }
        if !self.places.advance(&head.log, from, message.to).await? {
            // Another gateway has taken over; it sends them again.
            self.held = None;
            return Ok(false);
        }
        self.metrics.delivered(sink, message.entries);
        if message.expired > 0 {
            self.metrics.expired(sink, message.expired);
            tracing::error!(%sink, log = %head.log, from, expired = message.expired, "entries expired before they were delivered");
        }
        self.behind.remove(&head.log);
        Ok(true)
    }

    /// What is being sent when the gateway stops has a little time to end well: else it comes twice.
    async fn over(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(self.timing.grace).await;
    }

    fn show_oldest(&self) {
        let now = self.places.db.clock().now();
        let oldest = self.behind.values().filter_map(|behind| behind.oldest).min();
        let age = oldest.map_or(0, |oldest| now.saturating_sub(oldest).max(0));
        let age = Duration::from_millis(u64::try_from(age).unwrap_or_default());
        self.metrics.oldest(&self.places.sink, age.as_secs_f64());
    }
}
