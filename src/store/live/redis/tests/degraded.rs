//! Redis gone, slow, flushed, full, read-only: each call answers within its bound, and all is well after.

use super::servers::{Server, until};
use super::{bounded, later, options, started, store};
use crate::domain::ids::PlatformUserId;
use crate::store::Live as _;
use crate::store::live::contract;
use crate::store::live::redis::{Redis, RedisOptions};
use std::sync::Arc;
use std::time::Duration;

/// Each call of the trait, with its answer reduced to whether there is one.
async fn every_call(redis: &Redis) -> [bool; 5] {
    let facts = contract::impersonation("imp_call", "pu_call", later(60_000), 1);
    let owner = PlatformUserId::parse("pu_call").unwrap();
    [
        bounded(redis.get(&facts.session.key, later(0))).await.is_ok(),
        bounded(redis.put(facts.clone())).await.is_ok(),
        bounded(redis.forget(&facts.session.key, 1)).await.is_ok(),
        bounded(redis.impersonations(&owner)).await.is_ok(),
        bounded(redis.hint(1)).await.is_ok(),
    ]
}

#[tokio::test]
async fn gone_and_back() {
    let mut server = Server::start(&[]).await;
    let redis = Arc::new(store(&server.url()).await);
    assert_eq!(every_call(&redis).await, [true; 5]);
    server.kill();
    assert_eq!(every_call(&redis).await, [false; 5]);
    assert!(!redis.health().connected);
    assert!(redis.health().last_error.is_some());
    // However many ask in vain, one task makes connections.
    let crowd: Vec<_> = (0..500)
        .map(|_| {
            let redis = redis.clone();
            tokio::spawn(async move { every_call(&redis).await })
        })
        .collect();
    for call in crowd {
        assert_eq!(call.await.unwrap(), [false; 5]);
    }
    server.restart().await;
    assert!(redis.ready(Duration::from_secs(20)).await, "connects again by itself");
    assert_eq!(every_call(&redis).await, [true; 5]);
    let clients: String = server.command(&["CLIENT", "LIST"]);
    assert!(clients.lines().count() <= 3, "one for commands, one for hints, and ours: {clients}");
    // Hints are heard again, too.
    let (other, mut heard) = (store(&server.url()).await, redis.hints());
    other.hint(9).await.unwrap();
    assert!(heard.wait_for(|n| *n == 9).await.is_ok());
}

#[tokio::test]
async fn never_there() {
    let server = Server::start(&[]).await;
    let url = server.url();
    drop(server);
    let redis = Redis::start(options(&url)).unwrap();
    assert!(!redis.ready(Duration::from_millis(50)).await);
    assert_eq!(every_call(&redis).await, [false; 5]);
}

#[tokio::test]
async fn standing_still() {
    let server = Server::start(&[]).await;
    let redis = started(RedisOptions { timeout: Duration::from_millis(100), ..options(&server.url()) }).await;
    server.pause();
    let facts = contract::session("ses_a", "pu_a", later(60_000), 1);
    assert!(bounded(redis.get(&facts.session.key, later(0))).await.is_err());
    // The first one to wait in vain was enough: nobody else waits.
    let began = std::time::Instant::now();
    for _ in 0..1_000 {
        assert!(redis.get(&facts.session.key, later(0)).await.is_err());
    }
    assert!(began.elapsed() < Duration::from_secs(20), "a thousand timeouts would be a hundred seconds");
    assert_eq!(every_call(&redis).await, [false; 5]);
    server.resume();
    assert!(redis.ready(Duration::from_secs(20)).await, "connects again by itself");
    assert_eq!(every_call(&redis).await, [true; 5]);
}

#[tokio::test]
async fn flushed() {
    let server = Server::start(&[]).await;
    let redis = store(&server.url()).await;
    let facts = contract::impersonation("imp_a", "pu_a", later(60_000), 7);
    redis.put(facts.clone()).await.unwrap();
    server.command::<()>(&["FLUSHALL"]);
    server.command::<()>(&["SCRIPT", "FLUSH"]);
    assert_eq!(redis.get(&facts.session.key, later(0)).await.unwrap(), None, "a miss, no error");
    redis.put(facts.clone()).await.unwrap();
    assert_eq!(redis.get(&facts.session.key, later(0)).await.unwrap(), Some(facts));
    assert!(redis.health().connected);
}

#[tokio::test]
async fn out_of_memory() {
    let server = Server::start(&[]).await;
    let redis = store(&server.url()).await;
    let facts = contract::impersonation("imp_a", "pu_a", later(60_000), 7);
    redis.put(facts.clone()).await.unwrap();
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let other = contract::session("ses_b", "pu_a", later(60_000), 7);
    assert!(bounded(redis.put(other.clone())).await.is_err());
    assert_eq!(redis.health().last_error, Some("out_of_memory"));
    assert_eq!(redis.get(&facts.session.key, later(0)).await.unwrap(), Some(facts.clone()), "it still reads");
    assert!(bounded(redis.forget(&facts.session.key, 8)).await.is_err(), "no room for a tombstone");
    assert_eq!(redis.get(&facts.session.key, later(0)).await.unwrap(), None, "but the facts are gone");
    assert!(redis.health().connected, "no reason to give the connection up");
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    redis.put(other).await.unwrap();
}

#[tokio::test]
async fn read_only() {
    let primary = Server::start(&[]).await;
    let facts = contract::session("ses_a", "pu_a", later(60_000), 1);
    store(&primary.url()).await.put(facts.clone()).await.unwrap();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]).await;
    until("the replica has it", async || replica.command::<u64>(&["DBSIZE"]) == 1).await;
    let redis = started(RedisOptions { reached: 1, ..options(&replica.url()) }).await;
    assert_eq!(bounded(redis.get(&facts.session.key, later(0))).await.unwrap(), Some(facts.clone()));
    assert!(bounded(redis.put(facts.clone())).await.is_err());
    assert_eq!(redis.health().last_error, Some("read_only"));
    // Too few replicas is the same to us.
    primary.command::<()>(&["CONFIG", "SET", "min-replicas-to-write", "3"]);
    let redis = store(&primary.url()).await;
    assert!(bounded(redis.put(facts)).await.is_err());
    assert_eq!(redis.health().last_error, Some("read_only"));
}
