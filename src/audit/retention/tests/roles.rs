//! PostgreSQL: what gateways can't do, and what the owner of the tables can't either.

use super::*;
use crate::audit::fixtures::filled as people;
use crate::store::db::server::{Database, shared};
use crate::store::db::testing::migrated;
use crate::store::{DbOptions, PostgresOptions};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _};
use std::str::FromStr as _;

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect_with(&PgConnectOptions::from_str(url).unwrap()).await.unwrap()
}

async fn opened(database: &Database<'_>) -> Db {
    let db = Db::open(DbOptions::postgres(migrated(database).await)).await.unwrap();
    people(&db).await;
    db
}

async fn refused(connection: &mut PgConnection, sql: &'static str, why: &str) {
    let error = connection.execute(sql).await.expect_err(sql).to_string();
    assert!(error.contains(why), "{sql}: {error}");
}

#[tokio::test]
async fn a_gateway_adds_reads_and_calls_for_what_has_expired() {
    let database = shared().database();
    let db = opened(&database).await;
    filled(&db, &[100, 1]).await;
    let mut gateway = connect(&database.url()).await;
    for sql in [
        "DELETE FROM org_audit",
        "UPDATE org_audit SET body = ''",
        "TRUNCATE org_audit",
        "TRUNCATE platform_audit",
        "DELETE FROM audit_leaf",
        "UPDATE audit_checkpoint SET note = ''",
        "UPDATE audit_retention SET days = 1, changed = changed + 1",
        "INSERT INTO audit_retention VALUES ('org', 1, 0) ON CONFLICT (log_kind) DO UPDATE SET days = 1",
        "DELETE FROM audit_retention",
        "SELECT drawbridge_cutoff('org')",
    ] {
        refused(&mut gateway, sql, "permission denied").await;
    }
    for sql in [
        "ALTER TABLE org_audit DISABLE TRIGGER ALL",
        "DROP TRIGGER org_audit_keep ON org_audit",
        "ALTER TABLE org_audit DROP COLUMN body",
        "CREATE OR REPLACE FUNCTION drawbridge_cutoff(kind TEXT) RETURNS BIGINT LANGUAGE sql AS 'SELECT 1::bigint'",
    ] {
        let error = gateway.execute(sql).await.expect_err(sql).to_string();
        assert!(error.contains("must be owner") || error.contains("permission denied"), "{sql}: {error}");
    }
    assert!(gateway.execute("SET session_replication_role = replica").await.is_err());
    let call = "SELECT drawbridge_expire((SELECT id FROM audit_log WHERE name = 'org_acme'), ";
    let call = |upto: &str| -> &'static str { format!("{call}{upto})").leak() };
    refused(&mut gateway, call("2"), "entry 1 of the log org_acme has not expired").await;
    refused(&mut gateway, call("3"), "in its order").await;
    refused(&mut gateway, call("5000"), "in its order").await;
    // Tables of its own with the same names deceive nobody.
    gateway.execute("CREATE TEMP TABLE audit_retention (log_kind TEXT, days BIGINT)").await.unwrap();
    gateway.execute("INSERT INTO audit_retention VALUES ('org', 0), ('platform', 0)").await.unwrap();
    gateway.execute("SET search_path = pg_temp, public").await.unwrap();
    refused(&mut gateway, call("2"), "has not expired").await;
    gateway.execute(call("1")).await.unwrap();
    gateway.execute(call("1")).await.unwrap();
    assert_eq!(seen(&db, &acme()).await.kept(), 1..2);
}

#[tokio::test]
async fn the_owner_deletes_nothing_young_either() {
    let database = shared().database();
    let db = opened(&database).await;
    filled(&db, &[100, 1]).await;
    let mut owner = connect(&database.owner_url()).await;
    for sql in [
        "DELETE FROM org_audit WHERE n = 2",
        "DELETE FROM platform_audit",
        "UPDATE org_audit SET body = ''",
        "TRUNCATE org_audit",
        "DELETE FROM audit_leaf",
        "TRUNCATE audit_node",
        "UPDATE audit_log SET first = 2 WHERE name = 'org_acme'",
        "UPDATE audit_log SET first = 7",
        "UPDATE audit_log SET name = 'org_x' WHERE name = 'org_acme'",
        "DELETE FROM audit_retention",
        "TRUNCATE audit_retention",
        // Expired, but the log doesn't say that it begins later.
        "DELETE FROM org_audit WHERE n = 1",
    ] {
        refused(&mut owner, sql, "append-only").await;
    }
    // Kept for longer meanwhile: then it hasn't expired, whatever the log says.
    owner.execute("UPDATE audit_log SET first = 1 WHERE name = 'org_acme'").await.unwrap();
    owner.execute("UPDATE audit_retention SET days = 200 WHERE log_kind = 'org'").await.unwrap();
    refused(&mut owner, "DELETE FROM org_audit WHERE n = 1", "append-only").await;
    owner.execute("UPDATE audit_retention SET days = 90 WHERE log_kind = 'org'").await.unwrap();
    // A superuser who silences ordinary triggers is refused too.
    for sql in ["DELETE FROM org_audit WHERE n = 2", "UPDATE audit_log SET first = 2 WHERE name = 'org_acme'"]
    {
        let block = format!(
            "DO $$ BEGIN SET LOCAL session_replication_role = replica; {sql}; RAISE 'not refused'; \
             EXCEPTION WHEN OTHERS THEN IF SQLERRM NOT LIKE '%append-only%' THEN RAISE; END IF; END $$"
        );
        database.sql(&block);
    }
    // And where the owner has switched them off, what gateways call still looks by itself.
    owner.execute("ALTER TABLE org_audit DISABLE TRIGGER ALL").await.unwrap();
    owner.execute("ALTER TABLE audit_log DISABLE TRIGGER ALL").await.unwrap();
    let mut gateway = connect(&database.url()).await;
    let call = "SELECT drawbridge_expire((SELECT id FROM audit_log WHERE name = 'org_acme'), 2)";
    refused(&mut gateway, call, "has not expired").await;
    let left = seen(&db, &acme()).await.leaves.iter().filter(|l| l.line.is_some()).count();
    assert_eq!(left, 2);
}

/// A refused statement leaves nothing in a PostgreSQL database; the server's own log tells who asked for what.
#[tokio::test]
async fn the_servers_log_tells_of_refused_statements() {
    let database = shared().database();
    let db = opened(&database).await;
    filled(&db, &[1]).await;
    let mut gateway = connect(&database.url()).await;
    refused(&mut gateway, "DELETE FROM org_audit WHERE 'attempt-7f3a' <> ''", "permission denied").await;
    let mut owner = connect(&database.owner_url()).await;
    refused(&mut owner, "DELETE FROM org_audit WHERE 'attempt-9c1d' <> ''", "append-only").await;
    let log = shared().log();
    for attempt in ["attempt-7f3a", "attempt-9c1d"] {
        let statement = format!("STATEMENT:  DELETE FROM org_audit WHERE '{attempt}' <> ''");
        assert!(log.contains(&statement), "{attempt} isn't in the server's log");
    }
    let options = PostgresOptions::new(database.url());
    let target = crate::store::Target::Postgres(options);
    let find = async || {
        let all = crate::store::db::examine(&target).await;
        all.into_iter().find(|f| f.check == "refused statements").unwrap()
    };
    assert!(find().await.is_ok(), "{:?}", find().await);
    let name = "SELECT current_database()";
    let name = database.sql(name);
    for (setting, told) in [
        ("log_min_error_statement = panic", "without their statements"),
        ("log_min_messages = fatal", "logs no errors"),
    ] {
        database.sql(&format!("ALTER DATABASE \"{name}\" SET {setting}"));
        let found = find().await;
        assert!(!found.is_ok() && found.told.contains(told), "{found:?}");
        Db::open(DbOptions::postgres(PostgresOptions::new(database.url())))
            .await
            .expect("it starts all the same");
        database.sql(&format!("ALTER DATABASE \"{name}\" RESET ALL"));
    }
}
