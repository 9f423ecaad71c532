//! One gateway of the fleet: `drawbridge serve` as a child process, with a proxy before each of its services.

use super::proxy::Proxy;
use super::record::Micros;
use crate::support::{Answer, SOON};
use parking_lot::Mutex;
use serde_json::Value;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The name by which all gateways are called.
pub(crate) const PUBLIC: &str = "gate.example";
/// The longest that a client waits.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a gateway is started with.
pub(crate) struct Start<'a> {
    pub(crate) number: usize,
    pub(crate) folder: &'a Path,
    pub(crate) config: String,
    pub(crate) sql: Proxy,
    pub(crate) redis: Proxy,
    pub(crate) upstream: Option<Proxy>,
    pub(crate) env: &'a [(String, String)],
    /// The network namespace that it lives in.
    pub(crate) namespace: Option<&'a str>,
}

/// A gateway; killed when dropped.
pub(crate) struct Node {
    pub(crate) number: usize,
    child: Mutex<Child>,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    log: Arc<Mutex<String>>,
    pub(crate) sql: Proxy,
    pub(crate) redis: Proxy,
    _upstream: Option<Proxy>,
    pub(crate) client: reqwest::Client,
}

impl Node {
    /// Starts it and waits until it takes requests.
    pub(crate) async fn start(start: Start<'_>) -> Self {
        let file = start.folder.join(format!("gateway-{}.toml", start.number));
        std::fs::write(&file, &start.config).expect("a file");
        let program = env!("CARGO_BIN_EXE_drawbridge");
        let mut command = match start.namespace {
            None => Command::new(program),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name, program]);
                command
            }
        };
        command.args(["serve", "--config"]).arg(&file).envs(start.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("drawbridge starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, mut pipe) = (log.clone(), child.stderr.take().expect("stderr"));
        std::thread::spawn(move || {
            let mut buffer = [0_u8; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                kept.lock().push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        let begun = Instant::now();
        let ready = loop {
            let said = log.lock().clone();
            if let Some(line) = said.lines().find(|line| line.contains("the gateway is ready"))
                && let Ok(line) = serde_json::from_str::<Value>(line)
            {
                break line;
            }
            let gone = child.try_wait().expect("a child");
            assert!(
                gone.is_none() && begun.elapsed() < SOON,
                "gateway {} doesn't get ready ({gone:?}):\n{said}",
                start.number
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let address = |name: &str| -> SocketAddr {
            ready[name].as_str().and_then(|text| text.parse().ok()).expect("an address in the log")
        };
        let client = reqwest::Client::builder().timeout(PATIENCE).http1_only().build().expect("a client");
        let node = Self {
            number: start.number,
            child: Mutex::new(child),
            address: address("gateway"),
            admin: address("admin"),
            log,
            sql: start.sql,
            redis: start.redis,
            _upstream: start.upstream,
            client,
        };
        node.until_ready(true).await;
        node
    }

    /// One request; `None` when there is no whole answer.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Option<Answer> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("http://{}{path}", self.address);
        let request = self.client.request(method, url).header("host", PUBLIC).bearer_auth(token);
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.ok()?.to_vec();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Some(Answer { status, headers, body, json })
    }

    /// What its admin listener says; `None` when it says nothing.
    pub(crate) async fn admin(&self, path: &str) -> Option<Answer> {
        let request = self.client.get(format!("http://{}{path}", self.admin)).timeout(Duration::from_secs(2));
        Some(Answer::of(request.send().await.ok()?).await)
    }

    /// Whether /readyz answers 200.
    pub(crate) async fn is_ready(&self) -> bool {
        self.admin("/readyz").await.is_some_and(|answer| answer.status == 200)
    }

    /// Waits until it is, or isn't.
    pub(crate) async fn until_ready(&self, ready: bool) {
        let begun = Instant::now();
        while self.is_ready().await != ready {
            assert!(begun.elapsed() < SOON, "gateway {} ready: never {ready}\n{}", self.number, self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the process has logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }

    fn pid(&self) -> rustix::process::Pid {
        let id = i32::try_from(self.child.lock().id()).expect("a process id");
        rustix::process::Pid::from_raw(id).expect("a process id")
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("a process to signal");
    }

    /// Its end: `kill -9`.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock();
        drop(child.kill());
        drop(child.wait());
    }

    /// `SIGTERM`, and what it exits with.
    pub(crate) async fn stop(&self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.lock().try_wait().expect("a child") {
                return status.code();
            }
            assert!(begun.elapsed() < SOON, "gateway {} doesn't stop\n{}", self.number, self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(6_000);
            let from = (from..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
            eprintln!("---- log of gateway {} (its end)\n{}", self.number, &log[from..]);
        }
        self.kill();
    }
}

/// How long something took, for people.
pub(crate) fn ms(micros: Micros) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}
