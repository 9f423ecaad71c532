//! The way from a gateway to the database, which can be blocked: nothing comes through, and no connection breaks.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A port that leads to another one.
pub(crate) struct Relay {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    blocked: watch::Sender<bool>,
}

impl Relay {
    /// To a port of the loopback.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, (blocked, watched)) = (listener.local_addr().unwrap(), watch::channel(false));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_in, far_out, watched.clone()));
                tokio::spawn(pass(far_in, near_out, watched.clone()));
            }
        });
        Self { address, blocked }
    }

    /// Nothing comes through, or all again.
    pub(crate) fn block(&self, blocked: bool) {
        self.blocked.send_replace(blocked);
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut blocked: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let open = blocked.wait_for(|blocked| !blocked).await.is_ok();
        if !open || to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
