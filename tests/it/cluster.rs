//! `make cluster`'s program: what it tells, that its gateways are one, and that nothing of it is left.

use crate::support::{Answer, SOON, eventually};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The program and what it said.
struct Cluster {
    child: Child,
    told: Value,
    client: reqwest::Client,
    /// Also where its temporary folder is.
    home: tempfile::TempDir,
}

/// `cargo test` builds examples beside the tests; a single target (`--test it`) doesn't.
fn program() -> PathBuf {
    let profile = Path::new(env!("CARGO_BIN_EXE_drawbridge")).parent().expect("target/PROFILE");
    let program = profile.join("examples/cluster");
    assert!(program.exists(), "it isn't built: cargo build --example cluster");
    program
}

impl Cluster {
    fn start() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(home.path(), open).expect("PostgreSQL gets through");
        let stderr = std::fs::File::create(home.path().join("stderr")).expect("a file");
        let mut child = Command::new(program())
            .args(["--format", "json", "--drawbridge", env!("CARGO_BIN_EXE_drawbridge")])
            .env("TMPDIR", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
        let client = reqwest::Client::new();
        let mut cluster = Self { child, told: Value::Null, client, home };
        cluster.told = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        cluster
    }

    fn text(&self, pointer: &str) -> &str {
        self.told.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    async fn call(
        &self,
        gateway: usize,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Answer {
        let url = format!("{}{path}", self.text(&format!("/gateways/{gateway}")));
        let request = self.client.request(method.parse().unwrap(), url);
        let request = request.bearer_auth(self.told["tokens"][token].as_str().unwrap_or(token));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        Answer::of(request.body(body).send().await.unwrap()).await
    }

    fn pids(&self) -> Vec<(String, u64)> {
        let pids = self.told["pids"].as_object().expect("pids");
        pids.iter().map(|(name, pid)| (name.clone(), pid.as_u64().expect("a number"))).collect()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// What is still there of it: processes by name, and its folder.
    async fn is_gone(&mut self) {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < SOON, "it doesn't end");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let data = PathBuf::from(self.text("/data"));
        let what = "processes and the folder are gone";
        eventually(what, async || {
            let left = self.pids().into_iter().filter(|(_, pid)| alive(*pid, self.home.path())).count();
            (left == 0 && !data.exists()).then_some(())
        })
        .await;
    }
}

/// Whether `pid` is still the process that it was: all but the gateways' Redis name the folder, and its number may be
/// another's by now.
fn alive(pid: u64, home: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let line = String::from_utf8_lossy(&line).into_owned();
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    line.contains(&home.display().to_string()) || cwd.starts_with(home)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.home.path().join("stderr")).unwrap_or_default());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_are_one_and_nothing_is_left_of_them() {
    let mut cluster = Cluster::start();
    for key in ["gateway", "admin", "upstream", "policies", "schemas", "data", "redis", "postgres"] {
        assert!(cluster.told[key].is_string(), "{key} in {}", cluster.told);
    }
    assert_eq!(cluster.told["gateway"], cluster.told["gateways"][0]);
    assert_eq!(cluster.told["admin"], cluster.told["admins"][0]);
    assert!(cluster.told["accounts"]["staff"]["email"].is_string());
    let home = cluster.home.path().to_owned();
    for (name, pid) in cluster.pids().into_iter().filter(|(name, _)| name != "cluster") {
        assert!(alive(pid, &home), "{name}, process {pid}");
    }
    // All three answer, and each knows of the others.
    for n in 0..3 {
        cluster.call(n, "GET", "/api/v1/cameras", "owner", None).await.expect(200);
        cluster.call(n, "GET", "/api/v1/cameras", "staff", None).await.problem(403, "PLATFORM_ACCESS_DENIED");
        let ready = cluster.client.get(format!("{}/readyz", cluster.text(&format!("/admins/{n}")))).send();
        let ready = ready.await.unwrap();
        assert_eq!(ready.status(), 200);
        let ready: Value = ready.json().await.unwrap();
        assert_eq!(ready["gateways"].as_array().map(Vec::len), Some(3), "{ready}");
        assert_eq!(ready["live"]["connected"], true, "{ready}");
    }
    // Minted at the first, good at the second, ended at the third, refused at all.
    let acme = cluster.text("/orgs/acme").to_owned();
    let reason = json!({ "reason": "cameras offline since 03:00" });
    let mint = format!("/api/v1/platform/orgs/{acme}/impersonate");
    let minted = cluster.call(0, "POST", &mint, "staff", Some(reason)).await.expect(201);
    let grant = minted.text("/token").to_owned();
    cluster.call(1, "GET", "/api/v1/cameras", &grant, None).await.expect(200);
    let switch = format!("/api/v1/orgs/{acme}/support-access");
    let off = Some(json!({ "allow_platform_impersonation": false }));
    cluster.call(2, "PATCH", &switch, "owner", off).await.expect(200);
    for n in 0..3 {
        cluster.call(n, "GET", "/api/v1/cameras", &grant, None).await.problem(401, "IMPERSONATION_REVOKED");
    }
    // The whole group of `make` gets a signal, and `make` passes it on: twice the same wish.
    cluster.signal("-TERM");
    cluster.signal("-TERM");
    cluster.is_gone().await;
    let said = std::fs::read_to_string(cluster.home.path().join("stderr")).unwrap();
    assert!(!said.contains("at once\ncluster: stopped"), "{said}");
    assert_eq!(cluster.child.wait().unwrap().code(), Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_killed_leaves_nothing() {
    let mut cluster = Cluster::start();
    // One that stands still doesn't stay either.
    let pids = cluster.pids();
    let gateway = pids.iter().find(|(name, _)| name == "gateway-b").map(|(_, pid)| pid.to_string()).unwrap();
    assert!(Command::new("kill").args(["-STOP", &gateway]).status().unwrap().success());
    cluster.signal("-KILL");
    cluster.is_gone().await;
}
