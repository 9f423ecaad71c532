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
pub use kept::{Growth, Kept, KeptReport};
pub use lines::Lines;
pub use tables::{Failure, Tables, TablesReport};
pub use verifier::{Report, Verifier};

use super::tree::{LogName, VerifierKey};
use super::witness::CosignerKey;
use crate::domain::Millis;
use crate::domain::retention::{Retention, days};

/// What is known beforehand.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// The key that was kept; without it the one that the header names, which anybody may have written.
    pub key: Option<VerifierKey>,
    /// A witness, one of whose signatures must be there.
    pub witness: Option<CosignerKey>,
    /// Which log it must be.
    pub log: Option<LogName>,
    /// Checkpoints that were kept.
    pub against: Vec<Kept>,
    /// How long entries are kept.
    pub retention: Retention,
}

impl Expect {
    /// How long entries of a log are kept, milliseconds.
    #[must_use]
    pub fn retention(&self, log: &LogName) -> Millis {
        days(match log {
            LogName::Platform => self.retention.platform_days,
            LogName::Org(_) => self.retention.org_days,
        })
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
