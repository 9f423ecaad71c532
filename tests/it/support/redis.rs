//! Real Redis servers on free ports of the loopback: single, Sentinels, a cluster, TLS. Each is gone when its
//! value is dropped, also by a panic, and when this process is killed. The unit tests of the live store and
//! `examples/cluster` include this file.

#![allow(dead_code, reason = "each includer uses a part")]

use redis::{Client, Connection, ConnectionAddr, FromRedisValue, IntoConnectionInfo, TlsCertificates};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for the thing itself; fails when it doesn't come.
pub(crate) async fn until(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !seen().await {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A port that nobody has at this moment. Another process may take it: then the server doesn't start, and the
/// caller tries again.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Kills a process when this one has ended, however that came: a shell waits for the end of a pipe from here.
pub(crate) struct Guard(Child);

impl Guard {
    pub(crate) fn of(pid: u32) -> Self {
        let script = "trap '' HUP INT TERM; read -r _; kill -KILL \"$1\" 2>/dev/null";
        let shell = Command::new("sh")
            .args(["-c", script, "sh", &pid.to_string()])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(shell.unwrap())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The process is gone, and its number may be another's: so the shell first, its pipe after.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A `redis-server` process.
pub(crate) struct Server {
    child: Child,
    guard: Guard,
    pub(crate) port: u16,
    arguments: Vec<String>,
    ca: Option<Vec<u8>>,
    dir: tempfile::TempDir,
}

fn spawn(arguments: &[String], dir: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let spawned = Command::new("redis-server")
        .args(arguments)
        .current_dir(dir)
        // Ctrl-C in a terminal is for the program that started it.
        .process_group(0)
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log)
        .spawn();
    spawned.unwrap_or_else(|error| {
        panic!("`redis-server` can't be started ({error}): install it, on Debian by `apt-get install redis-server`")
    })
}

impl Server {
    /// A server with further settings; `{port}` in them is its port.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        Self::with_files(&[], settings).await
    }

    /// Takes TLS only, with a certificate of its own authority.
    pub(crate) async fn tls() -> Self {
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let ca = authority.self_signed(&authority_key).unwrap().pem();
        let key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let cert = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let cert = cert.signed_by(&key, &issuer).unwrap().pem();
        let files = [("ca.pem", ca.as_str()), ("cert.pem", &cert), ("key.pem", &key.serialize_pem())];
        let settings = "--tls-port {port} --tls-cert-file cert.pem --tls-key-file key.pem \
                        --tls-ca-cert-file ca.pem --tls-auth-clients no";
        Self::with_files(&files, &settings.split(' ').collect::<Vec<_>>()).await
    }

    async fn with_files(files: &[(&str, &str)], settings: &[&str]) -> Self {
        let mut dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let ca = files.iter().find(|(name, _)| *name == "ca.pem").map(|(_, pem)| pem.as_bytes().to_vec());
        for _ in 0..5 {
            let port = free_port();
            let plain_port = if ca.is_some() { "0" } else { "{port}" };
            let own = [
                "--port",
                plain_port,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--repl-diskless-sync-delay",
                "0",
            ];
            // A file of settings comes first.
            let conf = files.iter().find(|(name, _)| *name == "conf").map(|(name, _)| name);
            let all = conf.into_iter().chain(&own).chain(settings);
            let arguments: Vec<_> = all.map(|word| word.replace("{port}", &port.to_string())).collect();
            let child = spawn(&arguments, dir.path());
            let guard = Guard::of(child.id());
            let mut server = Self { child, guard, port, arguments, ca: ca.clone(), dir };
            if server.answers().await {
                return server;
            }
            dir = std::mem::replace(&mut server.dir, tempfile::tempdir().unwrap());
        }
        panic!("redis-server doesn't start: {}", std::fs::read_to_string(dir.path().join("log")).unwrap());
    }

    /// Whether it comes to answer; `false` if it has ended.
    async fn answers(&mut self) -> bool {
        let mut ended = false;
        until("redis-server answers", async || {
            ended = self.child.try_wait().unwrap().is_some();
            ended || self.try_connect().is_ok()
        })
        .await;
        !ended
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        let host = "127.0.0.1".to_owned();
        let client = match &self.ca {
            None => Client::open(ConnectionAddr::Tcp(host, self.port).into_connection_info()?)?,
            Some(ca) => {
                pingora::tls::install_default_crypto_provider();
                let address =
                    ConnectionAddr::TcpTls { host, port: self.port, insecure: false, tls_params: None };
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(ca.clone()) };
                Client::build_with_tls(address.into_connection_info()?, certificates)?
            }
        };
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        let pong: redis::RedisResult<String> = redis::cmd("PING").query(&mut connection);
        match pong {
            Err(error) if error.code() == Some("NOAUTH") => Ok(connection),
            other => other.map(|_| connection),
        }
    }

    /// A connection as the default user.
    pub(crate) fn connect(&self) -> Connection {
        self.try_connect().unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// One command as the default user.
    pub(crate) fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", self.log()))
    }

    /// One command, which may fail.
    pub(crate) fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut cmd = redis::cmd(words[0]);
        cmd.arg(&words[1..]);
        cmd.query(&mut self.try_connect()?)
    }

    /// `redis://127.0.0.1:port`, or `rediss`.
    pub(crate) fn url(&self) -> String {
        format!("redis{}://127.0.0.1:{}", if self.ca.is_some() { "s" } else { "" }, self.port)
    }

    /// Where the authority of its certificate is.
    pub(crate) fn ca(&self) -> Option<Vec<u8>> {
        self.ca.clone()
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// It stands still, with its connections open.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// It is gone, as by a power cut.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// It comes back at the same port.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(&self.arguments, self.dir.path());
        self.guard = Guard::of(self.child.id());
        assert!(self.answers().await, "redis-server doesn't come back: {}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Also one that is paused: SIGKILL doesn't ask.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A primary, its replica and three Sentinels.
pub(crate) struct Sentinels {
    pub(crate) primary: Server,
    pub(crate) replica: Server,
    pub(crate) sentinels: Vec<Server>,
}

impl Sentinels {
    pub(crate) const SERVICE: &str = "main";

    pub(crate) async fn start() -> Self {
        let primary = Server::start(&[]).await;
        let of = primary.port.to_string();
        let replica = Server::start(&["--replicaof", "127.0.0.1", &of]).await;
        until("the replica follows", async || {
            primary.command::<String>(&["INFO", "replication"]).contains("state=online")
        })
        .await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let conf = format!(
                "sentinel monitor main 127.0.0.1 {of} 2\nsentinel down-after-milliseconds main 500\n\
                 sentinel failover-timeout main 3000\nsentinel known-replica main 127.0.0.1 {}\n",
                replica.port
            );
            sentinels.push(Server::with_files(&[("conf", &conf)], &["--sentinel"]).await);
        }
        let all = Self { primary, replica, sentinels };
        until("the Sentinels know each other", async || {
            all.sentinels.iter().all(|one| {
                let known: Vec<String> = one.command(&["SENTINEL", "MASTER", Self::SERVICE]);
                let field = |name: &str| {
                    known
                        .iter()
                        .position(|word| word == name)
                        .map(|at| known[at + 1].clone())
                        .unwrap_or_default()
                };
                field("num-other-sentinels") == "2"
                    && field("num-slaves") == "1"
                    && field("flags") == "master"
            })
        })
        .await;
        all
    }

    pub(crate) fn url(&self) -> String {
        let nodes: Vec<_> = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis+sentinel://{}/{}", nodes.join(","), Self::SERVICE)
    }
}

/// Three primaries that share all slots.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let bus = free_port().to_string();
            let settings =
                ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"];
            nodes.push((Server::start(&settings).await, bus));
        }
        for (n, (node, _)) in nodes.iter().enumerate() {
            let (first, last) = (n * 16_384 / 3, (n + 1) * 16_384 / 3 - 1);
            node.command::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]);
            node.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            for (other, bus) in &nodes {
                node.command::<()>(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string(), bus]);
            }
        }
        let nodes: Vec<_> = nodes.into_iter().map(|(node, _)| node).collect();
        until("the cluster is whole", async || {
            nodes.iter().all(|node| {
                let info: String = node.command(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
        })
        .await;
        Self { nodes }
    }

    pub(crate) fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }
}
