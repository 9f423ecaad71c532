//! Policy: the Cedar schemas as route table, the policy files, and the one decision a request gets.
//!
//! Read in this order: [`decide`] (question and answer), [`snapshot`] (one immutable set), `load` (how
//! files become a set: `source`, `schema`, `routes`, `lint`), `slice` (which policies a question needs),
//! `entities` and `context` (what Cedar is told), `prepared` (what is kept for a session), [`engine`] and
//! [`watch`] (the set in force, and how it changes), [`cases`] (expected decisions as files).
//!
//! Nothing here knows HTTP beyond method and path, or does I/O beyond reading the two folders.

mod annotations;
pub mod cases;
mod context;
pub mod decide;
pub mod defaults;
pub mod engine;
mod entities;
mod fault;
mod judge;
mod lint;
mod load;
mod prepared;
mod reads;
mod routes;
pub mod schema;
mod slice;
pub mod snapshot;
mod source;
#[cfg(test)]
mod tests;
pub mod watch;

pub use decide::{Context, Decision, Denial, Duty, Permit, PreparedSlot, Question};
pub use engine::PolicyFolders;
pub use snapshot::{Action, LoadReport, PolicyEngine, Routed, Snapshot};
pub use watch::{ReloadEvent, Watcher};
