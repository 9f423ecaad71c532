//! A client's TCP connection, as Pingora reads and writes it.
//!
//! Two things that Pingora's own stream doesn't give to an accept loop outside of it:
//!
//! - **one write for head and body** of a small answer: a write buffer, flushed at the latest when the
//!   connection is read again, so that a piece of a slow answer never waits for the next one;
//! - **a reset when a request is cut**: `SO_LINGER` of zero, set where the socket is owned (so without
//!   unsafe code, and without the race of setting it on a bare descriptor).

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID,
};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio::net::TcpStream;

/// Holds the head and body of most API answers; allocated once a connection.
const WRITE_BUFFER: usize = 4 * 1024;

thread_local! {
    /// A request is being cut in the running poll: connections dropped now are reset.
    static RESETTING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `drop_it`; connections that it drops are reset instead of closed.
pub(super) fn resetting(drop_it: impl FnOnce()) {
    RESETTING.set(true);
    drop_it();
    RESETTING.set(false);
}

/// See the module.
#[derive(Debug)]
pub(super) struct Conn {
    stream: BufWriter<TcpStream>,
    digest: Arc<SocketDigest>,
}

impl Conn {
    /// A connection that was accepted from `peer`.
    #[must_use]
    pub(super) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        let _ = digest.peer_addr.set(Some(peer.into()));
        Self { stream: BufWriter::with_capacity(WRITE_BUFFER, stream), digest: Arc::new(digest) }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if RESETTING.get() {
            let _ = socket2::SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO));
        } else if !self.stream.buffer().is_empty() {
            // The last answer before a close; the socket's own buffer nearly always takes it.
            let _ = Pin::new(&mut self.stream).poll_flush(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.stream.buffer().is_empty()
            && let Poll::Ready(Err(e)) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            return Poll::Ready(Err(e));
        }
        Pin::new(self.stream.get_mut()).poll_read(cx, buf)
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Conn {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(&mut self.stream).await;
    }
}

impl UniqueID for Conn {
    fn id(&self) -> i32 {
        self.stream.get_ref().as_raw_fd()
    }
}

impl Ssl for Conn {}
impl Peek for Conn {}

impl GetTimingDigest for Conn {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        // Nobody asks when a client connected; `TimingDigest` would read the clock.
        vec![Some(TimingDigest { established_ts: SystemTime::UNIX_EPOCH, ..TimingDigest::default() })]
    }
}

impl GetProxyDigest for Conn {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Conn {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digest.clone())
    }
}
