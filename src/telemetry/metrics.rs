//! All metrics of the process, and their names.

use super::delivery::DeliveryMetrics;
use super::hot::{CLASSES, Hot, HotCollector};
use super::live::LiveMetrics;
use prometheus::core::Collector;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// A stage of a request, as in docs/life-of-a-request.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageName {
    /// Arrival to principal.
    Authenticate,
    /// Facts and decision.
    Authorize,
    /// Durable entry.
    Record,
    /// Until the upstream's response head.
    Upstream,
    /// Arrival to end.
    Total,
}

impl StageName {
    pub(super) const ALL: [Self; 5] =
        [Self::Authenticate, Self::Authorize, Self::Record, Self::Upstream, Self::Total];

    /// The value of the label `stage`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Record => "record",
            Self::Upstream => "upstream",
            Self::Total => "total",
        }
    }
}

struct Inner {
    registry: Registry,
    hot: Arc<Hot>,
    audit_entries: IntCounter,
    audit_failures: IntCounter,
    audit_queue: IntGauge,
    audit_unsequenced: IntGauge,
    audit_unsequenced_age: Gauge,
    impersonations: IntGauge,
    policy: IntGaugeVec,
    reloads_ok: IntCounter,
    reloads_rejected: IntCounter,
    view_age: Gauge,
    access_lost: IntCounter,
    live: LiveMetrics,
    delivery: DeliveryMetrics,
}

/// All metrics of the process. Cheap to clone; every method is lock-free or nearly so.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics in a registry of their own, all at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let hot = Arc::new(Hot::new());
        add(&registry, HotCollector(hot.clone()));
        let reloads =
            register(&registry, IntCounterVec::new(opts("policy_reloads_total", RELOADS), &["result"]));
        let counter = |name, help| register(&registry, IntCounter::with_opts(opts(name, help)));
        let gauge = |name, help| register(&registry, IntGauge::with_opts(opts(name, help)));
        let inner = Inner {
            hot,
            audit_entries: counter("audit_entries_total", "Entries committed to either log."),
            audit_failures: counter("audit_failures_total", "Audit transactions that failed."),
            audit_queue: gauge("audit_queue_depth", "Entries that wait for the audit writer."),
            audit_unsequenced: gauge(
                "audit_unsequenced_transactions",
                "Audit transactions whose entries have no place in the trees yet.",
            ),
            audit_unsequenced_age: register(
                &registry,
                Gauge::with_opts(opts(
                    "audit_unsequenced_age_seconds",
                    "How long the oldest entry has been waiting for its place in the trees.",
                )),
            ),
            impersonations: gauge("impersonations_live", "Impersonations that are live now."),
            policy: register(
                &registry,
                IntGaugeVec::new(opts("policy_info", "The policy set in force; always 1."), &["hash"]),
            ),
            reloads_ok: reloads.with_label_values(&["ok"]),
            reloads_rejected: reloads.with_label_values(&["rejected"]),
            view_age: register(
                &registry,
                Gauge::with_opts(opts("view_age_seconds", "Age of what the gateway knows of changes.")),
            ),
            access_lost: counter("access_lines_lost_total", "Access-log lines that found no room."),
            live: LiveMetrics::register(&registry),
            delivery: DeliveryMetrics::register(&registry),
            registry,
        };
        let build = register(
            &inner.registry,
            IntGaugeVec::new(opts("build_info", "The version that runs; always 1."), &["version"]),
        );
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self { inner: Arc::new(inner) }
    }

    /// A decision: `code` is `permit` or the refusal's code.
    pub fn decision(&self, code: &str) {
        self.inner.hot.decisions.count(code);
    }

    /// How long a stage took.
    pub fn stage(&self, stage: StageName, took: Duration) {
        if let Some(latency) = self.inner.hot.stages.get(stage as usize) {
            latency.observe(took);
        }
    }

    /// A request ended with this status; 0 when none was sent.
    pub fn request(&self, status: u16) {
        let class = usize::from(status / 100);
        self.inner.hot.classes.add(if class < CLASSES.len() { class } else { 0 }, 1);
    }

    /// How many requests are open to the upstream: counted by the gate, which caps them, and shown from here.
    #[must_use]
    pub fn open_requests(&self) -> &Arc<AtomicUsize> {
        &self.inner.hot.open_requests
    }

    /// How many entries wait for the audit writer.
    pub fn audit_queue(&self, depth: usize) {
        self.inner.audit_queue.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// How many audit transactions' entries have no place in the trees, and since when (ms).
    pub fn audit_unsequenced(&self, transactions: i64, age: i64) {
        self.inner.audit_unsequenced.set(transactions);
        self.inner.audit_unsequenced_age.set(Duration::from_millis(age.max(0).unsigned_abs()).as_secs_f64());
    }

    /// An audit transaction was committed with this many entries (both logs counted).
    pub fn audit_commit(&self, took: Duration, entries: usize) {
        self.inner.hot.audit_commit.observe(took);
        self.inner.audit_entries.inc_by(entries as u64);
    }

    /// An audit transaction failed.
    pub fn audit_failure(&self) {
        self.inner.audit_failures.inc();
    }

    /// How many impersonations are live.
    pub fn impersonations_live(&self, count: usize) {
        self.inner.impersonations.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The hash of the policy set in force.
    pub fn policy_hash(&self, hash: &str) {
        self.inner.policy.reset();
        self.inner.policy.with_label_values(&[hash]).set(1);
    }

    /// A reload of the policy set was put in force, or refused.
    pub fn policy_reload(&self, accepted: bool) {
        if accepted { self.inner.reloads_ok.inc() } else { self.inner.reloads_rejected.inc() }
    }

    /// How old the gateway's knowledge of changes is.
    pub fn view_age(&self, age: Duration) {
        self.inner.view_age.set(age.as_secs_f64());
    }

    /// Access-log lines that found no room in the queue.
    pub fn access_lines_lost(&self, lines: u64) {
        self.inner.access_lost.inc_by(lines);
    }

    /// Those of the shared live store.
    #[must_use]
    pub fn live(&self) -> LiveMetrics {
        self.inner.live.clone()
    }

    /// Those of the delivery of the logs.
    #[must_use]
    pub fn delivery(&self) -> DeliveryMetrics {
        self.inner.delivery.clone()
    }

    /// Everything, in the text format of Prometheus 0.0.4 ([`prometheus::TEXT_FORMAT`]).
    #[must_use]
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.inner.registry.gather()).unwrap_or_else(|error| {
            tracing::error!(%error, "metrics can't be written");
            String::new()
        })
    }
}

const RELOADS: &str = "Policy sets read: put in force, or refused.";

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("drawbridge_{name}"), help)
}

pub(super) fn add(registry: &Registry, collector: impl Collector + 'static) {
    if let Err(error) = registry.register(Box::new(collector)) {
        tracing::error!(%error, "a metric is not exported");
    }
}

/// Puts a metric into the registry. Names and labels are constants of this file, which a test renders, so
/// what could fail here has failed there.
#[expect(clippy::expect_used, reason = "constant names; `every_family_is_rendered` makes the same calls")]
fn register<M: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<M>) -> M {
    let metric = made.expect("the metric's name and labels are valid");
    add(registry, metric.clone());
    metric
}

#[cfg(test)]
mod tests {
    use super::{Metrics, StageName};
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::Duration;

    #[test]
    fn each_stage_finds_its_histogram() {
        for (index, stage) in StageName::ALL.iter().enumerate() {
            assert_eq!(*stage as usize, index);
        }
    }

    #[test]
    fn every_family_is_rendered() {
        let metrics = Metrics::new();
        metrics.decision("permit");
        metrics.decision("permit");
        metrics.decision("OWNER_ONLY");
        metrics.decision("OUR_OWN_CODE");
        metrics.stage(StageName::Record, Duration::from_micros(900));
        metrics.request(204);
        metrics.request(0);
        metrics.request(999);
        metrics.audit_queue(7);
        metrics.audit_unsequenced(2, 1_500);
        metrics.audit_commit(Duration::from_millis(2), 12);
        metrics.audit_failure();
        metrics.impersonations_live(3);
        metrics.policy_hash("aaaa");
        metrics.policy_hash("bbbb");
        metrics.policy_reload(true);
        metrics.policy_reload(false);
        metrics.view_age(Duration::from_millis(250));
        metrics.access_lines_lost(5);
        let live = metrics.live();
        live.request(crate::telemetry::LiveResult::Hit);
        live.rejected("forged");
        live.error("timeout");
        live.hint();
        live.connected(true);
        let delivery = metrics.delivery();
        delivery.sink("siem");
        delivery.delivered("siem", 3);
        delivery.failure("siem");
        delivery.oldest("siem", 1.5);
        metrics.open_requests().store(1, Relaxed);
        let text = metrics.render();
        for line in [
            r#"drawbridge_decisions_total{code="permit"} 2"#,
            r#"drawbridge_decisions_total{code="OWNER_ONLY"} 1"#,
            r#"drawbridge_decisions_total{code="OUR_OWN_CODE"} 1"#,
            r#"drawbridge_stage_seconds_bucket{stage="record",le="0.000512"} 0"#,
            r#"drawbridge_stage_seconds_bucket{stage="record",le="0.001024"} 1"#,
            r#"drawbridge_stage_seconds_count{stage="record"} 1"#,
            r#"drawbridge_stage_seconds_count{stage="total"} 0"#,
            r#"drawbridge_requests_total{class="2xx"} 1"#,
            r#"drawbridge_requests_total{class="none"} 2"#,
            "drawbridge_audit_queue_depth 7",
            "drawbridge_audit_unsequenced_transactions 2",
            "drawbridge_audit_unsequenced_age_seconds 1.5",
            "drawbridge_audit_commit_seconds_count 1",
            "drawbridge_audit_entries_total 12",
            "drawbridge_audit_failures_total 1",
            "drawbridge_impersonations_live 3",
            r#"drawbridge_policy_info{hash="bbbb"} 1"#,
            r#"drawbridge_policy_reloads_total{result="ok"} 1"#,
            r#"drawbridge_policy_reloads_total{result="rejected"} 1"#,
            "drawbridge_view_age_seconds 0.25",
            "drawbridge_access_lines_lost_total 5",
            r#"drawbridge_live_requests_total{result="hit"} 1"#,
            r#"drawbridge_live_requests_total{result="error"} 0"#,
            r#"drawbridge_live_rejected_total{reason="forged"} 1"#,
            r#"drawbridge_live_errors_total{kind="timeout"} 1"#,
            "drawbridge_live_hints_total 1",
            "drawbridge_live_connected 1",
            r#"drawbridge_delivery_entries_total{sink="siem"} 3"#,
            r#"drawbridge_delivery_failures_total{sink="siem"} 1"#,
            r#"drawbridge_delivery_expired_total{sink="siem"} 0"#,
            r#"drawbridge_delivery_oldest_seconds{sink="siem"} 1.5"#,
            "drawbridge_open_requests 1",
            concat!("drawbridge_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
        }
        assert!(!text.contains("aaaa"));
    }
}
