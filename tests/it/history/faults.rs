//! What is broken in a run, one thing after the other, by a seeded plan.

use super::fleet::GATEWAYS;
use super::proxy::Way;
use super::record::{Stretch, now};
use super::world::World;
use crate::support::Chance;
use rustix::process::Signal;
use std::sync::Arc;
use std::time::Duration;

/// Something that goes wrong, and at which gateway if at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A gateway's packets to and from PostgreSQL are lost for a while.
    SqlStalls(usize),
    /// Its connections to PostgreSQL are reset, and none can be made.
    SqlCut(usize),
    /// The same with Redis.
    RedisStalls(usize),
    RedisCut(usize),
    /// Both at once.
    AloneStalls(usize),
    AloneCut(usize),
    /// Every gateway loses PostgreSQL for a moment.
    Hiccup,
    /// A gateway's answers from PostgreSQL come late.
    SlowSql(usize),
    /// A gateway's process stands still.
    Paused(usize),
    /// A gateway is killed, and a new one comes.
    Killed(usize),
    /// Redis is killed and comes back empty.
    RedisRestart,
    /// The primary behind the Sentinels is killed: they make the replica the primary.
    RedisFailover,
    /// `FLUSHALL`.
    RedisFlushed,
    /// PostgreSQL crashes and comes back.
    DatabaseRestart,
    /// The last gateway's cable to its services is pulled: packets are lost, and nobody is told.
    Unplugged,
}

/// A run's faults: all kinds in a seeded order, at seeded gateways.
pub(crate) fn plan(chance: &mut Chance, own_database: bool) -> Vec<Fault> {
    let mut one = || usize::try_from(chance.below(GATEWAYS as u64)).unwrap_or_default();
    let mut all = vec![
        Fault::SqlStalls(one()),
        Fault::SqlCut(one()),
        Fault::RedisStalls(one()),
        Fault::RedisCut(one()),
        Fault::AloneStalls(one()),
        Fault::AloneCut(one()),
        Fault::Hiccup,
        Fault::SlowSql(one()),
        Fault::Paused(one()),
        Fault::Killed(one()),
        Fault::RedisRestart,
        Fault::RedisFlushed,
    ];
    if own_database {
        all.push(Fault::DatabaseRestart);
    }
    // Fisher and Yates.
    for last in (1..all.len()).rev() {
        let other = usize::try_from(chance.below(last as u64 + 1)).unwrap_or_default();
        all.swap(last, other);
    }
    all
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Makes a fault, lets it last, and heals it.
pub(crate) async fn make(world: &Arc<World>, fault: Fault, chance: &mut Chance) {
    let from = now();
    // Shorter and longer than a lease.
    let ms = 300 + chance.below(2_200);
    let fleet = &world.fleet;
    match fault {
        Fault::SqlStalls(n) => on_the_way(world, n, Some(Way::Stalled), None, ms).await,
        Fault::SqlCut(n) => on_the_way(world, n, Some(Way::Cut), None, ms).await,
        Fault::RedisStalls(n) => on_the_way(world, n, None, Some(Way::Stalled), ms).await,
        Fault::RedisCut(n) => on_the_way(world, n, None, Some(Way::Cut), ms).await,
        Fault::AloneStalls(n) => on_the_way(world, n, Some(Way::Stalled), Some(Way::Stalled), ms).await,
        Fault::AloneCut(n) => on_the_way(world, n, Some(Way::Cut), Some(Way::Cut), ms).await,
        Fault::SlowSql(n) => {
            let late = Duration::from_millis(20 + chance.below(180));
            on_the_way(world, n, Some(Way::Slow(late)), None, ms).await;
        }
        Fault::Hiccup => {
            for node in fleet.all() {
                node.sql.set(Way::Stalled);
            }
            pause(100 + chance.below(400)).await;
            for node in fleet.all() {
                node.sql.set(Way::Open);
            }
        }
        Fault::Paused(n) => {
            let node = fleet.node(n);
            node.signal(Signal::STOP);
            pause(ms).await;
            node.signal(Signal::CONT);
            world.record.note(|h| h.pauses.push((n, Stretch { from, to: now() })));
        }
        Fault::Killed(n) => {
            fleet.node(n).kill();
            fleet.replace(n).await;
        }
        Fault::RedisRestart => {
            let mut redis = fleet.redis.lock().await;
            redis.kill();
            pause(ms / 2).await;
            redis.restart().await;
        }
        Fault::RedisFailover => {
            fleet.sentinels.as_ref().expect("sentinels").lock().await.primary.kill();
            // Down, agreed upon, elected, promoted.
            pause(2_000 + ms).await;
        }
        Fault::Unplugged => {
            fleet.cable(false);
            pause(ms).await;
            fleet.cable(true);
        }
        Fault::RedisFlushed => fleet.redis.lock().await.command::<()>(&["FLUSHALL"]),
        Fault::DatabaseRestart => {
            let server = fleet.server.clone();
            tokio::task::spawn_blocking(move || server.lock().down()).await.expect("PostgreSQL crashes");
            pause(ms / 2).await;
            let server = fleet.server.clone();
            tokio::task::spawn_blocking(move || server.lock().up()).await.expect("PostgreSQL comes back");
        }
    }
    let told = format!("{fault:?} for {} ms", (now() - from) / 1_000);
    world.record.note(|h| h.faults.push(told));
}

async fn on_the_way(world: &Arc<World>, n: usize, sql: Option<Way>, redis: Option<Way>, ms: u64) {
    let node = world.fleet.node(n);
    if let Some(way) = sql {
        node.sql.set(way);
    }
    if let Some(way) = redis {
        node.redis.set(way);
    }
    pause(ms).await;
    node.sql.set(Way::Open);
    node.redis.set(Way::Open);
}
