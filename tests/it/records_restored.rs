//! The database comes back as another one than it was: an old backup, a standby that lacked the newest commits, a
//! standby that takes no writes. What was revoked stays revoked, whatever the records say by then.

use crate::support::{Door, eventually, postgres};
use drawbridge::config::Config;
use drawbridge::store::PostgresOptions;
use drawbridge::store::db::migrate;
use postgres::Server;

/// A gateway on a server of its own, to break.
async fn door_on(server: &Server, database: &postgres::Database<'_>) -> Door {
    door_with(server, database, |_| {}).await
}

pub(crate) async fn door_with(
    server: &Server,
    database: &postgres::Database<'_>,
    adjust: impl FnOnce(&mut Config),
) -> Door {
    let owner = PostgresOptions::new(database.owner_url());
    migrate(&owner, &PostgresOptions::new(database.url())).await.expect("tables");
    let url = database.url();
    let door = Door::open(|config| {
        std::fs::create_dir_all(&config.data.dir).expect("a folder for the key");
        config.database.url = Some(url.parse().expect("a URL"));
        adjust(config);
    })
    .await;
    assert!(server.log().contains("ready"), "{}", server.log());
    door
}

/// Asks until the gateway is let to its records again.
async fn back(door: &Door) {
    eventually("customers are served again", async || {
        (door.get("/api/v1/cameras", &door.owner).await.status == 200).then_some(())
    })
    .await;
}

/// Everything that staff had is over, told by the records, and customers notice nothing of it.
async fn staff_are_out(door: &Door, token: &str, id: &str) {
    eventually("the staff member's session has ended", async || {
        (door.get("/api/v1/platform/me", &door.staff.token).await.status == 401).then_some(())
    })
    .await;
    door.get("/api/v1/platform/me", &door.staff.token).await.problem(401, "SESSION_ENDED");
    let refused = door.get("/api/v1/cameras", token).await;
    assert_eq!(refused.json["revoke_reason"], "records_restored", "{}", refused.json);
    refused.problem(401, "IMPERSONATION_REVOKED");
    let filter = format!("?limit=500&event=platform.impersonation_ended&impersonation_id={id}");
    let log =
        door.get(&format!("/api/v1/orgs/{}/audit-log{filter}", door.org), &door.owner).await.expect(200);
    assert_eq!(log.json["items"].as_array().map(Vec::len), Some(1), "{}", log.json);
    assert_eq!(log.json["items"][0]["revoke_reason"], "records_restored");
    door.get("/api/v1/cameras", &door.owner).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_brings_no_revoked_access_back() {
    let _x = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .try_init();
    let mut server = Server::start(&[]);
    let (name, backup, door, token, id);
    {
        let database = server.database();
        door = door_on(&server, &database).await;
        (token, id) = door.mint().await;
        door.get("/api/v1/cameras", &token).await.expect(200);
        name = database.keep();
    }
    backup = server.back_up();
    back(&door).await;
    door.end(&id).await.expect(200);
    door.get("/api/v1/cameras", &token).await.problem(401, "IMPERSONATION_REVOKED");
    server.put_back(&backup);
    let live = server.sql(&name, "SELECT count(*) FROM impersonation WHERE ended_at IS NULL");
    eprintln!("{live} live in the records, unless the gateway has seen to it already");
    // Nothing under the ended grant passes at any moment from here on.
    eventually("the gateway has its records again", async || {
        let tried = door.get("/api/v1/cameras", &token).await;
        assert!(matches!(tried.status, 401 | 503), "{} under a grant that was ended", tried.status);
        (tried.status == 401 && tried.json["revoke_reason"] == "records_restored").then_some(())
    })
    .await;
    staff_are_out(&door, &token, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_ends_what_staff_had() {
    let mut server = Server::start(&[]);
    let (backup, door, token, id);
    {
        let database = server.database();
        door = door_on(&server, &database).await;
        (token, id) = door.mint().await;
        door.get("/api/v1/cameras", &token).await.expect(200);
        database.keep();
    }
    backup = server.back_up();
    back(&door).await;
    // The standby has everything; that it did, nobody can tell.
    server.fail_over_to(&backup);
    back(&door).await;
    staff_are_out(&door, &token, &id).await;
    // Once: what begins afterwards is let be.
    let staff = door.new_staff_token().await;
    door.get("/api/v1/platform/me", &staff).await.expect(200);
    server.down();
    server.up();
    back(&door).await;
    door.get("/api/v1/platform/me", &staff).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_was_demoted_and_still_answers_is_not_believed() {
    let mut server = Server::start(&[]);
    let (door, token);
    {
        let database = server.database();
        door = door_on(&server, &database).await;
        token = door.mint().await.0;
        door.get("/api/v1/cameras", &token).await.expect(200);
        // Known, so that the records needn't be asked for who it is.
        door.get("/api/v1/cameras", &door.owner).await.expect(200);
        database.keep();
    }
    server.demote();
    door.until_not(200, "/api/v1/cameras", &door.owner).await.problem(503, "VIEW_STALE");
    let refused = door.get("/api/v1/cameras", &token).await;
    assert_eq!(refused.status, 503, "{}", refused.json);
    let ready = door.admin("/readyz").await;
    assert_eq!(ready.status, 503, "{}", ready.json);
    server.undo_demotion();
    back(&door).await;
    eventually("the log can be written again", async || {
        (door.get("/api/v1/cameras", &token).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_waited_for_a_second_and_no_longer() {
    use rustix::process::Signal;
    let server = Server::start(&[]);
    let database = server.database();
    let door = door_on(&server, &database).await;
    let (token, _) = door.mint().await;
    door.get("/api/v1/cameras", &token).await.expect(200);
    let mut open =
        crate::support::Open::begin(&door.target(), "GET", "/api/v1/events/stream", &door.owner, "").await;
    assert!(open.read_until("data:").await, "an event comes");
    server.signal(Signal::STOP);
    door.get("/api/v1/cameras", &door.owner).await.expect(200);
    door.until_not(200, "/api/v1/cameras", &door.owner).await.problem(503, "VIEW_STALE");
    // What can't hear of a revocation is not left open.
    open.read_to_end().await;
    server.signal(Signal::CONT);
    back(&door).await;
    eventually("the log can be written again", async || {
        (door.get("/api/v1/cameras", &token).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_may_be_let_go_on_for_longer_and_staff_never() {
    use rustix::process::Signal;
    let server = Server::start(&[]);
    let database = server.database();
    let patient = |config: &mut Config| config.session.max_staleness = std::time::Duration::from_secs(15);
    let door = door_with(&server, &database, patient).await;
    door.get("/api/v1/cameras", &door.owner).await.expect(200);
    door.get("/api/v1/platform/me", &door.staff.token).await.expect(200);
    server.signal(Signal::STOP);
    door.until_not(200, "/api/v1/platform/me", &door.staff.token).await.problem(503, "VIEW_STALE");
    door.get("/api/v1/cameras", &door.owner).await.expect(200);
    server.signal(Signal::CONT);
    eventually("staff are served again", async || {
        (door.get("/api/v1/platform/me", &door.staff.token).await.status == 200).then_some(())
    })
    .await;
}
