//! `[audit]`: the two logs.

use super::delivery::{Delivery, RawDelivery};
use super::document::{Complaint, Document, Setting};
use super::raw::or_empty;
use std::path::Path;

/// The two logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The name of this installation in the checkpoints of its logs; `None`: made up and kept in the records.
    pub origin: Option<String>,
    /// Who else gets them.
    pub delivery: Vec<Delivery>,
}

/// The section as it is written.
pub(super) struct RawAudit {
    origin: Setting<Option<String>>,
    pub(super) delivery: Vec<RawDelivery>,
}

impl RawAudit {
    pub(super) fn read(document: &mut Document<'_>) -> Self {
        let mut s = document.section("audit");
        let origin = s.text("origin", None, or_empty(origin));
        Self { origin, delivery: RawDelivery::read_all(document) }
    }

    pub(super) fn checked(self, base: &Path) -> Audit {
        let delivery = self.delivery.into_iter().filter_map(|delivery| delivery.checked(base)).collect();
        Audit { origin: self.origin.value, delivery }
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
