//! The flood: passwords of nobody, each as soon as the last was answered; who is turned away comes again after the
//! second that is asked of them. From a thread of its own, so that the load beside it isn't held up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What came of it so far.
#[derive(Default)]
struct Tally {
    over: AtomicBool,
    /// Addresses that were made up.
    strangers: AtomicU64,
    hashed: AtomicU64,
    turned_away: AtomicU64,
}

/// Goes on until it is stopped.
pub(crate) struct Flood {
    tally: Arc<Tally>,
    begun: Instant,
    thread: std::thread::JoinHandle<()>,
}

impl Flood {
    /// `connections` at once.
    pub(crate) fn start(address: SocketAddr, connections: usize) -> Self {
        let tally = Arc::new(Tally::default());
        let mine = tally.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
                let client = client.unwrap();
                let ask = || ask(&client, address, &mine);
                futures_util::future::join_all(std::iter::repeat_with(ask).take(connections)).await;
            });
        });
        Self { tally, begun: Instant::now(), thread }
    }

    /// Passwords that were looked at, and those that were told to come again, a second.
    pub(crate) fn stop(self) -> (f64, f64) {
        let took = self.begun.elapsed().as_secs_f64();
        let rate = |n: &AtomicU64| n.load(Relaxed) as f64 / took;
        let rates = (rate(&self.tally.hashed), rate(&self.tally.turned_away));
        self.tally.over.store(true, Relaxed);
        self.thread.join().expect("the flood failed");
        rates
    }
}

async fn ask(client: &reqwest::Client, address: SocketAddr, tally: &Tally) {
    while !tally.over.load(Relaxed) {
        // Another one each time: after ten attempts an account is throttled, and no password is looked at.
        let nobody = format!("nobody-{}@vendor.example", tally.strangers.fetch_add(1, Relaxed));
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("email", &nobody)
            .append_pair("password", "seven blue lamps hum at night")
            .finish();
        let answer = client
            .post(format!("http://{address}/platform/login"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .expect("an answer");
        match answer.status().as_u16() {
            // Compared with a hash of nobody's, which takes as long as any.
            401 => tally.hashed.fetch_add(1, Relaxed),
            429 => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                tally.turned_away.fetch_add(1, Relaxed)
            }
            other => panic!("{other}: {}", answer.text().await.unwrap_or_default()),
        };
    }
}
