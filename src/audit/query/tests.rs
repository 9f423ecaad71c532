//! Paging and filters on a real store.

use super::*;
use crate::audit::entry::{ActorType, Entry, Logs, Stage};
use crate::audit::{AuditWriter, Outcome, fixtures, write_act};
use crate::domain::Event;
use crate::store::Db;
use proptest::prelude::*;

async fn all(db: &Db, log: &Log, filter: &Filter, limit: usize) -> Vec<serde_json::Value> {
    let mut tx = db.read().await.unwrap();
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let page = page(&mut tx, log, filter, limit, cursor.as_deref()).await.unwrap().unwrap();
        assert!(page.items.len() <= limit);
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return items;
        }
    }
}

fn org() -> Log {
    Log::Org(OrgId::parse("org_acme").unwrap())
}

#[tokio::test]
async fn a_request_is_one_item_with_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let db = fixtures::store(folder.path()).await;
    let writer = AuditWriter::start(db.clone(), "embedded").await.unwrap();
    let open = writer.intent(fixtures::intent("imp_a", "org_acme")).await.unwrap();
    for log in [org(), Log::Platform] {
        let items = all(&db, &log, &Filter::default(), 10).await;
        assert_eq!(items.len(), 1);
        assert!(items[0]["outcome"].is_null(), "still open");
    }
    open.close(Outcome { outcome: "completed", status: Some(200), bytes_out: 12, ..Outcome::default() });
    writer.drain().await;
    for log in [org(), Log::Platform] {
        let items = all(&db, &log, &Filter::default(), 10).await;
        assert_eq!(items.len(), 1);
        assert_eq!((&items[0]["outcome"], &items[0]["status"]), (&"completed".into(), &200.into()));
        assert_eq!((&items[0]["bytes_out"], &items[0]["impersonation_seq"]), (&12.into(), &1.into()));
        let first: Vec<_> = items[0].as_object().unwrap().keys().take(23).cloned().collect();
        assert_eq!(
            first,
            "id request_id time event action actor_type actor acting_user_id acting_bot_id token_id source_address \
             org_id impersonation_id decision code policies method path status outcome reason ticket_ref revoke_reason"
                .split_whitespace()
                .collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn acts_of_one_request_stay_apart_and_again_is_once() {
    let folder = tempfile::tempdir().unwrap();
    let db = fixtures::store(folder.path()).await;
    let mut tx = db.write().await.unwrap();
    let request = fixtures::intent("imp_a", "org_acme").request_id;
    for _ in 0..2 {
        for imp in ["imp_a", "imp_b", "imp_c"] {
            let entry = Entry {
                stage: Stage::Act,
                event: Event::ImpersonationEnded,
                request_id: request.clone(),
                actor_type: ActorType::OrgUser,
                actor: "usr_olga".to_owned(),
                ..fixtures::intent(imp, "org_acme")
            };
            write_act(&mut tx, &entry).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    for log in [org(), Log::Platform] {
        assert_eq!(all(&db, &log, &Filter::default(), 2).await.len(), 3);
    }
}

#[tokio::test]
async fn each_log_through_the_right_eyes() {
    let folder = tempfile::tempdir().unwrap();
    let db = fixtures::store(folder.path()).await;
    let mut tx = db.write().await.unwrap();
    let globex = Entry { stage: Stage::Act, ..fixtures::intent("imp_b", "org_globex") };
    let acme = Entry { stage: Stage::Act, ..fixtures::intent("imp_a", "org_acme") };
    let bobs = Entry {
        platform_user: None,
        actor: "pu_bob".to_owned(),
        actor_type: ActorType::PlatformUser,
        logs: Logs::Platform,
        ..Entry { stage: Stage::Act, event: Event::OrgsRead, ..fixtures::intent("imp_c", "org_acme") }
    };
    for entry in [&globex, &acme, &bobs] {
        write_act(&mut tx, entry).await.unwrap();
    }
    tx.commit().await.unwrap();
    let ids = async |log: Log, filter: Filter| {
        let items = all(&db, &log, &filter, 10).await;
        items.iter().map(|i| i["request_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let id = |e: &Entry| e.request_id.to_string();
    assert_eq!(ids(org(), Filter::default()).await, [id(&acme)]);
    assert_eq!(ids(Log::Platform, Filter::default()).await, [id(&bobs), id(&acme), id(&globex)]);
    let of = |user: &str| Log::PlatformOf(PlatformUserId::parse(user).unwrap());
    assert_eq!(ids(of("pu_bob"), Filter::default()).await, [id(&bobs)]);
    assert_eq!(ids(of("pu_ann"), Filter::default()).await, [id(&acme), id(&globex)]);
    // What Bob did to a grant of Staff's is of both.
    let ended = Entry {
        stage: Stage::Act,
        event: Event::ImpersonationEnded,
        actor: "pu_bob".to_owned(),
        actor_type: ActorType::PlatformUser,
        logs: Logs::Platform,
        ..fixtures::intent("imp_a", "org_acme")
    };
    let mut tx = db.write().await.unwrap();
    write_act(&mut tx, &ended).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ids(of("pu_bob"), Filter::default()).await, [id(&ended), id(&bobs)]);
    assert_eq!(ids(of("pu_ann"), Filter::default()).await, [id(&ended), id(&acme), id(&globex)]);
    let one = Filter { request_id: Some(id(&ended)), ..Filter::default() };
    assert_eq!(ids(of("pu_ann"), one).await, [id(&ended)]);
    assert!(ids(of("pu_nobody"), Filter::default()).await.is_empty());
    let by = |f: fn(&mut Filter)| {
        let mut filter = Filter::default();
        f(&mut filter);
        filter
    };
    assert_eq!(ids(org(), by(|f| f.actor = Some("imp_a".into()))).await, [id(&acme)]);
    assert!(ids(org(), by(|f| f.actor = Some("pu_ann".into()))).await.is_empty(), "not to be guessed");
    assert!(ids(org(), by(|f| f.ticket_ref = Some("T-1".into()))).await.is_empty());
    assert_eq!(ids(Log::Platform, by(|f| f.ticket_ref = Some("T-1".into()))).await.len(), 4);
    assert_eq!(ids(Log::Platform, by(|f| f.event = Some("platform.orgs_read".into()))).await, [id(&bobs)]);
    assert_eq!(ids(Log::Platform, by(|f| f.impersonation_id = Some("imp_b".into()))).await, [id(&globex)]);
    assert_eq!(ids(Log::Platform, by(|f| f.from = Some(acme_time() + 1))).await, Vec::<String>::new());
    assert_eq!(ids(Log::Platform, by(|f| f.to = Some(acme_time()))).await.len(), 4);
    let one = Filter { request_id: Some(id(&acme)), ..Filter::default() };
    assert_eq!(ids(Log::Platform, one).await, [id(&acme)]);
}

const fn acme_time() -> Millis {
    1_709_210_096_789
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let db = fixtures::store(folder.path()).await;
    let mut tx = db.read().await.unwrap();
    let foreign = URL_SAFE_NO_PAD.encode("platform_audit:5:7");
    for cursor in [
        "",
        "x",
        "!!",
        "MQ",
        &foreign,
        &URL_SAFE_NO_PAD.encode("org_audit:-1:7"),
        &URL_SAFE_NO_PAD.encode("org_audit:7"),
    ] {
        assert_eq!(
            page(&mut tx, &org(), &Filter::default(), 10, Some(cursor)).await.unwrap(),
            None,
            "{cursor}"
        );
    }
    assert!(page(&mut tx, &Log::Platform, &Filter::default(), 10, Some(&foreign)).await.unwrap().is_some());
}

/// The steps in which SQLite, which knows nothing of the values, answers.
async fn plan(db: &Db, log: &Log, filter: &Filter) -> String {
    let (mut text, args) = selection(log, filter, Some(Place { n: 1_000, time: 5 }), 51);
    text.insert_str(0, "EXPLAIN QUERY PLAN ");
    let rows = db.read().await.unwrap().rows_dynamic(text, &args).await.unwrap();
    rows.iter().map(|row| row.text(3).unwrap()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn every_value_is_found_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let db = fixtures::store(folder.path()).await;
    let value = || Some("deny".to_owned());
    let filters = [
        ("audit_actor", Filter { actor: value(), ..Filter::default() }),
        ("audit_action", Filter { action: value(), ..Filter::default() }),
        ("audit_event", Filter { event: value(), ..Filter::default() }),
        ("audit_impersonation", Filter { impersonation_id: value(), ..Filter::default() }),
        ("audit_denied", Filter { decision: value(), ..Filter::default() }),
        ("audit_once", Filter { request_id: value(), ..Filter::default() }),
        ("audit_time", Filter { from: Some(1), ..Filter::default() }),
        ("audit_time", Filter { to: Some(9), ..Filter::default() }),
        ("audit_actor", Filter { from: Some(1), actor: value(), ..Filter::default() }),
        ("audit_ticket", Filter { ticket_ref: value(), ..Filter::default() }),
    ];
    for (index, filter) in &filters {
        for log in [org(), Log::Platform] {
            if log.org().is_none() || filter.ticket_ref.is_none() {
                let plan = plan(&db, &log, filter).await;
                assert!(plan.contains(index), "{log:?} by {index}: {plan}");
            }
        }
    }
    let own = Log::PlatformOf(PlatformUserId::parse("pu_ann").unwrap());
    let plan = plan(&db, &own, &Filter::default()).await;
    assert!(plan.contains("platform_audit_user (") && plan.contains("platform_audit_actor ("), "{plan}");
    assert!(plan.contains("USING INTEGER PRIMARY KEY (rowid=?)"), "{plan}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the page size and whatever is written in between, pages put together are the log as it stood:
    /// nothing twice, nothing missing, newest first.
    #[test]
    fn pages_add_up(before in 0_usize..40, limit in 1_usize..12, between in 0_usize..4, deny in prop::collection::vec(any::<bool>(), 40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let db = fixtures::store(folder.path()).await;
            let entry = |denied: bool| Entry {
                stage: Stage::Act,
                decision: Some(if denied { "deny" } else { "permit" }),
                ..fixtures::intent("imp_a", "org_acme")
            };
            let write = async |entries: &[Entry]| {
                let mut tx = db.write().await.unwrap();
                for entry in entries {
                    write_act(&mut tx, entry).await.unwrap();
                }
                tx.commit().await.unwrap();
            };
            let entries: Vec<Entry> = deny.iter().take(before).map(|d| entry(*d)).collect();
            write(&entries).await;
            for (filter, expected) in [
                (Filter::default(), entries.iter().collect::<Vec<_>>()),
                (Filter { from: Some(0), ..Filter::default() }, entries.iter().collect()),
                (
                    Filter { decision: Some("deny".to_owned()), ..Filter::default() },
                    entries.iter().filter(|e| e.decision == Some("deny")).collect(),
                ),
            ] {
                let expected: Vec<String> = expected.iter().rev().map(|e| e.request_id.to_string()).collect();
                let (mut seen, mut cursor, mut first) = (Vec::new(), None, true);
                while first || cursor.is_some() {
                    let mut tx = db.read().await.unwrap();
                    let page = page(&mut tx, &org(), &filter, limit, cursor.as_deref()).await.unwrap().unwrap();
                    drop(tx);
                    assert!(page.next.is_none() || page.items.len() == limit);
                    seen.extend(page.items.iter().map(|i| i["request_id"].as_str().unwrap().to_owned()));
                    cursor = page.next;
                    if first {
                        // Other log entries of another org don't show; newer ones don't shift the pages.
                        let newer: Vec<Entry> = (0..between).map(|_| entry(true)).collect();
                        if filter.decision.is_some() {
                            write(&newer).await;
                        }
                        first = false;
                    }
                }
                assert_eq!(seen, expected);
            }
        });
    }
}
