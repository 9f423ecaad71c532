//! A receiver of webhooks: takes what it is sent, or does with it what a test says.

use super::SECRET;
use crate::config::DeliverTo;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What becomes of the next message.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Then {
    Status(u16),
    /// To another path of the receiver, which takes it.
    Redirect,
    /// The connection is closed without an answer.
    Drop,
    /// No answer comes.
    Silence,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) log: String,
    pub(super) entries: Vec<Value>,
    /// The receiver said that it has it.
    pub(super) taken: bool,
    signature: String,
    signed: Vec<u8>,
}

impl Message {
    /// By another implementation than the gateway's (RFC 2104 by hand).
    pub(super) fn is_signed_with(&self, secret: &str) -> bool {
        let mut key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        key.resize(64, 0);
        let padded = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<_>>();
        let inner = Sha256::digest([padded(0x36), self.signed.clone()].concat());
        let outer = Sha256::digest([padded(0x5c), inner.to_vec()].concat());
        self.signature == format!("v1,{}", STANDARD.encode(outer))
    }
}

struct Inner {
    messages: Mutex<Vec<Message>>,
    script: Mutex<VecDeque<Then>>,
    count: watch::Sender<usize>,
}

pub(super) struct Receiver {
    inner: Arc<Inner>,
    address: String,
    folder: tempfile::TempDir,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let json: Value = serde_json::from_slice(&body).unwrap();
    let then = inner.script.lock().pop_front().unwrap_or(Then::Status(200));
    let (id, timestamp) = (text("webhook-id"), text("webhook-timestamp"));
    let entries = json["entries"].as_array().unwrap().clone();
    inner.messages.lock().push(Message {
        signed: [format!("{id}.{timestamp}.").as_bytes(), &body].concat(),
        id,
        log: json["log"].as_str().unwrap().to_owned(),
        entries,
        taken: matches!(then, Then::Status(200..300)),
        signature: text("webhook-signature"),
    });
    inner.count.send_modify(|n| *n += 1);
    match then {
        Then::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Then::Redirect => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response()
        }
        Then::Drop => panic!("on purpose: the connection ends without an answer"),
        Then::Silence => std::future::pending().await,
    }
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let inner = Arc::new(Inner {
            messages: Mutex::default(),
            script: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/in", post(take))
            .route("/elsewhere", post(async || StatusCode::OK))
            .with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        Self { inner, address, folder, server }
    }

    pub(super) fn webhook(&self) -> DeliverTo {
        DeliverTo::Webhook {
            url: format!("http://{}/in", self.address).parse().unwrap(),
            secret_file: self.folder.path().join("secret"),
        }
    }

    pub(super) fn script(&self, then: Then) {
        self.inner.script.lock().push_back(then);
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        self.inner.messages.lock().clone()
    }

    /// Waits until so many messages came, taken or not.
    pub(super) async fn seen(&self, messages: usize) {
        let mut count = self.inner.count.subscribe();
        let came = count.wait_for(|n| *n >= messages);
        let came = tokio::time::timeout(Duration::from_secs(60), came).await;
        came.unwrap_or_else(|_| panic!("only {} messages came", self.messages().len())).unwrap();
    }

    /// Waits until the entry with this index came.
    pub(super) async fn last(&self, log: &str, index: u64) {
        let mut count = self.inner.count.subscribe();
        let came = count.wait_for(|_| {
            let messages = self.inner.messages.lock();
            let mut of_log = messages.iter().filter(|message| message.log == log);
            of_log.any(|message| message.entries.iter().any(|entry| entry["index"] == index))
        });
        let came = tokio::time::timeout(Duration::from_secs(60), came).await.map(drop);
        came.unwrap_or_else(|_| panic!("{log}: entry {index} doesn't come"));
    }

    /// What was taken of a log, in the order in which it came, once there are so many.
    pub(super) async fn entries(&self, log: &str, wanted: u64) -> Vec<Value> {
        let mut count = self.inner.count.subscribe();
        let all = || {
            let messages = self.inner.messages.lock();
            let taken = messages.iter().filter(|message| message.taken && message.log == log);
            taken.flat_map(|message| message.entries.clone()).collect::<Vec<_>>()
        };
        let came = count.wait_for(|_| all().len() as u64 >= wanted);
        let came = tokio::time::timeout(Duration::from_secs(60), came).await.map(drop);
        came.unwrap_or_else(|_| panic!("{log}: only {} entries came, wanted are {wanted}", all().len()));
        all()
    }
}
