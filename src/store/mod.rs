//! Records in SQL and live sessions: no rules, only how they are kept.

pub mod change;
pub mod db;
pub mod live;

pub use change::{ChangeRecord, Effect};
pub use db::{Db, DbOptions, Row, StoreError, Tx, Value};
pub use live::{Embedded, Live, LiveError};
