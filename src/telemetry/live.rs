//! Metrics of the shared live store.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use serde::Serialize;

/// What came of asking for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveResult {
    /// Its facts were there.
    Hit,
    /// They weren't.
    Miss,
    /// Something was there that isn't believed.
    Rejected,
    /// The store can't be used.
    Error,
}

impl LiveResult {
    const ALL: [Self; 4] = [Self::Hit, Self::Miss, Self::Rejected, Self::Error];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Rejected => "rejected",
            Self::Error => "error",
        }
    }
}

/// What was counted, for health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LiveCounts {
    /// Sessions found.
    pub hits: u64,
    /// Sessions not found.
    pub misses: u64,
    /// Sessions found but not believed.
    pub rejected: u64,
    /// Sessions that couldn't be asked for.
    pub errors: u64,
    /// Hints of gateways heard.
    pub hints: u64,
}

/// Metrics of the shared live store. Cheap to clone.
#[derive(Clone)]
pub struct LiveMetrics {
    requests: IntCounterVec,
    rejected: IntCounterVec,
    errors: IntCounterVec,
    hints: IntCounter,
    connected: IntGauge,
}

impl LiveMetrics {
    #[expect(clippy::expect_used, reason = "constant names; a test makes the same calls")]
    pub(super) fn register(registry: &Registry) -> Self {
        let opts = |name: &str, help: &str| Opts::new(format!("drawbridge_live_{name}"), help);
        let vec = |name: &str, help: &str, label| {
            IntCounterVec::new(opts(name, help), &[label]).expect("the metric's name and label are valid")
        };
        let metrics = Self {
            requests: vec("requests_total", "Sessions asked for in the shared live store.", "result"),
            rejected: vec("rejected_total", "Values of the shared live store not believed.", "reason"),
            errors: vec("errors_total", "Failures of the shared live store.", "kind"),
            hints: IntCounter::with_opts(opts("hints_total", "Hints of changes heard."))
                .expect("the metric's name is valid"),
            connected: IntGauge::with_opts(opts("connected", "Whether Redis is connected; 0 without Redis."))
                .expect("the metric's name is valid"),
        };
        for result in LiveResult::ALL {
            metrics.requests.with_label_values(&[result.as_str()]);
        }
        super::metrics::add(registry, metrics.requests.clone());
        super::metrics::add(registry, metrics.rejected.clone());
        super::metrics::add(registry, metrics.errors.clone());
        super::metrics::add(registry, metrics.hints.clone());
        super::metrics::add(registry, metrics.connected.clone());
        metrics
    }

    /// A session was asked for.
    pub fn request(&self, result: LiveResult) {
        self.requests.with_label_values(&[result.as_str()]).inc();
    }

    /// A value, or a hint, wasn't believed.
    pub fn rejected(&self, reason: &'static str) {
        self.rejected.with_label_values(&[reason]).inc();
    }

    /// How many weren't, for this reason.
    #[must_use]
    pub fn rejected_count(&self, reason: &'static str) -> u64 {
        self.rejected.with_label_values(&[reason]).get()
    }

    /// A call, or a connection, failed.
    pub fn error(&self, kind: &'static str) {
        self.errors.with_label_values(&[kind]).inc();
    }

    /// A hint was heard.
    pub fn hint(&self) {
        self.hints.inc();
    }

    /// Whether a connection stands.
    pub fn connected(&self, yes: bool) {
        self.connected.set(i64::from(yes));
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> LiveCounts {
        let requests = |result: LiveResult| self.requests.with_label_values(&[result.as_str()]).get();
        LiveCounts {
            hits: requests(LiveResult::Hit),
            misses: requests(LiveResult::Miss),
            rejected: requests(LiveResult::Rejected),
            errors: requests(LiveResult::Error),
            hints: self.hints.get(),
        }
    }
}
