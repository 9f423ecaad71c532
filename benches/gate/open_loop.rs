//! Latency at a fixed rate: requests come whether or not the last one was answered, and a latency counts
//! from when its request came, so that waiting for a free connection is part of it.

use super::load::{Connection, Target, micros};
use super::machine::{fsync, quantile};
use super::measure::median;
use super::options::Options;
use super::processes::Proxies;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// Requests that come each millisecond.
const A_MILLISECOND: usize = 2;
/// Connections that answer them.
const CONNECTIONS: usize = 64;

/// What a request under an impersonation waits longer than one that is not audited.
pub(crate) async fn added_latency(options: &Options, proxies: &Proxies) -> String {
    let gate = &proxies.gateway;
    let grant = gate.mint().await;
    let target = |token: &str| Target::get(gate.address, gate.address, token, 200, gate.process.id(), 0);
    let (plain, audited) = (target(&gate.owner), target(&grant));
    let (mut added, mut probes, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        probes.push(fsync(gate.data.path()));
        let without = at_rate(&plain, options.window).await;
        let before = gate.commits().await;
        let with = at_rate(&audited, options.window).await;
        let after = gate.commits().await;
        commits.push((after.1 - before.1) * 1e6 / (after.0 - before.0));
        added.push((with.0 - without.0, with.1 - without.1));
    }
    let ms = |us: f64| us / 1e3;
    format!(
        "{} requests/s: an impersonation adds p50 {:.2} ms, p99 {:.2} ms; one transaction {:.2} ms, fdatasync p50 {:.2} ms, p99 {:.2} ms",
        A_MILLISECOND * 1000,
        ms(median(added.iter().map(|a| a.0))),
        ms(median(added.iter().map(|a| a.1))),
        ms(median(commits)),
        ms(median(probes.iter().map(|p| p.0))),
        ms(median(probes.iter().map(|p| p.1))),
    )
}

/// p50 and p99, µs.
async fn at_rate(target: &Target, window: Duration) -> (f64, f64) {
    let waiting: Rc<RefCell<std::collections::VecDeque<Instant>>> = Rc::default();
    let (arrived, latencies) = (Rc::new(Semaphore::new(0)), Rc::<RefCell<Vec<u32>>>::default());
    let local = LocalSet::new();
    let mut answering = Vec::new();
    for _ in 0..CONNECTIONS {
        let (target, waiting, arrived, latencies) =
            (target.clone(), waiting.clone(), arrived.clone(), latencies.clone());
        answering.push(local.spawn_local(async move {
            let mut connection = Connection::open(&target).await;
            connection.ask(&target).await;
            while let Ok(turn) = arrived.acquire().await {
                turn.forget();
                let Some(came) = waiting.borrow_mut().pop_front() else { return };
                connection.ask(&target).await;
                latencies.borrow_mut().push(micros(came.elapsed()));
            }
        }));
    }
    local
        .run_until(async {
            let mut clock = tokio::time::interval(Duration::from_millis(1));
            let begun = Instant::now();
            while begun.elapsed() < window {
                clock.tick().await;
                waiting.borrow_mut().extend([Instant::now(); A_MILLISECOND]);
                arrived.add_permits(A_MILLISECOND);
            }
            // One turn more for each connection, with nothing to answer: they end.
            arrived.add_permits(CONNECTIONS);
            for task in answering {
                task.await.expect("a connection failed");
            }
        })
        .await;
    let mut latencies = latencies.take();
    latencies.sort_unstable();
    (quantile(&latencies, 0.50), quantile(&latencies, 0.99))
}
