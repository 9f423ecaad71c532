//! The demo API in this process, with a note of the number that each request carries in its query.

use super::record::{Micros, now};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use drawbridge::demo::{Demo, DemoOrgs};
use drawbridge::domain::SystemClock;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, DropGuard};

type Hits = Arc<Mutex<BTreeMap<u64, Micros>>>;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    hits: Hits,
    _stop: DropGuard,
}

impl Upstream {
    pub(crate) async fn start(at: IpAddr, orgs: &DemoOrgs) -> Self {
        let listener = tokio::net::TcpListener::bind((at, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, hits) = (CancellationToken::new(), Hits::default());
        let demo = Demo::new(orgs, Arc::new(SystemClock), stop.clone());
        let router = demo.router().layer(from_fn_with_state(hits.clone(), note));
        let ended = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            drop(axum::serve(listener, router).with_graceful_shutdown(ended).await);
        });
        Self { address, hits, _stop: stop.drop_guard() }
    }

    /// Numbers of the requests that came, and when each came first.
    pub(crate) fn hits(&self) -> BTreeMap<u64, Micros> {
        self.hits.lock().clone()
    }
}

async fn note(State(hits): State<Hits>, request: Request, next: Next) -> Response {
    let number = request.uri().query().and_then(|query| query.strip_prefix("n="));
    if let Some(number) = number.and_then(|number| number.parse().ok()) {
        hits.lock().entry(number).or_insert_with(now);
    }
    next.run(request).await
}
