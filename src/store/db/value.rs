//! Values in and rows out: TEXT and BIGINT only, which every engine has.

use super::StoreError;
use sqlx::encode::{Encode, IsNull};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo, Postgres};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _, TypeInfo as _, ValueRef as _};

/// A parameter of a statement, or a column of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// TEXT.
    Text(String),
    /// BIGINT.
    Int(i64),
    /// NULL.
    Null,
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

/// One row of an answer: columns by position, TEXT and BIGINT only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    columns: Vec<Value>,
}

impl Row {
    /// Column `i` as text.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for NULL or another type.
    pub fn text(&self, i: usize) -> Result<&str, StoreError> {
        self.opt_text(i)?.ok_or_else(|| unexpected(i, "NULL"))
    }

    /// Column `i` as text or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for another type.
    pub fn opt_text(&self, i: usize) -> Result<Option<&str>, StoreError> {
        match self.columns.get(i) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            Some(Value::Int(_)) => Err(unexpected(i, "an integer")),
            None => Err(unexpected(i, "missing")),
        }
    }

    /// Column `i` as an integer.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for NULL or another type.
    pub fn int(&self, i: usize) -> Result<i64, StoreError> {
        self.opt_int(i)?.ok_or_else(|| unexpected(i, "NULL"))
    }

    /// Column `i` as an integer or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for another type.
    pub fn opt_int(&self, i: usize) -> Result<Option<i64>, StoreError> {
        match self.columns.get(i) {
            Some(Value::Int(n)) => Ok(Some(*n)),
            Some(Value::Null) => Ok(None),
            Some(Value::Text(_)) => Err(unexpected(i, "text")),
            None => Err(unexpected(i, "missing")),
        }
    }
}

fn unexpected(i: usize, what: &str) -> StoreError {
    StoreError::Corrupt(format!("column {i} is {what}"))
}

/// A row of SQLite, which types values, not columns.
pub(super) fn from_sqlite(row: &SqliteRow) -> Result<Row, StoreError> {
    let mut columns = Vec::with_capacity(row.len());
    for i in 0..row.len() {
        let (null, name) = {
            let raw = row.try_get_raw(i)?;
            (raw.is_null(), raw.type_info().name().to_owned())
        };
        columns.push(match name.as_str() {
            _ if null => Value::Null,
            "TEXT" => Value::Text(row.try_get_unchecked(i)?),
            "INTEGER" => Value::Int(row.try_get_unchecked(i)?),
            other => return Err(unexpected(i, other)),
        });
    }
    Ok(Row { columns })
}

/// Parameters for SQLite.
pub(super) fn to_sqlite(values: &[Value]) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::Text(text) => arguments.add(text.as_str()),
            Value::Int(n) => arguments.add(*n),
            Value::Null => arguments.add(None::<i64>),
        }
        .map_err(|e| StoreError::Database(sqlx::Error::Encode(e)))?;
    }
    Ok(arguments)
}

/// NULL for PostgreSQL, whose type the server takes from where it stands: a NULL of type bigint is refused
/// where text is wanted.
struct Untyped;

impl sqlx::Type<Postgres> for Untyped {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Untyped {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, sqlx::error::BoxDynError> {
        Ok(IsNull::Yes)
    }
}

/// A row of PostgreSQL.
pub(super) fn from_postgres(row: &PgRow) -> Result<Row, StoreError> {
    let mut columns = Vec::with_capacity(row.len());
    for i in 0..row.len() {
        let (null, name) = {
            let raw = row.try_get_raw(i)?;
            (raw.is_null(), raw.type_info().name().to_owned())
        };
        columns.push(match name.as_str() {
            _ if null => Value::Null,
            "TEXT" | "VARCHAR" | "NAME" => Value::Text(row.try_get(i)?),
            "INT8" => Value::Int(row.try_get(i)?),
            "INT4" => Value::Int(row.try_get::<i32, _>(i)?.into()),
            other => return Err(unexpected(i, other)),
        });
    }
    Ok(Row { columns })
}

/// Parameters for PostgreSQL, whose texts can't hold U+0000: it becomes U+FFFD.
pub(super) fn to_postgres(values: &[Value]) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::Text(text) if text.contains('\0') => arguments.add(text.replace('\0', "\u{FFFD}")),
            Value::Text(text) => arguments.add(text.as_str()),
            Value::Int(n) => arguments.add(*n),
            Value::Null => arguments.add(Untyped),
        }
        .map_err(|e| StoreError::Database(sqlx::Error::Encode(e)))?;
    }
    Ok(arguments)
}
