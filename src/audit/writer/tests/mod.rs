//! The writer on a real store: grants that end, faults, crashes, floods.

mod faults;
mod postgres;

use super::*;
use crate::audit::fixtures::{attribution, intent, refusal, store, store_on, store_with};
use crate::audit::query::{Filter, Log, page};
use crate::domain::Event;
use crate::domain::ids::OrgId;
use crate::store::db::mount::Mount;
use crate::store::db::testing::{Engine, on_both_engines};
use crate::store::{DbOptions, Value as Sql};
use serde_json::Value;
use std::collections::BTreeMap;

/// The gateway of these tests.
const ME: &str = "embedded";

on_both_engines!(
    requests_are_numbered_within_their_grant_in_both_logs,
    ended_and_expired_grants_in_one_batch_are_refused_and_recorded_unnumbered,
    an_end_and_intents_race_and_nothing_numbered_comes_after_the_end,
    the_start_scans_only_what_may_be_open,
    a_dropped_intent_is_closed_as_unknown_and_an_unheard_one_as_not_forwarded,
    a_flood_under_one_grant_does_not_starve_another,
    repeated_refusals_of_strangers_are_counted_and_those_of_grants_are_single,
    attribution_is_written_without_waiting,
    hostile_bytes_stay_on_one_line,
    a_command_leaves_the_gateway_s_intents_alone,
    a_lost_answer_is_settled,
);

async fn items(db: &Db, log: Log) -> Vec<Value> {
    let mut tx = db.read().await.unwrap();
    page(&mut tx, &log, &Filter::default(), 500, None).await.unwrap().unwrap().items
}

async fn org(db: &Db) -> Vec<Value> {
    items(db, Log::Org(OrgId::parse("org_acme").unwrap())).await
}

async fn platform(db: &Db) -> Vec<Value> {
    items(db, Log::Platform).await
}

/// Runs a statement in a transaction of its own.
async fn sql(db: &Db, text: &'static str, args: &[Sql]) {
    let mut tx = db.write().await.unwrap();
    tx.execute(text, args).await.unwrap();
    tx.commit().await.unwrap();
}

async fn count(db: &Db, text: &'static str) -> i64 {
    db.read().await.unwrap().row(text, &[]).await.unwrap().unwrap().int(0).unwrap()
}

fn done() -> Outcome {
    Outcome { outcome: "completed", status: Some(200), attempts: 1, ..Outcome::default() }
}

/// Pairs of stage and identifier, which both logs must hold alike.
async fn identifiers(db: &Db, text: &'static str) -> Vec<(String, String)> {
    let mut tx = db.read().await.unwrap();
    let rows = tx.rows(text, &[]).await.unwrap();
    rows.iter()
        .map(|row| {
            let body: Value = serde_json::from_str(row.text(1).unwrap()).unwrap();
            (row.text(0).unwrap().to_owned(), body["id"].as_str().unwrap().to_owned())
        })
        .collect()
}

async fn assert_logs_agree(db: &Db) {
    let org = identifiers(db, "SELECT stage, body FROM org_audit ORDER BY n").await;
    let platform =
        identifiers(db, "SELECT stage, body FROM platform_audit WHERE org_id IS NOT NULL ORDER BY n").await;
    assert_eq!(org, platform);
}

async fn requests_are_numbered_within_their_grant_in_both_logs(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..300 {
        let writer = writer.clone();
        tasks.spawn(async move {
            let imp = ["imp_a", "imp_b", "imp_c"][i % 3];
            let open = writer.intent(intent(imp, "org_acme")).await.unwrap();
            let seq = open.seq();
            open.close(done());
            (imp, seq)
        });
    }
    let mut seqs: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (imp, seq) in tasks.join_all().await {
        seqs.entry(imp).or_default().push(seq);
    }
    writer.drain().await;
    for (imp, mut seqs) in seqs {
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=100).collect::<Vec<_>>(), "{imp}");
    }
    let items = org(&db).await;
    assert_eq!(items.len(), 300);
    assert!(items.iter().all(|i| i["outcome"] == "completed"));
    assert_logs_agree(&db).await;
    assert_eq!(count(&db, "SELECT CAST(SUM(seq) AS BIGINT) FROM impersonation").await, 300);
    assert_eq!(writer.stats().open, 0);
}

async fn ended_and_expired_grants_in_one_batch_are_refused_and_recorded_unnumbered(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    sql(
        &db,
        "UPDATE impersonation SET ended_at = {now}, revoke_reason = 'support_access_disabled' WHERE id = 'imp_b'",
        &[],
    )
    .await;
    sql(&db, "UPDATE impersonation SET expires_at = {now} WHERE id = 'imp_c'", &[]).await;
    let work = |imp: &str| {
        let (reply, answer) = oneshot::channel();
        (Work { entry: intent(imp, "org_acme"), reply: Reply::Intent(reply) }, answer)
    };
    let (work, _answers): (Vec<_>, Vec<_>) =
        ["imp_a", "imp_b", "imp_c", "imp_a", "imp_unknown", "imp_b"].map(work).into_iter().unzip();
    let batch = batch::Batch { work, ..batch::Batch::default() };
    let committed = batch.commit(&db, ME).await.unwrap();
    use batch::Verdict::{Ended, Live};
    assert_eq!(
        committed.verdicts,
        [
            Live(1),
            Ended(RevokeReason::SupportAccessDisabled),
            Ended(RevokeReason::Expired),
            Live(2),
            Ended(RevokeReason::Expired),
            Ended(RevokeReason::SupportAccessDisabled),
        ]
    );
    let items = org(&db).await;
    let told: Vec<_> = items
        .iter()
        .rev()
        .map(|i| (i["stage"].as_str().unwrap(), i["code"].as_str(), i["impersonation_seq"].as_i64()))
        .collect();
    assert_eq!(
        told,
        [
            ("intent", None, Some(1)),
            ("refused", Some("IMPERSONATION_REVOKED"), None),
            ("refused", Some("IMPERSONATION_EXPIRED"), None),
            ("intent", None, Some(2)),
            ("refused", Some("IMPERSONATION_EXPIRED"), None),
            ("refused", Some("IMPERSONATION_REVOKED"), None),
        ]
    );
    assert_eq!(items[0]["details"]["after_end"], true);
    assert_eq!(items[0]["revoke_reason"], "support_access_disabled");
    assert_logs_agree(&db).await;
    assert_eq!(
        count(&db, "SELECT CAST(SUM(seq) AS BIGINT) FROM impersonation").await,
        2,
        "a refusal takes no number"
    );
}

async fn an_end_and_intents_race_and_nothing_numbered_comes_after_the_end(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let writer = writer.clone();
        tasks.spawn(async move {
            loop {
                match writer.intent(intent("imp_a", "org_acme")).await {
                    Ok(open) => open.close(done()),
                    Err(IntentError::Ended(reason)) => return reason,
                    Err(IntentError::Audit(AuditError::Busy)) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while org(&db).await.len() < 50 {
        tokio::task::yield_now().await;
    }
    let mut tx = db.write().await.unwrap();
    let ended = "UPDATE impersonation SET ended_at = {now}, revoke_reason = 'logout' WHERE id = 'imp_a' RETURNING seq";
    let last = tx.row(ended, &[]).await.unwrap().unwrap().int(0).unwrap();
    tx.commit().await.unwrap();
    let end = count(&db, "SELECT MAX(n) FROM platform_audit WHERE stage = 'intent'").await;
    for reason in tasks.join_all().await {
        assert_eq!(reason, RevokeReason::Logout);
    }
    writer.drain().await;
    assert_eq!(count(&db, "SELECT MAX(n) FROM platform_audit WHERE stage = 'intent'").await, end);
    assert_eq!(count(&db, "SELECT COUNT(*) FROM platform_audit WHERE stage = 'intent'").await, last);
    assert_eq!(count(&db, "SELECT COUNT(*) FROM org_audit WHERE stage = 'refused'").await, 64);
}

#[test]
fn after_a_crash_what_was_open_is_unknown_in_both_logs() {
    let folder = tempfile::tempdir().unwrap();
    // The runtime ends with everything on it, as a killed process does: nothing is closed, nothing drained.
    let crashed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (writer, open) = crashed.block_on(async {
        let writer = AuditWriter::start(store(folder.path()).await, ME).await.unwrap();
        writer.intent(intent("imp_a", "org_acme")).await.unwrap().close(done());
        let open = writer.intent(intent("imp_a", "org_acme")).await.unwrap();
        (writer, open)
    });
    crashed.shutdown_timeout(Duration::from_secs(10));
    let next = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    next.block_on(async {
        // Nobody waits for a writer that is gone.
        assert!(matches!(writer.refusal(refusal("usr_a", "X")).await, Err(AuditError::Busy)));
        writer.drain().await;
        drop((open, writer));
        for boot in 0..2 {
            let db = store(folder.path()).await;
            let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
            for items in [org(&db).await, platform(&db).await] {
                let outcomes: Vec<_> = items.iter().map(|i| i["outcome"].as_str().unwrap()).collect();
                assert_eq!(outcomes[0], "unknown", "boot {boot}");
                assert!(["unknown", "completed"].contains(&outcomes[1]));
                assert_eq!(outcomes.len(), 2);
            }
            assert_eq!(count(&db, "SELECT COUNT(*) FROM org_audit WHERE stage = 'outcome'").await, 2);
            assert_logs_agree(&db).await;
            writer.drain().await;
        }
    });
}

async fn the_start_scans_only_what_may_be_open(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    writer.intent(intent("imp_a", "org_acme")).await.unwrap().close(done());
    let open = writer.intent(intent("imp_a", "org_acme")).await.unwrap();
    for _ in 0..20 {
        writer.intent(intent("imp_a", "org_acme")).await.unwrap().close(done());
    }
    writer.drain().await;
    let n = count(&db, "SELECT closed_before FROM gateway").await;
    let at = count(&db, "SELECT n FROM platform_audit WHERE impersonation_id = 'imp_a' AND stage = 'intent' ORDER BY n LIMIT 1 OFFSET 1").await;
    assert!(n < at, "{n} is past the open intent at {at}");
    assert!(n >= 1, "what is closed before it needs no look");
    drop(open);
}

async fn a_dropped_intent_is_closed_as_unknown_and_an_unheard_one_as_not_forwarded(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    drop(writer.intent(intent("imp_a", "org_acme")).await.unwrap());
    {
        let abandoned = writer.intent(intent("imp_a", "org_acme"));
        let mut abandoned = std::pin::pin!(abandoned);
        let polled = futures_util::poll!(&mut abandoned);
        assert!(polled.is_pending());
    }
    writer.drain().await;
    let outcomes: Vec<_> = org(&db).await.iter().map(|i| i["outcome"].clone()).collect();
    assert_eq!(outcomes, ["not_forwarded", "unknown"]);
    assert_eq!(writer.stats().open, 0);
}

async fn a_flood_under_one_grant_does_not_starve_another(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    // The writer can't commit: everything gathers.
    let held = db.write().await.unwrap();
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..6_000 {
        let writer = writer.clone();
        flood.spawn(async move { writer.intent(intent("imp_a", "org_acme")).await.map(|o| o.close(done())) });
    }
    while writer.stats().open < OPEN / 2 - 1 && writer.stats().queued < QUEUE / 2 {
        tokio::task::yield_now().await;
    }
    let victim = tokio::spawn({
        let writer = writer.clone();
        async move { writer.intent(intent("imp_b", "org_acme")).await.map(|o| o.close(done())) }
    });
    while !flood.is_empty() && writer.stats().queued < QUEUE / 2 {
        tokio::task::yield_now().await;
    }
    drop(held);
    victim.await.unwrap().unwrap();
    let behind = count(
        &db,
        "SELECT COUNT(*) FROM platform_audit WHERE stage = 'intent' AND impersonation_id = 'imp_a'",
    )
    .await;
    assert!(behind < 2_048, "it waited behind {behind} of the flood");
    let refused = flood.join_all().await.into_iter().filter(|r| r.is_err()).count();
    assert!(refused > 0, "the flood met its bound");
    writer.drain().await;
    assert_logs_agree(&db).await;
}

async fn repeated_refusals_of_strangers_are_counted_and_those_of_grants_are_single(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    for _ in 0..10 {
        writer.refusal(refusal("usr_a", "OWNER_ONLY")).await.unwrap();
    }
    assert_eq!(org(&db).await.len(), 1, "the first at once");
    for _ in 0..3 {
        let entry = Entry { stage: crate::audit::Stage::Refused, ..intent("imp_a", "org_acme") };
        writer.refusal(entry).await.unwrap();
    }
    assert_eq!(org(&db).await.len(), 4);
    writer.drain().await;
    let items = org(&db).await;
    assert_eq!(items.len(), 5);
    assert_eq!((&items[0]["count"], &items[0]["code"]), (&9.into(), &"OWNER_ONLY".into()));
    assert!(matches!(writer.refusal(refusal("usr_b", "X")).await, Err(AuditError::Busy)), "drained");
}

async fn attribution_is_written_without_waiting(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    for _ in 0..700 {
        writer.attribute(attribution("usr_a"));
    }
    writer.drain().await;
    assert_eq!(
        count(&db, "SELECT COUNT(*) FROM org_audit WHERE stage = 'use' AND event = 'org.request'").await,
        700
    );
    assert_eq!(count(&db, "SELECT COUNT(*) FROM platform_audit").await, 0);
}

async fn hostile_bytes_stay_on_one_line(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    let hostile = "a\r\n{\"event\":\"forged\"}\u{1b}[2J\0\u{202E}\u{2028}";
    let mut entry = intent("imp_a", "org_acme");
    entry.path = Some(hostile.to_owned());
    entry.user_agent = Some(hostile.to_owned());
    entry.reason = Some(hostile.to_owned());
    writer.intent(entry).await.unwrap().close(done());
    writer.drain().await;
    let mut tx = db.read().await.unwrap();
    for text in ["SELECT body FROM org_audit", "SELECT body FROM platform_audit"] {
        for row in tx.rows(text, &[]).await.unwrap() {
            let body = row.text(0).unwrap();
            assert!(!body.contains(|c: char| c.is_control() || "\u{202E}\u{2028}".contains(c)), "{body}");
        }
    }
    assert_eq!(platform(&db).await[0]["reason"], hostile);
}

#[test]
fn callers_live_on_other_runtimes() {
    let folder = tempfile::tempdir().unwrap();
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (db, writer) = home.block_on(async {
        let db = store(folder.path()).await;
        (db.clone(), AuditWriter::start(db, ME).await.unwrap())
    });
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (db, writer) = (db.clone(), writer.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..30 {
                        writer.intent(intent("imp_a", "org_acme")).await.unwrap().close(done());
                        assert!(!org(&db).await.is_empty());
                    }
                });
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    home.block_on(async {
        writer.drain().await;
        assert_eq!(org(&db).await.len(), 90);
    });
}

async fn a_command_leaves_the_gateway_s_intents_alone(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let gateway = AuditWriter::start(db.clone(), ME).await.unwrap();
    let open = gateway.intent(intent("imp_a", "org_acme")).await.unwrap();
    let boot = async || {
        let mut tx = db.read().await.unwrap();
        let row = tx.row("SELECT boot, closed_before FROM gateway", &[]).await.unwrap().unwrap();
        (row.text(0).unwrap().to_owned(), row.int(1).unwrap())
    };
    let before = boot().await;
    let command = AuditWriter::beside(db.clone());
    command.record(refusal("usr_a", "X")).await.unwrap();
    command.drain().await;
    assert_eq!(boot().await, before);
    open.close(done());
    gateway.drain().await;
    let outcomes: Vec<_> =
        org(&db).await.iter().filter_map(|i| i["outcome"].as_str().map(str::to_owned)).collect();
    assert_eq!(outcomes, ["completed"]);
}

/// The answer of a COMMIT was lost: one of its two intents is in the log (the other stands for one that isn't).
async fn a_lost_answer_is_settled(engine: Engine) {
    let store = store_on(engine).await;
    let db = store.db.clone();
    let opened = |entry: &Entry| Opened {
        request_id: entry.request_id.clone(),
        event: entry.event,
        org_id: entry.org_id.clone(),
        impersonation_id: entry.impersonation_id.clone(),
    };
    let (there, lost) = (intent("imp_b", "org_acme"), intent("imp_a", "org_acme"));
    let doubtful = [opened(&there), opened(&lost)];
    let (reply, _answer) = oneshot::channel();
    let work = vec![Work { entry: there, reply: Reply::Intent(reply) }];
    batch::Batch { work, ..batch::Batch::default() }.commit(&db, ME).await.unwrap();
    for _ in 0..2 {
        recovery::settle(&db, &doubtful).await.unwrap();
        let outcomes: Vec<_> = org(&db).await.iter().map(|i| i["outcome"].clone()).collect();
        assert_eq!(outcomes, ["not_forwarded"]);
        assert_eq!(count(&db, "SELECT COUNT(*) FROM org_audit").await, 2);
        assert_logs_agree(&db).await;
    }
}
