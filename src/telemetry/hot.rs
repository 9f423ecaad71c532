//! What is counted on every request, and how a scrape reads it.

use super::decisions::Decisions;
use super::metrics::StageName;
use super::sharded::{Counters, Latency};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Values of the label `class`; the place of one is its first digit.
pub(super) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters of the path of every request. None of them takes a lock.
pub(super) struct Hot {
    pub(super) decisions: Decisions,
    pub(super) classes: Counters<6>,
    pub(super) stages: [Latency; 5],
    pub(super) audit_commit: Latency,
    /// One atomic for all threads, because it is compared with a cap; the gate counts in it.
    pub(super) open_requests: Arc<AtomicUsize>,
}

impl Hot {
    pub(super) fn new() -> Self {
        Self {
            decisions: Decisions::new(),
            classes: Counters::new(),
            stages: std::array::from_fn(|_| Latency::new()),
            audit_commit: Latency::new(),
            open_requests: Arc::default(),
        }
    }
}

/// Hands [`Hot`] to a registry.
pub(super) struct HotCollector(pub(super) Arc<Hot>);

impl Collector for HotCollector {
    fn desc(&self) -> Vec<&Desc> {
        // None: descriptions only serve to refuse a second registration, and this is the only one.
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let hot = &self.0;
        let decisions = hot.decisions.totals();
        let decisions = decisions.iter().map(|(code, count)| counted("code", code, *count));
        let classes = CLASSES.iter().zip(hot.classes.totals()).map(|(c, n)| counted("class", c, n));
        let stages = StageName::ALL
            .iter()
            .zip(&hot.stages)
            .map(|(stage, latency)| histogram(Some(("stage", stage.as_str())), latency));
        let mut open = proto::Gauge::default();
        open.set_value(hot.open_requests.load(Relaxed) as f64);
        vec![
            family("decisions_total", "Decisions by code.", MetricType::COUNTER, decisions.collect()),
            family("requests_total", "Requests by status class.", MetricType::COUNTER, classes.collect()),
            family("stage_seconds", "Time in each stage.", MetricType::HISTOGRAM, stages.collect()),
            family(
                "open_requests",
                "Requests that are open to the upstream, streams among them.",
                MetricType::GAUGE,
                vec![proto::Metric::from_gauge(open)],
            ),
            family(
                "audit_commit_seconds",
                "Time of an audit transaction, with its fsync.",
                MetricType::HISTOGRAM,
                vec![histogram(None, &hot.audit_commit)],
            ),
        ]
    }
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<proto::Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(format!("drawbridge_{name}"));
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn label(name: &str, value: &str) -> Vec<LabelPair> {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    vec![pair]
}

fn counted(name: &str, value: &str, count: u64) -> proto::Metric {
    let mut counter = proto::Counter::default();
    counter.set_value(count as f64);
    let mut metric = proto::Metric::from_label(label(name, value));
    metric.set_counter(counter);
    metric
}

fn histogram(labelled: Option<(&str, &str)>, latency: &Latency) -> proto::Metric {
    let totals = latency.totals();
    let buckets = totals.buckets.iter().map(|(bound, count)| {
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(*count);
        bucket
    });
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(totals.count);
    histogram.set_sample_sum(totals.sum_seconds);
    let mut metric =
        proto::Metric::from_label(labelled.map(|(name, value)| label(name, value)).unwrap_or_default());
    metric.set_histogram(histogram);
    metric
}
