//! `dev --upstream URL` in front of services that the test plays itself, byte for byte: nothing is lost,
//! nothing is added but what the gate is there for, nothing is held back, and a failure is told for what it is.

mod answers;
mod bodies;
mod failures;
mod identity;
mod requests;
mod secure;
mod slow;
mod streams;

use crate::support::{Gateway, GatewayBuilder, Wire};
use std::sync::Arc;
use tokio::net::TcpListener;

/// A service on loopback whose connections are handled by a function of the test's.
struct Service {
    url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Service {
    async fn start<F>(handle: impl Fn(Wire) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let handle = Arc::new(handle);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let handle = handle.clone();
                tokio::spawn(async move { handle(Wire::of(stream)).await });
            }
        });
        Self { url, task }
    }

    /// Answers each request with the bytes that `answer` makes of its head and body, and goes on.
    async fn answering(answer: impl Fn(&[u8], &[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::start(move |mut wire| {
            let answer = answer.clone();
            async move {
                while let Some((head, body)) = wire.request().await {
                    let bytes = answer(&head, &body);
                    wire.send(&bytes).await;
                    // An answer without a length ends with the connection.
                    if String::from_utf8_lossy(&bytes).contains("Connection: close") {
                        return;
                    }
                }
            }
        })
        .await
    }

    fn gateway(&self) -> Gateway {
        GatewayBuilder::new().arg("--upstream").arg(&self.url).start()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The callers of every case, by name.
async fn callers(gateway: &Gateway) -> [(&'static str, String); 2] {
    let (impersonation, _) = gateway.mint("staff", "acme").await;
    [("an admin", gateway.token("admin").to_owned()), ("an impersonation", impersonation)]
}

/// A request of `token`'s with these fields.
fn ask(gateway: &Gateway, line: &str, token: &str, fields: &str) -> String {
    let authority = gateway.authority();
    format!("{line} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n{fields}\r\n")
}

/// The target of a request's head.
fn target(head: &[u8]) -> String {
    let line = head.split(|b| *b == b' ').nth(1).unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

/// The value of a field in a head, by its lower-case name.
fn field(head: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

/// Bytes that don't compress and don't repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
