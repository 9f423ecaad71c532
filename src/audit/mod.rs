//! The two logs: what an entry is, how it is written durably, how it is read.

pub mod entry;
pub mod query;
pub mod writer;

pub use entry::{ActorType, Entry, Outcome, Stage};
pub use writer::{AuditError, AuditWriter, IntentError, OpenIntent};
