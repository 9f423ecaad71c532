//! How long to wait before the next try: longer each time, and never in step with other gateways.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Before the second try; the first waits half of it on average.
const FIRST: Duration = Duration::from_millis(25);
/// No wait is longer than one and a half of this.
const LONGEST: Duration = Duration::from_secs(2);

/// Exponential backoff with jitter.
pub(super) struct Backoff {
    state: u64,
    attempt: u32,
}

impl Backoff {
    /// With a seed of its own in each task of each process.
    pub(super) fn new() -> Self {
        Self::seeded(RandomState::new().hash_one(0_u8))
    }

    pub(super) const fn seeded(seed: u64) -> Self {
        Self { state: seed | 1, attempt: 0 }
    }

    /// A number below `below` that nobody foresees, so that gateways don't do the same at once.
    pub(super) const fn chance(&mut self, below: u64) -> u64 {
        // xorshift64 (Marsaglia 2003): enough to spread.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        if below == 0 { 0 } else { self.state % below }
    }

    /// `about`, give or take a half.
    pub(super) fn jittered(&mut self, about: Duration) -> Duration {
        about * u32::try_from(500 + self.chance(1000)).unwrap_or(1000) / 1000
    }

    /// The wait before the next try.
    pub(super) fn next(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.attempt.min(10)).min(LONGEST);
        self.attempt = self.attempt.saturating_add(1);
        self.jittered(wait)
    }

    /// What was tried has worked for a while.
    pub(super) const fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, FIRST, LONGEST};

    #[test]
    fn grows_to_a_bound_and_differs_between_gateways() {
        let (mut one, mut other) = (Backoff::seeded(7), Backoff::seeded(8));
        let (a, b): (Vec<_>, Vec<_>) = (0..40).map(|_| (one.next(), other.next())).unzip();
        assert!(a.iter().zip(&b).filter(|(a, b)| a != b).count() > 30, "not in step");
        assert!(a[0] <= FIRST * 3 / 2 && a.iter().all(|wait| *wait <= LONGEST * 3 / 2), "{a:?}");
        assert!(a[20..].iter().all(|wait| *wait >= LONGEST / 2), "{a:?}");
        one.reset();
        assert!(one.next() <= FIRST * 3 / 2);
    }
}
