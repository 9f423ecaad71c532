//! Answers that explain themselves when an expectation fails, and exchanges of raw bytes.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body as JSON, or null.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.map(|b| b.to_vec()).unwrap_or_default();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Self { status, headers, body, json }
    }

    /// The answer, if it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The answer, if it is a problem with this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{self}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self}");
        assert!(self.json["detail"].as_str().is_some_and(|d| d.len() > 10), "no help in {self}");
        self
    }

    /// A text member, by JSON pointer.
    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {self}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = &self.body[..self.body.len().min(4000)];
        write!(f, "{} {:?}\n{}", self.status, self.headers, String::from_utf8_lossy(body))
    }
}

/// Sends raw bytes on a new connection and reads until the peer closes or says nothing for a second.
pub(crate) async fn raw_exchange(authority: &str, bytes: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(authority).await.expect("a connection");
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    let mut buffer = [0_u8; 16 * 1024];
    while let Ok(Ok(n @ 1..)) =
        tokio::time::timeout(std::time::Duration::from_secs(1), stream.read(&mut buffer)).await
    {
        answer.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
