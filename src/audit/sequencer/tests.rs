//! Sequencing on both engines: order, several at once, crashes between, proofs of what is there.

use super::*;
use crate::audit::fixtures::{attribution, intent, store_on};
use crate::audit::leaves::{self, Head, Leaf};
use crate::audit::tree::{Checkpoint, LogName, consistency, inclusion, leaf_hash};
use crate::audit::{AuditWriter, Entry, Outcome};
use crate::store::db::testing::{Engine, on_both_engines};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use std::collections::BTreeSet;

on_both_engines!(
    every_entry_gets_one_place_and_both_logs_are_bound,
    several_writers_and_sequencers_leave_no_gap,
    checkpoints_are_signed_when_the_log_has_grown_and_once_an_hour,
    proofs_are_those_of_another_implementation,
    a_damaged_tree_gives_no_proof,
);

fn key() -> LogKey {
    LogKey::new("drawbridge-test", &[3; 32]).unwrap()
}

fn acme() -> LogName {
    LogName::parse("org_acme").unwrap()
}

async fn head(db: &Db, log: &LogName) -> Head {
    leaves::head(&mut db.read().await.unwrap(), log).await.unwrap().unwrap()
}

async fn all(db: &Db, head: &Head) -> Vec<Leaf> {
    let (mut all, mut tx) = (Vec::new(), db.read().await.unwrap());
    loop {
        let some = leaves::leaves(&mut tx, head, all.len() as u64, 100).await.unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

/// Indexes, hashes, the edge and the signed root are what the entries say.
async fn check(db: &Db, log: &LogName) -> Vec<serde_json::Value> {
    let head = head(db, log).await;
    let leaves = all(db, &head).await;
    let mut other: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
    let mut entries = Vec::new();
    for (i, leaf) in leaves.iter().enumerate() {
        let line = leaf.line.as_deref().unwrap();
        assert_eq!(leaf.index, i as u64);
        assert_eq!(leaf.hash, leaf_hash(line, leaf.bond.as_ref()), "leaf {i}");
        other.push([line.as_bytes(), b"\n", leaf.bond.as_ref().map_or(&[][..], |b| &b.0)].concat());
        entries.push(serde_json::from_str(line).unwrap());
    }
    let signed = Checkpoint::open(head.checkpoint.as_deref().unwrap(), &key().verifier(log)).unwrap();
    assert_eq!(signed.size, leaves.len() as u64);
    assert_eq!(signed.root, head.edge.root());
    assert_eq!(signed.root.0[..], other.root().as_bytes()[..]);
    entries
}

async fn requests(db: &Db, gateway: &str, grant: &str, n: usize) {
    let writer = AuditWriter::start(db.clone(), gateway).await.unwrap();
    for _ in 0..n {
        let open = writer.intent(intent(grant, "org_acme")).await.unwrap();
        open.close(Outcome { outcome: "completed", status: Some(200), ..Outcome::default() });
    }
    writer.drain().await;
}

async fn every_entry_gets_one_place_and_both_logs_are_bound(engine: Engine) {
    let store = store_on(engine).await;
    requests(&store.db, "embedded", "imp_a", 5).await;
    settle(&store.db, &key()).await.unwrap();
    let (org, platform) = (check(&store.db, &acme()).await, check(&store.db, &LogName::Platform).await);
    let ids = |all: &[serde_json::Value]| all.iter().map(|e| e["id"].clone()).collect::<Vec<_>>();
    assert_eq!((org.len(), ids(&org)), (10, ids(&platform)));
    let in_org = all(&store.db, &head(&store.db, &acme()).await).await;
    let in_platform = all(&store.db, &head(&store.db, &LogName::Platform).await).await;
    for (ours, theirs) in in_org.iter().zip(&in_platform) {
        let bond = |leaf: &Leaf| crate::audit::tree::bond(leaf.line.as_deref().unwrap());
        assert_eq!(ours.bond, Some(bond(theirs)));
        assert_eq!(theirs.bond, Some(bond(ours)));
    }
    let salts: BTreeSet<String> = platform.iter().map(|e| e["salt"].as_str().unwrap().to_owned()).collect();
    assert_eq!(salts.len(), platform.len(), "a salt of its own for each");
    assert!(org.iter().all(|e| e.get("salt").is_none()));
    // What is in one log only is bound to nothing.
    let writer = AuditWriter::beside(store.db.clone());
    let globex = LogName::parse("org_globex").unwrap();
    let LogName::Org(org) = globex.clone() else { unreachable!() };
    writer.attribute(Entry { org_id: Some(org), ..attribution("usr_gina") });
    writer.drain().await;
    settle(&store.db, &key()).await.unwrap();
    let leaves = all(&store.db, &head(&store.db, &globex).await).await;
    assert_eq!((leaves.len(), leaves[0].bond), (1, None));
    assert_eq!(count(&store.db, "SELECT COUNT(*) FROM audit_pending").await, 0);
}

async fn count(db: &Db, text: &'static str) -> i64 {
    db.read().await.unwrap().row(text, &[]).await.unwrap().unwrap().int(0).unwrap()
}

async fn several_writers_and_sequencers_leave_no_gap(engine: Engine) {
    let store = store_on(engine).await;
    let others = match engine {
        Engine::Sqlite => vec![store.db.clone(), store.db.clone()],
        Engine::Postgres => vec![store.beside().await, store.beside().await],
    };
    let sequencers: Vec<_> = others.iter().map(|db| Sequencer::start(db.clone(), key(), None)).collect();
    let writers: Vec<_> = [("one", "imp_a"), ("two", "imp_b"), ("three", "imp_a")]
        .into_iter()
        .zip(others.iter().cycle())
        .map(|((gateway, grant), db)| {
            let db = db.clone();
            tokio::spawn(async move { requests(&db, gateway, grant, 60).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for (sequencer, state) in sequencers {
        sequencer.stop().await;
        assert_eq!(state.failing(), None);
    }
    settle(&store.db, &key()).await.unwrap();
    let org = check(&store.db, &acme()).await;
    assert_eq!(org.len(), 360);
    assert_eq!(check(&store.db, &LogName::Platform).await.len(), 360);
    for (grant, last) in [("imp_a", 120), ("imp_b", 60)] {
        let numbers: Vec<i64> = org
            .iter()
            .filter(|e| e["impersonation_id"] == grant && e["stage"] == "intent")
            .map(|e| e["impersonation_seq"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "in the order of the numbers");
    }
    let ids: BTreeSet<&str> = org.iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 360, "none twice");
}

async fn checkpoints_are_signed_when_the_log_has_grown_and_once_an_hour(engine: Engine) {
    let store = store_on(engine).await;
    settle(&store.db, &key()).await.unwrap();
    let first = head(&store.db, &LogName::Platform).await;
    assert_eq!(first.signed_size, 0, "the empty log is signed too: nothing was there at that time");
    assert!(first.checkpoint.is_some());
    settle(&store.db, &key()).await.unwrap();
    assert_eq!(head(&store.db, &LogName::Platform).await.checkpoint, first.checkpoint, "at rest");
    requests(&store.db, "embedded", "imp_a", 1).await;
    settle(&store.db, &key()).await.unwrap();
    let second = head(&store.db, &LogName::Platform).await;
    assert_eq!(second.signed_size, 2);
    // An hour is over.
    let mut tx = store.db.write().await.unwrap();
    tx.execute("UPDATE audit_log SET signed_at = {now} - 3600001", &[]).await.unwrap();
    tx.commit().await.unwrap();
    settle(&store.db, &key()).await.unwrap();
    let third = head(&store.db, &LogName::Platform).await;
    assert_ne!(third.checkpoint, second.checkpoint, "signed anew, though nothing came");
    assert_eq!(third.signed_size, 2);
    let kept =
        "SELECT COUNT(*) FROM audit_checkpoint c JOIN audit_log l ON l.id = c.log WHERE l.name = 'platform'";
    assert_eq!(count(&store.db, kept).await, 1, "of one hour and one size, one is kept");
}

async fn proofs_are_those_of_another_implementation(engine: Engine) {
    let store = store_on(engine).await;
    requests(&store.db, "embedded", "imp_a", 150).await;
    settle(&store.db, &key()).await.unwrap();
    let head = head(&store.db, &acme()).await;
    let signed = Checkpoint::read(head.checkpoint.as_deref().unwrap()).unwrap();
    let mut other: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
    for leaf in all(&store.db, &head).await {
        let line = leaf.line.unwrap();
        other.push([line.as_bytes(), b"\n", &leaf.bond.unwrap().0].concat());
    }
    let mut tx = store.db.read().await.unwrap();
    for index in [0, 1, 2, 127, 254, 255, 256, 257, 298, 299] {
        let ours = inclusion(&mut tx, &head, &signed, index).await.unwrap();
        let theirs = other.prove_inclusion(usize::try_from(index).unwrap());
        assert_eq!(bytes(&ours), theirs.as_bytes(), "leaf {index}");
    }
    for from in [1, 2, 128, 200, 255, 256, 257, 299] {
        let ours = consistency(&mut tx, &head, &signed, from).await.unwrap();
        let theirs = other.prove_consistency(usize::try_from(signed.size - from).unwrap());
        assert_eq!(bytes(&ours), theirs.as_bytes(), "from {from}");
    }
    assert!(inclusion(&mut tx, &head, &signed, 300).await.is_err());
    assert!(consistency(&mut tx, &head, &signed, 301).await.is_err());
    assert_eq!(consistency(&mut tx, &head, &signed, 300).await.unwrap(), []);
}

fn bytes(path: &[crate::audit::tree::Hash]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

async fn a_damaged_tree_gives_no_proof(engine: Engine) {
    let store = store_on(engine).await;
    requests(&store.db, "embedded", "imp_a", 3).await;
    settle(&store.db, &key()).await.unwrap();
    let head = head(&store.db, &acme()).await;
    let signed = Checkpoint::read(head.checkpoint.as_deref().unwrap()).unwrap();
    let other = Checkpoint { root: crate::audit::tree::Hash([1; 32]), ..signed };
    let mut tx = store.db.read().await.unwrap();
    assert!(inclusion(&mut tx, &head, &other, 1).await.is_err());
}
