//! Transactions.

use super::postgres::Access;
use super::text::Many;
use super::value::{from_sqlite, to_sqlite};
use super::{Engine, Inner, Row, StoreError, Value, postgres, sqlite};
use crate::domain::Millis;
use sqlx::{SqlStr, Sqlite};
use std::sync::Arc;

/// At most this many rows in one statement. Row counts are powers of two, so that few texts are prepared and all are reused.
const MAX_ROWS: usize = 256;

/// A transaction; dropped without [`Tx::commit`] it is rolled back.
///
/// SQL texts may hold the fragments `{now}` (database clock, ms), `{for_update}`, `{for_share}`,
/// `{is}` (null-safe equality); parameters are `$1 …`.
pub struct Tx {
    /// Dropped after [`Tx`]'s own `drop` has sent the roll-back.
    lease: Lease,
    db: Arc<Inner>,
    /// Whether there is something to roll back.
    open: bool,
}

/// A connection on loan.
enum Lease {
    Sqlite(sqlite::Lease),
    /// Rolls back by itself.
    Postgres(Box<postgres::Lease>),
}

impl Tx {
    pub(super) async fn begin(db: Arc<Inner>, access: Access) -> Result<Self, StoreError> {
        let connections = match &db.engine {
            Engine::Postgres(connections) => {
                let lease = connections.begin(access).await?;
                return Ok(Self { lease: Lease::Postgres(Box::new(lease)), db, open: true });
            }
            Engine::Sqlite(connections) => connections,
        };
        let mut lease = match access {
            Access::Read => connections.reader().await?,
            Access::Write => connections.writer().await?,
        };
        if lease.is_writer()
            && let Some(pages) = db.max_pages()
        {
            connections.set_max_pages(&mut lease, pages).await?;
        }
        // Open before it is begun: when this future is dropped in between, the transaction is rolled back.
        let mut tx = Self { lease: Lease::Sqlite(lease), db: db.clone(), open: true };
        if let Lease::Sqlite(lease) = &mut tx.lease {
            let begun = connections.begin(lease).await;
            tx.noted(begun)?;
        }
        Ok(tx)
    }

    /// All rows of a statement (also of `… RETURNING`).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let text = self.db.texts.of(sql);
        self.fetch(text, args).await
    }

    /// The first row, if any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn row(&mut self, sql: &'static str, args: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Runs a statement; how many rows it touched.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn execute(&mut self, sql: &'static str, args: &[Value]) -> Result<u64, StoreError> {
        let text = self.db.texts.of(sql);
        self.run(text, args).await
    }

    /// As [`Tx::rows`] for a text made at run time (lists of filters). Values go in `args`, never into the text.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows_dynamic(&mut self, sql: String, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let text = self.db.texts.once(&sql);
        self.fetch(text, args).await
    }

    /// Inserts many rows: `prefix` is `INSERT INTO t (a, b)`, `suffix` e.g. `ON CONFLICT DO NOTHING`; each row has `width` values.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] when `values` aren't whole rows.
    pub async fn insert_many(
        &mut self,
        prefix: &'static str,
        suffix: &'static str,
        width: usize,
        values: &[Value],
    ) -> Result<u64, StoreError> {
        let mut touched = 0;
        for (text, chunk) in self.statements(prefix, suffix, width, values)? {
            touched += self.run(text, chunk).await?;
        }
        Ok(touched)
    }

    /// As [`Tx::insert_many`]; `suffix` ends in `RETURNING …`, and its rows are given back.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] when `values` aren't whole rows.
    pub async fn insert_many_returning(
        &mut self,
        prefix: &'static str,
        suffix: &'static str,
        width: usize,
        values: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let mut returned = Vec::with_capacity(values.len() / width.max(1));
        for (text, chunk) in self.statements(prefix, suffix, width, values)? {
            returned.extend(self.fetch(text, chunk).await?);
        }
        Ok(returned)
    }

    /// The statements of few texts that insert many rows, each with its values.
    fn statements<'a>(
        &self,
        prefix: &'static str,
        suffix: &'static str,
        width: usize,
        values: &'a [Value],
    ) -> Result<Vec<(SqlStr, &'a [Value])>, StoreError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(StoreError::Corrupt(format!("{} values don't make rows of {width}", values.len())));
        }
        let mut rest = values;
        let mut statements = Vec::new();
        while !rest.is_empty() {
            let left = rest.len() / width;
            let rows = (1 << left.ilog2()).min(MAX_ROWS);
            let (chunk, after) = rest.split_at(rows * width);
            statements.push((self.db.texts.many(Many { prefix, suffix, width, rows }), chunk));
            rest = after;
        }
        Ok(statements)
    }

    /// The database's clock.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn now(&mut self) -> Result<Millis, StoreError> {
        match self.row("SELECT {now}", &[]).await? {
            Some(row) => row.int(0),
            None => Err(StoreError::Corrupt("the database has no clock".to_owned())),
        }
    }

    /// Commits. After an error other than [`StoreError::Io`] and [`StoreError::Unknown`] nothing of the
    /// transaction is there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let done = match &mut self.lease {
            Lease::Sqlite(lease) => lease.commit().await,
            Lease::Postgres(lease) => lease.commit().await,
        };
        self.noted(done)?;
        self.open = false;
        Ok(())
    }

    async fn fetch(&mut self, text: SqlStr, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let lease = match &mut self.lease {
            Lease::Postgres(lease) => return lease.fetch(text, args).await,
            Lease::Sqlite(lease) => lease,
        };
        let query = sqlx::query_with::<Sqlite, _>(text, to_sqlite(args)?);
        let answer = query.fetch_all(lease.connection()?).await.map_err(StoreError::from);
        self.noted(answer)?.iter().map(from_sqlite).collect()
    }

    async fn run(&mut self, text: SqlStr, args: &[Value]) -> Result<u64, StoreError> {
        let lease = match &mut self.lease {
            Lease::Postgres(lease) => return lease.run(text, args).await,
            Lease::Sqlite(lease) => lease,
        };
        let query = sqlx::query_with::<Sqlite, _>(text, to_sqlite(args)?);
        let answer = query.execute(lease.connection()?).await.map_err(StoreError::from);
        Ok(self.noted(answer)?.rows_affected())
    }

    fn noted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &answer
            && let (Engine::Sqlite(connections), Lease::Sqlite(lease)) = (&self.db.engine, &self.lease)
            && lease.is_writer()
        {
            connections.note(error);
        }
        answer
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Lease::Sqlite(lease) = &mut self.lease
            && self.open
        {
            lease.start_rollback();
        }
    }
}
