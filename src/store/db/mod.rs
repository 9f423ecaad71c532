//! One code path for SQL: [`Db`] gives transactions ([`Tx`]) that take one text for every engine.
//!
//! What differs between engines is in `text` (fragments), `sqlite` and `postgres` (connections); callers see none
//! of it. `examine` tells what is wrong with a store, and [`migrate`] brings PostgreSQL's tables up to date.
//! Not for rules: what a transaction must hold together is the business of `access` and `audit`.

mod error;
mod examine;
mod folder;
mod migrate;
mod postgres;
mod postgres_options;
mod reserve;
mod retention;
mod sqlite;
mod text;
mod tx;
mod value;

#[cfg(test)]
pub(crate) mod mount;
#[cfg(test)]
#[path = "../../../tests/it/support/postgres.rs"]
#[allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]
pub(crate) mod server;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use error::{OpenError, StoreError};
pub use examine::{Finding, examine};
pub use migrate::{Migrated, migrate};
pub use postgres_options::PostgresOptions;
pub use retention::set_retention;
pub(in crate::store) use text::Dialect;
pub use tx::{Placed, Tx};
pub use value::{Row, Value};

use crate::domain::{Millis, ShiftedClock};
use postgres::Access;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often work is done before a deadlock is an error.
const TRIES: u32 = 5;

/// Where the records are.
#[derive(Debug, Clone)]
pub enum Target {
    /// SQLite: the folder that holds `drawbridge.db`, the lock and the reserve file.
    Folder(PathBuf),
    /// PostgreSQL, migrated before.
    Postgres(PostgresOptions),
}

/// How to open the database.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// Where it is.
    pub target: Target,
    /// Added to the database's clock in `{now}`, milliseconds. For tests of expiry and retention; 0 in production.
    pub clock_shift: Millis,
    /// Whether to hold the folder, as a gateway does. An operator's command opens beside a running gateway without.
    /// On PostgreSQL nobody is alone.
    pub exclusive: bool,
    /// For tests of a full disk: the database may have this many pages, and 2,048 more once the reserve is released.
    #[doc(hidden)]
    pub max_pages: Option<u32>,
}

impl DbOptions {
    /// A gateway's options.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { target: Target::Folder(data.into()), clock_shift: 0, exclusive: true, max_pages: None }
    }

    /// Options of a gateway on PostgreSQL.
    #[must_use]
    pub fn postgres(options: PostgresOptions) -> Self {
        Self { target: Target::Postgres(options), clock_shift: 0, exclusive: true, max_pages: None }
    }
}

/// The database.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

/// The connections.
enum Engine {
    Sqlite(Box<sqlite::Sqlite>),
    Postgres(postgres::Connections),
}

struct Inner {
    engine: Engine,
    /// To open more connections of PostgreSQL.
    target: Target,
    /// How often work was done again because PostgreSQL asked for it.
    repeats: AtomicU64,
    texts: text::Texts,
    clock: ShiftedClock,
    /// `None` in an operator's command, which leaves the reserve to the gateway.
    reserve: Option<reserve::Reserve>,
    max_pages: Option<u32>,
    /// Held as long as anything uses the store.
    _lock: Option<folder::FolderLock>,
}

impl Inner {
    fn max_pages(&self) -> Option<u32> {
        let spent = self.reserve.as_ref().is_some_and(reserve::Reserve::is_spent);
        self.max_pages.map(|pages| if spent { pages.saturating_add(2048) } else { pages })
    }
}

impl Db {
    /// Opens the database. SQLite is created and migrated, and its folder locked if `options` say so; PostgreSQL
    /// must have been migrated, and is examined.
    ///
    /// # Errors
    /// [`StoreError::Open`] with what is wrong and what to do; others as the database gives them.
    pub async fn open(options: DbOptions) -> Result<Self, StoreError> {
        match options.target.clone() {
            Target::Folder(data) => Self::open_folder(&data, options).await,
            Target::Postgres(postgres) => {
                let connections =
                    postgres::Connections::open(&postgres).await.map_err(|e| e.at(&postgres))?;
                let db = Self::on_postgres(connections, &options);
                examine::accept(&db, &postgres).await?;
                Ok(db)
            }
        }
    }

    fn on_postgres(connections: postgres::Connections, options: &DbOptions) -> Self {
        let inner = Inner {
            engine: Engine::Postgres(connections),
            target: options.target.clone(),
            repeats: AtomicU64::new(0),
            texts: text::Texts::new(Dialect::Postgres, options.clock_shift),
            clock: ShiftedClock(options.clock_shift),
            reserve: None,
            max_pages: None,
            _lock: None,
        };
        Self { inner: Arc::new(inner) }
    }

    async fn open_folder(data: &Path, options: DbOptions) -> Result<Self, StoreError> {
        let DbOptions { target, clock_shift, exclusive, max_pages } = options;
        folder::create(data)?;
        // An operator's command holds the lock only while it looks whether it is alone and may migrate.
        let lock = match folder::lock(data) {
            Err(OpenError::Locked { .. }) if !exclusive => None,
            locked => Some(locked?),
        };
        let reserve = exclusive.then(|| reserve::Reserve::open(data));
        let sqlite = sqlite::Sqlite::open(&data.join("drawbridge.db"), max_pages)
            .await
            .map_err(|e| e.at_open(data))?;
        {
            let mut lease = sqlite.writer().await?;
            let migrator = super::migrations::migrator(Dialect::Sqlite);
            let connection = lease.connection()?;
            let migrated = if lock.is_some() {
                migrator.run(&mut *connection).await
            } else {
                super::migrations::verify(&migrator, connection).await
            };
            migrated.map_err(|e| OpenError::of_migration(data, e))?;
            sqlite::Sqlite::migrated(&mut lease).await?;
        }
        let inner = Inner {
            engine: Engine::Sqlite(Box::new(sqlite)),
            target,
            repeats: AtomicU64::new(0),
            texts: text::Texts::new(Dialect::Sqlite, clock_shift),
            clock: ShiftedClock(clock_shift),
            reserve,
            max_pages,
            _lock: lock.filter(|_| exclusive),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A handle with one connection of its own, opened on the runtime that calls: what goes on elsewhere neither
    /// holds it up nor ends it. On SQLite, where one connection writes, it is this handle again.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`].
    pub async fn private(&self) -> Result<Self, StoreError> {
        let Target::Postgres(postgres) = &self.inner.target else { return Ok(self.clone()) };
        let one = PostgresOptions { connections: 1, ..postgres.clone() };
        let connections = postgres::Connections::open(&one).await?;
        let options = DbOptions { clock_shift: self.inner.clock.0, ..DbOptions::postgres(one) };
        Ok(Self::on_postgres(connections, &options))
    }

    /// A consistent view for reading.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(&self) -> Result<Tx, StoreError> {
        Tx::begin(self.inner.clone(), Access::Read).await
    }

    /// A transaction that writes. SQLite: one at a time, in order of asking. PostgreSQL: many at once, at READ
    /// COMMITTED, each as durable as the server can.
    ///
    /// # Errors
    /// [`StoreError`]; on SQLite [`StoreError::Io`] always, once an fsync has failed.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        Tx::begin(self.inner.clone(), Access::Write).await
    }

    /// Whether other processes write to these records too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.inner.engine, Engine::Postgres(_))
    }

    /// Whether work that met `error` should be done again: [`StoreError::Retry`], and not too often already.
    /// `tries` is how often it was done. Counted, so that a lock order that deadlocks doesn't pass for a success.
    #[must_use]
    pub fn again(&self, error: &StoreError, tries: u32) -> bool {
        let again = matches!(error, StoreError::Retry(_)) && tries < TRIES;
        if matches!(error, StoreError::Retry(_)) {
            self.inner.repeats.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(error = error as &dyn std::error::Error, tries, "the database asks to try again");
        }
        again
    }

    /// How often work met a deadlock or found no serial order. Our lock order gives none: anything above 0 is
    /// worth a look.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.inner.repeats.load(Ordering::Relaxed)
    }

    /// Gives the reserve file's space back to the disk, once; false when it was spent before.
    ///
    /// For revocations that met [`StoreError::Full`]: release, then try once more.
    #[must_use]
    pub fn release_reserve(&self) -> bool {
        self.inner.reserve.as_ref().is_some_and(reserve::Reserve::release)
    }

    /// Whether the reserve is spent: what room there is belongs to revocations, and the audit stays shut.
    #[must_use]
    pub fn reserve_is_spent(&self) -> bool {
        self.inner.reserve.as_ref().is_some_and(reserve::Reserve::is_spent)
    }

    /// Takes the reserve's room again if the disk has twice as much; whether it is held now.
    #[must_use]
    pub fn refill_reserve(&self) -> bool {
        if self.inner.max_pages.is_some() {
            return !self.reserve_is_spent();
        }
        self.inner.reserve.as_ref().is_none_or(reserve::Reserve::refill)
    }

    /// The machine's clock, moved as the database's is. For the times that entries tell, not for decisions.
    #[must_use]
    pub fn clock(&self) -> ShiftedClock {
        self.inner.clock
    }
}
