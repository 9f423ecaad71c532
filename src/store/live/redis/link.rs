//! The connection of this process: made, watched and made anew by one task, used by everyone else.
//!
//! Nobody waits for a connection: while there is none, a call fails at once. So a Redis that is gone or slow
//! costs the calls that are under way when it stops at most the timeout each, and the others nothing.

use super::backoff::Backoff;
use super::connect::{Conn, Connector};
use super::trouble::Trouble;
use crate::telemetry::LiveMetrics;
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use redis::{Cmd, FromRedisValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How often the connection is looked after, about.
const CHECK: Duration = Duration::from_secs(1);
/// Failed checks of a cluster before its connections are made anew: one node that is gone is its own business.
const CLUSTER_PATIENCE: u32 = 3;

/// The connection of this process.
pub(super) struct Link {
    connector: Connector,
    /// An `ArcSwap` because every call reads it and only one task writes it.
    current: ArcSwapOption<Conn>,
    /// The connection was found unusable.
    lost: Notify,
    connected: watch::Sender<bool>,
    last: Mutex<Option<Trouble>>,
    metrics: LiveMetrics,
}

impl Link {
    pub(super) fn new(connector: Connector, metrics: LiveMetrics) -> Self {
        Self {
            connector,
            current: ArcSwapOption::empty(),
            lost: Notify::new(),
            connected: watch::Sender::new(false),
            last: Mutex::new(None),
            metrics,
        }
    }

    pub(super) const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Whether a connection stands, to wait on.
    pub(super) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    /// What was wrong last.
    pub(super) fn last_trouble(&self) -> Option<Trouble> {
        *self.last.lock()
    }

    /// Remembers and counts.
    pub(super) fn note(&self, trouble: Trouble) {
        // That there is no connection isn't why there is none.
        if trouble != Trouble::Disconnected {
            *self.last.lock() = Some(trouble);
        }
        self.metrics.error(trouble.as_str());
    }

    /// Asks, and takes no longer than the timeout.
    pub(super) async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Trouble> {
        let answer = self.try_query(cmd).await;
        if let Err(trouble) = &answer {
            self.note(*trouble);
        }
        answer
    }

    async fn try_query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Trouble> {
        let used = self.current.load_full().ok_or(Trouble::Disconnected)?;
        let mut conn = Conn::clone(&used);
        let trouble = match tokio::time::timeout(self.connector.timeout(), conn.query(cmd)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Trouble::from(&error),
            Err(_) => Trouble::Timeout,
        };
        // A cluster's client looks after its nodes itself.
        if trouble.ends_connection() && matches!(*used, Conn::Node { .. }) {
            self.lose(&used);
        }
        Err(trouble)
    }

    /// Gives a connection up, unless it has been replaced already.
    fn lose(&self, used: &Arc<Conn>) {
        let before = self.current.compare_and_swap(used, None);
        if before.as_ref().is_some_and(|current| Arc::ptr_eq(current, used)) {
            self.connected.send_replace(false);
            self.metrics.connected(false);
            self.lost.notify_one();
        }
    }

    /// Connects, looks after the connection, and connects again, for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut backoff = Backoff::new();
        let mut told = None;
        loop {
            match self.connector.connect(&mut backoff).await {
                Ok(conn) => {
                    tracing::info!("connected to Redis");
                    told = None;
                    let since = Instant::now();
                    let why = self.watch(Arc::new(conn), &mut backoff).await;
                    tracing::warn!(trouble = why.as_str(), "the connection to Redis is given up: {why}");
                    // One that broke at once is no reason to hurry.
                    if since.elapsed() > CHECK {
                        backoff.reset();
                    }
                }
                Err(trouble) => {
                    self.note(trouble);
                    // Once for each kind, not once for each try.
                    if told != Some(trouble) {
                        tracing::warn!(trouble = trouble.as_str(), "Redis can't be reached: {trouble}");
                        told = Some(trouble);
                    }
                }
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Lets everybody use the connection for as long as it is good.
    async fn watch(&self, conn: Arc<Conn>, backoff: &mut Backoff) -> Trouble {
        self.current.store(Some(conn.clone()));
        self.metrics.connected(true);
        self.connected.send_replace(true);
        let (mut own, mut failed) = (Conn::clone(&conn), 0);
        loop {
            let pause = backoff.jittered(CHECK);
            tokio::select! {
                () = self.lost.notified() => {
                    // Of this connection, or a late word of the one before.
                    if self.current.load().is_none() {
                        return self.last_trouble().unwrap_or(Trouble::Connection);
                    }
                }
                () = tokio::time::sleep(pause) => {
                    let checked = self.connector.check(&mut own, backoff).await;
                    failed = if checked.is_err() { failed + 1 } else { 0 };
                    let patience = if matches!(own, Conn::Cluster(_)) { CLUSTER_PATIENCE } else { 1 };
                    if let Err(trouble) = checked {
                        self.note(trouble);
                        if failed >= patience {
                            self.current.store(None);
                            self.connected.send_replace(false);
                            self.metrics.connected(false);
                            return trouble;
                        }
                    }
                }
            }
        }
    }
}
