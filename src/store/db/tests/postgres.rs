//! PostgreSQL alone: two roles, a server that breaks, what stands in errors.

use super::*;
use crate::store::db::server::{PASSWORD, Server, shared};
use crate::store::db::testing::migrated;
use std::time::{Duration, Instant};

async fn opened(database: &crate::store::db::server::Database<'_>) -> Result<Db, StoreError> {
    Db::open(DbOptions::postgres(PostgresOptions::new(database.url()))).await
}

/// A transaction that begins and commits, or why not.
async fn touch(db: &Db, key: &str) -> Result<(), StoreError> {
    let mut tx = db.write().await?;
    put(&mut tx, key, "1").await?;
    tx.commit().await
}

fn with_causes(error: &StoreError) -> String {
    let mut told = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        told.push_str(&format!(": {inner} {inner:?}"));
        cause = inner.source();
    }
    told
}

#[tokio::test]
async fn a_gateway_only_looks_whether_the_tables_are_there() {
    let database = shared().database();
    let error = opened(&database).await.err().unwrap();
    assert!(error.to_string().contains("run `drawbridge migrate`"), "{error}");
    assert_eq!(database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");

    let (owner, gateways) =
        (PostgresOptions::new(database.owner_url()), PostgresOptions::new(database.url()));
    let first = migrate(&owner, &gateways).await.unwrap();
    let all = crate::store::migrations::migrator(Dialect::Postgres).iter().count();
    assert_eq!(first.applied, all);
    touch(&opened(&database).await.unwrap(), "a").await.unwrap();
    let again = migrate(&owner, &gateways).await.unwrap();
    assert_eq!(again, Migrated { applied: 0, ..first });
    database.sql("UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 3");
    let error = opened(&database).await.err().unwrap();
    assert!(matches!(error, StoreError::Open(OpenError::Unmigrated { .. })), "{error:?}");
}

#[tokio::test]
async fn migrations_run_side_by_side_are_applied_once() {
    let database = shared().database();
    let (owner, gateways) =
        (PostgresOptions::new(database.owner_url()), PostgresOptions::new(database.url()));
    for done in futures_util::future::join_all((0..4).map(|_| migrate(&owner, &gateways))).await {
        done.unwrap();
    }
    touch(&opened(&database).await.unwrap(), "a").await.unwrap();
}

#[tokio::test]
async fn the_owner_is_no_gateway() {
    let database = shared().database();
    let owner = PostgresOptions::new(database.owner_url());
    let error = migrate(&owner, &owner).await.unwrap_err();
    assert!(error.to_string().contains("the same role"), "{error}");
    migrated(&database).await;
    for url in [database.owner_url(), database.superuser_url()] {
        let error = Db::open(DbOptions::postgres(PostgresOptions::new(url))).await.err().unwrap();
        assert!(error.to_string().contains("append-only logs"), "{error}");
    }
    database.sql("REVOKE UPDATE ON impersonation FROM drawbridge");
    let error = opened(&database).await.err().unwrap();
    assert!(
        error.to_string().contains("UPDATE on impersonation; missing: run `drawbridge migrate`"),
        "{error}"
    );
}

/// What the gateways' role may not, and what not even the owner and a superuser may by mistake.
#[tokio::test]
async fn the_logs_take_entries_and_nothing_else() {
    let store = Store::open(Engine::Postgres).await;
    let mut tx = store.db.write().await.unwrap();
    for table in ["org_audit", "platform_audit"] {
        let insert = format!(
            "INSERT INTO {table} (org_id, request_id, stage, part, time, event, actor, body) \
             VALUES ('org_a', 'req_a', 'act', '', 1, 'e', 'a', 'true') RETURNING n"
        );
        tx.rows_dynamic(insert, &[]).await.unwrap();
    }
    tx.commit().await.unwrap();
    for table in ["org_audit", "platform_audit"] {
        let key = if table == "org_audit" { "org_id, " } else { "" };
        for attack in [
            "UPDATE {t} SET body = 'forged'".to_owned(),
            "DELETE FROM {t}".to_owned(),
            "TRUNCATE {t}".to_owned(),
            "DROP TABLE {t}".to_owned(),
            "ALTER TABLE {t} DISABLE TRIGGER ALL".to_owned(),
            "SELECT n FROM {t} FOR UPDATE".to_owned(),
            "CREATE TABLE other (a TEXT)".to_owned(),
            "SET session_replication_role = replica".to_owned(),
            format!(
                "INSERT INTO {{t}} (org_id, request_id, stage, part, time, event, actor, body) \
                 VALUES ('org_a', 'req_a', 'act', '', 1, 'e', 'a', 'forged') \
                 ON CONFLICT ({key}request_id, stage, part) DO UPDATE SET body = excluded.body"
            ),
            "INSERT INTO {t} (n, org_id, request_id, stage, part, time, event, actor, body) \
             VALUES (99, 'org_a', 'req_b', 'act', '', 1, 'e', 'a', 'forged')"
                .to_owned(),
            "DELETE FROM impersonation".to_owned(),
            "DELETE FROM change_log".to_owned(),
            "UPDATE _sqlx_migrations SET checksum = ''".to_owned(),
        ] {
            let attack = attack.replace("{t}", table);
            let mut tx = store.db.write().await.unwrap();
            let answer = tx.rows_dynamic(attack.clone(), &[]).await;
            let told = with_causes(&answer.expect_err(&attack));
            let refused = ["42501", "428C9"].iter().any(|code| told.contains(code));
            assert!(refused, "{attack}: {told}");
        }
        for attack in ["UPDATE {t} SET body = 'forged'", "DELETE FROM {t}", "TRUNCATE {t}"] {
            let attack = attack.replace("{t}", table).replace('\'', "''");
            let tried = format!(
                "SET session_replication_role = replica; DO $$ BEGIN EXECUTE '{attack}'; \
                 RAISE 'it passed'; EXCEPTION WHEN raise_exception THEN \
                 IF SQLERRM NOT LIKE '%append-only%' THEN RAISE; END IF; END $$"
            );
            store.superuser(&tried);
        }
        assert_eq!(store.superuser(&format!("SELECT body FROM {table}")), "true");
    }
}

#[tokio::test]
async fn every_commit_waits_for_the_disk_whatever_the_database_says() {
    let database = shared().database();
    let gateways = migrated(&database).await;
    database.sql("DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = off'; END $$");
    let db = Db::open(DbOptions::postgres(gateways)).await.unwrap();
    let mut tx = db.write().await.unwrap();
    for (setting, value) in [
        ("synchronous_commit", "on"),
        ("transaction_isolation", "read committed"),
        ("statement_timeout", "5s"),
    ] {
        let row = tx.row("SELECT current_setting($1)", &[setting.into()]).await.unwrap().unwrap();
        assert_eq!(row.text(0).unwrap(), value, "{setting}");
    }
}

#[tokio::test]
async fn a_failed_statement_commits_nothing() {
    let store = Store::open(Engine::Postgres).await;
    let mut tx = store.db.write().await.unwrap();
    put(&mut tx, "a", "1").await.unwrap();
    assert!(matches!(put(&mut tx, "a", "2").await, Err(StoreError::Conflict(_))));
    // The server would answer this COMMIT with a ROLLBACK, and call it success.
    assert!(matches!(tx.commit().await, Err(StoreError::Database(_))));
    assert_eq!(settings(&store.db).await, 0);
}

#[tokio::test]
async fn texts_with_nul_are_kept_without_it() {
    let store = Store::open(Engine::Postgres).await;
    let mut tx = store.db.write().await.unwrap();
    put(&mut tx, "a\0b", "1").await.unwrap();
    let row = tx.row("SELECT key FROM setting", &[]).await.unwrap().unwrap();
    assert_eq!(row.text(0).unwrap(), "a\u{FFFD}b");
}

#[tokio::test]
async fn deadlocks_are_told_apart_and_waits_end() {
    let store = Store::open(Engine::Postgres).await;
    for key in ["a", "b"] {
        touch(&store.db, key).await.unwrap();
    }
    let lock = async |tx: &mut Tx, key: &str| {
        tx.execute("UPDATE setting SET value = 'x' WHERE key = $1", &[key.into()]).await
    };
    let (mut one, mut two) = (store.db.write().await.unwrap(), store.db.write().await.unwrap());
    lock(&mut one, "a").await.unwrap();
    lock(&mut two, "b").await.unwrap();
    let (first, second) = tokio::join!(lock(&mut one, "b"), lock(&mut two, "a"));
    let retries = [&first, &second].iter().filter(|r| matches!(r, Err(StoreError::Retry(_)))).count();
    assert_eq!(retries, 1, "{first:?} {second:?}");
    for error in [first, second].into_iter().filter_map(Result::err) {
        assert!(store.db.again(&error, 1) && !store.db.again(&error, 5));
    }
    assert_eq!(store.db.repeats(), 2);
}

#[tokio::test]
async fn a_lock_is_waited_for_in_vain_only_so_long() {
    let database = shared().database();
    let gateways = migrated(&database).await;
    let short = PostgresOptions { statement_timeout: Duration::from_millis(300), ..gateways };
    let db = Db::open(DbOptions::postgres(short)).await.unwrap();
    touch(&db, "a").await.unwrap();
    let mut holder = opened(&database).await.unwrap().write().await.unwrap();
    holder.execute("UPDATE setting SET value = 'x'", &[]).await.unwrap();
    let mut tx = db.write().await.unwrap();
    let waited = tx.execute("UPDATE setting SET value = 'y'", &[]).await;
    assert!(matches!(waited, Err(StoreError::Unreachable(_))), "{waited:?}");
    drop((tx, holder));
    touch(&db, "b").await.unwrap();
}

/// A server that crashes and comes back: callers hear of it in time, and then go on by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_is_found_again() {
    let mut server = Server::start(&[]);
    let options = {
        let database = server.database();
        let options = migrated(&database).await;
        std::mem::forget(database);
        options
    };
    let db = Db::open(DbOptions::postgres(options)).await.unwrap();
    let held: Vec<_> = futures_util::future::join_all((0..8).map(|_| db.read())).await;
    drop(held);
    touch(&db, "a").await.unwrap();
    let mut open = db.write().await.unwrap();
    put(&mut open, "lost", "1").await.unwrap();
    server.down();
    let lost = open.commit().await;
    assert!(matches!(lost, Err(StoreError::Unknown(_))), "{lost:?}");
    let begun = Instant::now();
    let gone = touch(&db, "b").await;
    assert!(matches!(gone, Err(StoreError::Unreachable(_))), "{gone:?}");
    assert!(!with_causes(&gone.unwrap_err()).contains(PASSWORD));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    server.up();
    soon(async || touch(&db, "c").await.is_ok()).await;
    // All connections were replaced: none fails any more.
    for n in 0..20 {
        touch(&db, &format!("d{n}")).await.unwrap();
    }
    assert_eq!(settings(&db).await, 22);
}

/// A server that stands still answers nothing, not even that it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_given_up_in_time() {
    use rustix::process::Signal;
    let server = Server::start(&[]);
    let database = server.database();
    let options = PostgresOptions {
        statement_timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_millis(500),
        ..migrated(&database).await
    };
    let db = Db::open(DbOptions::postgres(options)).await.unwrap();
    touch(&db, "a").await.unwrap();
    let mut open = db.write().await.unwrap();
    put(&mut open, "b", "1").await.unwrap();
    server.signal(Signal::STOP);
    let begun = Instant::now();
    let unknown = open.commit().await;
    assert!(matches!(unknown, Err(StoreError::Unknown(_))), "{unknown:?}");
    let gone = touch(&db, "c").await;
    assert!(matches!(gone, Err(StoreError::Unreachable(_))), "{gone:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    server.signal(Signal::CONT);
    soon(async || touch(&db, "d").await.is_ok()).await;
}

#[tokio::test]
async fn a_server_that_would_lose_what_it_confirmed_is_refused() {
    let server = Server::start(&["fsync=off", "full_page_writes=off"]);
    let database = server.database();
    let gateways = migrated(&database).await;
    let error = Db::open(DbOptions::postgres(gateways.clone())).await.err().unwrap();
    assert!(error.to_string().contains("fsync: off; set fsync = on in postgresql.conf"), "{error}");
    assert!(!with_causes(&error).contains(PASSWORD));
    let wrong: Vec<_> = examine(&Target::Postgres(gateways))
        .await
        .into_iter()
        .filter_map(|f| (!f.is_ok()).then_some(f.check))
        .collect();
    assert_eq!(wrong, ["fsync", "full_page_writes"]);
}

#[tokio::test]
async fn a_read_only_server_is_refused() {
    let database = shared().database();
    migrated(&database).await;
    database.sql("DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET default_transaction_read_only = on'; END $$");
    let error = opened(&database).await.err().unwrap();
    assert!(error.to_string().contains("role: read-only; point `database.url` at the primary"), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_refused() {
    let database = shared().database();
    let options = migrated(&database).await;
    let db = Db::open(DbOptions::postgres(options)).await.unwrap();
    drop(db);
    // In place of the server's clock, a function of that name that goes wrong.
    database.sql(
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS \
         'SELECT pg_catalog.clock_timestamp() + interval ''3 seconds'''; \
         DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET search_path = public, pg_catalog'; END $$",
    );
    let error = opened(&database).await.err().unwrap();
    assert!(error.to_string().contains("from this machine's; set both clocks by NTP"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_a_clear_error_and_is_not_told() {
    let database = shared().database();
    let wrong = PostgresOptions::new(database.url().replace(PASSWORD, "hunter2"));
    let error = Db::open(DbOptions::postgres(wrong.clone())).await.err().unwrap();
    let told = format!("{} {wrong:?}", with_causes(&error));
    assert!(told.contains("PostgreSQL at drawbridge@127.0.0.1:") && told.contains("28P01"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    let by_file = PostgresOptions { password: Some(crate::domain::Secret::new(PASSWORD)), ..wrong };
    let error = Db::open(DbOptions::postgres(by_file)).await.err().unwrap();
    assert!(error.to_string().contains("drawbridge migrate"), "the password of the file counts: {error}");
}
