//! Records in SQL and live sessions: no rules, only how they are kept.
//!
//! [`Db`] gives transactions over the records, [`change`] numbers what caches depend on, [`Live`] keeps
//! the facts of live sessions at hand.

pub mod change;
pub mod db;
pub mod live;
mod migrations;

pub use change::{ChangeRecord, Effect};
pub use db::{Db, DbOptions, OpenError, Placed, PostgresOptions, Row, StoreError, Target, Tx, Value};
pub use live::{Embedded, Live, LiveError, LiveHealth, Redis, RedisOptions};
