//! A TCP proxy between one gateway and one of its services: partitions without any right to the network.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Everything passes.
    Open,
    /// Everything passes so much later.
    Slow(Duration),
    /// Connections stand and nothing passes; it does when the way is open again.
    Stalled,
    /// Connections are reset, new ones too.
    Cut,
}

/// One proxy.
pub(crate) struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    task: tokio::task::JoinHandle<()>,
}

/// A thread of their own, so that no load of the test's makes the way slow.
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
    })
}

impl Proxy {
    /// From a free port of `at` to `target`.
    pub(crate) async fn start_at(at: IpAddr, target: SocketAddr) -> Self {
        let (way, watched) = watch::channel(Way::Open);
        let bound = runtime().spawn(async move { TcpListener::bind((at, 0)).await.expect("a port") });
        let listener = bound.await.expect("a proxy");
        let address = listener.local_addr().expect("an address");
        let task = runtime().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target, watched.clone()));
            }
        });
        Self { address, way, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.set(Way::Cut);
    }
}

async fn carry(client: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) {
    let mut cut = way.clone();
    let both = async {
        // A connection that is begun while nothing passes stands, as one does whose packets are lost.
        passable(&mut way).await;
        let Ok(server) = TcpStream::connect(target).await else { return };
        drop((client.set_nodelay(true), server.set_nodelay(true)));
        let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
        tokio::select! {
            () = one_way(client_in, server_out, way.clone()) => {}
            () = one_way(server_in, client_out, way) => {}
        }
    };
    tokio::select! {
        () = both => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn passable(way: &mut watch::Receiver<Way>) {
    drop(way.wait_for(|way| *way != Way::Stalled).await);
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0_u8; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let now = *way.borrow();
        if let Way::Slow(late) = now {
            tokio::time::sleep(late).await;
        }
        passable(&mut way).await;
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
