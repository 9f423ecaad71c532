//! Random numbers that can be had again: `DRAWBRIDGE_SEED` replays what a failed run printed.

/// SplitMix64: small, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    /// The seed of the environment, or a new one; printed either way.
    pub(crate) fn seeded(test: &str) -> Self {
        let seed = match std::env::var("DRAWBRIDGE_SEED") {
            Ok(text) => text.parse().expect("DRAWBRIDGE_SEED is a number"),
            Err(_) => uuid::Uuid::now_v7().as_u64_pair().1,
        };
        println!("{test}: replay with DRAWBRIDGE_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to `end`, which it isn't.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// How many of something a test does: `variable`, or `default`.
pub(crate) fn count(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}
