//! Policy: the Cedar schemas as route table, the policy files, and the one decision a request gets.

pub mod decide;
pub mod snapshot;

pub use decide::{Context, Decision, Denial, Duty, Permit, PreparedSlot, Question};
pub use snapshot::{Action, LoadReport, PolicyEngine, Routed, Snapshot};
