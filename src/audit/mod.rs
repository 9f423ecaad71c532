//! The two logs: what an entry is, how it is written durably, how it is read.
//!
//! [`entry::Entry`] tells what happened; `line` makes of it the line that the org may read and the line that the
//! platform may read; `rows` puts both into the tables; [`AuditWriter`] does so for many requests in one
//! transaction. Each log is a Merkle [`tree`]; [`leaves`] reads in its order, [`query`] reads pages, both through
//! [`AuditReader`]. What is recorded when is decided elsewhere (`@audit` on the policies).

pub mod delivery;
pub mod entry;
pub mod export;
mod follow;
mod given;
mod json;
pub mod keeper;
pub mod leaves;
mod line;
mod message;
pub mod notices;
pub mod ocsf;
mod pending;
pub mod query;
mod ranges;
mod reader;
pub mod retention;
mod rows;
pub mod sequencer;
pub mod tree;
pub mod verify;
pub mod witness;
pub mod writer;

pub use entry::{ActorType, Entry, Logs, Outcome, Stage};
pub use follow::{Follow, Look};
pub use reader::AuditReader;
pub use rows::write_act;
pub use writer::{AuditError, AuditStats, AuditWriter, IntentError, OpenIntent};

#[cfg(test)]
pub(crate) mod fixtures;
