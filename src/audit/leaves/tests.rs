//! Which checkpoints are due.

use super::*;
use crate::audit::fixtures::store_on;
use crate::store::Db;
use crate::store::db::testing::{Engine, on_both_engines};

on_both_engines!(what_has_grown_or_rested_is_due_once);

/// Logs by id 2, 3, …: their size, signed size and when they were signed. The platform's is put behind all of it.
async fn logs(db: &Db, logs: &[(i64, i64, i64)]) {
    let mut tx = db.write().await.unwrap();
    tx.execute("UPDATE audit_log SET signed_at = 1000", &[]).await.unwrap();
    let edge = crate::audit::tree::Hash([7; 32]).to_string();
    for (n, (size, signed_size, signed_at)) in logs.iter().enumerate() {
        let name = format!("org_{n:03}");
        let edge = if *size == 1 { edge.as_str() } else { "" };
        let args = [name.into(), (*size).into(), edge.into(), (*signed_size).into(), (*signed_at).into()];
        let text =
            "INSERT INTO audit_log (name, size, edge, signed_size, signed_at) VALUES ($1, $2, $3, $4, $5)";
        tx.execute(text, &args).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn names(db: &Db, grown: Millis, rested: Millis, limit: i64) -> Vec<String> {
    let due = due(&mut db.read().await.unwrap(), grown, rested, limit).await.unwrap();
    due.iter().map(|head| head.log.to_string()).collect()
}

async fn what_has_grown_or_rested_is_due_once(engine: Engine) {
    let store = store_on(engine).await;
    let db = &store.db;
    // Grown just now; grown; both; rested; neither; grown.
    logs(db, &[(1, 0, 950), (1, 0, 900), (1, 0, 100), (1, 1, 90), (1, 1, 500), (1, 0, 200)]).await;
    let all = ["org_001", "org_002", "org_003", "org_005"];
    assert_eq!(names(db, 900, 100, 256).await, all);
    assert_eq!(names(db, 900, 0, 256).await, ["org_001", "org_002", "org_005"]);
    assert_eq!(names(db, 0, 100, 256).await, ["org_002", "org_003"]);
    assert_eq!(names(db, 0, 0, 256).await, [""; 0]);
    // As many as are asked for, as long as there are so many.
    assert_eq!(names(db, 900, 100, 4).await, all);
    for limit in 1..4 {
        assert_eq!(names(db, 900, 100, limit).await.len(), usize::try_from(limit).unwrap());
    }
}

/// The steps in which SQLite, which knows nothing of the values, answers.
#[tokio::test]
async fn no_log_is_looked_at_that_is_not_due() {
    let store = store_on(Engine::Sqlite).await;
    let mut tx = store.db.read().await.unwrap();
    for (which, index) in DUE.into_iter().zip(["audit_log_grown", "audit_log_signed"]) {
        let text = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM audit_log {which}");
        let rows = tx.rows_dynamic(text, &[5_i64.into(), 256_i64.into()]).await.unwrap();
        let steps: Vec<_> = rows.iter().map(|row| row.text(3).unwrap()).collect();
        assert!(steps.len() == 1 && steps[0].contains(index), "{steps:?}");
    }
}
