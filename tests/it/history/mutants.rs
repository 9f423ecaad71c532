//! The same fleet with one rule taken out (`DRAWBRIDGE_TEST_WITHOUT`, debug builds): the checker has to find what
//! the rule prevents, under faults that make it show. Each schedule is also run on the whole system, where
//! nothing is to be found: what is seen is the rule's doing, and not the schedule's.

use super::check::{Violation, check};
use super::fleet::{Fleet, Options};
use super::proxy::Way;
use super::record::{Answer, Kind, Outcome};
use super::world::{Held, World};
use crate::support::{Chance, SOON};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The gateway that is cut off, and the one through which access is taken away.
const FAR: usize = 2;
const NEAR: usize = 0;

async fn without(rule: &str) -> Arc<World> {
    world(Options::without(rule)).await
}

async fn world(options: Options) -> Arc<World> {
    // A commit that is held must outlast the looking for it, on a slow machine too.
    let options = Options { statement_timeout_ms: Some(16_000), ..options };
    World::make(Fleet::start(options).await).await
}

/// A session of a member of staff that every gateway knows.
async fn known_everywhere(world: &Arc<World>, user: usize) -> Held {
    let held =
        world.live(&mut Chance::of(1), |h| h.kind == Kind::Staff && h.user == user).expect("a session");
    for gateway in 0..3 {
        assert_eq!(world.ask(&held, gateway).await, Outcome::Admitted);
    }
    held
}

/// Asks one gateway with it for so long.
async fn hammer(world: &Arc<World>, held: &Held, gateway: usize, ms: u64) {
    let until = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < until {
        world.ask(held, gateway).await;
    }
}

/// Those let in, or forwarded, after the call had answered.
fn stale(world: &World) -> usize {
    let found = check(&world.history());
    found.iter().filter(|v| matches!(v, Violation::AfterRevoked { .. })).count()
}

/// Somebody signs out while one gateway has lost the records.
async fn signed_out_while_one_is_cut_off(world: &Arc<World>) -> usize {
    let held = known_everywhere(world, 0).await;
    world.fleet.node(FAR).sql.set(Way::Stalled);
    assert_eq!(world.logout(&held, NEAR).await, Answer::Done);
    hammer(world, &held, FAR, 400).await;
    world.fleet.node(FAR).sql.set(Way::Open);
    let stale = stale(world);
    eprintln!("{stale} requests let in after the sign-out had answered");
    stale
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_lease_a_gateway_that_is_cut_off_goes_on() {
    assert!(signed_out_while_one_is_cut_off(&without("lease").await).await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_wait_a_lease_outlives_the_answer() {
    assert!(signed_out_while_one_is_cut_off(&without("wait").await).await > 0);
}

/// A commit of one sign-out takes long: its number is drawn before another's, its record is seen after it.
async fn signed_out_in_another_order(world: &Arc<World>, head_row_is_out: bool) -> usize {
    let (slow, quick) = (known_everywhere(world, 1).await, known_everywhere(world, 2).await);
    let (slow_key, lock) = (world.key(&slow).await, 20_261_121);
    // The commit of whoever writes this session's end waits for the lock.
    world.fleet.sql(&format!(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
           PERFORM pg_advisory_xact_lock({lock}); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON change_log DEFERRABLE INITIALLY DEFERRED \
           FOR EACH ROW WHEN (NEW.subjects LIKE '%{slow_key}%') EXECUTE FUNCTION hold()"
    ));
    let holder = world.fleet.hold_lock(lock);
    let first = {
        let (world, slow) = (world.clone(), slow.clone());
        tokio::spawn(async move { world.logout(&slow, NEAR).await })
    };
    waiting_for_the_lock(world).await;
    let second = {
        let (world, quick) = (world.clone(), quick.clone());
        tokio::spawn(async move { world.logout(&quick, 1).await })
    };
    if head_row_is_out {
        assert_eq!(second.await.expect("a call"), Answer::Done, "it isn't held up");
        drop(holder);
    } else {
        // It waits for the head row, which the first one holds.
        waiting(world, "wait_event_type = 'Lock' AND wait_event <> 'advisory'").await;
        drop(holder);
        assert_eq!(second.await.expect("a call"), Answer::Done);
    }
    assert_eq!(first.await.expect("a call"), Answer::Done);
    for gateway in 0..3 {
        hammer(world, &slow, gateway, 150).await;
    }
    let stale = stale(world);
    eprintln!("{stale} requests let in after commits in another order");
    stale
}

async fn waiting(world: &World, condition: &str) {
    let begun = Instant::now();
    let sql =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {condition}");
    while world.fleet.sql(&sql) == "0" {
        assert!(begun.elapsed() < SOON, "nobody waits: {condition}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn waiting_for_the_lock(world: &World) {
    waiting(world, "wait_event = 'advisory' AND usename <> 'postgres'").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_head_row_a_late_commit_is_overlooked() {
    assert!(signed_out_in_another_order(&without("head").await, true).await > 0);
}

/// An old value of a session comes back into Redis after the session's end.
async fn resurrected_in_redis(world: &Arc<World>) -> usize {
    let held = known_everywhere(world, 3).await;
    let key = world.key(&held).await;
    {
        let redis = world.fleet.redis.lock().await;
        let keys: Vec<String> = redis.command(&["KEYS", &format!("*{key}*")]);
        let [name] = keys.as_slice() else { panic!("one key of {key}: {keys:?}") };
        let value: Vec<u8> = redis.command(&["GET", name]);
        drop(redis);
        assert_eq!(world.logout(&held, NEAR).await, Answer::Done);
        let redis = world.fleet.redis.lock().await;
        let mut connection = redis.connect();
        let set: redis::RedisResult<()> = redis::cmd("SET").arg(name).arg(value).query(&mut connection);
        set.expect("the old value is back");
    }
    for gateway in 0..3 {
        hammer(world, &held, gateway, 100).await;
    }
    let stale = stale(world);
    eprintln!("{stale} requests let in on an old value in Redis");
    stale
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_stamp_an_old_value_in_redis_is_believed() {
    assert!(resurrected_in_redis(&without("stamp").await).await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_all_rules_the_same_schedules_let_nothing_in() {
    let world = world(Options::default()).await;
    assert_eq!(signed_out_while_one_is_cut_off(&world).await, 0);
    world.fleet.until_ready().await;
    assert_eq!(signed_out_in_another_order(&world, false).await, 0);
    assert_eq!(resurrected_in_redis(&world).await, 0);
}
