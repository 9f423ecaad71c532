//! Several gateways on one PostgreSQL: whose intents are closed by whom, and a server that breaks under the writer.

use super::*;
use crate::audit::fixtures::filled;
use crate::store::PostgresOptions;
use crate::store::db::server::Server;
use crate::store::db::testing::migrated;

/// A gateway's lease, last renewed so many seconds ago.
async fn lease(db: &Db, boot: &str, seconds: i64) {
    sql(
        db,
        "INSERT INTO gateway_lease (boot, name, policy_hash, started_at, seen_at, applied) \
         VALUES ($1, '', '', 0, {now} - $2 * 1000, 0) ON CONFLICT (boot) DO UPDATE SET seen_at = excluded.seen_at",
        &[boot.into(), seconds.into()],
    )
    .await;
}

/// As if the gateways had been started long ago.
async fn age(db: &Db) {
    sql(db, "UPDATE gateway SET started_at = started_at - 60000", &[]).await;
}

async fn outcomes(db: &Db) -> Vec<String> {
    let mut all: Vec<_> =
        org(db).await.iter().map(|i| i["outcome"].as_str().unwrap_or("open").to_owned()).collect();
    all.sort();
    all
}

#[tokio::test]
async fn only_what_gateways_that_are_gone_left_open_is_closed() {
    let store = store_on(Engine::Postgres).await;
    let db = store.db.clone();
    let mut held = Vec::new();
    for (boot, seconds) in [("boot_live", 1), ("boot_slow", 25), ("boot_dead", 31), ("boot_left", 1_000_000)]
    {
        lease(&db, boot, seconds).await;
        let writer = AuditWriter::start(db.clone(), boot).await.unwrap();
        held.push((writer.intent(intent("imp_a", "org_acme")).await.unwrap(), writer));
    }
    // It was started just now: its lease may be on its way.
    let new = AuditWriter::start(db.clone(), "boot_new").await.unwrap();
    held.push((new.intent(intent("imp_a", "org_acme")).await.unwrap(), new));
    assert_eq!(outcomes(&db).await, ["open"; 5]);
    sql(&db, "UPDATE gateway SET started_at = started_at - 60000 WHERE id <> 'boot_new'", &[]).await;
    // Two at once close them once.
    let other = store.beside().await;
    let (one, two) = tokio::join!(
        recovery::close_of_the_dead(&db, "boot_live"),
        recovery::close_of_the_dead(&other, "boot_slow")
    );
    assert_eq!(one.unwrap() + two.unwrap(), 2);
    assert_eq!(outcomes(&db).await, ["open", "open", "open", "unknown", "unknown"]);
    assert_eq!(count(&db, "SELECT COUNT(*) FROM org_audit WHERE stage = 'outcome'").await, 2);
    assert_logs_agree(&db).await;
    assert_eq!(db.repeats() + other.repeats(), 0);
}

/// It stood still for so long that another closed for it; then it goes on.
#[tokio::test]
async fn a_gateway_that_comes_back_is_closed_for_again_when_it_really_dies() {
    let store = store_on(Engine::Postgres).await;
    let db = store.db.clone();
    lease(&db, "boot_a", 60).await;
    let writer = AuditWriter::start(db.clone(), "boot_a").await.unwrap();
    let first = writer.intent(intent("imp_a", "org_acme")).await.unwrap();
    age(&db).await;
    assert_eq!(recovery::close_of_the_dead(&db, "boot_b").await.unwrap(), 1);
    first.close(done());
    let second = writer.intent(intent("imp_a", "org_acme")).await.unwrap();
    assert_eq!(recovery::close_of_the_dead(&db, "boot_b").await.unwrap(), 1);
    assert_eq!(outcomes(&db).await, ["unknown", "unknown"], "what stands in the log stays");
    second.close(done());
    writer.drain().await;
    assert_eq!(count(&db, "SELECT COUNT(*) FROM org_audit WHERE stage = 'outcome'").await, 2);
}

/// Every grant used by two gateways at once, in batches of many: numbers without gaps, no deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_number_requests_under_the_same_grants() {
    let store = store_on(Engine::Postgres).await;
    let dbs = [store.db.clone(), store.beside().await];
    let mut tasks = tokio::task::JoinSet::new();
    let mut writers = Vec::new();
    for (db, boot) in dbs.iter().zip(["boot_a", "boot_b"]) {
        let writer = AuditWriter::start(db.clone(), boot).await.unwrap();
        for n in 0..600_usize {
            let writer = writer.clone();
            tasks.spawn(async move {
                let imp = ["imp_c", "imp_a", "imp_b"][n % 3];
                let open = writer.intent(intent(imp, "org_acme")).await.unwrap();
                let seq = open.seq();
                open.close(done());
                (imp, seq)
            });
        }
        writers.push(writer);
    }
    let mut seqs: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (imp, seq) in tasks.join_all().await {
        seqs.entry(imp).or_default().push(seq);
    }
    for writer in writers {
        writer.drain().await;
    }
    for (imp, mut seqs) in seqs {
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=400).collect::<Vec<_>>(), "{imp}");
    }
    assert_eq!(count(&store.db, "SELECT COUNT(*) FROM org_audit WHERE stage = 'outcome'").await, 1_200);
    assert_eq!(dbs.iter().map(Db::repeats).sum::<u64>(), 0, "deadlocks");
}

/// The server crashes, comes back, stands still, goes on, all under load: callers get their refusals in time, the
/// writer goes on by itself, and in the end both logs tell the same, with an outcome for every intent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_breaks_under_the_writer_leaves_nothing_open() {
    use rustix::process::Signal;
    let mut server = Server::start(&[]);
    let database = server.database();
    let options = PostgresOptions {
        statement_timeout: Duration::from_millis(400),
        connect_timeout: Duration::from_millis(500),
        ..migrated(&database).await
    };
    std::mem::forget(database);
    let db = Db::open(DbOptions::postgres(options)).await.unwrap();
    filled(&db).await;
    let writer = AuditWriter::start(db.clone(), "boot_a").await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (writer, stop) = (writer.clone(), stop.clone());
        load.spawn(async move {
            let (mut passed, mut refused) = (0_usize, 0_usize);
            while !stop.load(Ordering::SeqCst) {
                match writer.intent(intent("imp_a", "org_acme")).await {
                    Ok(open) => {
                        open.close(done());
                        passed += 1;
                    }
                    Err(IntentError::Audit(_)) => {
                        refused += 1;
                        tokio::task::yield_now().await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            (passed, refused)
        });
    }
    let recorded = async || {
        let mut tx = db.read().await.ok()?;
        let text = "SELECT COUNT(*) FROM org_audit WHERE stage = 'intent'";
        tx.row(text, &[]).await.ok()??.int(0).ok()
    };
    let grows = async |by: i64| {
        let begun = std::time::Instant::now();
        let mut from = None;
        loop {
            let now = recorded().await;
            from = from.or(now);
            if let (Some(from), Some(now)) = (from, now)
                && now >= from + by
            {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "the writer doesn't go on: {:?}",
                writer.failing()
            );
        }
    };
    let fails = async || {
        let begun = std::time::Instant::now();
        while writer.failing().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "nothing fails");
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..2 {
        grows(100).await;
        server.down();
        fails().await;
        server.up();
        grows(100).await;
        server.signal(Signal::STOP);
        fails().await;
        server.signal(Signal::CONT);
    }
    grows(100).await;
    stop.store(true, Ordering::SeqCst);
    let (passed, refused) = load.join_all().await.into_iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    assert!(!writer.stats().latched, "nothing to restart");
    writer.drain().await;
    assert_logs_agree(&db).await;
    let open = "SELECT COUNT(*) FROM platform_audit i WHERE stage = 'intent' AND NOT EXISTS \
                (SELECT 1 FROM platform_audit o WHERE o.request_id = i.request_id AND o.stage = 'outcome')";
    assert_eq!(count(&db, open).await, 0);
    let lost = "SELECT COUNT(*) FROM platform_audit WHERE stage = 'outcome' AND body LIKE '%not_forwarded%'";
    let (lost, all) = (count(&db, lost).await, recorded().await.unwrap());
    tracing::info!("{passed} passed, {refused} refused, {lost} of them were there all the same");
    assert_eq!(usize::try_from(all - lost).unwrap(), passed);
    assert_eq!(
        count(&db, "SELECT seq FROM impersonation WHERE id = 'imp_a'").await,
        all,
        "no number is lost"
    );
}
