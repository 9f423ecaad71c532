//! Checks a log without believing who gives it: every entry, every hash, every signature, the running numbers of
//! every impersonation, and that it has only grown since a checkpoint that somebody kept.
//!
//! [`Verifier`] takes the lines of an export ([`super::export`]) one by one, whether they come from a file, from the
//! gateway or, by `tables`, from the database; it holds counters of grants and nothing of entries. `lines` cuts
//! bytes into lines; `grants` counts; `kept` is about earlier checkpoints. The first fault ends it.
//!
//! `tools/verify_audit.py` is a second verifier of the same format, of other hands: a test holds both to one verdict.

mod fault;
mod grants;
mod kept;
mod lines;
mod verifier;

pub use fault::Fault;
pub use kept::{Kept, KeptReport};
pub use lines::Lines;
pub use verifier::{Report, Verifier};

use super::tree::{LogName, VerifierKey};
use crate::domain::Millis;

/// What is known beforehand.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// The key that was kept; without it the one that the header names, which anybody may have written.
    pub key: Option<VerifierKey>,
    /// A witness, one of whose signatures must be there.
    pub witness: Option<VerifierKey>,
    /// Which log it must be.
    pub log: Option<LogName>,
    /// Checkpoints that were kept.
    pub against: Vec<Kept>,
}

const DAY: Millis = 24 * 60 * 60 * 1000;

/// How long entries of a log are kept, milliseconds (requirements §3).
#[must_use]
pub const fn retention(log: &LogName) -> Millis {
    match log {
        LogName::Platform => 365 * DAY,
        LogName::Org(_) => 90 * DAY,
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
