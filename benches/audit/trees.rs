//! The logs leaf by leaf: proofs, and all leaves in their order.

use super::engine::Store;
use super::entries::ORGS;
use super::support::measure::median;
use drawbridge::audit::AuditReader;
use drawbridge::audit::tree::LogName;
use std::fmt::Write as _;
use std::time::Instant;

/// Proofs of each kind.
const PROOFS: u64 = 101;
/// Leaves read at once, as exports do.
const AT_ONCE: usize = 1_000;

/// What was measured, as a table.
pub(crate) async fn table(store: &mut Store, reader: &AuditReader) -> String {
    let great = LogName::parse(ORGS[0].0).expect("a log");
    let mut text = "\n| log | | cold | warm |\n|---|---|---|---|\n".to_owned();
    for log in [great, LogName::Platform] {
        let name = if log == LogName::Platform { "platform" } else { "org" };
        let size = after_restart(reader, &log).await;
        for (what, inclusion) in [("inclusion proof, ms", true), ("consistency proof, ms", false)] {
            store.forget();
            after_restart(reader, &log).await;
            let mut took = Vec::new();
            for n in 0..PROOFS {
                // Here and there, the first one far from the end.
                let at = 1 + (n + 1) * 7_919_777 % (size - 1);
                let begun = Instant::now();
                if inclusion {
                    reader.inclusion(&log, at).await.unwrap().expect("a proof");
                } else {
                    reader.consistency(&log, at).await.unwrap().expect("a proof");
                }
                took.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            let warm = median(took[1..].iter().copied());
            writeln!(text, "| {name} | {what} | {:.2} | {warm:.2} |", took[0]).unwrap();
        }
        store.forget();
        after_restart(reader, &log).await;
        let (cold, warm) = (all_leaves(reader, &log).await, all_leaves(reader, &log).await);
        writeln!(text, "| {name} | all leaves, entries/s | {cold:.0} | {warm:.0} |").unwrap();
        eprintln!("proofs and leaves of the log of {log}: done");
    }
    text
}

/// The size of the log; broken connections are replaced by it.
async fn after_restart(reader: &AuditReader, log: &LogName) -> u64 {
    let head = match reader.head(log).await {
        Ok(head) => head,
        Err(_) => reader.head(log).await.unwrap(),
    };
    head.expect("a log").edge.size()
}

/// Entries a second.
async fn all_leaves(reader: &AuditReader, log: &LogName) -> f64 {
    let head = reader.head(log).await.unwrap().expect("a log");
    let (begun, mut from) = (Instant::now(), 0);
    loop {
        let leaves = reader.leaves(&head, from, AT_ONCE).await.unwrap();
        let Some(last) = leaves.last() else { break };
        from = last.index + 1;
    }
    assert_eq!(from, head.edge.size(), "all of them");
    from as f64 / begun.elapsed().as_secs_f64()
}
