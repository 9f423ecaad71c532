//! What operators see: metrics, the access log, the process's own log.
//!
//! None of it decides anything and none of it may hold up a request: counting is a few relaxed atomic
//! adds, an access line goes into a bounded queue or is counted as lost. It is not the audit log, which is
//! durable, kept in SQL and written before a request leaves (see `crate::audit`). Secrets never get here:
//! no type in this module has a place for a credential.
//!
//! Main types: [`Metrics`], [`AccessLog`] with its [`AccessLine`], [`process_log::init`].

mod access_log;
mod decisions;
mod delivery;
mod hot;
mod json_line;
mod live;
mod metrics;
pub mod process_log;
mod sharded;

pub use access_log::{AccessLine, AccessLog, AccessSink};
pub use delivery::DeliveryMetrics;
pub use live::{LiveCounts, LiveMetrics, LiveResult};
pub use metrics::{Metrics, StageName};
