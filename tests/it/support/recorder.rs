//! An upstream in the test's own process: it outlives the gateway and remembers who came.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::StreamExt as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// What the upstream saw of one request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) request_id: String,
    /// The impersonation that it came under, or nothing.
    pub(crate) impersonation: String,
}

/// A recording upstream: `/stream` answers without an end, `/slow` takes its time, everything else is `ok`.
pub(crate) struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(record).with_state(seen.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, seen, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it saw so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Whether it saw this request.
    pub(crate) fn saw(&self, request_id: &str) -> bool {
        self.seen.lock().unwrap().iter().any(|seen| seen.request_id == request_id)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn record(State(seen): State<Arc<Mutex<Vec<Seen>>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let header =
        |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let one =
        Seen { request_id: header("x-request-id"), impersonation: header("x-drawbridge-impersonation") };
    seen.lock().unwrap().push(one);
    if head.uri.path() == "/stream" {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>("first\n")]);
        return Response::new(Body::from_stream(first.chain(futures_util::stream::pending())));
    }
    if head.uri.path() == "/slow" {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    drop(axum::body::to_bytes(body, usize::MAX).await);
    Response::new(Body::from("ok\n"))
}
