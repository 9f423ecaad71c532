//! How long entries are kept.

use super::Millis;

/// Days that entries are kept, for each kind of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// In the orgs' logs.
    pub org_days: u32,
    /// In the platform's log.
    pub platform_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { org_days: 90, platform_days: 365 }
    }
}

impl Retention {
    /// The longer of both, for each kind of log.
    #[must_use]
    pub fn longest(self, other: Self) -> Self {
        Self {
            org_days: self.org_days.max(other.org_days),
            platform_days: self.platform_days.max(other.platform_days),
        }
    }
}

/// Milliseconds in so many days.
#[must_use]
pub fn days(days: u32) -> Millis {
    Millis::from(days) * 86_400_000
}
