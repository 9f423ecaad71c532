//! Chance that can be repeated: every seed is printed, and `DRAWBRIDGE_SEED` plays it again.

use std::hash::{BuildHasher as _, RandomState};

/// A small generator (SplitMix64): its quality is no concern, that it can be replayed is.
pub(crate) struct Chance(u64);

impl Chance {
    /// From `DRAWBRIDGE_SEED`, or from the machine; says which.
    pub(crate) fn new(test: &str) -> Self {
        let given = std::env::var("DRAWBRIDGE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(test));
        eprintln!("{test}: DRAWBRIDGE_SEED={seed}");
        Self(seed)
    }

    /// From this seed.
    pub(crate) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Another generator, for a task of its own.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.below(all.len() as u64);
        &all[usize::try_from(at).unwrap_or_default()]
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// `default`, or what the variable says.
pub(crate) fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
