//! Who tries to change what the logs hold is refused; on SQLite the database itself tells of it.

use super::*;
use crate::store::DbOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

/// As `sqlite3` on the file would.
async fn shell(folder: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("drawbridge.db"))
        .pragma("recursive_triggers", "ON")
        .busy_timeout(std::time::Duration::from_secs(5));
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn notices(shell: &mut SqliteConnection) -> Vec<String> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT about, detail FROM audit_notice ORDER BY id").fetch_all(shell).await.unwrap();
    rows.into_iter().map(|(about, detail)| format!("{about}: {detail}")).collect()
}

const ATTEMPTS: [(&str, &str); 14] = [
    ("UPDATE org_audit SET body = '{}' WHERE n = 1", "org_audit: UPDATE of entry 1"),
    ("UPDATE platform_audit SET time = 0", "platform_audit: UPDATE of entry 1"),
    ("DELETE FROM org_audit WHERE n = 2", "org_audit: DELETE of entry 2"),
    ("DELETE FROM platform_audit", "platform_audit: DELETE of entry 1"),
    ("UPDATE audit_leaf SET hash = '' WHERE idx = 1", "audit_leaf: UPDATE of 1 of log 1"),
    ("DELETE FROM audit_leaf WHERE idx = 1", "audit_leaf: DELETE of 1 of log 1"),
    ("DELETE FROM audit_checkpoint WHERE log = 1", "audit_checkpoint: DELETE of 3 of log 1"),
    ("UPDATE audit_checkpoint SET note = '' WHERE log = 1", "audit_checkpoint: UPDATE of 3 of log 1"),
    ("DELETE FROM audit_log WHERE name = 'platform'", "audit_log: DELETE of platform"),
    ("UPDATE audit_log SET first = 2 WHERE id = 1", "audit_log: beginning of platform from 0 to 2"),
    ("UPDATE audit_log SET size = 1 WHERE id = 1", "audit_log: UPDATE of platform"),
    ("UPDATE audit_log SET name = 'org_x' WHERE name = 'platform'", "audit_log: UPDATE of platform"),
    (
        "UPDATE audit_retention SET days = 1 WHERE log_kind = 'org'",
        "audit_retention: UPDATE of org to 1 days",
    ),
    ("DELETE FROM audit_retention WHERE log_kind = 'org'", "audit_retention: DELETE of org"),
];

#[tokio::test]
async fn what_sqlite_refuses_it_tells_of() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(DbOptions::new(folder.path())).await.unwrap();
    crate::audit::fixtures::filled(&db).await;
    filled(&db, &[1, 1, 1]).await;
    let before = seen(&db, &acme()).await;
    let mut shell = shell(folder.path()).await;
    // Whoever tries may come with a SQLite before 3.42, which doesn't know this and would tell of nothing.
    let newer = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%subsec%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(newer).fetch_one(&mut shell).await.unwrap(), 0);
    for (attempt, told) in ATTEMPTS {
        let error = shell.execute(attempt).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{attempt}: {error}");
        assert_eq!(notices(&mut shell).await.last().map(String::as_str), Some(told), "{attempt}");
    }
    // Replacing an entry deletes it first.
    let replace = "INSERT OR REPLACE INTO org_audit SELECT * FROM org_audit WHERE n = 1";
    assert!(shell.execute(replace).await.is_err());
    assert_eq!(notices(&mut shell).await.last().unwrap(), "org_audit: DELETE of entry 1");
    // Inside a transaction that goes on, with what else it does; but not in one that is rolled back.
    let many = ATTEMPTS.len() + 1;
    let mut tx = shell.begin().await.unwrap();
    (&mut *tx).execute("INSERT INTO setting VALUES ('a', '1')").await.unwrap();
    assert!((&mut *tx).execute(ATTEMPTS[0].0).await.is_err());
    (&mut *tx).execute("INSERT INTO setting VALUES ('b', '1')").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(notices(&mut shell).await.len(), many + 1);
    let settings: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM setting WHERE key IN ('a', 'b')")
        .fetch_one(&mut shell)
        .await
        .unwrap();
    assert_eq!(settings, 2);
    // A statement over many rows leaves none of them changed.
    assert!(shell.execute("UPDATE org_audit SET actor = 'x'").await.is_err());
    drop(shell);

    // The gateway makes entries of them: one for each kind, with how many there were.
    assert_eq!(crate::audit::notices::take(&db).await.unwrap(), many + 2);
    assert_eq!(crate::audit::notices::take(&db).await.unwrap(), 0);
    verified(&db, &acme(), &before).await;
    let told = seen(&db, &LogName::Platform).await.events();
    let refused: Vec<_> = told.iter().filter(|e| e["event"] == "audit.change_refused").collect();
    assert_eq!(refused.len(), 6, "{refused:#?}");
    let count = |about: &str| refused.iter().find(|e| e["resource"] == about).unwrap()["count"].clone();
    assert_eq!((count("org_audit"), count("platform_audit")), (5.into(), 2.into()));
}

#[tokio::test]
async fn of_a_delete_what_has_expired_goes_and_the_rest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(DbOptions::new(folder.path())).await.unwrap();
    crate::audit::fixtures::filled(&db).await;
    filled(&db, &[100, 100, 1]).await;
    let mut shell = shell(folder.path()).await;
    let count = "SELECT COUNT(*) FROM org_audit";
    // Expired, but the log doesn't say that it begins later.
    assert!(shell.execute("DELETE FROM org_audit").await.is_err());
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut shell).await.unwrap(), 3);
    shell.execute("UPDATE audit_log SET first = 1 WHERE name = 'org_acme'").await.unwrap();
    // Kept for longer meanwhile: then it hasn't expired, whatever the log says.
    let keep = "UPDATE audit_retention SET changed = changed + 1, days = CASE days WHEN 90 THEN 200 ELSE 90 END \
                WHERE log_kind = 'org'";
    shell.execute(keep).await.unwrap();
    assert!(shell.execute("DELETE FROM org_audit").await.is_err());
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut shell).await.unwrap(), 3);
    shell.execute(keep).await.unwrap();
    assert!(shell.execute("DELETE FROM org_audit").await.is_err());
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut shell).await.unwrap(), 2);
    // Without a row that says for how long, nothing expires.
    shell.execute("DROP TRIGGER audit_retention_delete").await.unwrap();
    shell.execute("DELETE FROM audit_retention").await.unwrap();
    assert!(shell.execute("UPDATE audit_log SET first = 2 WHERE name = 'org_acme'").await.is_err());
}
