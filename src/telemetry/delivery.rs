//! Metrics of the delivery of the logs, by receiver.

use prometheus::{GaugeVec, IntCounterVec, Opts, Registry};

/// Metrics of delivery. Cheap to clone.
#[derive(Clone)]
pub struct DeliveryMetrics {
    delivered: IntCounterVec,
    failures: IntCounterVec,
    expired: IntCounterVec,
    oldest: GaugeVec,
}

impl DeliveryMetrics {
    #[expect(clippy::expect_used, reason = "constant names; a test makes the same calls")]
    pub(super) fn register(registry: &Registry) -> Self {
        let opts = |name: &str, help: &str| Opts::new(format!("drawbridge_delivery_{name}"), help);
        let vec = |name: &str, help: &str| {
            IntCounterVec::new(opts(name, help), &["sink"]).expect("the metric's name and label are valid")
        };
        let oldest =
            "Age of the oldest entry that its receiver hasn't got; 0 where another gateway delivers.";
        let metrics = Self {
            delivered: vec("entries_total", "Entries delivered; one that was sent again counts again."),
            failures: vec("failures_total", "Tries that failed; each is made again."),
            expired: vec("expired_total", "Entries that expired before they were delivered."),
            oldest: GaugeVec::new(opts("oldest_seconds", oldest), &["sink"])
                .expect("the metric's name and label are valid"),
        };
        super::metrics::add(registry, metrics.delivered.clone());
        super::metrics::add(registry, metrics.failures.clone());
        super::metrics::add(registry, metrics.expired.clone());
        super::metrics::add(registry, metrics.oldest.clone());
        metrics
    }

    /// There is a receiver of this name: its metrics are there from now on, at zero.
    pub fn sink(&self, sink: &str) {
        self.delivered.with_label_values(&[sink]);
        self.failures.with_label_values(&[sink]);
        self.expired.with_label_values(&[sink]);
        self.oldest(sink, 0.0);
    }

    /// So many entries were delivered.
    pub fn delivered(&self, sink: &str, entries: usize) {
        self.delivered.with_label_values(&[sink]).inc_by(entries as u64);
    }

    /// A try failed.
    pub fn failure(&self, sink: &str) {
        self.failures.with_label_values(&[sink]).inc();
    }

    /// How many failed.
    #[must_use]
    pub fn failures(&self, sink: &str) -> u64 {
        self.failures.with_label_values(&[sink]).get()
    }

    /// So many entries expired before they were delivered.
    pub fn expired(&self, sink: &str, entries: usize) {
        self.expired.with_label_values(&[sink]).inc_by(entries as u64);
    }

    /// How old the oldest is that the receiver hasn't got, in seconds.
    pub fn oldest(&self, sink: &str, seconds: f64) {
        self.oldest.with_label_values(&[sink]).set(seconds);
    }
}
