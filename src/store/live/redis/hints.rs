//! Hears the hints of other gateways. A hint only wakes: who is woken reads the change log.

use super::backoff::Backoff;
use super::envelope::Envelopes;
use super::link::Link;
use super::trouble::Trouble;
use crate::telemetry::LiveMetrics;
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a silent connection is tried.
const CHECK: Duration = Duration::from_secs(1);

/// What the listening task needs.
pub(super) struct Hints {
    pub(super) channel: String,
    pub(super) envelopes: Arc<Envelopes>,
    pub(super) newest: Arc<watch::Sender<u64>>,
    pub(super) hearing: watch::Sender<bool>,
    pub(super) metrics: LiveMetrics,
}

/// Raises the newest hint. It never falls.
pub(super) fn raise(newest: &watch::Sender<u64>, n: u64) {
    newest.send_if_modified(|held| {
        let newer = n > *held;
        *held = n.max(*held);
        newer
    });
}

impl Hints {
    /// Listens, and listens again when the connection breaks, for ever.
    pub(super) async fn hear(self, link: Arc<Link>) {
        let mut backoff = Backoff::new();
        loop {
            if let Err(trouble) = self.listen(&link, &mut backoff).await {
                tracing::debug!(trouble = trouble.as_str(), "hints aren't heard: {trouble}");
            }
            self.hearing.send_replace(false);
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn listen(&self, link: &Link, backoff: &mut Backoff) -> Result<(), Trouble> {
        let connector = link.connector();
        let (mut sink, mut messages) = connector.subscribe(&self.channel, backoff).await?.split();
        self.hearing.send_replace(true);
        loop {
            let pause = backoff.jittered(CHECK);
            tokio::select! {
                message = messages.next() => {
                    let message = message.ok_or(Trouble::Connection)?;
                    match self.envelopes.heard(&self.channel, message.get_payload_bytes()) {
                        Some(n) => {
                            self.metrics.hint();
                            raise(&self.newest, n);
                        }
                        None => self.metrics.rejected("hint"),
                    }
                }
                () = tokio::time::sleep(pause) => {
                    // A connection whose other end is gone says nothing of it by itself.
                    let ping = tokio::time::timeout(connector.timeout(), sink.ping::<redis::Value>()).await;
                    ping.map_err(|_| Trouble::Timeout)?.map_err(|error| Trouble::from(&error))?;
                    backoff.reset();
                }
            }
        }
    }
}
