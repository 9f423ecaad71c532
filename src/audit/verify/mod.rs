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
mod tables;
mod verifier;

pub use fault::Fault;
pub use kept::{Kept, KeptReport};
pub use lines::Lines;
pub use tables::{Failure, Tables, TablesReport};
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
    /// Days that entries of the log are kept, where it isn't what it is by default.
    pub retention_days: Option<u32>,
}

impl Expect {
    /// How long entries of a log are kept, milliseconds: 365 days in the platform's log and 90 in an org's
    /// (requirements §3), or what is set.
    #[must_use]
    pub fn retention(&self, log: &LogName) -> Millis {
        let default = match log {
            LogName::Platform => 365,
            LogName::Org(_) => 90,
        };
        Millis::from(self.retention_days.unwrap_or(default)) * 24 * 60 * 60 * 1000
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
