//! A primary that is set aside or dies: writes find the new one by themselves.

use super::servers::{Cluster, Sentinels, until};
use super::{bounded, later, store};
use crate::store::Live as _;
use crate::store::live::contract;

#[tokio::test]
async fn sentinels_name_another_primary() {
    let mut servers = Sentinels::start().await;
    let redis = store(&servers.url()).await;
    let mut n = 0;
    let mut lands = async |on: &super::Server| {
        n += 1;
        let facts = contract::session(&format!("ses_{n}"), "pu_a", later(60_000), n);
        let put = bounded(redis.put(facts)).await.is_ok();
        let there =
            |server: &super::Server| server.try_command(&["EXISTS", &format!("drawbridge:live:ses_{n}")]);
        put && there(on) == Ok(1)
    };
    assert!(lands(&servers.primary).await);
    let mut heard = redis.hints();
    servers.primary.kill();
    until("writes go to the new primary", async || {
        let role = servers.replica.try_command::<redis::Value>(&["ROLE"]);
        format!("{role:?}").contains("master") && lands(&servers.replica).await
    })
    .await;
    // Hints of others come through the new primary.
    let other = store(&servers.url()).await;
    assert!(redis.ready(super::BOUND).await);
    other.hint(5).await.unwrap();
    assert!(heard.wait_for(|n| *n == 5).await.is_ok());
}

#[tokio::test]
async fn a_primary_that_is_demoted_and_still_answers() {
    let servers = Sentinels::start().await;
    let redis = store(&servers.url()).await;
    servers.sentinels[0].command::<()>(&["SENTINEL", "FAILOVER", Sentinels::SERVICE]);
    let facts = contract::session("ses_a", "pu_a", later(60_000), 1);
    until("writes go to the new primary", async || {
        let role = servers.replica.try_command::<redis::Value>(&["ROLE"]);
        let put = bounded(redis.put(facts.clone())).await.is_ok();
        format!("{role:?}").contains("master")
            && put
            && servers.replica.try_command(&["EXISTS", "drawbridge:live:ses_a"]) == Ok(1)
    })
    .await;
    assert_eq!(bounded(redis.get(&facts.session.key, later(0))).await.unwrap(), Some(facts));
}

#[tokio::test]
async fn a_slot_moves_and_a_node_of_the_cluster_dies() {
    let mut cluster = Cluster::start().await;
    let redis = store(&cluster.url()).await;
    let sessions: Vec<_> =
        (0..30).map(|n| contract::session(&format!("ses_{n}"), "pu_a", later(60_000), 1)).collect();
    for facts in &sessions {
        redis.put(facts.clone()).await.unwrap();
    }
    // MOVED: a slot without keys changes hands, and is asked for at once.
    let id = |node: usize| cluster.nodes[node].command::<String>(&["CLUSTER", "MYID"]);
    let (first, second) = (id(0), id(1));
    let fresh = (0..).map(|n| format!("ses_fresh{n}")).find(|name| {
        let slot: u64 = cluster.nodes[0].command(&["CLUSTER", "KEYSLOT", &format!("drawbridge:live:{name}")]);
        let owned = slot < 16_384 / 3;
        owned && cluster.nodes[0].command::<u64>(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]) == 0
    });
    let fresh = fresh.unwrap();
    let slot: u64 = cluster.nodes[0].command(&["CLUSTER", "KEYSLOT", &format!("drawbridge:live:{fresh}")]);
    let slot = slot.to_string();
    // ASK: half-way.
    cluster.nodes[1].command::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &first]);
    cluster.nodes[0].command::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &second]);
    let facts = contract::session(&fresh, "pu_a", later(60_000), 1);
    bounded(redis.put(facts.clone())).await.unwrap();
    assert_eq!(bounded(redis.get(&facts.session.key, later(0))).await.unwrap(), Some(facts.clone()));
    for node in [1, 0, 2] {
        cluster.nodes[node].command::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &second]);
    }
    assert_eq!(bounded(redis.get(&facts.session.key, later(0))).await.unwrap(), Some(facts.clone()));
    // A node without a replica dies: what it held can't be asked for, within the bound.
    cluster.nodes[2].kill();
    let mut answers = Vec::new();
    for facts in &sessions {
        answers.push(bounded(redis.get(&facts.session.key, later(0))).await.is_ok());
    }
    assert!(answers.contains(&false), "{answers:?}");
}
