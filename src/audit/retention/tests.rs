//! Time machine: entries that are as old as they are said to be, on both engines.

mod attempts;
mod roles;

use super::*;
use crate::audit::fixtures::store_on;
use crate::audit::leaves::{Leaf, leaves};
use crate::audit::sequencer::settle;
use crate::audit::tree::{Checkpoint, Edge, Hash, LogKey, consistency, inclusion, leaf_hash};
use crate::domain::ids::OrgId;
use crate::store::db::testing::{Engine, on_both_engines};
use tlog_tiles::{check_record, check_tree};

on_both_engines!(
    what_has_expired_goes_and_nothing_else,
    to_the_minute_and_not_a_day_earlier,
    what_stands_behind_a_young_entry_stays,
    a_long_backlog_goes_in_small_transactions,
    what_has_no_place_yet_stays,
    word_of_what_went_goes_without_a_word,
    an_entry_that_is_gone_is_not_passed_over,
    of_two_retentions_the_longer,
);

const MINUTE: Millis = 60_000;

fn key() -> LogKey {
    LogKey::new("drawbridge-test", &[3; 32]).unwrap()
}

fn acme() -> LogName {
    LogName::parse("org_acme").unwrap()
}

/// An entry of both logs (of the platform's alone without an org) that is so many days old.
async fn wrote(db: &Db, org: Option<&str>, age: Millis) -> Entry {
    let mut tx = db.write().await.unwrap();
    let time = tx.now().await.unwrap() - age;
    let mut entry = Entry::system(Event::SupportAccessChanged, Stage::Act, time);
    if let Some(org) = org {
        entry.org_id = Some(OrgId::parse(org).unwrap());
        entry.logs = Logs::Both;
    }
    write_act(&mut tx, &entry).await.unwrap();
    tx.commit().await.unwrap();
    entry
}

/// Entries of acme of these ages in days, in this order, with their places.
async fn filled(db: &Db, ages: &[u32]) {
    for age in ages {
        wrote(db, Some("org_acme"), days(*age) + MINUTE).await;
    }
    settle(db, &key()).await.unwrap();
}

async fn expire_now(db: &Db) -> Result<u64, StoreError> {
    expire(db, Retention::default(), &CancellationToken::new()).await
}

/// A log as it is read.
struct Seen {
    head: Head,
    leaves: Vec<Leaf>,
}

async fn seen(db: &Db, log: &LogName) -> Seen {
    let mut tx = db.read().await.unwrap();
    let head = crate::audit::leaves::head(&mut tx, log).await.unwrap().unwrap();
    let mut all = Vec::new();
    while all.len() < usize::try_from(head.edge.size()).unwrap() {
        all.extend(leaves(&mut tx, &head, all.len() as u64, 1_000).await.unwrap());
    }
    Seen { head, leaves: all }
}

impl Seen {
    /// Whose entries are kept, from the first on.
    fn kept(&self) -> std::ops::Range<u64> {
        let first = self.leaves.iter().position(|l| l.line.is_some()).unwrap_or(self.leaves.len());
        assert!(self.leaves[first..].iter().all(|l| l.line.is_some()), "no gap");
        assert_eq!(self.head.first, first as u64, "the log says where it begins");
        first as u64..self.leaves.len() as u64
    }

    fn events(&self) -> Vec<serde_json::Value> {
        self.leaves.iter().filter_map(|l| serde_json::from_str(l.line.as_deref()?).ok()).collect()
    }
}

/// Everything of `log` still verifies: entries that are there against their leaves, leaves against the signed root,
/// and whatever was seen or signed `before` is in it.
async fn verified(db: &Db, log: &LogName, before: &Seen) {
    settle(db, &key()).await.unwrap();
    let now = seen(db, log).await;
    let note = now.head.checkpoint.clone().unwrap();
    let signed = Checkpoint::open(&note, &key().verifier(log)).unwrap();
    assert_eq!((signed.size, signed.first), (now.leaves.len() as u64, now.head.first));
    let mut edge = Edge::empty();
    for leaf in &now.leaves {
        edge.push(leaf.hash, |_| {});
        if let Some(line) = &leaf.line {
            assert_eq!(leaf.hash, leaf_hash(line, leaf.bond.as_ref()), "leaf {}", leaf.index);
        }
    }
    assert_eq!(edge.root(), signed.root);
    let mut tx = db.read().await.unwrap();
    let earlier = Checkpoint::read(before.head.checkpoint.as_deref().unwrap()).unwrap();
    let proof = consistency(&mut tx, &now.head, &signed, earlier.size).await.unwrap();
    check_tree(&proof, signed.size, signed.root, earlier.size, earlier.root).unwrap();
    for (then, leaf) in before.leaves.iter().zip(&now.leaves) {
        assert_eq!(then.hash, leaf.hash);
        if leaf.index >= now.head.first {
            assert_eq!(then, leaf, "what hasn't expired is as it was");
        }
        // Who has kept a copy of what expired can still prove that it was there.
        let kept: Hash = leaf_hash(then.line.as_deref().unwrap_or_default(), then.bond.as_ref());
        if then.line.is_some() {
            let proof = inclusion(&mut tx, &now.head, &signed, leaf.index).await.unwrap();
            check_record(&proof, signed.size, signed.root, leaf.index, kept).unwrap();
        }
    }
}

async fn what_has_expired_goes_and_nothing_else(engine: Engine) {
    let store = store_on(engine).await;
    let db = &store.db;
    wrote(db, None, days(400)).await;
    wrote(db, None, days(366)).await;
    filled(db, &[364, 200, 91, 89, 10, 0]).await;
    let before = [seen(db, &acme()).await, seen(db, &LogName::Platform).await];
    assert_eq!(expire_now(db).await.unwrap(), 5);
    let (org, platform) = (seen(db, &acme()).await, seen(db, &LogName::Platform).await);
    assert_eq!((org.kept(), platform.kept()), (3..6, 2..8), "before the word of it has its place");
    verified(db, &acme(), &before[0]).await;
    verified(db, &LogName::Platform, &before[1]).await;
    // It is told, in the log itself and in the platform's.
    let told = |seen: &Seen| -> Vec<_> {
        let all = seen.events();
        all.iter().filter(|e| e["event"] == "audit.expired").cloned().collect()
    };
    let (org, platform) = (seen(db, &acme()).await, seen(db, &LogName::Platform).await);
    let (in_org, in_platform) = (told(&org), told(&platform));
    assert_eq!((in_org.len(), in_platform.len()), (1, 2));
    let details = |e: &serde_json::Value| {
        (e["details"]["log"].clone(), e["details"]["first"].clone(), e["details"]["entries"].clone())
    };
    assert_eq!(details(&in_org[0]), ("org_acme".into(), 3.into(), 3.into()), "{:#}", in_org[0]);
    assert!(in_platform.iter().any(|e| details(e) == ("platform".into(), 2.into(), 2.into())));
    // And again nothing.
    assert_eq!(expire_now(db).await.unwrap(), 0);
    let kept =
        db.read().await.unwrap().row("SELECT COUNT(*) FROM audit_checkpoint", &[]).await.unwrap().unwrap();
    assert!(kept.int(0).unwrap() >= 2, "checkpoints stay");
}

async fn to_the_minute_and_not_a_day_earlier(engine: Engine) {
    let store = store_on(engine).await;
    let db = &store.db;
    for age in [days(364), days(89), days(90) - MINUTE] {
        let globex = Some("org_globex").filter(|_| age < days(100));
        wrote(db, globex, age).await;
    }
    settle(db, &key()).await.unwrap();
    assert_eq!(expire_now(db).await.unwrap(), 0, "a day earlier nothing goes");
    wrote(db, Some("org_acme"), days(90) + MINUTE).await;
    settle(db, &key()).await.unwrap();
    assert_eq!(expire_now(db).await.unwrap(), 1);
    assert_eq!(seen(db, &acme()).await.kept(), 1..1);
}

async fn what_stands_behind_a_young_entry_stays(engine: Engine) {
    let store = store_on(engine).await;
    filled(&store.db, &[100, 10, 100, 400, 366]).await;
    assert_eq!(expire_now(&store.db).await.unwrap(), 1);
    assert_eq!(seen(&store.db, &acme()).await.kept(), 1..5);
    assert_eq!(seen(&store.db, &LogName::Platform).await.kept(), 0..5);
    // Neither the rows nor the mark can be had past it.
    let id: i64 = seen(&store.db, &acme()).await.head.id;
    let mut tx = store.db.write().await.unwrap();
    let raised = tx.execute("UPDATE audit_log SET first = 4 WHERE id = $1", &[id.into()]).await;
    assert!(raised.is_err());
    drop(tx);
    let mut tx = store.db.write().await.unwrap();
    assert!(tx.execute("DELETE FROM org_audit WHERE time < {now} - 9000000000", &[]).await.is_err());
}

async fn a_long_backlog_goes_in_small_transactions(engine: Engine) {
    let store = store_on(engine).await;
    let db = &store.db;
    let mut tx = db.write().await.unwrap();
    let time = tx.now().await.unwrap() - days(100);
    for _ in 0..2_300 {
        let org = Some(OrgId::parse("org_acme").unwrap());
        let entry = Entry {
            org_id: org,
            logs: Logs::Org,
            ..Entry::system(Event::SupportAccessChanged, Stage::Act, time)
        };
        write_act(&mut tx, &entry).await.unwrap();
    }
    tx.commit().await.unwrap();
    filled(db, &[1]).await;
    let before = seen(db, &acme()).await;
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(expire(db, Retention::default(), &stop).await.unwrap(), 0, "a gateway that stops");
    assert_eq!(expire_now(db).await.unwrap(), 2_300);
    verified(db, &acme(), &before).await;
    let after = seen(db, &acme()).await;
    assert_eq!(after.kept(), 2_300..2_304);
    let told: Vec<u64> = after.events().iter().filter_map(|e| e["details"]["entries"].as_u64()).collect();
    assert_eq!(told, [1_000, 1_000, 300]);
}

async fn what_has_no_place_yet_stays(engine: Engine) {
    let store = store_on(engine).await;
    filled(&store.db, &[100]).await;
    wrote(&store.db, Some("org_acme"), days(100)).await;
    assert_eq!(expire_now(&store.db).await.unwrap(), 1);
    settle(&store.db, &key()).await.unwrap();
    assert_eq!(seen(&store.db, &acme()).await.kept(), 1..3, "the second, and word of the first");
}

async fn word_of_what_went_goes_without_a_word(engine: Engine) {
    let store = store_on(engine).await;
    let db = &store.db;
    let mut tx = db.write().await.unwrap();
    let time = tx.now().await.unwrap() - days(366);
    write_act(&mut tx, &Entry::system(Event::AuditExpired, Stage::Act, time)).await.unwrap();
    tx.commit().await.unwrap();
    settle(db, &key()).await.unwrap();
    assert_eq!(expire_now(db).await.unwrap(), 1);
    settle(db, &key()).await.unwrap();
    assert_eq!(seen(db, &LogName::Platform).await.kept(), 1..1, "or it would go on for ever");
}

/// Takes an entry out of acme's log by hand, as whoever owns the machine can.
pub(super) async fn take_out(store: &crate::store::db::testing::Store, engine: Engine, index: i64) {
    let which = format!(
        "SELECT entry FROM audit_leaf WHERE idx = {index} AND log = (SELECT id FROM audit_log WHERE name = 'org_acme')"
    );
    match engine {
        Engine::Postgres => {
            store.superuser(&format!(
                "ALTER TABLE org_audit DISABLE TRIGGER ALL; DELETE FROM org_audit WHERE n IN ({which}); \
                 ALTER TABLE org_audit ENABLE ALWAYS TRIGGER org_audit_append_only; \
                 ALTER TABLE org_audit ENABLE ALWAYS TRIGGER org_audit_keep"
            ));
        }
        Engine::Sqlite => {
            let mut tx = store.db.write().await.unwrap();
            tx.execute("DROP TRIGGER org_audit_delete", &[]).await.unwrap();
            tx.rows_dynamic(format!("DELETE FROM org_audit WHERE n IN ({which})"), &[]).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}

async fn an_entry_that_is_gone_is_not_passed_over(engine: Engine) {
    let store = store_on(engine).await;
    filled(&store.db, &[100, 100, 100]).await;
    take_out(&store, engine, 1).await;
    assert_eq!(expire_now(&store.db).await.unwrap(), 1);
    let head = seen(&store.db, &acme()).await.head;
    assert_eq!(head.first, 1, "the gap is to be seen");
    let mut tx = store.db.write().await.unwrap();
    assert!(tx.execute("UPDATE audit_log SET first = 2 WHERE id = $1", &[head.id.into()]).await.is_err());
}

async fn of_two_retentions_the_longer(engine: Engine) {
    let store = store_on(engine).await;
    let db = &store.db;
    let in_table = async || db.read().await.unwrap().retention().await.unwrap();
    let (short, mixed) =
        (Retention { org_days: 30, platform_days: 100 }, Retention { org_days: 400, platform_days: 100 });
    assert_eq!(in_table().await, Retention::default());
    match engine {
        // The gateway owns the file: its configuration is what holds.
        Engine::Sqlite => {
            assert_eq!(agree(db, short).await.unwrap(), short);
            assert_eq!(in_table().await, short);
            filled(db, &[31]).await;
            assert_eq!(expire(db, short, &CancellationToken::new()).await.unwrap(), 1);
            assert_eq!(crate::audit::notices::take(db).await.unwrap(), 2);
        }
        Engine::Postgres => {
            assert_eq!(agree(db, short).await.unwrap(), Retention::default());
            assert_eq!(agree(db, mixed).await.unwrap(), Retention { org_days: 400, platform_days: 365 });
            store.as_owner_set_retention(short).await;
            assert_eq!(in_table().await, short);
            assert_eq!(agree(db, short).await.unwrap(), short);
            filled(db, &[31]).await;
            assert_eq!(expire(db, short, &CancellationToken::new()).await.unwrap(), 1);
            assert_eq!(crate::audit::notices::take(db).await.unwrap(), 2);
        }
    }
    settle(db, &key()).await.unwrap();
    let platform = seen(db, &LogName::Platform).await.events();
    let changes: Vec<_> = platform.iter().filter(|e| e["event"] == "audit.retention_changed").collect();
    assert_eq!(changes.len(), 2, "{platform:#?}");
    assert_eq!(
        (&changes[0]["resource"], &changes[0]["details"]["detail"]),
        (&"org".into(), &"90 to 30 days".into())
    );
}
