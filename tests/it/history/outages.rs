//! What nobody notices: a hiccup of the database, and a restart of one gateway after the other.

use super::fleet::{Fleet, GATEWAYS, Options};
use super::node::PUBLIC;
use super::proxy::Way;
use super::record::{Kind, Outcome};
use super::workload::Stop;
use super::world::{Held, World};
use crate::support::Chance;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// A member of staff's session, and an impersonation by another one.
async fn held(world: &Arc<World>) -> [Held; 2] {
    let of = |user| world.live(&mut Chance::of(1), |h| h.kind == Kind::Staff && h.user == user);
    let grant = world.mint(&of(1).expect("a session"), 0, 0).await.expect("a grant");
    [of(0).expect("a session"), grant]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hiccup_of_the_database_gives_no_staff_a_503() {
    let world = World::make(Fleet::start(Options::default()).await).await;
    let held = held(&world).await;
    let (stop, mut clients) = (Stop::default(), JoinSet::new());
    for gateway in 0..GATEWAYS {
        for held in held.clone() {
            let (world, stop) = (world.clone(), stop.clone());
            clients.spawn(async move {
                let mut outcomes = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    outcomes.push(world.ask(&held, gateway).await);
                }
                outcomes
            });
        }
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let nodes = world.fleet.all();
        nodes.iter().for_each(|node| node.sql.set(Way::Stalled));
        tokio::time::sleep(Duration::from_millis(300)).await;
        nodes.iter().for_each(|node| node.sql.set(Way::Open));
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    stop.store(true, Ordering::Relaxed);
    let outcomes: Vec<Outcome> = clients.join_all().await.into_iter().flatten().collect();
    let refused: Vec<_> = outcomes.iter().filter(|o| **o != Outcome::Admitted).collect();
    eprintln!("three hiccups of 300 ms: {} requests of staff, {} refused", outcomes.len(), refused.len());
    assert!(refused.is_empty(), "{refused:?}");
    assert!(outcomes.len() > 100, "{}", outcomes.len());
}

/// Asks gateways that say that they are ready, as a load balancer does: who refuses the connection isn't asked, and
/// what a kept connection didn't answer is asked again if it was never seen. Gives every request that failed.
async fn balanced(
    world: Arc<World>,
    held: Held,
    mut at: usize,
    answered: Arc<AtomicUsize>,
    stop: Stop,
) -> Vec<String> {
    let mut failed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        at = (at + 1) % GATEWAYS;
        let node = world.fleet.node(at);
        if !node.is_ready().await {
            continue;
        }
        for _ in 0..10 {
            let n = world.record.number();
            let url = format!("http://{}/api/v1/cameras?n={n}", node.address);
            let request = node.client.get(url).header("host", PUBLIC).bearer_auth(&held.token);
            let error = match request.send().await {
                Ok(response) if response.status() == 200 => match response.bytes().await {
                    Ok(_) => {
                        answered.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    Err(error) => format!("{error:?}"),
                },
                Ok(response) => format!("{}: {:?}", response.status(), response.text().await),
                Err(error) if error.is_connect() => break,
                Err(error) if !world.fleet.upstream.hits().contains_key(&n) => {
                    eprintln!("asked again: {error:?}");
                    break;
                }
                Err(error) => format!("{error:?}"),
            };
            failed.push(format!("gateway {at}: {error}"));
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    let world = World::make(Fleet::start(Options::default()).await).await;
    let held = held(&world).await;
    let person = world.live(&mut Chance::of(1), |h| h.kind == Kind::Person).expect("a session");
    let (stop, answered) = (Stop::default(), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for n in 0..6 {
        let held = if n % 2 == 0 { held[1].clone() } else { person.clone() };
        clients.spawn(balanced(world.clone(), held, n, answered.clone(), stop.clone()));
    }
    for number in 0..GATEWAYS {
        let node = world.fleet.node(number);
        assert_eq!(node.stop().await, Some(0), "{}", node.log());
        world.fleet.replace(number).await;
    }
    stop.store(true, Ordering::Relaxed);
    let failed: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
    let answered = answered.load(Ordering::Relaxed);
    eprintln!("rolling restart of three gateways: {answered} requests answered, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(answered > 100, "{answered}");
}
