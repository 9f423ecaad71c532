//! The rules that freshness rests on, by name, so that a test can take one out and see that its absence is
//! noticed (tests/it/history). Debug builds only: a release has no way to say so.

/// A rule that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A view is trusted until its lease lapses, and no longer.
    Lease,
    /// A revoking call waits until its change is in force everywhere.
    Wait,
    /// Numbers of changes come from the head row, under its lock, so that their order is that of the commits.
    HeadRow,
    /// Facts are refused that were read before a change of their subjects, or from another log.
    Stamp,
}

impl Rule {
    /// The rule with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "lease" => Some(Self::Lease),
            "wait" => Some(Self::Wait),
            "head" => Some(Self::HeadRow),
            "stamp" => Some(Self::Stamp),
            _ => None,
        }
    }
}
