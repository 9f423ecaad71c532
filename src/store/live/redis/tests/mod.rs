//! The store against real servers: the contract in each topology, and what goes wrong.

mod degraded;
mod distrust;
mod failover;
mod odd_answers;
mod sharing;

#[path = "../../../../../tests/it/support/redis.rs"]
mod servers;

use super::{Redis, RedisOptions};
use crate::config;
use crate::domain::{Clock as _, Millis, Secret, SystemClock};
use crate::store::live::contract;
use crate::telemetry::Metrics;
use servers::{Cluster, Sentinels, Server};
use std::time::Duration;

/// Generous, because other tests share the processors.
const TIMEOUT: Duration = Duration::from_millis(500);
/// No call takes longer, whatever happens: a few round trips, each with the timeout.
const BOUND: Duration = Duration::from_secs(4);

fn options(url: &str) -> RedisOptions {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["policies", "schemas"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let text = format!("[upstream]\nurl = \"http://127.0.0.1:9000\"\n[live]\nurl = \"{url}\"\n");
    let live = config::parse("test", &text, dir.path()).unwrap().live;
    RedisOptions {
        url: live.url.unwrap(),
        password: None,
        ca: None,
        timeout: TIMEOUT,
        key_prefix: live.key_prefix,
        mac_key: [7; 32],
        reached: 0,
        metrics: Metrics::new().live(),
    }
}

async fn started(options: RedisOptions) -> Redis {
    let redis = Redis::start(options).unwrap();
    assert!(redis.ready(Duration::from_secs(20)).await, "no connection");
    redis
}

async fn store(url: &str) -> Redis {
    started(options(url)).await
}

/// The answer, within the bound.
async fn bounded<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, call).await.expect("a call takes longer than it may")
}

fn later(ms: Millis) -> Millis {
    SystemClock.now() + ms
}

#[tokio::test]
async fn keeps_the_contract_on_a_single_server() {
    let server = Server::start(&[]).await;
    contract::run(&store(&server.url()).await).await;
    let redis = store(&format!("{}/3", server.url())).await;
    contract::run(&redis).await;
    assert!(server.command::<String>(&["INFO", "keyspace"]).contains("db3:"), "in the database of the URL");
}

#[tokio::test]
async fn keeps_the_contract_behind_sentinels() {
    let servers = Sentinels::start().await;
    contract::run(&store(&servers.url()).await).await;
    assert!(servers.primary.command::<u64>(&["DBSIZE"]) > 0);
}

#[tokio::test]
async fn keeps_the_contract_in_a_cluster() {
    let cluster = Cluster::start().await;
    contract::run(&store(&cluster.url()).await).await;
    for node in &cluster.nodes {
        assert!(node.command::<u64>(&["DBSIZE"]) > 0, "keys are spread over all nodes");
        node.command::<()>(&["FLUSHALL"]);
        let rights = format!("ACL SETUSER gate on >hunter2 {RIGHTS} +cluster|slots +asking");
        node.command::<()>(&rights.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>());
    }
    contract::run(&store(&cluster.url().replace("://", "://gate:hunter2@")).await).await;
}

#[tokio::test]
async fn keeps_the_contract_over_tls_and_only_with_the_right_authority() {
    let server = Server::tls().await;
    contract::run(&started(RedisOptions { ca: server.ca(), ..options(&server.url()) }).await).await;
    let stranger = Server::tls().await;
    let other = Redis::start(RedisOptions { ca: stranger.ca(), ..options(&server.url()) }).unwrap();
    assert!(!other.ready(TIMEOUT).await, "a certificate of another authority");
    assert!(Redis::start(RedisOptions { ca: Some(b"no PEM".to_vec()), ..options(&server.url()) }).is_ok());
}

/// What an ACL user needs, and no more (docs/guarantees.md names it).
const RIGHTS: &str = "~drawbridge:* &drawbridge:* -@all +ping +role +eval +getrange +unlink +zrem +zrange \
                      +publish +subscribe +type +del +time +set +pttl +pexpire +pexpireat +zadd \
                      +zremrangebyscore +zremrangebyrank";

#[tokio::test]
async fn keeps_the_contract_as_a_user_with_few_rights_and_shows_no_password() {
    let rights = format!("--user gate on >hunter2 {RIGHTS}");
    let server = Server::start(&rights.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>()).await;
    let address = format!("127.0.0.1:{}", server.port);
    contract::run(&store(&format!("redis://gate:hunter2@{address}")).await).await;
    let by_file = options(&format!("redis://gate@{address}"));
    let redis = started(RedisOptions { password: Some(Secret::new("hunter2")), ..by_file }).await;
    server.command::<()>(&["FLUSHALL"]);
    contract::run(&redis).await;
    use crate::store::Live as _;
    let wrong = Redis::start(options(&format!("redis://gate:hunter3@{address}"))).unwrap();
    servers::until("the password is refused", async || wrong.health().last_error == Some("authentication"))
        .await;
    let facts = contract::session("ses_a", "pu_a", later(60_000), 1);
    let error = bounded(wrong.put(facts)).await.unwrap_err();
    let shown = format!("{error} {error:?} {:?}", wrong.health());
    assert!(!shown.contains("hunter"), "{shown}");
}
