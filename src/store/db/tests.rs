//! The store on real folders and a real server: isolation, order, faults.

mod postgres;

use super::testing::{Engine, Store, on_both_engines};
use super::*;

on_both_engines!(
    values_come_back_as_they_were,
    a_dropped_transaction_leaves_nothing_and_the_next_goes_on,
    an_abandoned_future_blocks_nobody,
    a_read_is_one_moment_and_cannot_write,
    many_rows_are_inserted_whatever_their_number,
    positions_are_told_in_the_order_of_the_rows,
    the_clock_is_the_databases_and_can_be_shifted,
    a_private_handle_works_on_another_runtime,
);

async fn open(folder: &std::path::Path) -> Db {
    Db::open(DbOptions::new(folder)).await.unwrap()
}

async fn put(tx: &mut Tx, key: &str, value: &str) -> Result<u64, StoreError> {
    tx.execute("INSERT INTO setting (key, value) VALUES ($1, $2)", &[key.into(), value.into()]).await
}

async fn settings(db: &Db) -> i64 {
    let mut tx = db.read().await.unwrap();
    tx.row("SELECT COUNT(*) FROM setting", &[]).await.unwrap().unwrap().int(0).unwrap()
}

async fn values_come_back_as_they_were(engine: Engine) {
    let store = Store::open(engine).await;
    let db = &store.db;
    let mut tx = db.read().await.unwrap();
    let row = tx
        .row(
            "SELECT $1, $2, CAST($3 AS BIGINT), CASE WHEN $4 {is} $5 THEN 1 ELSE 0 END",
            &["ab'\"\u{202E}".into(), i64::MIN.into(), Value::Null, Value::Null, Value::Null],
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.text(0).unwrap(), "ab'\"\u{202E}");
    assert_eq!(row.int(1).unwrap(), i64::MIN);
    assert_eq!(row.opt_int(2).unwrap(), None);
    assert_eq!(row.opt_text(2).unwrap(), None);
    assert_eq!(row.int(3).unwrap(), 1);
    assert!(matches!(row.text(1), Err(StoreError::Corrupt(_))));
    assert!(matches!(row.int(2), Err(StoreError::Corrupt(_))));
    assert!(matches!(row.int(9), Err(StoreError::Corrupt(_))));
}

async fn a_dropped_transaction_leaves_nothing_and_the_next_goes_on(engine: Engine) {
    let store = Store::open(engine).await;
    let db = &store.db;
    for _ in 0..20 {
        let mut tx = db.write().await.unwrap();
        put(&mut tx, "a", "1").await.unwrap();
    }
    let mut tx = db.write().await.unwrap();
    put(&mut tx, "a", "2").await.unwrap();
    // A reader sees the state before, however long the writer takes.
    assert_eq!(settings(db).await, 0);
    tx.commit().await.unwrap();
    assert_eq!(settings(db).await, 1);
    let mut tx = db.write().await.unwrap();
    assert!(matches!(put(&mut tx, "a", "3").await, Err(StoreError::Conflict(_))));
    // SQLite would go on after it, PostgreSQL not, and neither commits half of it unnoticed.
    drop(tx);
    assert_eq!(settings(db).await, 1);
}

async fn an_abandoned_future_blocks_nobody(engine: Engine) {
    let store = Store::open(engine).await;
    let db = &store.db;
    let never = std::time::Duration::from_micros(100);
    for i in 0..200_u64 {
        let abandoned = async {
            for _ in 0..i % 7 {
                tokio::task::yield_now().await;
            }
            let mut tx = db.write().await.unwrap();
            tx.row("UPDATE change_head SET n = n + 1 RETURNING n", &[]).await.unwrap();
            put(&mut tx, &format!("k{i}"), "1").await.unwrap();
            tx.commit().await.unwrap();
        };
        // Polled a few times at most, then dropped wherever it stands.
        let _ = tokio::time::timeout(never * u32::try_from(i % 20).unwrap(), abandoned).await;
    }
    // The writer's turn comes after whatever the abandoned ones had sent: what it locks is free.
    let mut tx = db.write().await.unwrap();
    tx.row("UPDATE change_head SET n = n + 1 RETURNING n", &[]).await.unwrap();
    put(&mut tx, "last", "1").await.unwrap();
    tx.commit().await.unwrap();
    assert!(settings(db).await > 0);
}

async fn a_read_is_one_moment_and_cannot_write(engine: Engine) {
    let store = Store::open(engine).await;
    let db = &store.db;
    let mut reader = db.read().await.unwrap();
    let count = "SELECT COUNT(*) FROM setting";
    assert_eq!(reader.row(count, &[]).await.unwrap().unwrap().int(0).unwrap(), 0);
    let mut tx = db.write().await.unwrap();
    put(&mut tx, "a", "1").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(reader.row(count, &[]).await.unwrap().unwrap().int(0).unwrap(), 0);
    assert!(put(&mut reader, "b", "1").await.is_err());
}

async fn many_rows_are_inserted_whatever_their_number(engine: Engine) {
    let store = Store::open(engine).await;
    let db = &store.db;
    let mut total = 0;
    for n in [0_i64, 1, 2, 3, 255, 256, 257, 700] {
        let mut tx = db.write().await.unwrap();
        let values: Vec<Value> =
            (0..n).flat_map(|i| [Value::from(format!("{n}-{i}")), Value::from("v")]).collect();
        let insert = "INSERT INTO setting (key, value)";
        assert_eq!(tx.insert_many(insert, "", 2, &values).await.unwrap(), u64::try_from(n).unwrap());
        assert_eq!(tx.insert_many(insert, "ON CONFLICT DO NOTHING", 2, &values).await.unwrap(), 0);
        tx.commit().await.unwrap();
        total += n;
        assert_eq!(settings(db).await, total);
    }
    let mut tx = db.write().await.unwrap();
    let odd = tx.insert_many("INSERT INTO setting (key, value)", "", 2, &["a".into()]).await;
    assert!(matches!(odd, Err(StoreError::Corrupt(_))));
}

async fn positions_are_told_in_the_order_of_the_rows(engine: Engine) {
    const ENTRY: &str = "INSERT INTO org_audit (org_id, request_id, stage, part, time, event, actor, body)";
    let store = Store::open(engine).await;
    let mut tx = store.db.write().await.unwrap();
    let rows = |ids: &[usize]| -> Vec<Value> {
        let row = |id: &usize| ["org_a", &format!("req_{id}"), "act", ""].map(Value::from);
        let rest = || [Value::Int(0), "e".into(), "a".into(), "{}".into()];
        ids.iter().flat_map(|id| row(id).into_iter().chain(rest())).collect()
    };
    let first: Vec<usize> = (0..300).rev().collect();
    let placed = tx.insert_many_placed("org_audit", ENTRY, 8, &rows(&first)).await.unwrap();
    assert!(placed.all);
    assert_eq!(placed.positions.len(), 300);
    for (id, n) in first.iter().zip(&placed.positions) {
        let row = tx.row("SELECT request_id FROM org_audit WHERE n = $1", &[(*n).into()]).await.unwrap();
        assert_eq!(row.unwrap().text(0).unwrap(), format!("req_{id}"));
    }
    // Of these, two are there already.
    let placed = tx.insert_many_placed("org_audit", ENTRY, 8, &rows(&[400, 7, 401, 8, 402])).await.unwrap();
    assert!(!placed.all);
    let text = "SELECT n FROM org_audit WHERE request_id IN ('req_400', 'req_401', 'req_402') ORDER BY n";
    let new = tx.rows(text, &[]).await.unwrap();
    assert_eq!(placed.positions, new.iter().map(|row| row.int(0).unwrap()).collect::<Vec<_>>());
    let none = tx.insert_many_placed("org_audit", ENTRY, 8, &rows(&[400])).await.unwrap();
    assert!(!none.all && none.positions.is_empty());
    let more = tx.insert_many_placed("org_audit", ENTRY, 8, &rows(&[500])).await.unwrap();
    assert!(more.all && more.positions[0] > placed.positions[2]);
}

async fn the_clock_is_the_databases_and_can_be_shifted(engine: Engine) {
    let store = Store::open_shifted(engine, 3_600_000).await;
    let db = &store.db;
    let clock = crate::domain::SystemClock;
    let before = crate::domain::Clock::now(&clock);
    let now = db.read().await.unwrap().now().await.unwrap();
    let after = crate::domain::Clock::now(&clock);
    assert!((before + 3_600_000..=after + 3_600_000).contains(&now), "{before} {now} {after}");
}

async fn a_private_handle_works_on_another_runtime(engine: Engine) {
    let store = Store::open(engine).await;
    let db = store.db.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let private = db.private().await.unwrap();
            for n in 0..10 {
                let mut tx = private.write().await.unwrap();
                put(&mut tx, &format!("k{n}"), "1").await.unwrap();
                tx.commit().await.unwrap();
            }
        });
    });
    // The thread needs nothing of this runtime but what SQLite's one writer is.
    tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    assert_eq!(settings(&store.db).await, 10);
}

#[tokio::test]
async fn one_gateway_holds_the_folder_and_a_command_opens_beside_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a/data");
    let db = open(&folder).await;
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let second = Db::open(DbOptions::new(&folder)).await.err().unwrap();
    assert!(matches!(second, StoreError::Open(OpenError::Locked { .. })));
    assert!(second.to_string().contains(&folder.display().to_string()), "{second}");

    let command = Db::open(DbOptions { exclusive: false, ..DbOptions::new(&folder) }).await.unwrap();
    let mut tx = command.write().await.unwrap();
    put(&mut tx, "a", "1").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(settings(&db).await, 1);
    assert!(!command.release_reserve(), "the reserve is the gateway's");
    drop((db, command));
    // Connections close on threads of their own; the lock goes with the last handle.
    assert_eq!(settings(&open(&folder).await).await, 1, "and it goes on where it was");
}

#[tokio::test]
async fn a_command_does_not_migrate_under_a_running_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let mut tx = db.write().await.unwrap();
    tx.execute("DELETE FROM _sqlx_migrations WHERE version = 2", &[]).await.unwrap();
    tx.commit().await.unwrap();
    let command = Db::open(DbOptions { exclusive: false, ..DbOptions::new(folder.path()) }).await;
    assert!(matches!(command.err().unwrap(), StoreError::Open(OpenError::Migration { .. })));
}

#[tokio::test]
async fn every_connection_keeps_its_pragmas() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let first = db.read().await.unwrap();
    for mut tx in [db.write().await.unwrap(), first, db.read().await.unwrap()] {
        for (pragma, value) in
            [("PRAGMA recursive_triggers", 1), ("PRAGMA foreign_keys", 1), ("PRAGMA synchronous", 2)]
        {
            assert_eq!(tx.row(pragma, &[]).await.unwrap().unwrap().int(0).unwrap(), value, "{pragma}");
        }
        let mode = tx.row("PRAGMA journal_mode", &[]).await.unwrap().unwrap();
        assert_eq!(mode.text(0).unwrap(), "wal");
    }
}

#[tokio::test]
async fn a_full_database_is_told_apart_and_the_reserve_lets_a_small_write_through() {
    let folder = tempfile::tempdir().unwrap();
    let options = DbOptions { max_pages: Some(120), ..DbOptions::new(folder.path()) };
    let db = Db::open(options).await.unwrap();
    let long = "x".repeat(100_000);
    let mut filled = 0;
    let full = loop {
        let mut tx = db.write().await.unwrap();
        if let Err(e) = put(&mut tx, &format!("k{filled}"), &long).await {
            break e;
        }
        tx.commit().await.unwrap();
        filled += 1;
        assert!(filled < 100, "never full");
    };
    assert!(matches!(full, StoreError::Full(_)), "{full:?}");
    assert_eq!(settings(&db).await, filled, "nothing of the refused one is there");
    // The connection was left in a state that refuses to begin: it must be healed, time and again.
    for _ in 0..3 {
        let mut tx = db.write().await.unwrap();
        assert!(matches!(put(&mut tx, "again", &long).await, Err(StoreError::Full(_))));
    }
    assert!(!db.reserve_is_spent());
    assert!(db.release_reserve());
    assert!(db.reserve_is_spent());
    let mut tx = db.write().await.unwrap();
    put(&mut tx, "revoked", &long).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(settings(&db).await, filled + 1);
    assert!(!db.refill_reserve());
}

#[tokio::test]
async fn a_data_folder_that_is_a_file_is_a_clear_error() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Db::open(DbOptions::new(&file)).await.err().unwrap();
    assert!(matches!(error, StoreError::Open(OpenError::Folder { .. })), "{error:?}");
    assert!(error.to_string().contains("file"));
}

#[tokio::test]
async fn a_full_or_read_only_disk_at_open_is_a_clear_error() {
    let Some(mount) = mount::Mount::new(12) else { return };
    mount.fill(0);
    let error = Db::open(DbOptions::new(mount.data())).await.err().unwrap();
    assert!(matches!(error, StoreError::Open(OpenError::Full { .. })), "{error:?}");
    assert!(error.to_string().contains(&mount.data().display().to_string()), "{error}");

    let Some(mount) = mount::Mount::new(24) else { return };
    drop(open(&mount.data()).await);
    mount.make_read_only();
    let error = Db::open(DbOptions::new(mount.data())).await.err().unwrap();
    assert!(matches!(error, StoreError::Open(OpenError::ReadOnly { .. })), "{error:?}");
}

/// Here SQLite rolls back by itself, and the driver would refuse every later transaction.
#[tokio::test]
async fn the_writer_goes_on_after_a_full_file_system() {
    let Some(mount) = mount::Mount::new(24) else { return };
    let db = open(&mount.data()).await;
    mount.fill(100_000);
    let long = "x".repeat(500_000);
    for _ in 0..3 {
        let mut tx = db.write().await.unwrap();
        let filled = match put(&mut tx, "a", &long).await {
            Ok(_) => tx.commit().await,
            Err(error) => Err(error),
        };
        assert!(matches!(filled, Err(StoreError::Full(_))), "{filled:?}");
    }
    assert_eq!(settings(&db).await, 0);
    std::fs::remove_file(mount.path().join("other")).unwrap();
    let mut tx = db.write().await.unwrap();
    put(&mut tx, "a", &long).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(settings(&db).await, 1);
}

/// The logs keep what they hold, whatever the statement.
#[tokio::test]
async fn the_logs_are_append_only() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let insert = [
        "INSERT INTO org_audit (org_id, request_id, stage, part, time, event, actor, body) \
         VALUES ('org_a', 'req_a', 'act', '', 1, 'e', 'a', 'true')",
        "INSERT INTO platform_audit (org_id, request_id, stage, part, time, event, actor, body) \
         VALUES ('org_a', 'req_a', 'act', '', 1, 'e', 'a', 'true')",
    ];
    let mut tx = db.write().await.unwrap();
    for text in insert {
        tx.execute(text, &[]).await.unwrap();
    }
    tx.commit().await.unwrap();
    for table in ["org_audit", "platform_audit"] {
        for attack in [
            "UPDATE {t} SET body = 'forged'",
            "UPDATE OR REPLACE {t} SET n = n + 1",
            "DELETE FROM {t}",
            "INSERT OR REPLACE INTO {t} (n, org_id, request_id, stage, part, time, event, actor, body) \
             VALUES (1, 'org_a', 'req_b', 'act', '', 1, 'e', 'a', 'forged')",
            "REPLACE INTO {t} (org_id, request_id, stage, part, time, event, actor, body) \
             VALUES ('org_a', 'req_a', 'act', '', 1, 'e', 'a', 'forged')",
            "INSERT INTO {t} (org_id, request_id, stage, part, time, event, actor, body) \
             VALUES ('org_a', 'req_a', 'act', '', 1, 'e', 'a', 'forged') \
             ON CONFLICT (request_id, stage, part) DO UPDATE SET body = excluded.body",
        ] {
            let attack = attack.replace("{t}", table).replace(
                "(request_id, stage, part)",
                if table == "org_audit" {
                    "(org_id, request_id, stage, part)"
                } else {
                    "(request_id, stage, part)"
                },
            );
            let mut tx = db.write().await.unwrap();
            let answer = tx.rows_dynamic(attack.clone(), &[]).await;
            assert!(format!("{:?}", answer.as_ref().err()).contains("append-only"), "{attack}: {answer:?}");
        }
        let mut tx = db.read().await.unwrap();
        let rows = tx.rows_dynamic(format!("SELECT n, body FROM {table}"), &[]).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].text(1).unwrap(), "true");
    }
}

/// Asks until it is so, for a time that is only reached when it never will be.
async fn soon(mut ask: impl AsyncFnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !ask().await {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "waited in vain");
    }
}
