//! Connections to PostgreSQL: a few, each with one transaction at a time.
//!
//! Kept here rather than in `sqlx::Pool` for the reason that `sqlite` gives. Sockets belong to the runtime that
//! opened them, so all are opened on the runtime of `Db::open`, whoever asks. A connection whose transaction was
//! dropped is rolled back there before it is used again; one that was abandoned in the middle of an answer is closed.

use super::error::is_broken;
use super::postgres_options::PostgresOptions;
use super::{Row, StoreError, Value, value};
use parking_lot::Mutex;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, Postgres};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqlSafeStr as _, SqlStr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

/// Above the server's own `statement_timeout`: a server that stands still cancels nothing.
const SLACK: Duration = Duration::from_secs(1);
/// After a failed attempt to connect, the next one waits so long, then twice as long, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The connections to one database.
pub(super) struct Connections {
    home: Arc<Home>,
    permits: Arc<Semaphore>,
}

/// What a connection on loan needs to know of where it belongs.
struct Home {
    options: PgConnectOptions,
    connect_timeout: Duration,
    /// The longest that one statement may take.
    deadline: Duration,
    /// Where sockets are opened, and transactions rolled back that were dropped.
    runtime: Handle,
    idle: Mutex<Vec<Idle>>,
    /// Raised when a connection breaks: those that were opened before are not used again.
    generation: AtomicU64,
    /// One connects at a time, so that a server that comes back isn't overrun.
    dial: AsyncMutex<Dial>,
}

struct Idle {
    connection: PgConnection,
    generation: u64,
    begin: &'static str,
}

#[derive(Default)]
struct Dial {
    failures: u32,
    not_before: Option<Instant>,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// A role, a database or somebody's `SET` may have chosen less.
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on";
/// More than `on` is left as it is.
const WRITE_APPLIED: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = remote_apply";
/// A COMMIT that waits for a standby must not be cancelled: it would be told as done.
const COMMIT: &str = "SET LOCAL statement_timeout = 0; COMMIT";

/// A connection on loan, at home again when dropped.
pub(super) struct Lease {
    held: Option<Idle>,
    /// Between a question and its answer.
    busy: bool,
    /// Whether there is something to roll back.
    open: bool,
    /// A transaction that writes.
    writes: bool,
    /// A statement failed: the server answers COMMIT with ROLLBACK, and calls that success.
    failed: bool,
    home: Arc<Home>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Connections {
    /// Opens the first connection, on this runtime as all that follow.
    pub(super) async fn open(options: &PostgresOptions) -> Result<Self, StoreError> {
        let home = Home {
            options: options.connect_options()?,
            connect_timeout: options.connect_timeout,
            deadline: options.statement_timeout + SLACK,
            runtime: Handle::current(),
            idle: Mutex::default(),
            generation: AtomicU64::new(0),
            dial: AsyncMutex::default(),
        };
        let home = Arc::new(home);
        let first = home.connect().await.map_err(StoreError::of_connection)?;
        home.idle.lock().push(first);
        Ok(Self { home, permits: Arc::new(Semaphore::new(options.connections.max(1))) })
    }

    /// A connection with a transaction begun on it.
    pub(super) async fn begin(&self, access: Access) -> Result<Lease, StoreError> {
        let patience = tokio::time::Instant::now() + self.home.connect_timeout.max(self.home.deadline);
        let permit = tokio::time::timeout_at(patience, self.permits.clone().acquire_owned())
            .await
            .map_err(|_| StoreError::Unreachable(StoreError::timed_out("all connections are busy")))?
            .map_err(|_| StoreError::Unreachable(sqlx::Error::PoolClosed))?;
        let mut permit = Some(permit);
        // A connection at rest may have died since; nothing has been asked yet, so another one is tried.
        let kept = self.home.idle.lock().pop();
        if let Some(kept) = kept {
            let mut lease = Lease::new(kept, self.home.clone(), permit.take());
            match lease.begin(access).await {
                Err(StoreError::Unreachable(error)) => {
                    tracing::debug!(%error, "a connection to the database is replaced");
                    permit = lease.permit.take();
                }
                done => return done.map(|()| lease),
            }
        }
        let fresh = self.home.next().await.map_err(StoreError::of_connection)?;
        let mut lease = Lease::new(fresh, self.home.clone(), permit);
        lease.begin(access).await?;
        Ok(lease)
    }
}

impl Connections {
    /// Whether the tables are those of this version.
    pub(super) async fn verify(&self, migrator: &Migrator) -> Result<(), MigrateError> {
        let mut idle = self.home.next().await?;
        crate::store::migrations::verify(migrator, &mut idle.connection).await?;
        self.home.give_back(idle);
        Ok(())
    }
}

impl Home {
    /// A connection that was given back meanwhile, or a new one, in turn.
    async fn next(&self) -> Result<Idle, sqlx::Error> {
        let patience = tokio::time::Instant::now() + self.connect_timeout;
        let too_late = || StoreError::timed_out("the database doesn't take connections");
        let mut dial = tokio::time::timeout_at(patience, self.dial.lock()).await.map_err(|_| too_late())?;
        let kept = self.idle.lock().pop();
        if let Some(kept) = kept {
            return Ok(kept);
        }
        if let Some(pause) = dial.not_before {
            let pause = tokio::time::Instant::from_std(pause);
            if pause > patience {
                return Err(too_late());
            }
            tokio::time::sleep_until(pause).await;
        }
        match self.connect().await {
            Ok(connected) => {
                *dial = Dial::default();
                Ok(connected)
            }
            Err(error) => {
                let pause = PAUSE.saturating_mul(1 << dial.failures.min(8)).min(LONGEST_PAUSE);
                dial.failures += 1;
                dial.not_before = Some(Instant::now() + pause);
                Err(error)
            }
        }
    }

    /// Connects, on the runtime of `Db::open`; a server that only follows another one is refused.
    async fn connect(&self) -> Result<Idle, sqlx::Error> {
        let generation = self.generation.load(Ordering::SeqCst);
        let (options, timeout) = (self.options.clone(), self.connect_timeout);
        let connecting = self.runtime.spawn(async move {
            let connected = async {
                let mut connection = options.connect().await?;
                let row: (bool, String) =
                    sqlx::query_as("SELECT pg_is_in_recovery(), current_setting('synchronous_commit')")
                        .fetch_one(&mut connection)
                        .await?;
                Ok((connection, row))
            };
            match tokio::time::timeout(timeout, connected).await {
                Ok(done) => done,
                Err(_) => Err(StoreError::timed_out("connecting took too long")),
            }
        });
        let (connection, (follows, durability)) = connecting.await.map_err(|_| sqlx::Error::PoolClosed)??;
        if follows {
            let told = std::io::Error::other("the server is a standby, not the primary");
            return Err(sqlx::Error::Io(told));
        }
        let begin = if durability == "remote_apply" { WRITE_APPLIED } else { WRITE };
        Ok(Idle { connection, generation, begin })
    }

    /// A connection of `generation` broke: so will the others of its time.
    fn broke(&self, generation: u64) {
        let next = generation + 1;
        if self.generation.compare_exchange(generation, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let old = std::mem::take(&mut *self.idle.lock());
            tracing::warn!(closed = old.len(), "a connection to the database broke: all are replaced");
        }
    }

    fn give_back(&self, idle: Idle) {
        if idle.generation == self.generation.load(Ordering::SeqCst) {
            self.idle.lock().push(idle);
        }
    }
}

impl Lease {
    fn new(held: Idle, home: Arc<Home>, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { held: Some(held), busy: false, open: false, writes: false, failed: false, home, permit }
    }

    async fn begin(&mut self, access: Access) -> Result<(), StoreError> {
        let text = match (access, &self.held) {
            (Access::Read, _) => READ,
            (Access::Write, Some(held)) => held.begin,
            (Access::Write, None) => WRITE,
        };
        (self.open, self.writes) = (true, access == Access::Write);
        self.simple(text).await.map_err(StoreError::of_connection)
    }

    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        if self.failed {
            let told = "a statement of the transaction failed before";
            return Err(StoreError::Database(sqlx::Error::Protocol(told.to_owned())));
        }
        self.simple(COMMIT).await.map_err(StoreError::at_commit)?;
        self.open = false;
        Ok(())
    }

    /// One message, one answer, nothing prepared.
    async fn simple(&mut self, text: &'static str) -> Result<(), sqlx::Error> {
        self.asked(async |connection| sqlx::raw_sql(text).execute(connection).await.map(drop)).await
    }

    pub(super) async fn fetch(&mut self, text: SqlStr, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let args = value::to_postgres(args)?;
        let rows = self
            .asked(async |connection| sqlx::query_with::<Postgres, _>(text, args).fetch_all(connection).await)
            .await
            .map_err(StoreError::of_connection)?;
        rows.iter().map(value::from_postgres).collect()
    }

    pub(super) async fn run(&mut self, text: SqlStr, args: &[Value]) -> Result<u64, StoreError> {
        let args = value::to_postgres(args)?;
        let done = self
            .asked(async |connection| sqlx::query_with::<Postgres, _>(text, args).execute(connection).await)
            .await
            .map_err(StoreError::of_connection)?;
        Ok(done.rows_affected())
    }

    /// Asks, with a limit on the time of the answer. Dropped before the answer, or without one, the connection is
    /// closed when the lease is dropped.
    async fn asked<T>(
        &mut self,
        ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let Some(held) = &mut self.held else { return Err(sqlx::Error::PoolClosed) };
        if self.busy {
            return Err(sqlx::Error::PoolClosed);
        }
        self.busy = true;
        let answer = match tokio::time::timeout(self.home.deadline, ask(&mut held.connection)).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::timed_out("the database doesn't answer")),
        };
        match &answer {
            Ok(_) => self.busy = false,
            Err(error) => {
                self.failed = true;
                // A primary that became a standby has nothing more to give either.
                if is_broken(error) || (self.writes && is_read_only(error)) {
                    self.home.broke(held.generation);
                } else {
                    self.busy = false;
                }
            }
        }
        answer
    }
}

fn is_read_only(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|e| e.code().as_deref() == Some("25006"))
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut idle) = self.held.take() else { return };
        if self.busy {
            return;
        }
        if !self.open {
            self.home.give_back(idle);
            return;
        }
        let (home, permit) = (self.home.clone(), self.permit.take());
        let runtime = home.runtime.clone();
        drop(runtime.spawn(async move {
            let rolled_back = sqlx::raw_sql("ROLLBACK").execute(&mut idle.connection);
            if matches!(tokio::time::timeout(home.deadline, rolled_back).await, Ok(Ok(_))) {
                home.give_back(idle);
            }
            drop(permit);
        }));
    }
}

/// A text of this program's for one message, outside transactions.
pub(super) fn text(sql: String) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}
