//! `[audit]`: the two logs.

use super::document::{Complaint, Document, Setting};
use super::raw::or_empty;
use std::time::Duration;

/// The two logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The name of this installation in the checkpoints of its logs; `None`: made up and kept in the records.
    pub origin: Option<String>,
    /// How long a request waits for its entry to be durable.
    pub commit_timeout: Duration,
}

/// The section as it is written.
pub(super) struct RawAudit {
    origin: Setting<Option<String>>,
    commit_timeout_ms: Setting<u64>,
}

impl RawAudit {
    pub(super) fn read(document: &mut Document<'_>) -> Self {
        let mut s = document.section("audit");
        Self {
            origin: s.text("origin", None, or_empty(origin)),
            commit_timeout_ms: s.whole("commit_timeout_ms", 2_000, 50..=60_000),
        }
    }

    pub(super) fn checked(self) -> Audit {
        Audit {
            origin: self.origin.value,
            commit_timeout: Duration::from_millis(self.commit_timeout_ms.value),
        }
    }
}

/// The name of an installation in its checkpoints.
fn origin(text: &str) -> Result<String, Complaint> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if text.chars().all(fine) && text.len() <= 253 {
        Ok(text.to_owned())
    } else {
        let help = "write it like a host name: audit.example.com";
        Err(Complaint::new("must be letters, digits, `.` and `-`").help(help))
    }
}
