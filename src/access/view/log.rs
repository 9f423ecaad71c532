//! Which change log this gateway follows, so that facts from another one are told apart.

use crate::store::change::Position;
use std::collections::VecDeque;

/// Fingerprints kept.
const MAX: usize = 100_000;

/// The fingerprints of the log from some number on, the newest [`MAX`] of them.
#[derive(Default)]
pub(super) struct Log {
    first: u64,
    fingerprints: VecDeque<u64>,
}

impl Log {
    /// Of a log whose newest place is `head`.
    pub(super) fn ending_at(head: &Position) -> Self {
        Self { first: head.n, fingerprints: VecDeque::from([head.fingerprint()]) }
    }

    pub(super) fn push(&mut self, fingerprint: u64) {
        if self.fingerprints.len() >= MAX {
            self.fingerprints.pop_front();
            self.first += 1;
        }
        self.fingerprints.push_back(fingerprint);
    }

    /// Whether record `n` is still to be read.
    pub(super) fn is_behind(&self, n: u64) -> bool {
        n >= self.first + self.fingerprints.len() as u64
    }

    pub(super) fn at(&self, n: u64) -> Option<u64> {
        let i = usize::try_from(n.checked_sub(self.first)?).ok()?;
        self.fingerprints.get(i).copied()
    }
}
