use super::*;
use crate::audit::fixtures::{attribution, intent, refusal, store_on};
use crate::audit::sequencer::settle;
use crate::audit::tree::LogKey;
use crate::audit::{AuditWriter, Outcome};
use crate::domain::ids::{OrgId, PlatformUserId};
use crate::store::Db;
use crate::store::db::testing::{Engine, on_both_engines};

on_both_engines!(
    it_goes_on_behind_the_last_without_loss_or_repetition,
    filters_and_eyes_choose_outcomes_by_their_intents,
);

fn key() -> LogKey {
    LogKey::new("drawbridge-test", &[3; 32]).unwrap()
}

fn reader(db: &Db) -> AuditReader {
    AuditReader::new(db.clone(), key(), None)
}

fn acme() -> Log {
    Log::Org(OrgId::parse("org_acme").unwrap())
}

async fn requests(db: &Db, n: usize) {
    let writer = AuditWriter::start(db.clone(), "embedded").await.unwrap();
    for _ in 0..n {
        let open = writer.intent(intent("imp_a", "org_acme")).await.unwrap();
        open.close(Outcome { outcome: "completed", status: Some(200), ..Outcome::default() });
    }
    writer.record(refusal("usr_olga", "OWNER_ONLY")).await.unwrap();
    writer.attribute(attribution("usr_olga"));
    writer.drain().await;
    settle(db, &key()).await.unwrap();
}

/// Everything up to the end.
async fn all(follow: &mut Follow) -> Vec<(u64, Value)> {
    let mut all = Vec::new();
    loop {
        let look = follow.look().await.unwrap();
        all.extend(look.entries.iter().map(|(index, line)| (*index, serde_json::from_str(line).unwrap())));
        if look.at_end {
            return all;
        }
    }
}

async fn begin(db: &Db, log: Log, filter: Filter, after: Option<u64>) -> Follow {
    Follow::begin(&reader(db), log, filter, after).await.unwrap().unwrap_or_else(|size| panic!("{size}"))
}

fn indexes(entries: &[(u64, Value)]) -> Vec<u64> {
    entries.iter().map(|(index, _)| *index).collect()
}

async fn it_goes_on_behind_the_last_without_loss_or_repetition(engine: Engine) {
    let store = store_on(engine).await;
    let db = &store.db;
    let mut early = begin(db, acme(), Filter::default(), None).await;
    assert_eq!(all(&mut early).await, [], "a log without entries");
    assert!(Follow::begin(&reader(db), acme(), Filter::default(), Some(0)).await.unwrap().is_err());
    requests(db, 120).await;
    let seen = all(&mut early).await;
    assert_eq!(indexes(&seen), (0..242).collect::<Vec<_>>());
    assert!(seen.iter().all(|(index, entry)| entry["index"] == *index && entry.get("salt").is_none()));
    assert_eq!(all(&mut early).await, []);
    let mut again = begin(db, acme(), Filter::default(), Some(137)).await;
    assert_eq!(indexes(&all(&mut again).await), (138..242).collect::<Vec<_>>());
    let mut late = begin(db, acme(), Filter::default(), None).await;
    assert_eq!(all(&mut late).await, []);
    let mut last = begin(db, acme(), Filter::default(), Some(241)).await;
    requests(db, 1).await;
    for follow in [&mut early, &mut late, &mut last] {
        assert_eq!(indexes(&all(follow).await), (242..246).collect::<Vec<_>>());
    }
    let beyond = Follow::begin(&reader(db), acme(), Filter::default(), Some(246)).await.unwrap();
    assert_eq!(beyond.err(), Some(246));
}

async fn filters_and_eyes_choose_outcomes_by_their_intents(engine: Engine) {
    let store = store_on(engine).await;
    let db = &store.db;
    begin(db, Log::Platform, Filter::default(), None).await;
    requests(db, 2).await;
    let text = |text: &str| Some(text.to_owned());
    let count = async |log: Log, filter: Filter| {
        let mut follow = begin(db, log, filter, None).await;
        follow.next = 0;
        let entries = all(&mut follow).await;
        let outcomes = entries.iter().filter(|(_, entry)| entry["stage"] == "outcome").count();
        (entries.len(), outcomes)
    };
    let of = |id: &str| Log::PlatformOf(PlatformUserId::parse(id).unwrap());
    assert_eq!(count(Log::Platform, Filter::default()).await, (5, 2));
    assert_eq!(count(of("pu_ann"), Filter::default()).await, (4, 2), "their requests and how they went");
    assert_eq!(count(of("pu_bob"), Filter::default()).await, (0, 0), "nothing of others, no outcome either");
    assert_eq!(count(Log::Platform, Filter { ticket_ref: text("T-1"), ..Filter::default() }).await, (4, 2));
    assert_eq!(count(acme(), Filter { ticket_ref: text("T-1"), ..Filter::default() }).await, (0, 0));
    for (filter, wanted) in [
        (Filter { decision: text("deny"), ..Filter::default() }, (2, 0)),
        (Filter { actor: text("imp_a"), ..Filter::default() }, (4, 2)),
        (Filter { actor: text("usr_olga"), ..Filter::default() }, (2, 0)),
        (Filter { impersonation_id: text("imp_a"), ..Filter::default() }, (4, 2)),
        (Filter { event: text("platform.impersonated_request"), ..Filter::default() }, (4, 2)),
        (Filter { action: text("listCameras"), decision: text("permit"), ..Filter::default() }, (4, 2)),
        (Filter { request_id: text("req_none"), ..Filter::default() }, (0, 0)),
    ] {
        assert_eq!(count(acme(), filter.clone()).await, wanted, "{filter:?}");
    }
}
