//! A store for one test, on either engine, so that one body tests both.

use super::server::{Database, shared};
use super::{Db, DbOptions, PostgresOptions, migrate};

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A database with tables and nothing in them; gone when dropped.
pub(crate) struct Store {
    pub(crate) db: Db,
    home: Home,
}

enum Home {
    Folder(tempfile::TempDir),
    Database(Database<'static>),
}

/// The gateways' access to `database`, after its tables were made.
pub(crate) async fn migrated(database: &Database<'_>) -> PostgresOptions {
    let gateways = PostgresOptions::new(database.url());
    migrate(&PostgresOptions::new(database.owner_url()), &gateways).await.unwrap();
    gateways
}

impl Store {
    pub(crate) async fn open(engine: Engine) -> Self {
        Self::open_shifted(engine, 0).await
    }

    pub(crate) async fn open_shifted(engine: Engine, clock_shift: i64) -> Self {
        let (options, home) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                (DbOptions::new(folder.path()), Home::Folder(folder))
            }
            Engine::Postgres => {
                let database = shared().database();
                (DbOptions::postgres(migrated(&database).await), Home::Database(database))
            }
        };
        let db = Db::open(DbOptions { clock_shift, ..options }).await.unwrap();
        Self { db, home }
    }

    /// The store opened once more: as by another gateway on PostgreSQL, as by a command on SQLite.
    pub(crate) async fn beside(&self) -> Db {
        let options = match &self.home {
            Home::Folder(folder) => DbOptions { exclusive: false, ..DbOptions::new(folder.path()) },
            Home::Database(database) => DbOptions::postgres(PostgresOptions::new(database.url())),
        };
        Db::open(options).await.unwrap()
    }

    /// As `drawbridge migrate` sets it. PostgreSQL only.
    pub(crate) async fn as_owner_set_retention(&self, retention: crate::domain::Retention) {
        match &self.home {
            Home::Database(database) => {
                super::set_retention(&PostgresOptions::new(database.owner_url()), retention).await.unwrap();
            }
            Home::Folder(_) => panic!("SQLite has no owner"),
        }
    }

    /// Runs a statement as nobody in the program could. PostgreSQL only.
    pub(crate) fn superuser(&self, sql: &str) -> String {
        match &self.home {
            Home::Database(database) => database.sql(sql),
            Home::Folder(_) => panic!("SQLite has no users"),
        }
    }
}

/// Makes a test for each engine of each `async fn name(engine: Engine)`.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                Box::pin(super::$name($crate::store::db::testing::Engine::Sqlite)).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                Box::pin(super::$name($crate::store::db::testing::Engine::Postgres)).await;
            })*
        }
    };
}
pub(crate) use on_both_engines;
