//! One gateway as a process of its own, on sockets that are held for it: while it is started anew, connections wait.
//! When it ends by itself its sockets are closed, so that clients are refused as they would be elsewhere.

use crate::Failure;
use crate::redis::Guard;
use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long it may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Sockets come as standard input and output: from 3 on is where a gateway looks for them.
const SOCKETS: &str = "exec 3<&0 4<&1 </dev/null >&2; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$@\"";

/// Where one listens.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// The listening sockets of one gateway.
struct Sockets {
    gateway: TcpListener,
    admin: TcpListener,
}

pub(crate) struct Gateway {
    pub(crate) name: String,
    pub(crate) addresses: Addresses,
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    sockets: Option<Sockets>,
    process: Option<(Child, Guard)>,
}

impl Sockets {
    fn bind(at: Addresses) -> std::io::Result<Self> {
        Ok(Self { gateway: TcpListener::bind(at.gateway)?, admin: TcpListener::bind(at.admin)? })
    }
}

impl Gateway {
    /// Takes two ports; starts nothing.
    pub(crate) fn new(name: String, program: PathBuf, folder: &std::path::Path) -> Result<Self, Failure> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets = Sockets::bind(Addresses { gateway: any, admin: any })?;
        let addresses =
            Addresses { gateway: sockets.gateway.local_addr()?, admin: sockets.admin.local_addr()? };
        Ok(Self {
            config: folder.join(format!("{name}.toml")),
            log: folder.join(format!("{name}.log")),
            name,
            addresses,
            program,
            sockets: Some(sockets),
            process: None,
        })
    }

    pub(crate) fn config(&self) -> &std::path::Path {
        &self.config
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(|(child, _)| child.id())
    }

    /// Starts the process and waits until it is ready.
    pub(crate) async fn up(&mut self) -> Result<(), Failure> {
        let sockets = match self.sockets.take() {
            Some(held) => held,
            None => Sockets::bind(self.addresses)?,
        };
        let pass = |socket: &TcpListener| Ok::<_, Failure>(Stdio::from(OwnedFd::from(socket.try_clone()?)));
        let mut child = Command::new("sh")
            .args(["-c", SOCKETS, "sh"])
            .arg(&self.program)
            .arg("serve")
            .arg("--config")
            .arg(&self.config)
            .stdin(pass(&sockets.gateway)?)
            .stdout(pass(&sockets.admin)?)
            .stderr(OpenOptions::new().create(true).append(true).open(&self.log)?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        self.sockets = Some(sockets);
        let guard = Guard::of(child.id().unwrap_or_default());
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait()? {
                self.sockets = None;
                return Err(format!("{}: {status}; see {}", self.name, self.log.display()).into());
            }
            if self.is_ready().await {
                self.process = Some((child, guard));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("{} doesn't become ready; see {}", self.name, self.log.display()).into())
    }

    /// What a load balancer asks.
    async fn is_ready(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(self.addresses.admin).await?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: cluster\r\nConnection: close\r\n\r\n").await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer.starts_with(b"HTTP/1.1 200"))
        };
        matches!(tokio::time::timeout(Duration::from_secs(1), ask).await, Ok(Ok(true)))
    }

    /// How it has ended, if it just did so by itself.
    pub(crate) fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        let Some((child, _)) = &mut self.process else { return Ok(None) };
        let Some(status) = child.try_wait()? else { return Ok(None) };
        self.process = None;
        self.sockets = None;
        Ok(Some(status))
    }

    /// Ends the process as an operator does; its sockets stay.
    pub(crate) async fn down(&mut self) {
        let Some((child, _guard)) = &mut self.process else { return };
        if let Some(pid) = child.id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?))
        {
            // Also one that stands still.
            for signal in [rustix::process::Signal::TERM, rustix::process::Signal::CONT] {
                let _gone = rustix::process::kill_process(pid, signal);
            }
        }
        if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
            drop(child.kill().await);
        }
        self.process = None;
    }
}
