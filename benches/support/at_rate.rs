//! Latency at a fixed rate: requests come whether or not the last one was answered, and a latency counts
//! from when its request came, so that waiting for a free connection is part of it.

use super::load::{Connection, Target, micros};
use super::machine::quantile;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// Requests that come each millisecond.
pub(crate) const A_MILLISECOND: usize = 2;
/// Connections that answer them.
const CONNECTIONS: usize = 64;

/// p50 and p99, µs. Connections share the targets.
pub(crate) async fn at_rate(targets: &[Target], window: Duration) -> (f64, f64) {
    let waiting: Rc<RefCell<std::collections::VecDeque<Instant>>> = Rc::default();
    let (arrived, latencies) = (Rc::new(Semaphore::new(0)), Rc::<RefCell<Vec<u32>>>::default());
    let local = LocalSet::new();
    let mut answering = Vec::new();
    for target in targets.iter().cycle().take(CONNECTIONS) {
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
