//! The gateway under measurement: the release binary, `serve`, the delivered policies and the demo's schema. `dev`
//! runs first, on the same records, to seed them.

use super::measure::PROXY_CORE;
use super::process::{Process, command, first_line, wait_for};
use super::scrape::Scrape;
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A running gateway.
pub(crate) struct Gateway {
    /// The process.
    pub(crate) process: Process,
    /// Where customers reach it.
    pub(crate) address: SocketAddr,
    /// Where operators do.
    pub(crate) admin: SocketAddr,
    /// An org user's token.
    pub(crate) owner: String,
    /// A platform user's token.
    pub(crate) staff: String,
    /// Another one's.
    pub(crate) staff2: String,
    /// The org that may be impersonated.
    pub(crate) org: String,
    /// Where its records are.
    pub(crate) data: tempfile::TempDir,
}

/// The release binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_drawbridge");

/// What to start.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// The program.
    pub(crate) binary: &'a Path,
    /// The customer API.
    pub(crate) upstream: SocketAddr,
    /// Whether it writes an access log.
    pub(crate) access_log: bool,
    /// On one core, which is its own.
    pub(crate) pinned: bool,
    /// Threads; `None`: one for each core.
    pub(crate) workers: Option<usize>,
    /// A PostgreSQL with the tables made; `None`: SQLite.
    pub(crate) database: Option<&'a str>,
    /// More of the configuration, whole tables.
    pub(crate) more: &'a str,
}

impl Setup<'_> {
    /// The gateway that was built with this program: SQLite, one worker.
    pub(crate) fn pinned_to_one_worker(upstream: SocketAddr, pinned: bool) -> Self {
        Self {
            binary: BINARY.as_ref(),
            upstream,
            access_log: false,
            pinned,
            workers: Some(1),
            database: None,
            more: "",
        }
    }
}

/// Seeds records and serves them.
pub(crate) fn start(setup: &Setup<'_>) -> Gateway {
    // Beside the build, not in /tmp: that may be a disk in memory, where a commit costs nothing.
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let told = seed(setup, data.path());
    let text = |pointer: &str| told.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    let address: SocketAddr = text("/gateway").trim_start_matches("http://").parse().unwrap();
    let admin: SocketAddr = text("/admin").trim_start_matches("http://").parse().unwrap();

    let config = data.path().join("bench.toml");
    std::fs::write(&config, configuration(setup, data.path(), address, admin)).unwrap();
    let process = command(setup.binary.as_os_str(), PROXY_CORE, setup.pinned)
        .args(["serve", "--config"])
        .arg(&config)
        .spawn()
        .expect("drawbridge starts");
    let process = Process(process);
    wait_for(address);
    Gateway {
        process,
        address,
        admin,
        owner: text("/tokens/owner"),
        staff: text("/tokens/staff"),
        staff2: text("/tokens/staff2"),
        org: text("/orgs/acme"),
        data,
    }
}

fn seed(setup: &Setup<'_>, data: &Path) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut dev = Command::new(setup.binary);
    dev.args(["dev", "--listen", "127.0.0.1:0", "--format", "json"])
        .args(["--upstream", &format!("http://{}", setup.upstream)])
        .arg("--schema")
        .arg(root.join("schemas/customer-api.cedarschema"))
        .arg("--data")
        .arg(data)
        .stdout(Stdio::piped());
    if let Some(url) = setup.database {
        dev.env("DRAWBRIDGE_TEST_DATABASE_URL", url);
    }
    let mut dev = Process(dev.spawn().expect("drawbridge starts"));
    let told = serde_json::from_str(&first_line(&mut dev.0)).expect("what `dev` says");
    let stopped = Command::new("kill").args(["-TERM", &dev.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    drop(dev.0.wait());
    told
}

fn configuration(setup: &Setup<'_>, data: &Path, address: SocketAddr, admin: SocketAddr) -> String {
    let dir = data.display();
    let log = if setup.access_log { format!("{dir}/access.log") } else { "off".to_owned() };
    let mut text = String::new();
    writeln!(text, "[server]\nlisten = \"{address}\"\nadmin_listen = \"{admin}\"").unwrap();
    writeln!(text, "public_url = \"http://{address}\"").unwrap();
    if let Some(workers) = setup.workers {
        writeln!(text, "workers = {workers}").unwrap();
    }
    writeln!(text, "[upstream]\nurl = \"http://{}\"", setup.upstream).unwrap();
    writeln!(text, "[data]\ndir = \"{dir}\"\nmaster_key_file = \"{dir}/master.key\"").unwrap();
    if let Some(url) = setup.database {
        writeln!(text, "[database]\nurl = \"{url}\"").unwrap();
    }
    writeln!(text, "[policy]\npolicies = \"{dir}/policies\"\nschemas = \"{dir}/schemas\"").unwrap();
    writeln!(text, "[log]\nlevel = \"warn\"\naccess = \"{log}\"\n{}", setup.more).unwrap();
    text
}

impl Gateway {
    /// Mints an impersonation; its token.
    pub(crate) async fn mint(&self) -> String {
        self.mint_as(&self.staff).await
    }

    /// The same by the platform user whose token it is.
    pub(crate) async fn mint_as(&self, staff: &str) -> String {
        let url = format!("http://{}/api/v1/platform/orgs/{}/impersonate", self.address, self.org);
        let answer = reqwest::Client::new()
            .post(url)
            .bearer_auth(staff)
            .body(r#"{"reason": "cameras offline since 03:00", "ticket_ref": "INC-7"}"#)
            .send()
            .await
            .unwrap();
        let body = answer.text().await.unwrap();
        let minted: Value = serde_json::from_str(&body).unwrap();
        minted["token"].as_str().unwrap_or_else(|| panic!("no grant: {body}")).to_owned()
    }

    /// How many audit transactions there were, and how many seconds they took.
    pub(crate) async fn commits(&self) -> (f64, f64) {
        let scrape = self.scrape().await;
        let figure = |name| scrape.figure(name);
        (figure("drawbridge_audit_commit_seconds_count"), figure("drawbridge_audit_commit_seconds_sum"))
    }

    /// Waits until it takes requests of every kind.
    pub(crate) async fn is_ready(&self) {
        let (url, begun) = (format!("http://{}/readyz", self.admin), Instant::now());
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{url} never says that it is ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Its metrics now.
    pub(crate) async fn scrape(&self) -> Scrape {
        Scrape::of(self.admin).await
    }
}
