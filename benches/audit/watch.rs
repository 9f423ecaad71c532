//! How far sequencing is behind while a load runs: looked at from a thread of its own, so that the load goes on.

use super::support::scrape::Scrape;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks.
const EACH: Duration = Duration::from_millis(200);
/// Longer than this it isn't waited for.
const LONGEST: Duration = Duration::from_secs(120);

/// What was seen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lag {
    /// Most transactions that had no place.
    pub(crate) transactions: f64,
    /// Greatest age of one, seconds.
    pub(crate) age: f64,
    /// From the end of the load until all had theirs, seconds.
    pub(crate) caught_up: f64,
}

/// Somebody looking.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Lag>,
    admin: SocketAddr,
}

impl Watch {
    /// Begins.
    pub(crate) fn start(admin: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(look(admin, &seen))
        });
        Self { over, thread, admin }
    }

    /// The load is over: waits until nothing is pending.
    pub(crate) async fn end(self) -> Lag {
        let ended = Instant::now();
        self.over.store(true, Ordering::Relaxed);
        while pending(&Scrape::of(self.admin).await).0 > 0.0 {
            assert!(ended.elapsed() < LONGEST, "entries get no places in the trees");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let caught_up = ended.elapsed().as_secs_f64();
        Lag { caught_up, ..self.thread.join().expect("it was looked") }
    }
}

async fn look(admin: SocketAddr, over: &AtomicBool) -> Lag {
    let (mut lag, mut clock) = (Lag::default(), tokio::time::interval(EACH));
    while !over.load(Ordering::Relaxed) {
        clock.tick().await;
        let (transactions, age) = pending(&Scrape::of(admin).await);
        lag.transactions = lag.transactions.max(transactions);
        lag.age = lag.age.max(age);
    }
    lag
}

/// Transactions, and the greatest age in seconds.
fn pending(scrape: &Scrape) -> (f64, f64) {
    (
        scrape.figure("drawbridge_audit_unsequenced_transactions"),
        scrape.figure("drawbridge_audit_unsequenced_age_seconds"),
    )
}
