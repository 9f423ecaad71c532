//! A database that somebody with all rights has worked on, on both engines.

use super::*;
use crate::audit::export::{Export, ExportError};
use crate::audit::fixtures::{attribution, intent, store_on};
use crate::audit::sequencer::settle;
use crate::audit::tree::{LogKey, leaf_hash};
use crate::audit::verify::{Kept, Lines, Verifier};
use crate::audit::{AuditReader, AuditWriter, Outcome};
use crate::store::db::testing::{Engine, Store, on_both_engines};

on_both_engines!(
    every_damage_is_told,
    an_entry_of_one_log_only_that_says_it_is_in_both_is_told,
    an_entry_that_goes_before_it_has_a_place_is_told,
    a_log_that_was_rolled_back_is_told_by_a_kept_checkpoint,
    what_is_exported_can_be_verified_and_gone_on_with,
);

fn key() -> LogKey {
    LogKey::new("drawbridge-test", &[3; 32]).unwrap()
}

fn acme() -> LogName {
    LogName::parse("org_acme").unwrap()
}

async fn requests(db: &Db, grant: &str, n: usize) {
    let writer = AuditWriter::start(db.clone(), "embedded").await.unwrap();
    for _ in 0..n {
        let open = writer.intent(intent(grant, "org_acme")).await.unwrap();
        open.close(Outcome { outcome: "completed", status: Some(200), ..Outcome::default() });
    }
    writer.attribute(attribution("usr_olga"));
    writer.drain().await;
}

/// 301 entries in acme's log and 300 in the platform's, in two parts that were signed; the first part's checkpoint.
async fn fill(engine: Engine) -> (Site, String) {
    let site = Site { engine, store: store_on(engine).await };
    let db = site.db();
    requests(db, "imp_a", 20).await;
    settle(db, &key()).await.unwrap();
    let kept = reader(db).checkpoint(&acme()).await.unwrap().unwrap();
    requests(db, "imp_b", 130).await;
    settle(db, &key()).await.unwrap();
    (site, kept)
}

fn reader(db: &Db) -> AuditReader {
    AuditReader::new(db.clone(), key(), None)
}

/// Everything that `--data` checks: the first fault.
async fn check(db: &Db, against: &[String]) -> Result<Vec<TablesReport>, Fault> {
    let against = against.iter().map(|note| Kept { name: "kept".to_owned(), note: note.clone() }).collect();
    let expect = Expect { against, ..Expect::default() };
    let key = key().verifier(&LogName::Platform);
    let tables = Tables::new(db, &key, &expect);
    let all = async {
        let mut reports = Vec::new();
        for head in tables.logs().await? {
            reports.push(tables.log(&head, &mut |_| {}).await?);
        }
        tables.bonds().await?;
        tables.without_log().await?;
        Ok(reports)
    };
    match all.await {
        Ok(reports) => Ok(reports),
        Err(Failure::Fault(fault)) => Err(fault),
        Err(Failure::Store(error)) => panic!("{error}"),
    }
}

/// Whatever holds the logs.
const TABLES: [&str; 6] =
    ["org_audit", "platform_audit", "audit_log", "audit_leaf", "audit_node", "audit_checkpoint"];

/// A store whose owner is the one not to be believed.
struct Site {
    engine: Engine,
    store: Store,
}

impl Site {
    const fn db(&self) -> &Db {
        &self.store.db
    }

    /// Without the triggers, as the owner of the file or of the tables may.
    async fn forge(&self, statements: &[&str]) {
        if self.engine == Engine::Postgres {
            let unguarded = TABLES.map(|table| format!("ALTER TABLE {table} DISABLE TRIGGER ALL"));
            let all: Vec<&str> =
                unguarded.iter().map(String::as_str).chain(statements.iter().copied()).collect();
            self.store.superuser(&all.join("; "));
            return;
        }
        let mut tx = self.db().write().await.unwrap();
        let triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
        for row in tx.rows(triggers, &[]).await.unwrap() {
            tx.rows_dynamic(format!("DROP TRIGGER {}", row.text(0).unwrap()), &[]).await.unwrap();
        }
        for statement in statements {
            tx.rows_dynamic((*statement).to_owned(), &[]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn forge_each(&self, statement: impl Fn(&str) -> [String; 2]) {
        let statements: Vec<String> = TABLES.into_iter().flat_map(statement).collect();
        self.forge(&statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    /// Keeps the logs as they are.
    async fn save(&self) {
        self.forge_each(|table| {
            let kept = format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}");
            [format!("DROP TABLE IF EXISTS saved_{table}"), kept]
        })
        .await;
    }

    /// The logs as they were kept.
    async fn put_back(&self) {
        let numbers = if self.engine == Engine::Postgres { "OVERRIDING SYSTEM VALUE" } else { "" };
        self.forge_each(|table| {
            let kept = format!("INSERT INTO {table} {numbers} SELECT * FROM saved_{table}");
            [format!("DELETE FROM {table}"), kept]
        })
        .await;
    }
}

const ACME: &str = "(SELECT id FROM audit_log WHERE name = 'org_acme')";

async fn every_damage_is_told(engine: Engine) {
    let (site, kept) = fill(engine).await;
    let db = site.db();
    let reports = check(db, std::slice::from_ref(&kept)).await.unwrap();
    let sizes: Vec<u64> = reports.iter().map(|r| r.report.as_ref().unwrap().entries).collect();
    assert_eq!(sizes, [300, 302]);
    assert!(reports[1].report.as_ref().unwrap().against[0].recomputed);
    // What a leaf would be if its entry were forged with it.
    let mut tx = db.read().await.unwrap();
    let text = "SELECT e.body, e.bond, e.n, l.idx FROM org_audit e JOIN audit_leaf l ON l.entry = e.n \
                JOIN audit_log g ON g.id = l.log AND g.name = e.org_id WHERE e.stage = 'intent' AND e.n > 2 ORDER BY e.n";
    let row = tx.row(text, &[]).await.unwrap().unwrap();
    // The entry that is worked on: one that names what was done.
    let (n, place) = (row.int(2).unwrap(), u64::try_from(row.int(3).unwrap()).unwrap());
    let forged = row.text(0).unwrap().replace("cameras", "camerae");
    let bond = crate::audit::tree::parse_hash(row.text(1).unwrap());
    let hash = leaf_hash(&forged, bond.as_ref()).to_string();
    drop(tx);
    site.save().await;

    let change = "UPDATE org_audit SET body = replace(body, 'cameras', 'camerae') WHERE n = 5";
    let (leaf, delete) = (
        format!("UPDATE audit_leaf SET hash = '{hash}' WHERE log = {ACME} AND entry = 5"),
        "DELETE FROM org_audit WHERE n = 5",
    );
    let no_leaf = format!("DELETE FROM audit_leaf WHERE log = {ACME} AND entry = 5");
    let behind = format!("INSERT INTO audit_leaf VALUES ({ACME}, 302, 100000, '{hash}')");
    let last = format!("DELETE FROM audit_leaf WHERE log = {ACME} AND idx = 301");
    let insert = "INSERT INTO org_audit (org_id, request_id, stage, part, time, event, actor, body) \
                  VALUES ('org_acme', 'req_x', 'use', '', 0, 'org.request', 'usr_x', '{\"id\":\"aud_x\"}')";
    let node = format!("UPDATE audit_node SET hash = '{hash}' WHERE log = {ACME}");
    let no_node = format!("DELETE FROM audit_node WHERE log = {ACME}");
    // The last two, none of which is a request: their running numbers say nothing.
    let moved =
        |from: i64, to: i64| format!("UPDATE audit_leaf SET idx = {to} WHERE log = {ACME} AND idx = {from}");
    let swap = [moved(300, -1), moved(301, 300), moved(-1, 301)];
    let older = format!("UPDATE audit_log SET checkpoint = '{kept}' WHERE name = 'org_acme'");
    for (statements, index, told) in [
        (vec![change], Some(place), "the entry was changed"),
        (vec![change, leaf.as_str()], None, "the signed root isn't that of these entries"),
        (vec![delete], Some(place), "it was deleted"),
        (vec![delete, no_leaf.as_str()], Some(place), "the leaf of this entry is gone"),
        (vec![last.as_str()], Some(301), "the leaf of this entry is gone"),
        (swap.iter().map(String::as_str).collect(), None, "the signed root isn't that of these entries"),
        (vec![behind.as_str()], Some(302), "behind the log's end"),
        (vec![insert], None, "put in by another way"),
        (vec![&insert.replace("org_acme", "org_globex")], None, "put in by another way"),
        (
            vec![
                "UPDATE org_audit SET body = (SELECT body FROM org_audit WHERE n = (SELECT MIN(n) FROM org_audit)) WHERE n = 5",
            ],
            Some(place),
            "was changed",
        ),
        (vec!["UPDATE org_audit SET bond = '' WHERE n = 5"], Some(place), "the entry was changed"),
        (
            vec!["UPDATE platform_audit SET body = replace(body, 'T-1', 'T-2') WHERE n = 5"],
            Some(place),
            "the entry was changed",
        ),
        (
            vec!["UPDATE org_audit SET impersonation_id = NULL WHERE n = 5"],
            Some(place),
            "the column `impersonation_id`",
        ),
        (vec!["UPDATE org_audit SET time = time + 1 WHERE n = 5"], Some(place), "the column `time`"),
        (vec!["UPDATE org_audit SET part = 'x' WHERE n = 5"], Some(place), "the column `part`"),
        (vec![node.as_str()], None, "node 0 of level 1"),
        (vec![no_node.as_str()], None, "node 0 of level 1"),
        (vec![older.as_str()], None, "its end was cut off"),
        (
            vec!["UPDATE audit_log SET first = 10 WHERE name = 'org_acme'"],
            Some(0),
            "its beginning was cut off",
        ),
        (
            vec!["UPDATE audit_log SET checkpoint = NULL WHERE name = 'org_acme'"],
            None,
            "none was ever signed",
        ),
        (vec!["UPDATE audit_log SET size = 100, signed_size = 100 WHERE name = 'org_acme'"], None, "edge"),
        (
            vec!["UPDATE audit_checkpoint SET note = replace(note, 'time 2', 'time 3')"],
            None,
            "isn't to be believed",
        ),
    ] {
        let here = |text: &&str| {
            text.replace("n = 5", &format!("n = {n}")).replace("entry = 5", &format!("entry = {n}"))
        };
        let statements: Vec<String> = statements.iter().map(here).collect();
        site.forge(&statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let fault = check(db, &[]).await.expect_err(&format!("{statements:?} is accepted"));
        assert!(fault.what.contains(told), "{statements:?}: {fault}");
        if index.is_some() {
            assert_eq!(fault.index, index, "{statements:?}: {fault}");
        }
        site.put_back().await;
    }
    assert!(check(db, &[kept]).await.is_ok(), "all of it is undone");
}

async fn an_entry_of_one_log_only_that_says_it_is_in_both_is_told(engine: Engine) {
    let (site, _) = fill(engine).await;
    let db = site.db();
    // The gateway itself would have to be another: the half is sequenced and signed.
    let request = crate::domain::ids::RequestId::random();
    let mut tx = db.write().await.unwrap();
    let mut lone = intent("imp_none", "org_acme");
    lone.stage = crate::audit::Stage::Use;
    lone.impersonation_id = None;
    lone.request_id = request.clone();
    crate::audit::write_act(&mut tx, &lone).await.unwrap();
    tx.commit().await.unwrap();
    // And what it becomes is forgotten, or its leaf would tell that it is gone.
    site.forge(&[
        "DELETE FROM platform_audit WHERE n = (SELECT MAX(n) FROM platform_audit)",
        "UPDATE audit_pending SET leaves = ''",
    ])
    .await;
    settle(db, &key()).await.unwrap();
    let fault = check(db, &[]).await.unwrap_err();
    assert!(fault.what.contains("an entry is in both logs or in neither"), "{fault}");
    assert_eq!(fault.request.as_deref(), Some(request.as_str()));
}

async fn an_entry_that_goes_before_it_has_a_place_is_told(engine: Engine) {
    let (site, _) = fill(engine).await;
    let db = site.db();
    let mut tx = db.write().await.unwrap();
    crate::audit::write_act(&mut tx, &attribution("usr_olga")).await.unwrap();
    tx.commit().await.unwrap();
    site.forge(&["DELETE FROM org_audit WHERE n = (SELECT MAX(n) FROM org_audit)"]).await;
    settle(db, &key()).await.unwrap();
    let fault = check(db, &[]).await.unwrap_err();
    assert!(fault.what.contains("it was deleted"), "{fault}");
}

async fn a_log_that_was_rolled_back_is_told_by_a_kept_checkpoint(engine: Engine) {
    let (site, _) = fill(engine).await;
    let db = site.db();
    site.save().await;
    requests(db, "imp_a", 1).await;
    let pending = check(db, &[]).await.unwrap();
    assert_eq!((pending[0].pending, pending[1].pending), (2, 3));
    settle(db, &key()).await.unwrap();
    let newest = reader(db).checkpoint(&acme()).await.unwrap().unwrap();
    assert!(check(db, std::slice::from_ref(&newest)).await.is_ok());
    site.put_back().await;
    assert!(check(db, &[]).await.is_ok(), "by itself it is whole");
    let fault = check(db, &[newest]).await.unwrap_err();
    assert!(fault.what.contains("rolled back"), "{fault}");
}

async fn exported(db: &Db, after: Option<u64>) -> Result<String, ExportError> {
    let mut export = Export::begin(&reader(db), &acme(), after).await?;
    let mut text = String::new();
    while let Some(piece) = export.next().await? {
        text.push_str(&piece);
    }
    Ok(text)
}

fn verified(text: &str) -> Result<crate::audit::verify::Report, Fault> {
    let mut lines = Lines::new(Verifier::new(Expect::default()));
    lines.feed(text.as_bytes())?;
    lines.finish()
}

async fn what_is_exported_can_be_verified_and_gone_on_with(engine: Engine) {
    let (site, _) = fill(engine).await;
    let db = site.db();
    let first = exported(db, None).await.unwrap();
    let report = verified(&first).unwrap();
    assert_eq!((report.size, report.checkpoints, report.sessions, report.open), (302, 2, 2, 0));
    requests(db, "imp_a", 3).await;
    settle(db, &key()).await.unwrap();
    let (begun, _) = first.rsplit_once("{\"checkpoint\"").unwrap();
    let more = exported(db, Some(302)).await.unwrap();
    assert_eq!(verified(&format!("{begun}{more}")).unwrap().size, 309);
    assert!(matches!(exported(db, Some(310)).await, Err(ExportError::Beyond { size: 309, .. })));
    let globex = LogName::parse("org_globex").unwrap();
    assert!(matches!(Export::begin(&reader(db), &globex, None).await, Err(ExportError::Unsigned(_))));

    // What has expired is told by the roots over it, here of a full tile, of 8 and of 4 leaves.
    let delete = |which: &str| {
        format!(
            "DELETE FROM org_audit WHERE n IN (SELECT entry FROM audit_leaf WHERE log = {ACME} AND idx {which})"
        )
    };
    site.forge(&[&delete("< 268"), "UPDATE audit_log SET first = 268 WHERE name = 'org_acme'"]).await;
    assert!(matches!(exported(db, None).await, Err(ExportError::Expiring(_))));
    site.forge(&["UPDATE audit_log SET signed_at = 0 WHERE name = 'org_acme'"]).await;
    settle(db, &key()).await.unwrap();
    let rest = exported(db, None).await.unwrap();
    let header = rest.lines().next().unwrap();
    assert_eq!(header.matches("=\"").count(), 3, "{header}");
    let report = verified(&rest).unwrap();
    assert_eq!((report.first, report.entries, report.size), (268, 41, 309));
    assert!(matches!(exported(db, Some(200)).await, Err(ExportError::Expired { first: 268, .. })));

    // An entry that is gone ends it without a checkpoint.
    site.forge(&[&delete("= 289")]).await;
    assert!(matches!(exported(db, None).await, Err(ExportError::Missing { index: 289, .. })));
    let export = Export::begin(&reader(db), &acme(), None).await.unwrap();
    let text: Vec<String> = futures_util::StreamExt::collect(export.into_stream()).await;
    let fault = verified(&text.concat()).unwrap_err();
    assert!(
        !text.concat().ends_with("\"}\n") && fault.what.contains("signed checkpoint")
            || fault.what.contains("nothing in it"),
        "{fault}"
    );
}
