//! One code path for SQL: [`Db`] gives transactions ([`Tx`]) that take one text for every engine.
//!
//! What differs between engines is in `text` (fragments) and `sqlite` (connections); callers see neither.
//! Not for rules: what a transaction must hold together is the business of `access` and `audit`.

mod error;
mod folder;
mod reserve;
mod sqlite;
mod text;
mod tx;
mod value;

#[cfg(test)]
pub(crate) mod mount;
#[cfg(test)]
mod tests;

pub use error::{OpenError, StoreError};
pub(in crate::store) use text::Dialect;
pub use tx::Tx;
pub use value::{Row, Value};

use crate::domain::{Millis, ShiftedClock};
use std::path::PathBuf;
use std::sync::Arc;

/// How to open the database.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// Folder that holds `drawbridge.db`, the lock and the reserve file.
    pub data: PathBuf,
    /// Added to the database's clock in `{now}`, milliseconds. For tests of expiry and retention; 0 in production.
    pub clock_shift: Millis,
    /// Whether to hold the folder, as a gateway does. An operator's command opens beside a running gateway without.
    pub exclusive: bool,
    /// For tests of a full disk: the database may have this many pages, and 2,048 more once the reserve is released.
    #[doc(hidden)]
    pub max_pages: Option<u32>,
}

impl DbOptions {
    /// A gateway's options.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), clock_shift: 0, exclusive: true, max_pages: None }
    }
}

/// The database.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    sqlite: sqlite::Sqlite,
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
    /// Opens (and creates, and migrates) the database; takes the exclusive lock on the folder if `options` say so.
    ///
    /// # Errors
    /// [`StoreError::Open`] with what is wrong with the folder; others as the database gives them.
    pub async fn open(options: DbOptions) -> Result<Self, StoreError> {
        let DbOptions { data, clock_shift, exclusive, max_pages } = options;
        folder::create(&data)?;
        // An operator's command holds the lock only while it looks whether it is alone and may migrate.
        let lock = match folder::lock(&data) {
            Err(OpenError::Locked { .. }) if !exclusive => None,
            locked => Some(locked?),
        };
        let reserve = exclusive.then(|| reserve::Reserve::open(&data));
        let sqlite = sqlite::Sqlite::open(&data.join("drawbridge.db"), max_pages)
            .await
            .map_err(|e| e.at_open(&data))?;
        {
            let mut lease = sqlite.writer().await?;
            let migrator = super::migrations::migrator(Dialect::Sqlite);
            let connection = lease.connection()?;
            let migrated = if lock.is_some() {
                migrator.run(connection).await
            } else {
                super::migrations::verify(&migrator, connection).await
            };
            migrated.map_err(|e| OpenError::of_migration(&data, e))?;
        }
        let inner = Inner {
            sqlite,
            texts: text::Texts::new(Dialect::Sqlite, clock_shift),
            clock: ShiftedClock(clock_shift),
            reserve,
            max_pages,
            _lock: lock.filter(|_| exclusive),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A handle with one connection of its own, opened on the calling runtime. On SQLite it is this one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn private(&self) -> Result<Self, StoreError> {
        Ok(self.clone())
    }

    /// A consistent view for reading.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(&self) -> Result<Tx, StoreError> {
        let lease = self.inner.sqlite.reader().await?;
        Tx::begin(self.inner.clone(), lease).await
    }

    /// A transaction that writes (IMMEDIATE on SQLite): one at a time, in order of asking.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Io`] always, once an fsync has failed.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        let lease = self.inner.sqlite.writer().await?;
        Tx::begin(self.inner.clone(), lease).await
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
