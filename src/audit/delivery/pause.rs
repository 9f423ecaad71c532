//! How long to wait before a receiver is tried again: longer each time, and never in step with other gateways.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Pauses that grow from one bound to another.
#[derive(Debug, Clone)]
pub(super) struct Pauses {
    first: Duration,
    longest: Duration,
    state: u64,
    failures: u32,
}

impl Pauses {
    /// With a seed of its own in each task of each process.
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self::seeded(first, longest, RandomState::new().hash_one(0_u8))
    }

    const fn seeded(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, state: seed | 1, failures: 0 }
    }

    /// The pause before the next try: at least half of what is due, never more than the longest.
    pub(super) fn next(&mut self) -> Duration {
        // xorshift64 (Marsaglia 2003): enough to spread.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let due = self.first.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        due * u32::try_from(500 + self.state % 501).unwrap_or(1000) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::Pauses;
    use std::time::Duration;

    #[test]
    fn they_grow_to_a_bound_and_differ_between_gateways() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(300));
        let (mut one, mut other) = (Pauses::seeded(first, longest, 7), Pauses::seeded(first, longest, 8));
        let (a, b): (Vec<_>, Vec<_>) = (0..30).map(|_| (one.next(), other.next())).unzip();
        assert!(a.iter().zip(&b).filter(|(a, b)| a != b).count() > 20, "not in step");
        assert!(a[0] <= first && a[0] >= first / 2, "{a:?}");
        assert!(a[1] >= first, "{a:?}");
        assert!(a[10..].iter().all(|pause| *pause >= longest / 2 && *pause <= longest), "{a:?}");
    }
}
