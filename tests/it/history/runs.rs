//! Seeded runs, calm and faulty: no promise is broken, and requests were let in.

use super::check::{check, explain};
use super::faults::{Fault, make, plan};
use super::fleet::{Fleet, GATEWAYS, Options};
use super::namespace::Namespace;
use super::record::{Stretch, now};
use super::report::{self, calm};
use super::streams::listener;
use super::workload::{Stop, actor, client};
use super::world::World;
use crate::support::{Chance, number};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Clients of one gateway.
const CLIENTS: usize = 3;
/// Streams that stand open through one gateway.
const LISTENERS: usize = 3;
/// Those who take access away.
const ACTORS: usize = 3;
/// After a fault, what it has left behind may be felt for so long.
const SETTLE: Duration = Duration::from_millis(2_500);
/// However slow the machine is.
const LONGEST: Duration = Duration::from_secs(120);

/// What is done to the fleet meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Calm,
    /// So many faults; whether PostgreSQL is restarted, too.
    Faulty {
        faults: usize,
        database: bool,
    },
    /// Redis fails over, and its Sentinels lead to the new primary.
    RedisFailover,
    /// The cable of one gateway is pulled so often.
    Unplugged(usize),
}

/// The seeds of this test's runs: `DRAWBRIDGE_SEED` and those after it, or some of the machine's.
fn seeds(test: &str) -> Vec<u64> {
    let given = std::env::var("DRAWBRIDGE_SEED").ok().and_then(|seed| seed.parse().ok());
    let first: u64 = given.unwrap_or_else(|| RandomState::new().hash_one(test));
    (0..number("DRAWBRIDGE_HISTORY_RUNS", 1) as u64).map(|n| first.wrapping_add(n)).collect()
}

/// Everything at work until enough is done.
pub(crate) async fn work(world: &Arc<World>, chance: &mut Chance, until: impl Future<Output = ()>) {
    let stop = Stop::default();
    let mut all = JoinSet::new();
    for gateway in 0..GATEWAYS {
        for _ in 0..CLIENTS {
            all.spawn(client(world.clone(), gateway, chance.split(), stop.clone()));
        }
        for _ in 0..LISTENERS {
            all.spawn(listener(world.clone(), gateway, chance.split(), stop.clone()));
        }
    }
    for _ in 0..ACTORS {
        all.spawn(actor(world.clone(), chance.split(), stop.clone()));
    }
    until.await;
    stop.store(true, Ordering::Relaxed);
    all.join_all().await;
}

fn faults(how: How, chance: &mut Chance) -> Vec<Fault> {
    match how {
        How::Calm => Vec::new(),
        How::Unplugged(times) => vec![Fault::Unplugged; times],
        How::RedisFailover => vec![Fault::Hiccup, Fault::RedisFailover],
        How::Faulty { faults, database } => {
            let mut all: Vec<_> = plan(chance, database).into_iter().take(faults).collect();
            // A restart of the database is what a run with one is for.
            if database && !all.contains(&Fault::DatabaseRestart) {
                all.push(Fault::DatabaseRestart);
            }
            all
        }
    }
}

async fn run(test: &str, seed: u64, how: How) {
    let title = format!("{test}: DRAWBRIDGE_SEED={seed}");
    eprintln!("{title} begins");
    let mut chance = Chance::of(seed);
    let database = matches!(how, How::Faulty { database: true, .. });
    // In half of the runs, impersonations expire all the time.
    let ttl_seconds = (chance.below(2) == 0).then(|| 3 + u32::try_from(chance.below(4)).unwrap_or_default());
    let namespace = match how {
        How::Unplugged(_) => {
            let Some(namespace) = Namespace::make() else {
                eprintln!("SKIPPED {title}: no network namespaces here (they need root)");
                return;
            };
            Some(namespace)
        }
        How::Calm | How::Faulty { .. } | How::RedisFailover => None,
    };
    let sentinels = how == How::RedisFailover;
    let options = Options { own_database: database, namespace, ttl_seconds, sentinels, ..Options::default() };
    let fleet = Fleet::start(options).await;
    let world = World::make(fleet).await;
    let requests = number("DRAWBRIDGE_HISTORY_REQUESTS", 1_500);
    let mut own = chance.split();
    let begun = Instant::now();
    let until = async {
        for fault in faults(how, &mut own) {
            tokio::time::sleep(Duration::from_millis(300)).await;
            make(&world, fault, &mut own).await;
        }
        if how != How::Calm {
            world.fleet.until_ready().await;
            tokio::time::sleep(SETTLE).await;
        }
        let from = now();
        let before = world.record.note(|h| h.requests.len());
        let least = Instant::now() + Duration::from_secs(1);
        // Some of them in calm, whatever was before.
        let enough = || {
            let so_far = world.record.note(|h| h.requests.len());
            so_far >= requests && so_far >= before + 200
        };
        while (!enough() || Instant::now() < least) && begun.elapsed() < LONGEST {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let to = now();
        world.record.note(|h| h.calm.push(Stretch { from, to }));
    };
    work(&world, &mut chance, until).await;
    let history = world.history();
    report::print(&title, &history);
    let leases =
        world.fleet.all().iter().map(|n| n.log().matches("leases have run out").count()).sum::<usize>();
    eprintln!("  calls answered because leases had run out: {leases}; impersonations live {ttl_seconds:?} s");
    let violations = check(&history);
    let told: Vec<_> = violations.iter().take(3).map(|v| explain(&history, v)).collect();
    assert!(violations.is_empty(), "{title}: {} violations: {}", violations.len(), told.join("\n"));
    let calm = calm(&history);
    assert!(calm.asked > 50, "{title}: nothing was asked in calm");
    assert!(calm.admitted * 100 >= calm.asked * 90, "{title}: {} of {}", calm.admitted, calm.asked);
    let beyond = world.fleet.sql(
        "SELECT count(*) FROM (SELECT 1 FROM impersonation WHERE ended_at IS NULL \
         GROUP BY platform_user_id HAVING count(*) > 5 OR min(slot) < 1 OR max(slot) > 5) AS beyond",
    );
    assert_eq!(beyond, "0", "{title}: more than five, or a slot that there isn't");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calm_runs_break_no_promise() {
    for seed in seeds("calm") {
        run("calm", seed, How::Calm).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faulty_runs_break_no_promise() {
    for seed in seeds("faulty") {
        let faults = number("DRAWBRIDGE_HISTORY_FAULTS", 2);
        run("faulty", seed, How::Faulty { faults, database: false }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_with_a_restart_of_the_database_break_no_promise() {
    for seed in seeds("database") {
        let faults = number("DRAWBRIDGE_HISTORY_FAULTS", 1);
        run("database", seed, How::Faulty { faults, database: true }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_with_a_pulled_cable_break_no_promise() {
    for seed in seeds("unplugged") {
        let times = number("DRAWBRIDGE_HISTORY_FAULTS", 2);
        run("unplugged", seed, How::Unplugged(times)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_with_a_failover_of_redis_break_no_promise() {
    for seed in seeds("failover") {
        run("failover", seed, How::RedisFailover).await;
    }
}
