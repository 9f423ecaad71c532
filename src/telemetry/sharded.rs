//! Counters and histograms for the path of every request.
//!
//! The `prometheus` crate's own are one set of atomics for all threads, and its vectors hash their labels
//! under a lock. Here each worker thread adds to a shard of its own, found by a thread-local, and the
//! shards are summed when somebody scrapes.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// More threads than this share shards, which is correct and only slower.
const SHARDS: usize = 16;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Relaxed) % SHARDS);
}

/// Keeps neighbours off one cache line (two, since processors fetch lines in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// A fixed set of counters, chosen by index.
pub(super) struct Counters<const N: usize> {
    shards: [Padded<[AtomicU64; N]>; SHARDS],
}

impl<const N: usize> Counters<N> {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Padded(std::array::from_fn(|_| AtomicU64::new(0)))) }
    }

    /// Adds to the counter at `index`; nothing happens if there is none.
    pub(super) fn add(&self, index: usize, by: u64) {
        let shard = self.shards.get(MINE.get());
        if let Some(counter) = shard.and_then(|shard| shard.0.get(index)) {
            counter.fetch_add(by, Relaxed);
        }
    }

    /// The sums over all threads.
    pub(super) fn totals(&self) -> [u64; N] {
        let mut totals = [0_u64; N];
        for shard in &self.shards {
            for (total, counter) in totals.iter_mut().zip(&shard.0) {
                *total = total.wrapping_add(counter.load(Relaxed));
            }
        }
        totals
    }
}

/// Upper bounds are 1 µs · 2^k; the last one is 67 s, and one more bucket holds what is above.
const BOUNDS: usize = 27;

/// Places in [`Latency`]'s counters: the buckets, the one above them, the sum in nanoseconds.
const PLACES: usize = BOUNDS + 2;

/// A histogram of durations. Buckets are powers of two of a microsecond, so that finding one is a count of
/// leading zeros, and each is at most twice the one before.
pub(super) struct Latency(Counters<PLACES>);

/// A histogram as it is scraped.
pub(super) struct LatencyTotals {
    /// Upper bound in seconds and how many were at most that (cumulative).
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) sum_seconds: f64,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self(Counters::new())
    }

    pub(super) fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.add(bucket(nanos), 1);
        self.0.add(BOUNDS + 1, nanos);
    }

    pub(super) fn totals(&self) -> LatencyTotals {
        let totals = self.0.totals();
        let mut count = 0_u64;
        let mut buckets = Vec::with_capacity(BOUNDS);
        for (k, held) in totals.iter().take(BOUNDS).enumerate() {
            count = count.wrapping_add(*held);
            buckets.push((bound_seconds(k), count));
        }
        let above = totals.get(BOUNDS).copied().unwrap_or_default();
        let nanos = totals.get(BOUNDS + 1).copied().unwrap_or_default();
        LatencyTotals { buckets, count: count.wrapping_add(above), sum_seconds: nanos as f64 / 1e9 }
    }
}

fn bound_seconds(k: usize) -> f64 {
    (1_u64 << k) as f64 / 1e6
}

/// The first bucket whose bound is not below `nanos`; [`BOUNDS`] when there is none.
fn bucket(nanos: u64) -> usize {
    let micros = nanos.div_ceil(1000);
    let bits = u64::BITS - micros.saturating_sub(1).leading_zeros();
    (bits as usize).min(BOUNDS)
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS, Counters, Latency, bucket};
    use std::time::Duration;

    #[test]
    fn bounds_are_inclusive() {
        let of = |nanos| bucket(nanos);
        assert_eq!([of(0), of(1), of(1000), of(1001), of(2000), of(2001), of(4000)], [0, 0, 0, 1, 1, 2, 2]);
        assert_eq!(bucket(1_000 << 26), 26);
        assert_eq!(bucket((1_000 << 26) + 1), BOUNDS);
        assert_eq!(bucket(u64::MAX), BOUNDS);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let counters = Counters::<3>::new();
        let latency = Latency::new();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    for n in 0..1000 {
                        counters.add(n % 3, 1);
                        latency.observe(Duration::from_micros(3));
                    }
                });
            }
        });
        counters.add(3, 1);
        assert_eq!(counters.totals(), [13_360, 13_320, 13_320]);
        let totals = latency.totals();
        assert_eq!(totals.count, 40_000);
        assert!((totals.sum_seconds - 0.12).abs() < 1e-9);
        assert_eq!(totals.buckets[1].1, 0);
        assert_eq!(totals.buckets[2], (4e-6, 40_000));
    }
}
