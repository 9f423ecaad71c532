//! Makes a log: many callers of the one writer, beside the sequencer, as in a gateway that is asked as fast as it can.

use super::engine::Store;
use super::entries::{self, GRANTS, ORGS, STAFF, Step};
use drawbridge::app::{Composition, compose};
use drawbridge::audit::{AuditError, AuditReader, AuditWriter, IntentError, Outcome};
use drawbridge::config::{AccessLogTo, Config};
use drawbridge::domain::{Clock as _, Millis, ShiftedClock};
use drawbridge::store::{Db, Tx, Value};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Callers.
const CALLERS: usize = 1_024;
/// Says in a log's folder that it is full: lines, and when it ends.
const FILLED: &str = "filled";

/// A log that is there.
pub(crate) struct Filled {
    pub(crate) reader: AuditReader,
    /// In all logs together.
    pub(crate) lines: u64,
    /// Time of its newest entry.
    pub(crate) end: Millis,
    /// How it was made; `None`: it was found.
    pub(crate) made: Option<Made>,
}

/// How it went.
pub(crate) struct Made {
    pub(crate) took: Duration,
    /// How long the sequencer needed when the last entry was written.
    pub(crate) caught_up: Duration,
    /// Most transactions that had no place yet.
    pub(crate) behind: i64,
}

struct Work {
    writer: AuditWriter,
    next: AtomicU64,
    lines: AtomicU64,
    steps: u64,
    end: Millis,
}

/// What `store` has; made when it isn't there. Afterwards nobody writes.
pub(crate) async fn fill(store: &Store, lines: u64) -> Filled {
    let parts = compose(config(store)).await.expect("the parts of a gateway");
    let file = store.folder.join(FILLED);
    let filled = match std::fs::read_to_string(&file) {
        Ok(text) => found(&parts, &text),
        Err(_) => {
            let filled = make(store, &parts, lines).await;
            std::fs::write(&file, format!("{} {}", filled.lines, filled.end)).unwrap();
            filled
        }
    };
    parts.audit.drain().await;
    let sequencer = parts.sequencer.lock().take();
    sequencer.expect("a sequencer").stop().await;
    filled
}

fn config(store: &Store) -> Config {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = Config::defaults(&store.folder);
    config.data.dir.clone_from(&store.folder);
    config.data.master_key_file = store.folder.join("master.key");
    config.log.access = AccessLogTo::Off;
    config.policy.policies = root.join("policies");
    config.policy.schemas = root.join("schemas");
    // As fast as it can, it takes as long as it takes.
    config.audit.commit_timeout = Duration::from_secs(60);
    config.database.url = store.postgres.as_ref().map(|p| p.url.parse().expect("a URL"));
    config
}

fn found(parts: &Composition, text: &str) -> Filled {
    let (lines, end) = text.trim().split_once(' ').expect("lines and the end");
    let (lines, end) = (lines.parse().expect("a number"), end.parse().expect("a time"));
    eprintln!("found {lines} entries");
    Filled { reader: parts.reader.clone(), lines, end, made: None }
}

async fn make(store: &Store, parts: &Composition, lines: u64) -> Filled {
    people(&store.db().await).await;
    let work = Arc::new(Work {
        writer: parts.audit.clone(),
        next: AtomicU64::new(0),
        lines: AtomicU64::new(0),
        steps: entries::steps(lines),
        end: ShiftedClock(0).now(),
    });
    let (begun, mut callers, mut behind) = (Instant::now(), JoinSet::new(), 0);
    for _ in 0..CALLERS {
        callers.spawn(call(work.clone()));
    }
    let mut told = tokio::time::interval(Duration::from_secs(2));
    while !callers.is_empty() {
        tokio::select! {
            Some(done) = callers.join_next() => done.expect("a caller failed"),
            _ = told.tick() => {
                let pending = parts.reader.unsequenced().await.unwrap();
                behind = behind.max(pending.0);
                let lines = work.lines.load(Ordering::Relaxed);
                eprintln!(
                    "{lines} entries, {:.0}/s; without a place: {} transactions, the oldest {} ms old",
                    lines as f64 / begun.elapsed().as_secs_f64(),
                    pending.0,
                    pending.1
                );
            }
        }
    }
    // Outcomes may still be in the queue.
    parts.audit.drain().await;
    let (took, written) = (begun.elapsed(), Instant::now());
    loop {
        assert_eq!(parts.reader.failing(), None, "the sequencer fails");
        if parts.reader.unsequenced().await.unwrap().0 == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let made = Made { took, caught_up: written.elapsed(), behind };
    if let Some(postgres) = &store.postgres {
        // As autovacuum will have done by the time that anybody reads.
        postgres.sql("VACUUM ANALYZE");
    }
    let lines = work.lines.load(Ordering::Relaxed);
    Filled { reader: parts.reader.clone(), lines, end: work.end, made: Some(made) }
}

/// One step after the other, as long as there are some.
async fn call(work: Arc<Work>) {
    loop {
        let n = work.next.fetch_add(1, Ordering::Relaxed);
        if n >= work.steps {
            return;
        }
        let step = entries::step(n, work.steps, work.end);
        let lines = step.lines();
        match step {
            Step::Other(entry) => {
                while let Err(error) = work.writer.record(entry.clone()).await {
                    patience(&error).await;
                }
            }
            Step::Request(entry) => loop {
                match work.writer.intent(entry.clone()).await {
                    Ok(open) => {
                        open.close(Outcome {
                            outcome: "completed",
                            status: Some(200),
                            bytes_out: 1_024,
                            latency_ms: 7,
                            attempts: 1,
                            ..Outcome::default()
                        });
                        break;
                    }
                    Err(IntentError::Audit(error)) => patience(&error).await,
                    Err(error) => panic!("{error}"),
                }
            },
        }
        work.lines.fetch_add(lines, Ordering::Relaxed);
    }
}

/// Too many at once under one grant is no error here.
async fn patience(error: &AuditError) {
    match error {
        AuditError::Busy => tokio::time::sleep(Duration::from_millis(5)).await,
        other => panic!("{other:?}"),
    }
}

/// Orgs, staff and grants that the entries are of.
async fn people(db: &Db) {
    let mut tx = db.write().await.unwrap();
    for (org, _) in ORGS {
        let text = "INSERT INTO org (id, name, slug, plan, owner_email, status, allow_platform_impersonation, created_at) \
                    VALUES ($1, $1, $1, 'business', 'o@example.com', 'active', 1, {now})";
        insert(&mut tx, text, &[org.into()]).await;
    }
    for n in 0..STAFF {
        let (person, _) = entries::of_grant(n);
        let text = "INSERT INTO platform_user (id, email, display_name, roles, created_at) VALUES ($1, $1, $1, '[]', {now})";
        insert(&mut tx, text, &[person.as_str().into()]).await;
    }
    for n in 0..GRANTS {
        let (person, org) = entries::of_grant(n);
        let text = "INSERT INTO impersonation (id, platform_user_id, org_id, role, reason, slot, started_at, expires_at) \
                    VALUES ($1, $2, $3, 'admin', 'cameras offline', $4, {now}, {now} + 864000000)";
        let slot = i64::try_from(n).unwrap();
        let args =
            [entries::grant(n).as_str().into(), person.as_str().into(), org.as_str().into(), slot.into()];
        insert(&mut tx, text, &args).await;
    }
    tx.commit().await.unwrap();
}

async fn insert(tx: &mut Tx, text: &'static str, args: &[Value]) {
    tx.execute(text, args).await.unwrap();
}
