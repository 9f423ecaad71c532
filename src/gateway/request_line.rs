//! The request line as it came (RFC 9112 §3): Pingora escapes a raw space and cuts off `#` before anyone
//! sees the request, so such bytes are noted while the head is read. And what is written before the head is
//! complete is Pingora's own answer to one that it can't parse: see `malformed`.

use super::cut::with_slot;
use super::malformed;
use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID,
};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads the request line of one request as it arrives, piece by piece. An atomic because futures that hold
/// it must be `Sync`; nobody contends for it.
#[derive(Debug, Default)]
pub(super) struct RequestLine {
    /// How far it has been read.
    state: AtomicU8,
    /// Bytes of the head, and perhaps of what follows it.
    bytes: AtomicUsize,
    /// Its line feeds.
    lines: AtomicUsize,
}

/// Spaces met so far, in the low bits.
const SPACES: u8 = 0b0000_0011;
/// Something other than an empty line has been read.
const BEGUN: u8 = 0b0000_0100;
/// The line has ended, well formed.
const ENDED: u8 = 0b0000_1000;
/// A byte was met that can't stand where it stands.
const ODD: u8 = 0b0001_0000;
/// The last byte was a CR: only LF may follow.
const CR: u8 = 0b0010_0000;

impl RequestLine {
    /// Whether any byte has been read.
    pub(super) fn has_begun(&self) -> bool {
        self.state.load(Ordering::Relaxed) != 0
    }
    /// Whether a byte was met that can't stand where it stands.
    pub(super) fn is_odd(&self) -> bool {
        self.state.load(Ordering::Relaxed) & ODD != 0
    }
    /// Instead of Pingora's own answer to this head.
    fn answer(&self) -> Vec<u8> {
        malformed::answer(self.bytes.load(Ordering::Relaxed), self.lines.load(Ordering::Relaxed))
    }
    /// Reads on.
    pub(super) fn read(&self, bytes: &[u8]) {
        let add = |to: &AtomicUsize, more| to.store(to.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        add(&self.bytes, bytes.len());
        add(&self.lines, memchr::memchr_iter(b'\n', bytes).count());
        let mut state = self.state.load(Ordering::Relaxed);
        for &byte in bytes {
            if state & (ENDED | ODD) != 0 {
                break;
            }
            state = match byte {
                b'\n' if state & BEGUN != 0 => state | ENDED,
                b'\n' => state & !CR,
                _ if state & CR != 0 => state | ODD,
                b'\r' => state | CR,
                b' ' if state & SPACES >= 2 => state | ODD,
                b' ' => (state | BEGUN) + 1,
                b'#' if state & SPACES == 1 => state | ODD,
                0x21..=0x7e => state | BEGUN,
                _ => state | ODD,
            };
        }
        self.state.store(state, Ordering::Relaxed);
    }
}

/// An HTTP/1 connection (plain, or inside TLS) whose reads are shown to the request whose head is being read.
#[derive(Debug)]
pub(super) struct Watched<S>(
    /// The connection.
    pub S,
);

impl<S: IO> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(cx, buf);
        if polled.is_ready() {
            with_slot(|slot| slot.line().read(buf.filled().get(before..).unwrap_or_default()));
        }
        polled
    }
}

impl<S: IO> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut instead = None;
        with_slot(|slot| instead = Some(slot.line().answer()));
        match instead {
            None => Pin::new(&mut self.0).poll_write(cx, buf),
            // Nothing has been written yet, so the buffer beneath takes it whole.
            Some(instead) => Pin::new(&mut self.0).poll_write(cx, &instead).map_ok(|_| buf.len()),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[async_trait]
impl<S: IO> Shutdown for Watched<S> {
    async fn shutdown(&mut self) {
        self.0.shutdown().await;
    }
}

impl<S: IO> UniqueID for Watched<S> {
    fn id(&self) -> i32 {
        self.0.id()
    }
}

impl<S: IO> Ssl for Watched<S> {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.0.get_ssl()
    }
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.0.get_ssl_digest()
    }
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.0.selected_alpn_proto()
    }
}

impl<S: IO> Peek for Watched<S> {}

impl<S: IO> GetTimingDigest for Watched<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.0.get_timing_digest()
    }
}

impl<S: IO> GetProxyDigest for Watched<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.0.get_proxy_digest()
    }
}

impl<S: IO> GetSocketDigest for Watched<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.0.get_socket_digest()
    }
}

#[cfg(test)]
mod tests {
    use super::RequestLine;
    use proptest::prelude::*;

    fn odd(pieces: &[&[u8]]) -> bool {
        let line = RequestLine::default();
        for piece in pieces {
            line.read(piece);
        }
        line.is_odd()
    }

    #[test]
    fn what_can_t_stand_in_a_request_line() {
        for fine in [
            &b"GET / HTTP/1.1\r\nHost: a b c#d\r\n\r\n"[..],
            b"\r\n\r\nGET /a?b HTTP/1.1\r\nx: \xff\r\n\r\n",
            b"GET /%20%23 HTTP/1.1\nHost: a\n\n",
        ] {
            assert!(!odd(&[fine]), "{fine:?}");
        }
        for wrong in [
            &b"GET /a b HTTP/1.1\r\n\r\n"[..],
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET /a#b HTTP/1.1\r\n\r\n",
            b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
            b"GET /a\tb HTTP/1.1\r\n\r\n",
            b"GET /a\x00b HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1 \r\n\r\n",
            b"GET /\r HTTP/1.1\r\n\r\n",
            b"GET /\r\rHTTP/1.1\r\n\r\n",
            b"\rGET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(odd(&[wrong]), "{wrong:?}");
        }
    }

    proptest! {
        /// However the bytes are cut into pieces, the verdict is the same.
        #[test]
        fn pieces_make_no_difference(target in "[a-z/# \u{e9}%]{1,20}", at in 0_usize..40) {
            let text = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
            let (a, b) = text.split_at(at.min(text.len()));
            prop_assert_eq!(odd(&[&text]), odd(&[a, b]));
        }
    }
}
