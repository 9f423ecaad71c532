//! One code path for SQL.

use crate::domain::Millis;
use std::path::PathBuf;

/// How to open the database.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// Folder that holds `drawbridge.db`, the lock and the reserve file.
    pub data: PathBuf,
    /// Added to the database's clock in `{now}`, milliseconds. For tests of expiry and retention; 0 in production.
    pub clock_shift: Millis,
}

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// TEXT.
    Text(String),
    /// BIGINT.
    Int(i64),
    /// NULL.
    Null,
}

/// One row of an answer: columns by position, TEXT and BIGINT only.
pub struct Row {
    _private: (),
}

impl Row {
    /// Column `i` as text; [`StoreError::Corrupt`] for NULL or another type.
    pub fn text(&self, _i: usize) -> Result<&str, StoreError> {
        unimplemented!()
    }
    /// Column `i` as text or NULL.
    pub fn opt_text(&self, _i: usize) -> Result<Option<&str>, StoreError> {
        unimplemented!()
    }
    /// Column `i` as an integer.
    pub fn int(&self, _i: usize) -> Result<i64, StoreError> {
        unimplemented!()
    }
    /// Column `i` as an integer or NULL.
    pub fn opt_int(&self, _i: usize) -> Result<Option<i64>, StoreError> {
        unimplemented!()
    }
}

/// Why the store didn't do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full (SQLITE_FULL). Nothing was written.
    #[error("the disk is full")]
    Full(#[source] sqlx::Error),
    /// The disk or folder is read-only. Nothing was written.
    #[error("the data folder can't be written")]
    ReadOnly(#[source] sqlx::Error),
    /// An I/O error: whether the transaction is there is unknown until the store is reopened.
    #[error("the disk failed; whether the last transaction is there is unknown")]
    Io(#[source] sqlx::Error),
    /// A unique constraint.
    #[error("a record with this key is there already")]
    Conflict(#[source] sqlx::Error),
    /// Anything else the database said.
    #[error("the database refused")]
    Database(#[source] sqlx::Error),
    /// A stored value that this version can't read.
    #[error("a stored record can't be read: {0}")]
    Corrupt(String),
}

/// The database.
#[derive(Clone)]
pub struct Db {
    _private: (),
}

impl Db {
    /// Opens (and creates, and migrates) the database; takes the exclusive lock on the folder.
    pub async fn open(_options: DbOptions) -> Result<Self, StoreError> {
        unimplemented!()
    }
    /// A consistent view for reading.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        unimplemented!()
    }
    /// A transaction that writes (IMMEDIATE on SQLite): one at a time, in order of asking.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        unimplemented!()
    }
    /// Gives the reserve file's space back to the disk, once; false when it was spent before.
    pub fn release_reserve(&self) -> bool {
        unimplemented!()
    }
}

/// A transaction; dropped without [`Tx::commit`] it is rolled back.
///
/// SQL texts may hold the fragments `{now}` (database clock, ms), `{for_update}`, `{for_share}`,
/// `{is}` (null-safe equality); parameters are `$1 …`.
pub struct Tx {
    _private: (),
}

impl Tx {
    /// All rows of a statement (also of `… RETURNING`).
    pub async fn rows(&mut self, _sql: &'static str, _args: &[Value]) -> Result<Vec<Row>, StoreError> {
        unimplemented!()
    }
    /// The first row, if any.
    pub async fn row(&mut self, _sql: &'static str, _args: &[Value]) -> Result<Option<Row>, StoreError> {
        unimplemented!()
    }
    /// Runs a statement; how many rows it touched.
    pub async fn execute(&mut self, _sql: &'static str, _args: &[Value]) -> Result<u64, StoreError> {
        unimplemented!()
    }
    /// As [`Tx::rows`] for a text made at run time (lists of filters). Values go in `args`, never into the text.
    pub async fn rows_dynamic(&mut self, _sql: String, _args: &[Value]) -> Result<Vec<Row>, StoreError> {
        unimplemented!()
    }
    /// Inserts many rows: `prefix` is `INSERT INTO t (a, b)`, `suffix` e.g. `ON CONFLICT DO NOTHING`; each row has `width` values.
    pub async fn insert_many(
        &mut self,
        _prefix: &'static str,
        _suffix: &'static str,
        _width: usize,
        _values: &[Value],
    ) -> Result<u64, StoreError> {
        unimplemented!()
    }
    /// The database's clock.
    pub async fn now(&mut self) -> Result<Millis, StoreError> {
        unimplemented!()
    }
    /// Commits.
    pub async fn commit(self) -> Result<(), StoreError> {
        unimplemented!()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Int(i64::from(b))
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}
