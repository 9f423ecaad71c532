//! `drawbridge serve` as a child process, on sockets that the test holds, so that it can be started anew there.

use super::SOON;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where a gateway listens, public and admin, and the sockets that are held for it.
pub(crate) struct Held {
    addresses: [SocketAddr; 2],
    sockets: Option<[TcpListener; 2]>,
}

/// A gateway that serves; killed when dropped.
pub(crate) struct Served {
    child: Child,
    log: tempfile::NamedTempFile,
}

/// Whether a load balancer would send requests to the gateway that answers operators there.
pub(crate) async fn is_ready(admin: SocketAddr, client: &reqwest::Client) -> bool {
    client.get(format!("http://{admin}/readyz")).send().await.is_ok_and(|answer| answer.status() == 200)
}

impl Held {
    pub(crate) fn new() -> Self {
        let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let addresses = sockets.each_ref().map(|socket| socket.local_addr().expect("an address"));
        Self { addresses, sockets: Some(sockets) }
    }

    pub(crate) fn gateway(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.addresses[1]
    }

    /// Lets the sockets go: when the gateway ends, connections are refused.
    pub(crate) fn let_go(&mut self) {
        self.sockets = None;
    }

    /// Starts a gateway on these sockets, or on new ones of the same addresses.
    pub(crate) fn serve(&mut self, config: &Path) -> Served {
        let addresses = self.addresses;
        let sockets =
            self.sockets.get_or_insert_with(|| addresses.map(|at| TcpListener::bind(at).expect("the port")));
        let log = tempfile::NamedTempFile::new().expect("a file");
        let pass = |socket: &TcpListener| Stdio::from(OwnedFd::from(socket.try_clone().expect("a copy")));
        // They come as standard input and output; a gateway looks for them from 3 on (sd_listen_fds(3)).
        let child = Command::new("sh")
            .args(["-c", "exec 3<&0 4<&1 </dev/null >&2; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$@\"", "sh"])
            .arg(env!("CARGO_BIN_EXE_drawbridge"))
            .args(["serve", "--config"])
            .arg(config)
            .stdin(pass(&sockets[0]))
            .stdout(pass(&sockets[1]))
            .stderr(File::create(log.path()).expect("a file"))
            .spawn()
            .expect("it starts");
        Served { child, log }
    }
}

impl Served {
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    pub(crate) async fn ready(&mut self, held: &Held, client: &reqwest::Client) {
        let begun = Instant::now();
        while !is_ready(held.admin(), client).await {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none() && begun.elapsed() < SOON, "not ready ({ended:?}): {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(told.expect("kill runs").success());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(begun.elapsed() < SOON, "it doesn't end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- log of a gateway\n{}", self.log());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
