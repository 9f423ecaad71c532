//! The gateway under measurement: the release binary, `serve`, one worker, the delivered policies and the
//! demo's schema. `dev` runs first, on the same data folder, to seed it.

use super::measure::PROXY_CORE;
use super::processes::{Process, command, first_line, wait_for};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

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
    /// The org that may be impersonated.
    pub(crate) org: String,
    /// Where its records are.
    pub(crate) data: tempfile::TempDir,
}

/// The release binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_drawbridge");

/// Seeds a data folder and serves it.
pub(crate) fn start(binary: &Path, upstream: SocketAddr, access_log: bool, pinned: bool) -> Gateway {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Beside the build, not in /tmp: that may be a disk in memory, where a commit costs nothing.
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let told = seed(binary, root, data.path(), upstream);
    let text = |pointer: &str| told.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    let address: SocketAddr = text("/gateway").trim_start_matches("http://").parse().unwrap();
    let admin: SocketAddr = text("/admin").trim_start_matches("http://").parse().unwrap();

    let config = data.path().join("bench.toml");
    std::fs::write(&config, configuration(data.path(), address, admin, upstream, access_log)).unwrap();
    let process = command(binary.as_os_str(), PROXY_CORE, pinned)
        .args(["serve", "--config"])
        .arg(&config)
        .spawn()
        .expect("drawbridge starts");
    let process = Process(process);
    wait_for(address);
    let (owner, staff) = (text("/tokens/owner"), text("/tokens/staff"));
    Gateway { process, address, admin, owner, staff, org: text("/orgs/acme"), data }
}

fn seed(binary: &Path, root: &Path, data: &Path, upstream: SocketAddr) -> Value {
    let dev = Command::new(binary)
        .args(["dev", "--listen", "127.0.0.1:0", "--format", "json"])
        .args(["--upstream", &format!("http://{upstream}")])
        .arg("--schema")
        .arg(root.join("schemas/customer-api.cedarschema"))
        .arg("--data")
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .expect("drawbridge starts");
    let mut dev = Process(dev);
    let told = serde_json::from_str(&first_line(&mut dev.0)).expect("what `dev` says");
    let stopped = Command::new("kill").args(["-TERM", &dev.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    drop(dev.0.wait());
    told
}

fn configuration(
    data: &Path,
    address: SocketAddr,
    admin: SocketAddr,
    upstream: SocketAddr,
    access_log: bool,
) -> String {
    let dir = data.display();
    let log = if access_log { format!("{dir}/access.log") } else { "off".to_owned() };
    let mut text = String::new();
    writeln!(text, "[server]\nlisten = \"{address}\"\nadmin_listen = \"{admin}\"").unwrap();
    writeln!(text, "public_url = \"http://{address}\"\nworkers = 1").unwrap();
    writeln!(text, "[upstream]\nurl = \"http://{upstream}\"").unwrap();
    writeln!(text, "[data]\ndir = \"{dir}\"").unwrap();
    writeln!(text, "[policy]\npolicies = \"{dir}/policies\"\nschemas = \"{dir}/schemas\"").unwrap();
    writeln!(text, "[log]\nlevel = \"warn\"\naccess = \"{log}\"").unwrap();
    text
}

impl Gateway {
    /// Mints an impersonation; its token.
    pub(crate) async fn mint(&self) -> String {
        let url = format!("http://{}/api/v1/platform/orgs/{}/impersonate", self.address, self.org);
        let answer = reqwest::Client::new()
            .post(url)
            .bearer_auth(&self.staff)
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
        let url = format!("http://{}/metrics", self.admin);
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let figure = |name: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(name)?.trim().parse().ok())
                .unwrap_or_else(|| panic!("no {name} in\n{text}"))
        };
        (figure("drawbridge_audit_commit_seconds_count"), figure("drawbridge_audit_commit_seconds_sum"))
    }
}
