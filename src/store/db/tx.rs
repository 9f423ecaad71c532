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

/// Where rows were put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The positions of those that weren't there, in the order of the rows.
    pub positions: Vec<i64>,
    /// Whether none was there, so that there is a position for each row.
    pub all: bool,
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
        let kind = Many { placed_in: None, prefix, suffix, width, rows: 0 };
        for (text, chunk) in self.statements(kind, values)? {
            touched += self.run(text, chunk).await?;
        }
        Ok(touched)
    }

    /// Inserts many rows into `table`, whose column `n` the database counts up; those that are there already stay as
    /// they are. `prefix` and `width` as for [`Tx::insert_many`].
    ///
    /// # Errors
    /// As [`Tx::insert_many`].
    pub async fn insert_many_placed(
        &mut self,
        table: &'static str,
        prefix: &'static str,
        width: usize,
        values: &[Value],
    ) -> Result<Placed, StoreError> {
        let mut placed = Placed { positions: Vec::with_capacity(values.len() / width.max(1)), all: true };
        let kind = Many { placed_in: Some(table), prefix, suffix: "ON CONFLICT DO NOTHING", width, rows: 0 };
        for (text, chunk) in self.statements(kind, values)? {
            let rows = chunk.len() / width;
            let answer = self.fetch(text, chunk).await?;
            let inserted = match &self.lease {
                Lease::Postgres(_) => answer.iter().map(|row| row.int(0)).collect::<Result<Vec<_>, _>>()?,
                Lease::Sqlite(_) => self.counted_up(table, rows, &answer).await?,
            };
            placed.all &= inserted.len() == rows;
            placed.positions.extend(inserted);
        }
        Ok(placed)
    }

    /// The positions that SQLite gave: without gaps, unless rows were there already.
    async fn counted_up(
        &mut self,
        table: &'static str,
        rows: usize,
        answer: &[Row],
    ) -> Result<Vec<i64>, StoreError> {
        let [before, after] = answer else {
            return Err(StoreError::Corrupt(format!("{} rows tell of positions in `{table}`", answer.len())));
        };
        let (before, last, changed) = (before.int(0)?, after.int(0)?, after.int(1)?);
        if usize::try_from(changed) == Ok(rows) {
            return Ok((last - changed + 1..=last).collect());
        }
        let text = format!("SELECT n FROM {table} WHERE n > $1 ORDER BY n");
        self.rows_dynamic(text, &[before.into()]).await?.iter().map(|row| row.int(0)).collect()
    }

    /// The statements of few texts that insert many rows, each with its values.
    fn statements<'a>(
        &self,
        kind: Many,
        values: &'a [Value],
    ) -> Result<Vec<(SqlStr, &'a [Value])>, StoreError> {
        let width = kind.width;
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(StoreError::Corrupt(format!("{} values don't make rows of {width}", values.len())));
        }
        let mut rest = values;
        let mut statements = Vec::new();
        while !rest.is_empty() {
            let left = rest.len() / width;
            let rows = (1 << left.ilog2()).min(MAX_ROWS);
            let (chunk, after) = rest.split_at(rows * width);
            statements.push((self.db.texts.many(Many { rows, ..kind }), chunk));
            rest = after;
        }
        Ok(statements)
    }

    /// Whether rows are locked one by one: others write at the same time.
    #[must_use]
    pub const fn locks_rows(&self) -> bool {
        matches!(self.lease, Lease::Postgres(_))
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
