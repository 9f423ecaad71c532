//! Delivery to real receivers on loopback: order, repetition, signatures, one gateway at a time; on both engines.

mod receiver;
mod syslog;

use super::*;
use crate::audit::fixtures::{attribution, intent, refusal, store_on};
use crate::audit::sequencer::settle;
use crate::audit::tree::{LogKey, LogName};
use crate::audit::{AuditWriter, Outcome};
use crate::config::{DeliveredAs, DeliveredLogs};
use crate::store::Db;
use crate::store::db::testing::{Engine, on_both_engines};
use crate::telemetry::Metrics;
use receiver::{Receiver, Then};
use serde_json::Value;

on_both_engines!(
    entries_come_signed_and_in_order,
    what_fails_is_sent_again_the_same,
    a_gateway_that_dies_before_it_notes_it_sends_again,
    two_gateways_take_turns,
    a_request_is_one_event,
    only_who_holds_the_lease_goes_on,
);

/// Short enough for tests, and a try still fits into half a lease on a busy machine.
const QUICK: Timing = Timing {
    lease: Duration::from_secs(6),
    takeover: Duration::from_millis(20),
    look: Duration::from_millis(20),
    answer: Duration::from_millis(2_500),
    grace: Duration::from_secs(60),
    first_pause: Duration::from_millis(5),
    longest_pause: Duration::from_millis(20),
};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn key() -> LogKey {
    LogKey::new("drawbridge-test", &[3; 32]).unwrap()
}

fn reader(db: &Db) -> AuditReader {
    AuditReader::new(db.clone(), key(), None)
}

fn delivery(to: DeliverTo, logs: DeliveredLogs, shape: DeliveredAs) -> Delivery {
    Delivery { name: "siem".to_owned(), to, logs, shape }
}

/// A gateway's delivery to one receiver.
fn deliver(db: &Db, holder: &str, delivery: &Delivery, metrics: &Metrics) -> Deliveries {
    let all = std::slice::from_ref(delivery);
    Deliveries::start_timed(&reader(db), all, &metrics.delivery(), holder, QUICK).unwrap()
}

/// `n` requests under a grant, each an intent and an outcome in both logs.
async fn requests(db: &Db, n: usize) {
    let writer = AuditWriter::start(db.clone(), "embedded").await.unwrap();
    for _ in 0..n {
        let open = writer.intent(intent("imp_a", "org_acme")).await.unwrap();
        open.close(Outcome { outcome: "completed", status: Some(200), ..Outcome::default() });
    }
    writer.drain().await;
    settle(db, &key()).await.unwrap();
}

/// A refusal in both logs and a use in the org's.
async fn others(db: &Db) {
    let writer = AuditWriter::start(db.clone(), "embedded").await.unwrap();
    writer.record(refusal("usr_olga", "OWNER_ONLY")).await.unwrap();
    writer.attribute(attribution("usr_olga"));
    writer.drain().await;
    settle(db, &key()).await.unwrap();
}

async fn size(db: &Db, log: &str) -> u64 {
    let head = reader(db).head(&LogName::parse(log).unwrap()).await.unwrap();
    head.map_or(0, |head| head.edge.size())
}

fn indexes(entries: &[Value]) -> Vec<u64> {
    entries.iter().map(|entry| entry["index"].as_u64().unwrap()).collect()
}

async fn entries_come_signed_and_in_order(engine: Engine) {
    let store = store_on(engine).await;
    requests(&store.db, 130).await;
    others(&store.db).await;
    let receiver = Receiver::start().await;
    let metrics = Metrics::new();
    let webhook = delivery(receiver.webhook(), DeliveredLogs::All, DeliveredAs::Entry);
    let gateway = deliver(&store.db, "a", &webhook, &metrics);
    for log in ["platform", "org_acme"] {
        let wanted = size(&store.db, log).await;
        assert!(wanted > 260, "{log}: {wanted}");
        let entries = receiver.entries(log, wanted).await;
        assert_eq!(indexes(&entries), (0..wanted).collect::<Vec<_>>(), "{log}");
        assert!(entries.iter().all(|entry| entry.get("salt").is_none() && entry["log"] == log));
        let grants: Vec<_> = entries.iter().filter(|entry| entry["impersonation_id"] == "imp_a").collect();
        let named = grants.iter().any(|entry| entry["platform_user_id"] == "pu_ann");
        assert_eq!(named, log == "platform", "{log}");
    }
    let messages = receiver.messages();
    assert!(messages.iter().all(|message| message.is_signed_with(SECRET)), "signatures");
    assert!(messages.iter().all(|message| message.entries.len() <= 100));
    let mut ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), messages.len(), "each message its own id");
    // What comes later comes too, behind the rest.
    requests(&store.db, 1).await;
    let mut total = 0;
    for log in ["platform", "org_acme"] {
        let wanted = size(&store.db, log).await;
        assert_eq!(indexes(&receiver.entries(log, wanted).await), (0..wanted).collect::<Vec<_>>());
        total += wanted;
    }
    gateway.stop().await;
    let line = format!("drawbridge_delivery_entries_total{{sink=\"siem\"}} {total}");
    let text = metrics.render();
    let told: Vec<_> = text.lines().filter(|line| line.starts_with("drawbridge_delivery")).collect();
    assert!(told.contains(&line.as_str()), "{line}: {told:?}");
    assert!(told.contains(&"drawbridge_delivery_oldest_seconds{sink=\"siem\"} 0"), "{told:?}");
}

async fn what_fails_is_sent_again_the_same(engine: Engine) {
    let store = store_on(engine).await;
    requests(&store.db, 30).await;
    let receiver = Receiver::start().await;
    // A redirect leads to the receiver itself: followed, it would be taken.
    for then in [Then::Status(500), Then::Redirect, Then::Status(404), Then::Drop, Then::Status(204)] {
        receiver.script(then);
    }
    receiver.script(Then::Status(429));
    let metrics = Metrics::new();
    let webhook = delivery(receiver.webhook(), DeliveredLogs::Platform, DeliveredAs::Entry);
    let gateway = deliver(&store.db, "a", &webhook, &metrics);
    // What comes meanwhile waits for the next message: the one that failed stays what it was.
    receiver.seen(1).await;
    requests(&store.db, 1).await;
    assert_eq!(indexes(&receiver.entries("platform", 62).await), (0..62).collect::<Vec<_>>());
    gateway.stop().await;
    let messages = receiver.messages();
    let tries: Vec<_> = messages.iter().map(|message| (message.id.clone(), message.taken)).collect();
    assert_eq!(tries.len(), 7, "{tries:?}");
    assert!(tries[..5].iter().all(|(id, _)| *id == tries[0].0), "the first, five times: {tries:?}");
    assert!(tries[5..].iter().all(|(id, _)| *id == tries[5].0 && *id != tries[0].0), "{tries:?}");
    assert!(messages[..5].iter().all(|message| message.entries == messages[0].entries));
    assert_eq!(tries.iter().filter(|(_, taken)| *taken).count(), 2);
    assert_eq!(metrics.delivery().failures("siem"), 5);
}

async fn a_gateway_that_dies_before_it_notes_it_sends_again(engine: Engine) {
    let store = store_on(engine).await;
    requests(&store.db, 80).await;
    let receiver = Receiver::start().await;
    receiver.script(Then::Status(200));
    receiver.script(Then::Silence);
    let webhook = delivery(receiver.webhook(), DeliveredLogs::Platform, DeliveredAs::Entry);
    let gateway = deliver(&store.db, "a", &webhook, &Metrics::new());
    // The second message is there; its sender is gone before it hears so.
    receiver.seen(2).await;
    drop(gateway);
    let gateway = deliver(&store.db, "a", &webhook, &Metrics::new());
    assert_eq!(indexes(&receiver.entries("platform", 160).await), (0..160).collect::<Vec<_>>());
    gateway.stop().await;
    let messages = receiver.messages();
    assert_eq!(messages.len(), 3, "the first isn't sent again, the second is");
    assert_eq!((&messages[1].id, &messages[1].entries), (&messages[2].id, &messages[2].entries));
    assert_eq!(indexes(&messages[2].entries), (100..160).collect::<Vec<_>>());
}

async fn two_gateways_take_turns(engine: Engine) {
    let store = store_on(engine).await;
    let receiver = Receiver::start().await;
    let webhook = delivery(receiver.webhook(), DeliveredLogs::Orgs, DeliveredAs::Entry);
    let other = if engine == Engine::Postgres { store.beside().await } else { store.db.clone() };
    let (a, b) = (Metrics::new(), Metrics::new());
    let one = deliver(&store.db, "a", &webhook, &a);
    let two = deliver(&other, "b", &webhook, &b);
    for _ in 0..4 {
        requests(&store.db, 40).await;
    }
    assert_eq!(indexes(&receiver.entries("org_acme", 320).await), (0..320).collect::<Vec<_>>());
    assert_eq!(receiver.messages().iter().map(|m| m.entries.len()).sum::<usize>(), 320, "nothing twice");
    // One stops and gives the lease back; the other goes on where it was.
    one.stop().await;
    requests(&store.db, 40).await;
    assert_eq!(indexes(&receiver.entries("org_acme", 400).await), (0..400).collect::<Vec<_>>());
    // One dies, and its lease runs out.
    let three = deliver(&store.db, "c", &webhook, &a);
    drop(two);
    requests(&store.db, 40).await;
    receiver.last("org_acme", 479).await;
    three.stop().await;
    // What it had sent and not yet noted comes again, with what came since; nothing is left out or out of order.
    let (mut next, mut again) = (0, 0);
    for message in receiver.messages() {
        let indexes = indexes(&message.entries);
        again += usize::from(indexes[0] < next);
        assert!(indexes[0] <= next, "{} instead of {next}", indexes[0]);
        assert!(indexes.windows(2).all(|pair| pair[1] == pair[0] + 1), "{indexes:?}");
        next = indexes[indexes.len() - 1] + 1;
    }
    assert!(next == 480 && again <= 1, "{next}, {again} again");
}

async fn a_request_is_one_event(engine: Engine) {
    let store = store_on(engine).await;
    requests(&store.db, 3).await;
    others(&store.db).await;
    let receiver = Receiver::start().await;
    let webhook = delivery(receiver.webhook(), DeliveredLogs::Platform, DeliveredAs::Ocsf);
    let gateway = deliver(&store.db, "a", &webhook, &Metrics::new());
    let events = receiver.entries("platform", 4).await;
    gateway.stop().await;
    for event in &events[..3] {
        assert_eq!((&event["type_uid"], &event["status"]), (&600_302.into(), &"Success".into()), "{event}");
        assert_eq!(event["http_response"]["code"], 200);
        assert_eq!(event["unmapped"]["outcome"], "completed");
        assert_eq!(event["unmapped"]["reason"], "looking into incident 7");
        assert_eq!(event["metadata"]["log_name"], "platform");
        assert!(!event.to_string().contains("salt"), "{event}");
    }
    assert_eq!((&events[3]["status"], &events[3]["status_code"]), (&"Failure".into(), &"OWNER_ONLY".into()));
    let order: Vec<_> = events.iter().map(|event| event["metadata"]["sequence"].as_u64().unwrap()).collect();
    assert!(order.is_sorted(), "{order:?}");
}

async fn only_who_holds_the_lease_goes_on(engine: Engine) {
    let store = store_on(engine).await;
    let places =
        |holder: &str| Places { db: store.db.clone(), sink: "siem".to_owned(), holder: holder.to_owned() };
    let (a, b, long, log) = (places("a"), places("b"), Duration::from_secs(600), LogName::Platform);
    assert!(!a.advance(&log, 0, 5).await.unwrap(), "without a lease");
    assert!(a.hold(long).await.unwrap() && a.hold(long).await.unwrap());
    assert!(!b.hold(long).await.unwrap());
    assert!(!b.advance(&log, 0, 5).await.unwrap());
    assert!(a.advance(&log, 0, 5).await.unwrap());
    assert!(!a.advance(&log, 0, 5).await.unwrap(), "from a place where it isn't any more");
    assert!(a.advance(&log, 5, 9).await.unwrap());
    b.let_go().await.unwrap();
    assert!(!b.hold(long).await.unwrap(), "another's lease isn't given back");
    a.let_go().await.unwrap();
    assert!(!a.advance(&log, 9, 12).await.unwrap());
    assert!(b.hold(Duration::ZERO).await.unwrap() && a.hold(long).await.unwrap(), "it has run out");
}
