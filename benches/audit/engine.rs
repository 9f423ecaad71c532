//! The databases: a folder with SQLite, or a PostgreSQL of our own that commits to the disk.

use super::postgres::Server;
use drawbridge::store::db::migrate;
use drawbridge::store::{Db, DbOptions, PostgresOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// As on the command line.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "sqlite" => Self::Sqlite,
            "postgres" => Self::Postgres,
            other => panic!("`{other}` is neither `sqlite` nor `postgres`"),
        }
    }

    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Beside those that tests have: the tables are vacuumed as anywhere, and a cache that isn't tiny. `fsync` stays on.
const SETTINGS: [&str; 4] =
    ["autovacuum=on", "autovacuum_naptime=5s", "shared_buffers=256MB", "max_wal_size=4GB"];
/// The one database of the server.
const NAME: &str = "bench";

/// A PostgreSQL with the tables made.
pub(crate) struct Postgres {
    server: Server,
    /// As gateways reach it.
    pub(crate) url: String,
}

impl Postgres {
    /// Starts it; in `folder` when it is to be found again.
    pub(crate) async fn start(folder: Option<&Path>) -> Self {
        let server = match folder {
            Some(folder) => Server::open(folder, &SETTINGS),
            None => Server::start(&SETTINGS),
        };
        let [url, owner, _] = server.named(NAME);
        migrate(&PostgresOptions::new(owner), &PostgresOptions::new(&url)).await.expect("tables");
        Self { server, url }
    }

    /// Runs `sql` as superuser; what it gave.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(NAME, sql)
    }

    /// Where its files are.
    fn folder(&self) -> PathBuf {
        self.sql("SHOW data_directory").into()
    }

    /// Starts it again with nothing in memory, neither its own nor the system's.
    fn forget(&mut self) {
        self.sql("CHECKPOINT");
        let folder = self.folder();
        self.server.down();
        drop_caches(&files(&folder));
        self.server.up();
    }
}

/// A log's records.
pub(crate) struct Store {
    /// Folder of the gateway; with SQLite the records are in it.
    pub(crate) folder: PathBuf,
    /// Where it is otherwise.
    pub(crate) postgres: Option<Postgres>,
    _temporary: Option<tempfile::TempDir>,
}

impl Store {
    /// Opens those in `data`, or new ones that go with it.
    pub(crate) async fn open(engine: Engine, data: Option<&Path>) -> Self {
        // Beside the build, not in /tmp: that may be a disk in memory.
        let temporary = data.is_none().then(|| tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        let folder = match (data, &temporary) {
            (Some(data), _) => std::path::absolute(data).unwrap(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => unreachable!("one or the other"),
        };
        let folder = folder.join(engine.name().to_lowercase());
        std::fs::create_dir_all(&folder).unwrap();
        let postgres = match engine {
            Engine::Sqlite => None,
            // A folder of its own beside the build would need to be open to the server's user all the way down.
            Engine::Postgres => {
                Some(Postgres::start(data.is_some().then(|| folder.join("server")).as_deref()).await)
            }
        };
        Self { folder, postgres, _temporary: temporary }
    }

    /// Opened for reading, beside whoever writes.
    pub(crate) async fn db(&self) -> Db {
        let options = match &self.postgres {
            None => DbOptions::new(&self.folder),
            // What takes too long is to be seen, not cut off.
            Some(postgres) => DbOptions::postgres(PostgresOptions {
                statement_timeout: Duration::from_secs(600),
                ..PostgresOptions::new(&postgres.url)
            }),
        };
        Db::open(DbOptions { exclusive: false, ..options }).await.expect("the records")
    }

    /// The same, with nothing of them in memory.
    pub(crate) async fn cold_db(&mut self) -> Db {
        self.forget();
        self.db().await
    }

    /// Puts them out of memory. Connections to PostgreSQL break.
    pub(crate) fn forget(&mut self) {
        match &mut self.postgres {
            None => {
                let files = sqlite_files(&self.folder);
                for file in &files {
                    // What is only in memory yet stays there.
                    std::fs::File::open(file).unwrap().sync_all().unwrap();
                }
                drop_caches(&files);
            }
            Some(postgres) => postgres.forget(),
        }
    }

    /// Bytes on the disk.
    pub(crate) fn size(&self) -> u64 {
        match &self.postgres {
            None => sqlite_files(&self.folder).iter().map(|f| bytes(f)).sum(),
            Some(postgres) => postgres.sql("SELECT pg_database_size(current_database())").parse().unwrap(),
        }
    }
}

/// The database and what lies beside it.
fn sqlite_files(folder: &Path) -> Vec<PathBuf> {
    let of_it =
        |file: &PathBuf| file.file_name().is_some_and(|n| n.to_string_lossy().starts_with("drawbridge.db"));
    files(folder).into_iter().filter(of_it).collect()
}

fn bytes(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |m| m.len())
}

/// All files below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// Tells the system to forget what it holds of files that are on the disk.
fn drop_caches(files: &[PathBuf]) {
    for path in files {
        if let Ok(file) = std::fs::File::open(path) {
            let _may_stay = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
    }
}
