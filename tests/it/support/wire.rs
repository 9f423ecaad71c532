//! HTTP/1.1 as bytes on one connection: what is sent is what the test wrote, and answers are taken apart
//! here by the rules of RFC 9112, so that no client library hides what really came.

use super::{Answer, SOON};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A client's connection.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Interim answers (1xx) that came so far.
    pub(crate) interim: Vec<u16>,
    /// The last answer ended as its framing said, not by a close in its middle.
    pub(crate) whole: bool,
}

impl Wire {
    pub(crate) async fn open(authority: &str) -> Self {
        Self::of(TcpStream::connect(authority).await.expect("a connection"))
    }

    /// The other end: a connection that a test's own server accepted.
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket option");
        Self { stream, unread: Vec::new(), interim: Vec::new(), whole: true }
    }

    /// The next request on it, head and body, as far as they come.
    pub(crate) async fn request(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let head = self.request_head().await?;
        let body = self.request_body(&head).await;
        Some((head, body))
    }

    /// The head of the next request, with the empty line.
    pub(crate) async fn request_head(&mut self) -> Option<Vec<u8>> {
        self.until(b"\r\n\r\n").await
    }

    /// The body that belongs to `head`.
    pub(crate) async fn request_body(&mut self, head: &[u8]) -> Vec<u8> {
        let (_, headers) = parse(&[b"HTTP/1.1 200 for its fields\r\n", after_line(head)].concat());
        let framed = headers.contains_key("content-length") || headers.contains_key("transfer-encoding");
        if framed { self.body("", 200, &headers).await } else { Vec::new() }
    }

    /// Something of what comes next.
    pub(crate) async fn some(&mut self) -> Vec<u8> {
        if self.unread.is_empty() {
            self.fill().await;
        }
        std::mem::take(&mut self.unread)
    }

    /// Closes with a reset, as a killed service does.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("a socket option");
    }

    /// Writes; a peer that has closed already is seen by what it answers, or doesn't.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        drop(self.stream.write_all(bytes.as_ref()).await);
    }

    /// The next final answer, to a request with `method`; nothing if the connection ends before it begins.
    pub(crate) async fn answer(&mut self, method: &str) -> Option<Answer> {
        loop {
            let head = self.until(b"\r\n\r\n").await?;
            let (status, headers) = parse(&head);
            if status < 200 && status != 101 {
                self.interim.push(status);
                continue;
            }
            let body = self.body(method, status, &headers).await;
            let json = serde_json::from_slice(&body).unwrap_or_default();
            return Some(Answer { status, headers, body, json });
        }
    }

    /// The status of the next head, which is an interim answer's.
    pub(crate) async fn interim_answer(&mut self) -> u16 {
        let head = self.until(b"\r\n\r\n").await.expect("an interim answer");
        let (status, _) = parse(&head);
        assert!(status < 200, "a final answer: {}", String::from_utf8_lossy(&head));
        status
    }

    /// Waits until the peer closes; what came until then.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        while self.fill().await {}
        self.unread
    }

    async fn body(&mut self, method: &str, status: u16, headers: &HeaderMap) -> Vec<u8> {
        self.whole = true;
        let coded = headers.get("transfer-encoding").is_some_and(|v| v == "chunked");
        let length = headers.get("content-length").map(|v| v.to_str().unwrap().parse().expect("a length"));
        if method == "HEAD" || matches!(status, 101 | 204 | 304) {
            Vec::new()
        } else if coded {
            self.chunks().await
        } else if let Some(length) = length {
            self.take(length).await
        } else {
            while self.fill().await {}
            std::mem::take(&mut self.unread)
        }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.until(b"\r\n").await else {
                self.whole = false;
                return body;
            };
            let line = String::from_utf8(line).expect("a chunk's size");
            let size = usize::from_str_radix(line.trim(), 16).expect("a chunk's size");
            if size == 0 {
                self.whole &= self.until(b"\r\n").await.is_some();
                return body;
            }
            body.extend(self.take(size).await);
            if !self.whole || self.until(b"\r\n").await.is_none() {
                self.whole = false;
                return body;
            }
        }
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            if !self.fill().await {
                self.whole = false;
                return std::mem::take(&mut self.unread);
            }
        }
        let rest = self.unread.split_off(length);
        std::mem::replace(&mut self.unread, rest)
    }

    /// Everything up to `end`, with it.
    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            if let Some(at) = self.unread[from..].windows(end.len()).position(|w| w == end) {
                return Some(self.take(from + at + end.len()).await);
            }
            from = self.unread.len().saturating_sub(end.len());
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads on; whether there was anything.
    async fn fill(&mut self) -> bool {
        self.unread.reserve(64 * 1024);
        let read = tokio::time::timeout(SOON, self.stream.read_buf(&mut self.unread));
        read.await.expect("the gateway neither answers nor closes").unwrap_or(0) > 0
    }
}

fn after_line(head: &[u8]) -> &[u8] {
    let end = head.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
    &head[end..]
}

fn parse(head: &[u8]) -> (u16, HeaderMap) {
    let mut lines = head.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok());
    let mut headers = HeaderMap::new();
    for line in lines.filter(|l| !l.is_empty()) {
        let colon = line.iter().position(|b| *b == b':').expect("a header line has a colon");
        headers.append(
            HeaderName::from_bytes(&line[..colon]).expect("a header's name"),
            HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).expect("a header's value"),
        );
    }
    (status.unwrap_or_else(|| panic!("no status line: {first}")), headers)
}
