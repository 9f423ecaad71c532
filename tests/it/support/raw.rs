//! Connections that a test holds open itself: HTTP/1 by hand, and WebSockets.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// Where to connect, and under which name.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) authority: String,
    pub(crate) host: String,
}

/// A connection with a request on it.
pub(crate) struct Open {
    stream: TcpStream,
    /// Bytes of the answer.
    pub(crate) got: Vec<u8>,
}

impl Open {
    /// Connects and sends the head of a request; `more` are header lines, each with its line end.
    pub(crate) async fn begin(target: &Target, method: &str, path: &str, token: &str, more: &str) -> Self {
        Self::try_begin(target, method, path, token, more).await.expect("a connection that takes the head")
    }

    /// The same with a gateway that may be gone.
    pub(crate) async fn try_begin(
        target: &Target,
        method: &str,
        path: &str,
        token: &str,
        more: &str,
    ) -> std::io::Result<Self> {
        // The kernel would take megabytes of an answer that nobody reads; a set size is kept.
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(64 * 1024)?;
        let address = target.authority.parse().expect("an address");
        let mut stream = socket.connect(address).await?;
        let host = &target.host;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        Ok(Self { stream, got: Vec::new() })
    }

    /// Sends on a connection that has answered before; fails when it is closed.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads once; 0 when the peer has closed, in whatever way.
    pub(crate) async fn read(&mut self) -> usize {
        let mut buffer = vec![0_u8; 64 * 1024];
        let n = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.got.extend_from_slice(&buffer[..n]);
        n
    }

    /// Reads until the answer holds `text`; false when it ends before.
    pub(crate) async fn read_until(&mut self, text: &str) -> bool {
        loop {
            if self.got.windows(text.len()).any(|w| w == text.as_bytes()) {
                return true;
            }
            if self.read().await == 0 {
                return false;
            }
        }
    }

    /// Reads until the connection is closed; how many bytes there were in all.
    pub(crate) async fn read_to_end(&mut self) -> usize {
        while self.read().await > 0 {}
        self.got.len()
    }

    /// Reads one whole answer with a length, takes it off, and gives its status and `x-request-id`;
    /// `None` when the connection is closed before its end.
    pub(crate) async fn answer(&mut self) -> Option<(u16, String)> {
        if !self.read_until("\r\n\r\n").await {
            return None;
        }
        let end = self.got.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.got[..end]).to_ascii_lowercase();
        let header = |name: &str| {
            let line = head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or("").trim().to_owned()
        };
        let whole = end + header("content-length").parse::<usize>().expect("a length");
        while self.got.len() < whole {
            if self.read().await == 0 {
                return None;
            }
        }
        self.got.drain(..whole);
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        Some((status, header("x-request-id")))
    }
}

/// Opens the demo's echoing WebSocket.
pub(crate) async fn websocket(target: &Target, token: &str) -> WebSocketStream<TcpStream> {
    let mut request =
        format!("ws://{}/api/v1/live", target.host).into_client_request().expect("a WebSocket request");
    let bearer = format!("Bearer {token}").parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    let stream = TcpStream::connect(&target.authority).await.expect("a connection");
    tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket").0
}
