//! `drawbridge dev` as a child process.

use super::house::Engine;
use super::http::Answer;
use super::postgres::Database;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How a gateway is started.
pub(crate) struct GatewayBuilder {
    args: Vec<String>,
    data: Option<PathBuf>,
    env: Vec<(String, String)>,
    database: Option<Database<'static>>,
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    /// What `dev --format json` said.
    pub(crate) told: Value,
    pub(crate) data: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    stderr: Arc<Mutex<String>>,
    pub(crate) client: reqwest::Client,
    /// Dropped after the process has ended.
    _database: Option<Database<'static>>,
}

impl GatewayBuilder {
    pub(crate) fn new() -> Self {
        Self { args: Vec::new(), data: None, env: Vec::new(), database: None }
    }

    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// An environment variable of the process.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Its records on this engine.
    pub(crate) async fn on(mut self, engine: Engine) -> Self {
        if engine == Engine::Postgres {
            let database = super::house::migrated().await;
            self = self.env("DRAWBRIDGE_TEST_DATABASE_URL", database.url());
            self.database = Some(database);
        }
        self
    }

    /// A data folder that outlives the gateway.
    pub(crate) fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    fn command(&self, data: &Path) -> Command {
        let listen: &[&str] =
            if self.args.iter().any(|a| a == "--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
        command.envs(self.env.iter().cloned());
        command.arg("dev").args(listen).args(["--format", "json", "--data"]).arg(data).args(&self.args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it on the folder of [`GatewayBuilder::data`], where it is to refuse: exit code and stderr.
    pub(crate) fn refused(self) -> (Option<i32>, String) {
        let mut child =
            self.command(self.data.as_deref().expect("a data folder")).spawn().expect("it starts");
        let begun = Instant::now();
        while child.try_wait().expect("a child").is_none() {
            if begun.elapsed() > super::SOON {
                drop(child.kill());
                panic!("it doesn't refuse");
            }
            std::thread::yield_now();
        }
        let output = child.wait_with_output().expect("its output");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "it says that it is ready");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(self) -> Gateway {
        let (data, temporary) = match &self.data {
            Some(data) => (data.clone(), None),
            None => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                (folder.path().join("data"), Some(folder))
            }
        };
        let mut child = self.command(&data).spawn().expect("drawbridge starts");
        let stderr = Arc::new(Mutex::new(String::new()));
        let (kept, mut pipe) = (stderr.clone(), child.stderr.take().expect("stderr"));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0_u8; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("stdout is read");
        let Ok(told) = serde_json::from_str(&line) else {
            drop(child.kill());
            drop(child.wait());
            drop(reader.join());
            panic!("drawbridge dev said {line:?}; stderr:\n{}", stderr.lock().unwrap());
        };
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .danger_accept_invalid_certs(true)
            .timeout(Duration::from_secs(30))
            .build()
            .expect("an HTTP client");
        Gateway { child, told, data, _temporary: temporary, stderr, client, _database: self.database }
    }
}

impl Gateway {
    /// A gateway in front of the demo API.
    pub(crate) fn demo() -> Self {
        GatewayBuilder::new().start()
    }

    /// The same, with its records on this engine.
    pub(crate) async fn on(engine: Engine) -> Self {
        GatewayBuilder::new().on(engine).await.start()
    }

    fn text(&self, pointer: &str) -> &str {
        self.told
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {}", self.told))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.text("/gateway"))
    }

    /// `127.0.0.1:port` of the gateway.
    pub(crate) fn authority(&self) -> &str {
        self.text("/gateway").split("//").nth(1).expect("an authority")
    }

    /// For connections that a test holds open itself.
    pub(crate) fn target(&self) -> super::Target {
        super::Target { authority: self.authority().to_owned(), host: self.authority().to_owned() }
    }

    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("{}{path}", self.text("/admin"))
    }

    pub(crate) fn upstream_url(&self, path: &str) -> String {
        format!("{}{path}", self.text("/upstream"))
    }

    pub(crate) fn policies(&self) -> PathBuf {
        self.text("/policies").into()
    }

    pub(crate) fn schemas(&self) -> PathBuf {
        self.text("/schemas").into()
    }

    pub(crate) fn org(&self, name: &str) -> &str {
        self.text(&format!("/orgs/{name}"))
    }

    pub(crate) fn token(&self, name: &str) -> &str {
        self.text(&format!("/tokens/{name}"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process has logged so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The lines of the access log so far, each of which has to be JSON.
    pub(crate) fn access_lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.data.join("access.log")).expect("an access log");
        // The last line may be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let line = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        whole.lines().map(line).collect()
    }

    /// One request with a bearer token.
    pub(crate) async fn call(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, self.url(path));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        Answer::of(request.send().await.unwrap_or_else(|e| panic!("{path}: {e:?}\n{}", self.log()))).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, token, None).await
    }

    /// Mints with a good reason, whatever the answer.
    pub(crate) async fn try_mint(&self, staff: &str, org: &str) -> Answer {
        let path = format!("/api/v1/platform/orgs/{}/impersonate", self.org(org));
        let body = serde_json::json!({ "reason": "cameras offline since 03:00", "ticket_ref": "INC-7" });
        self.call("POST", &path, self.token(staff), Some(body)).await
    }

    /// Mints and gives (token, impersonation id).
    pub(crate) async fn mint(&self, staff: &str, org: &str) -> (String, String) {
        let minted = self.try_mint(staff, org).await.expect(201);
        (minted.text("/token").to_owned(), minted.text("/impersonation_id").to_owned())
    }

    /// The owner's switch.
    pub(crate) async fn switch(&self, owner: &str, org: &str, allow: bool) -> Answer {
        let path = format!("/api/v1/orgs/{}/support-access", self.org(org));
        let body = serde_json::json!({ "allow_platform_impersonation": allow });
        self.call("PATCH", &path, self.token(owner), Some(body)).await
    }

    /// All items of a log, newest first.
    pub(crate) async fn log_items(&self, path: &str, token: &str, filter: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit=500{filter}{cursor}"), token).await.expect(200);
            items.extend(page.json["items"].as_array().expect("items").iter().cloned());
            match page.json["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    pub(crate) async fn org_log(&self, org: &str, owner: &str, filter: &str) -> Vec<Value> {
        let path = format!("/api/v1/orgs/{}/audit-log", self.org(org));
        self.log_items(&path, self.token(owner), filter).await
    }

    pub(crate) async fn platform_log(&self, filter: &str) -> Vec<Value> {
        self.log_items("/api/v1/platform/audit-log", self.token("staff"), filter).await
    }

    /// Ids of the requests that reached the upstream.
    pub(crate) async fn hits(&self) -> Vec<String> {
        let answer = self.client.get(self.upstream_url("/__hits")).send().await.expect("the demo answers");
        let hits: Value = answer.json().await.expect("JSON");
        hits["request_ids"]
            .as_array()
            .expect("ids")
            .iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([signal, &self.pid().to_string()]).status().expect("kill runs");
        assert!(status.success(), "kill {signal}");
    }

    /// `kill -9`, and the end of it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("a child");
    }

    /// Waits for the process to end by itself; its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(begun.elapsed() < super::SOON, "the gateway doesn't end; log:\n{}", self.log());
            std::thread::yield_now();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- log of the gateway\n{}", self.log());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
