//! Accepting, serving, draining.
//!
//! One thread a worker, each with a current-thread runtime, listeners of its own (`SO_REUSEPORT`) and one
//! `HttpProxy` (shared, a pooled upstream socket would belong to another runtime: 1.22 times the throughput
//! on two threads instead of 1.51). An accept loop of our own gives port 0, gateways inside tests and a real
//! drain. Nothing here is process-wide.

use super::conn::Conn;
use super::cut::Cut;
use super::gate::Gate;
use super::request_line::Watched;
use super::tls::{TlsError, TlsFiles, acceptor, is_http2};
use futures_util::FutureExt;
use pingora::apps::{HttpServerApp, HttpServerOptions, ServerApp};
use pingora::listeners::tls::Acceptor;
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::protocols::{Ssl, Stream};
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_util::task::TaskTracker;

/// Connections that wait to be accepted, for each worker.
const BACKLOG: i32 = 1024;
/// A TLS handshake may take this long.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Where and how to listen.
#[derive(Debug)]
pub struct ListenSettings {
    /// At least one.
    pub listeners: Vec<Listener>,
    /// Threads; at least one.
    pub workers: usize,
    /// Let other processes of the same user listen on the same ports (a restart without a refused
    /// connection). Otherwise a port in use is an error.
    pub share_ports: bool,
    /// How long existing connections are told to close before idle ones are closed.
    pub lame_duck: Duration,
    /// How long requests may go on after that.
    pub drain: Duration,
    /// How long an idle HTTP/2 connection is kept.
    pub http2_idle: Duration,
    /// Idle connections to the upstream, for each worker.
    pub upstream_pool: usize,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            workers: 1,
            share_ports: false,
            lame_duck: Duration::from_millis(500),
            drain: Duration::from_secs(10),
            http2_idle: Duration::from_secs(300),
            upstream_pool: 256,
        }
    }
}

/// One address.
#[derive(Debug)]
pub struct Listener {
    /// Port 0: the system picks one, see [`Running::addresses`].
    pub address: SocketAddr,
    /// A socket that listens already (socket activation): `address` is ignored, all workers share it.
    pub inherited: Option<StdListener>,
    /// TLS; without it, clear-text HTTP/1.
    pub tls: Option<TlsFiles>,
}

/// Why the gateway doesn't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address can't be had.
    #[error("can't listen on `{address}`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// TLS files.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A thread or its runtime.
    #[error("can't start a worker")]
    Worker(#[source] io::Error),
    /// Nothing to listen on.
    #[error("no address to listen on")]
    Nothing,
}

/// A gateway that serves. Dropped, it drains in the background.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    done: Vec<oneshot::Receiver<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// The addresses, in the order of the settings, with the ports that the system picked.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, drains, then cuts what is left. Resolves when all is closed.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for done in self.done.drain(..) {
            // A worker that panicked is done as well.
            let _ = done.await;
        }
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        let _ = joined.await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// The sockets of one worker.
type Sockets = Vec<(StdListener, Option<Arc<Acceptor>>)>;

/// Starts serving. When it returns, connections are accepted.
///
/// # Errors
/// [`ListenError`]; nothing is bound then.
pub fn serve(settings: ListenSettings, gate: &Gate) -> Result<Running, ListenError> {
    if settings.listeners.is_empty() {
        return Err(ListenError::Nothing);
    }
    let count = settings.workers.max(1);
    let mut per_worker: Vec<Sockets> = (0..count).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    // All that can be wrong with files is found before the first address is bound.
    let mut ready = Vec::new();
    for listener in settings.listeners {
        let acceptor = listener.tls.as_ref().map(acceptor).transpose()?.map(Arc::new);
        ready.push((listener.address, listener.inherited, acceptor));
    }
    for (address, inherited, acceptor) in ready {
        let (address, sockets) = match inherited {
            Some(socket) => share(&socket, count),
            None => bind_all(address, count, settings.share_ports),
        }
        .map_err(|source| ListenError::Bind { address, source })?;
        addresses.push(address);
        for (worker, socket) in per_worker.iter_mut().zip(sockets) {
            worker.push((socket, acceptor.clone()));
        }
    }
    let (stop, stopped) = watch::channel(false);
    let mut running = Running { addresses, stop, done: Vec::new(), threads: Vec::new() };
    for (index, sockets) in per_worker.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ListenError::Worker)?;
        let worker = Worker {
            sockets,
            gate: gate.clone(),
            stopped: stopped.clone(),
            lame_duck: settings.lame_duck,
            drain: settings.drain,
            http2_idle: settings.http2_idle,
            upstream_pool: settings.upstream_pool,
        };
        let (done, is_done) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(format!("gateway-{index}"))
            .spawn(move || {
                if let Err(e) = runtime.block_on(worker.run()) {
                    tracing::error!(error = %e, "a worker stopped");
                }
                // What is left now is cut; contexts write their outcome as they are dropped.
                runtime.shutdown_background();
                let _ = done.send(());
            })
            .map_err(ListenError::Worker)?;
        running.threads.push(thread);
        running.done.push(is_done);
    }
    Ok(running)
}

/// One listening socket for each worker, on the same port.
fn bind_all(
    mut address: SocketAddr,
    count: usize,
    share_ports: bool,
) -> io::Result<(SocketAddr, Vec<StdListener>)> {
    if !share_ports && address.port() != 0 {
        // With SO_REUSEPORT a second gateway would silently take half of the first one's connections.
        drop(socket(address, false)?);
    }
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = socket(address, true)?;
        socket.listen(BACKLOG)?;
        let socket = StdListener::from(socket);
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok((address, sockets))
}

fn socket(address: SocketAddr, reuse_port: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The same socket for each worker.
fn share(socket: &StdListener, count: usize) -> io::Result<(SocketAddr, Vec<StdListener>)> {
    socket.set_nonblocking(true)?;
    let sockets = (0..count).map(|_| socket.try_clone()).collect::<io::Result<_>>()?;
    Ok((socket.local_addr()?, sockets))
}

/// One thread's share of the work.
struct Worker {
    sockets: Sockets,
    gate: Gate,
    stopped: watch::Receiver<bool>,
    lame_duck: Duration,
    drain: Duration,
    http2_idle: Duration,
    upstream_pool: usize,
}

type App = Cut<HttpProxy<Gate>>;

impl Worker {
    async fn run(mut self) -> io::Result<()> {
        let app = Arc::new(self.app());
        let connections = TaskTracker::new();
        let mut loops = Vec::new();
        for (socket, acceptor) in std::mem::take(&mut self.sockets) {
            let accepting = Accepting {
                listener: TcpListener::from_std(socket)?,
                acceptor,
                app: app.clone(),
                connections: connections.clone(),
                stopped: self.stopped.clone(),
            };
            loops.push(tokio::spawn(accepting.run()));
        }
        for accepting in loops {
            let _ = accepting.await;
        }
        self.drain(&app, &connections).await;
        Ok(())
    }

    fn app(&self) -> App {
        let conf = ServerConf {
            threads: 1,
            max_retries: self.gate.tries(),
            upstream_keepalive_pool_size: self.upstream_pool,
            ..ServerConf::default()
        };
        let mut proxy = HttpProxy::new(self.gate.clone(), Arc::new(conf));
        let mut options = HttpServerOptions::default();
        // So that `admit` answers CONNECT, with a document, like everything else that it refuses.
        options.allow_connect_method_proxying = true;
        options.h2_idle_timeout = Some(self.http2_idle);
        proxy.server_options = Some(options);
        let mut http2 = default_h2_options();
        let list = u32::try_from(self.gate.header_bytes().saturating_mul(2)).unwrap_or(u32::MAX);
        http2.max_header_list_size(list);
        proxy.h2_options = Some(http2);
        proxy.handle_init_modules();
        Cut::new(proxy, self.gate.head_timeout())
    }

    /// The listeners are closed, and since the signal every answer says `Connection: close` or GOAWAY.
    async fn drain(&self, app: &Arc<App>, connections: &TaskTracker) {
        connections.close();
        // Without this pause clients write on connections that are being closed (134 of 106,000 failed).
        let _ = tokio::time::timeout(self.lame_duck, connections.wait()).await;
        app.http_cleanup().await;
        // HTTP/2 streams run in tasks of their own, hence the second count.
        let idle = async {
            connections.wait().await;
            app.in_flight().wait().await;
        };
        if tokio::time::timeout(self.drain, idle).await.is_err() {
            tracing::warn!(requests = app.in_flight().count(), "requests are cut at the end of the drain");
        }
    }
}

/// One listener of one worker.
struct Accepting {
    listener: TcpListener,
    acceptor: Option<Arc<Acceptor>>,
    app: Arc<App>,
    connections: TaskTracker,
    stopped: watch::Receiver<bool>,
}

impl Accepting {
    async fn run(mut self) {
        let mut stopped = self.stopped.clone();
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.serve(stream, peer),
                    Err(e) => {
                        // Out of descriptors, most likely: connections wait in the queue meanwhile.
                        tracing::warn!(error = %e, "a connection can't be accepted");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                },
            }
        }
        // Closing the socket would reset what waits in its queue.
        while let Some(Ok((stream, peer))) = self.listener.accept().now_or_never() {
            self.serve(stream, peer);
        }
    }

    fn serve(&mut self, stream: TcpStream, peer: SocketAddr) {
        let (app, stopped, acceptor) = (self.app.clone(), self.stopped.clone(), self.acceptor.clone());
        self.connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            let conn = Conn::new(stream, peer);
            let stream: Stream = match acceptor {
                None => Box::new(Watched(conn)),
                Some(acceptor) => {
                    let handshake = tokio::time::timeout(HANDSHAKE, acceptor.tls_handshake(conn));
                    match handshake.await {
                        Ok(Ok(tls)) if is_http2(tls.selected_alpn_proto().as_ref()) => Box::new(tls),
                        Ok(Ok(tls)) => Box::new(Watched(tls)),
                        Ok(Err(_)) | Err(_) => return,
                    }
                }
            };
            app.process_new(stream, &stopped).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{bind_all, share};

    #[test]
    fn every_worker_listens_on_the_port_that_the_first_one_got() {
        let (address, sockets) = bind_all("127.0.0.1:0".parse().unwrap(), 3, false).unwrap();
        assert_ne!(address.port(), 0);
        assert!(sockets.iter().all(|s| s.local_addr().unwrap() == address));
        assert_eq!(sockets.len(), 3);
    }

    #[test]
    fn a_port_in_use_is_an_error_unless_it_is_shared_on_purpose() {
        let (address, _sockets) = bind_all("127.0.0.1:0".parse().unwrap(), 1, false).unwrap();
        let error = bind_all(address, 1, false).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        assert!(bind_all(address, 1, true).is_ok());
    }

    #[test]
    fn an_inherited_socket_is_shared() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, sockets) = share(&socket, 2).unwrap();
        assert_eq!((address, sockets.len()), (socket.local_addr().unwrap(), 2));
    }
}
