//! What an operator does and looks at: configure, set up, serve, watch, rotate, stop.

use crate::support::{Answer, Gateway, Recorder, SOON, eventually, raw_exchange};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The public name in the configuration; the port is whatever the system gave.
const PUBLIC: &str = "gate.example";

/// A configured server: its folder and what its operator runs there.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(upstream: &str, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let delivered = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["policies", "schemas"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            for file in std::fs::read_dir(delivered.join(name)).unwrap().map(|file| file.unwrap().path()) {
                std::fs::copy(&file, folder.path().join(name).join(file.file_name().unwrap())).unwrap();
            }
        }
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\npublic_url = \"http://{PUBLIC}\"\n\
             [upstream]\nurl = \"{upstream}\"\n[policy]\n{policy}\n[log]\naccess = \"access.log\"\n"
        );
        std::fs::write(folder.path().join("drawbridge.toml"), text).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
        command.args(words.split(' ')).args(["--config", "drawbridge.toml"]).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &str) -> Output {
        let mut child = self.command(words).spawn().unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > SOON {
                drop(child.kill());
                panic!("`{words}` doesn't end");
            }
            std::thread::yield_now();
        }
        child.wait_with_output().unwrap()
    }

    /// Runs an operator's command; its stdout.
    fn does(&self, words: &str) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(0), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    async fn serve(&self) -> Server {
        let mut child = self.command("serve").spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, mut pipe) = (log.clone(), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0_u8; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        let ready = eventually("the gateway is ready", async || {
            let log = log.lock().unwrap().clone();
            let ready = log.lines().find(|line| line.contains("the gateway is ready"))?;
            serde_json::from_str::<Value>(ready).ok()
        })
        .await;
        let address = |name: &str| ready[name].as_str().unwrap().to_owned();
        Server {
            child,
            log,
            address: address("gateway"),
            admin: address("admin"),
            client: reqwest::Client::new(),
        }
    }
}

/// A running `serve`; killed when dropped.
struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    address: String,
    admin: String,
    client: reqwest::Client,
}

impl Server {
    async fn call(&self, method: &str, path: &str, token: &str, body: Value) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("http://{}{path}", self.address));
        let request = request.header("host", PUBLIC).bearer_auth(token);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        Answer::of(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, token, Value::Null).await
    }

    async fn admin(&self, path: &str) -> Answer {
        Answer::of(self.client.get(format!("http://{}{path}", self.admin)).send().await.unwrap()).await
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Whether the process holds an inotify descriptor. That an edit is not read can't be waited for.
    fn watches_files(&self) -> bool {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        descriptors
            .filter_map(|one| std::fs::read_link(one.unwrap().path()).ok())
            .any(|to| to.to_string_lossy().contains("inotify"))
    }

    async fn ended(mut self) -> Option<i32> {
        let ended = eventually("the gateway ends", || std::future::ready(self.child.try_wait().unwrap()));
        ended.await.code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- log of the gateway\n{}", self.log.lock().unwrap());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sets_up_a_server_from_nothing_and_beside_it() {
    let upstream = Recorder::start().await;
    let site = Site::new(&upstream.url(), "");
    assert!(site.does("check").starts_with("ok drawbridge.toml"));
    // Before the first start.
    let acme = site.does("org add --name Acme --slug acme --owner-email owner@acme.example");
    site.does("user add-platform --email ops@vendor.example --display-name Ops --role platform-admin");
    let server = site.serve().await;
    // Beside the running gateway.
    let globex =
        site.does("org add --name Globex --slug globex --owner-email o@globex.example --no-support-access");
    site.does("user add-org-user --org acme --email owner@acme.example --display-name Olga --role owner");
    site.does("user add-bot --org acme --name recorder --role operator");
    let staff = site.does("token issue --platform-user ops@vendor.example");
    let owner = site.does("token issue --org-user owner@acme.example");
    let bot = site.does("token issue --bot recorder --org acme");
    let orgs = site.does("org list");
    assert!(orgs.contains(&acme) && orgs.contains(&globex), "{orgs}");
    assert!(site.does("user list").contains("ops@vendor.example"));

    server.get("/api/v1/cameras", &owner).await.expect(200);
    server.get("/api/v1/cameras", &bot).await.expect(200);
    server.get("/api/v1/cameras", &staff).await.problem(403, "PLATFORM_ACCESS_DENIED");
    let reason = json!({ "reason": "cameras offline since 03:00", "ticket_ref": "INC-7" });
    let mint = |org: &str| format!("/api/v1/platform/orgs/{org}/impersonate");
    server.call("POST", &mint(&globex), &staff, reason.clone()).await.problem(403, "IMPERSONATION_BLOCKED");
    let minted = server.call("POST", &mint(&acme), &staff, reason).await.expect(201);
    let token = minted.text("/token");
    let seen = server.get("/api/v1/cameras", token).await.expect(200);
    assert!(upstream.saw(seen.header("x-request-id")));
    let filter = format!("?request_id={}", seen.header("x-request-id"));
    for (log, whose) in
        [(format!("/api/v1/orgs/{acme}/audit-log"), &owner), ("/api/v1/platform/audit-log".into(), &staff)]
    {
        let page = server.get(&format!("{log}{filter}"), whose).await.expect(200);
        assert_eq!(page.json["items"].as_array().unwrap().len(), 1, "{page}");
    }
    let off = json!({ "allow_platform_impersonation": false });
    let switched = server.call("PATCH", &format!("/api/v1/orgs/{acme}/support-access"), &owner, off).await;
    assert_eq!(switched.expect(200).json["ended"], 1);
    server.get("/api/v1/cameras", token).await.problem(401, "IMPERSONATION_REVOKED");

    assert!(site.does("check").starts_with("ok "), "beside the gateway too");
    let second = site.run("serve");
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another gateway"));
    let unknown = site.run("token issue --org-user nobody@acme.example");
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.starts_with("error: ") && !said.contains("panicked") && !said.contains("demo"), "{said}");
    server.signal("-TERM");
    assert_eq!(server.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_reads_policies_and_opens_the_access_log_again() {
    let upstream = Recorder::start().await;
    let site = Site::new(&upstream.url(), "watch = false");
    site.does("user add-platform --email staff@vendor.example --display-name Stella --role platform-admin");
    site.does("org add --name Acme --slug acme --owner-email owner@acme.example");
    site.does("user add-org-user --org acme --email owner@acme.example --display-name Olga --role owner");
    let owner = site.does("token issue --org-user owner@acme.example");
    let server = site.serve().await;
    let first = server.get("/api/v1/cameras", &owner).await.expect(200).header("x-request-id").to_owned();
    let old = server.admin("/readyz").await.expect(200).json["policy_hash"].clone();
    std::fs::rename(site.path("access.log"), site.path("access.log.1")).unwrap();
    let rule = "@id(\"closed\") @code(\"CLOSED\") @status(\"403\") @audit(\"control\") @priority(\"300\") @help(\"Not today, come again.\")\n\
                forbid (principal, action == Action::\"listCameras\", resource);\n";
    std::fs::write(site.path("policies/closed.cedar"), rule).unwrap();
    assert!(!server.watches_files(), "`watch = false`, and yet somebody is told of edits");
    server.get("/api/v1/cameras", &owner).await.expect(200);
    server.signal("-HUP");
    eventually("the new set is in force", async || {
        (server.admin("/readyz").await.json["policy_hash"] != old).then_some(())
    })
    .await;
    eventually("the access log is opened again", async || site.path("access.log").exists().then_some(()))
        .await;
    let last = server.get("/api/v1/cameras", &owner).await.problem(403, "CLOSED");
    let last = last.header("x-request-id").to_owned();
    server.signal("-TERM");
    assert_eq!(server.ended().await, Some(0));
    let [before, after] =
        ["access.log.1", "access.log"].map(|name| std::fs::read_to_string(site.path(name)).unwrap());
    assert!(before.contains(&first) && !before.contains(&last), "{before}");
    assert!(after.contains(&last) && !after.contains(&first), "{after}");
}

#[tokio::test]
async fn the_access_log_is_one_json_line_a_request_whatever_the_client_sends() {
    let gateway = Gateway::demo();
    let (grant, id) = gateway.mint("staff", "acme").await;
    let allowed = gateway.get("/api/v1/cameras", &grant).await.expect(200);
    let denied = gateway.get("/api/v1/cameras", gateway.token("staff")).await.expect(403);
    let stranger = gateway.get("/api/v1/cameras", "").await.expect(401);
    let hostile: [&[u8]; 5] = [
        b"\"},{\"status\":200}",
        b"a\tb \\u0000 \\ \x7f",
        b"\xff\xfe\x80 \xe2\x80\xa8",
        b"\x1b[2J\x1b[31mred",
        b"${jndi:ldap://x} %n%s <script>",
    ];
    let mut served = 0;
    for agent in hostile {
        let mut bytes = format!(
            "GET /api/v1/cameras?a=%22%0a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {grant}\r\nUser-Agent: ",
            gateway.authority()
        )
        .into_bytes();
        bytes.extend_from_slice(agent);
        bytes.extend_from_slice(b"\r\n\r\n");
        let answer = Box::pin(raw_exchange(gateway.authority(), &bytes)).await;
        // Control characters are no header (RFC 9110 §5.5): not a request yet, so no line either.
        let control = agent.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
        assert!(answer.starts_with(if control { "HTTP/1.1 400" } else { "HTTP/1.1 200" }), "{answer}");
        served += usize::from(!control);
    }
    let lines = eventually("the lines are written", async || {
        let lines = gateway.access_lines();
        let path = |line: &&Value| line["path"] == "/api/v1/cameras";
        (lines.iter().filter(path).count() >= 3 + served).then_some(lines)
    })
    .await;
    let line = |answer: &Answer| {
        let id = answer.header("x-request-id");
        let mut of_it = lines.iter().filter(|line| line["request_id"] == id);
        let line = of_it.next().unwrap_or_else(|| panic!("no line of {id}"));
        assert!(of_it.next().is_none(), "two lines of {id}");
        line
    };
    assert_eq!((&line(&allowed)["status"], &line(&allowed)["impersonation"]), (&json!(200), &json!(id)));
    assert!(
        line(&allowed)["principal"].as_str().unwrap().starts_with("pu_")
            || line(&allowed)["principal"] == id.as_str()
    );
    assert_eq!(
        (&line(&denied)["status"], &line(&denied)["code"]),
        (&json!(403), &json!("PLATFORM_ACCESS_DENIED"))
    );
    assert_eq!((&line(&stranger)["status"], &line(&stranger)["principal"]), (&json!(401), &Value::Null));
    let text = std::fs::read_to_string(gateway.data.join("access.log")).unwrap();
    assert!(!text.contains('\x1b') && !text.contains(&grant), "control characters or a token in the log");
    // The audit log takes them too, and the API gives them back as JSON.
    let told =
        gateway.platform_log(&format!("&impersonation_id={id}&event=platform.impersonated_request")).await;
    assert_eq!(told.len(), 1 + served, "{told:#?}");
}

#[tokio::test]
async fn the_admin_listener_tells_health_and_metrics() {
    let gateway = Gateway::demo();
    let admin = async |path: &str| {
        Answer::of(gateway.client.get(gateway.admin_url(path)).send().await.unwrap()).await.expect(200)
    };
    let (grant, _) = gateway.mint("staff", "acme").await;
    gateway.mint("staff2", "acme").await;
    gateway.get("/api/v1/cameras", &grant).await.expect(200);
    gateway.get("/api/v1/cameras", gateway.token("staff")).await.expect(403);
    assert_eq!(admin("/healthz").await.body, b"ok\n");
    let ready = admin("/readyz").await.json;
    let hash = ready["policy_hash"].as_str().unwrap();
    assert!(ready["applied_change"].is_u64() && ready["view_age_ms"].is_u64(), "{ready}");
    // A request is counted when it is over, a moment after its answer.
    let text = eventually("the refusal is counted", async || {
        let text = String::from_utf8(admin("/metrics").await.body).unwrap();
        text.contains("drawbridge_requests_total{class=\"4xx\"} 1").then_some(text)
    })
    .await;
    let value = |name: &str| -> f64 {
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(value("drawbridge_decisions_total{code=\"PLATFORM_ACCESS_DENIED\"}"), 1.0);
    assert!(value("drawbridge_decisions_total{code=\"permit\"}") >= 3.0);
    for stage in ["authenticate", "authorize", "record", "upstream", "total"] {
        let count = value(&format!("drawbridge_stage_seconds_count{{stage=\"{stage}\"}}"));
        assert!(count >= 1.0, "{stage} was never measured");
    }
    assert!(value("drawbridge_audit_commit_seconds_count") >= 1.0);
    assert!(value("drawbridge_audit_entries_total") >= 1.0);
    assert!(value("drawbridge_requests_total{class=\"2xx\"}") >= 3.0);
    assert!(value("drawbridge_requests_total{class=\"4xx\"}") >= 1.0);
    assert_eq!(value("drawbridge_impersonations_live"), 2.0);
    assert_eq!(value("drawbridge_audit_failures_total"), 0.0);
    assert_eq!(value(&format!("drawbridge_policy_info{{hash=\"{hash}\"}}")), 1.0);
    // Not through the gate.
    gateway.get("/metrics", gateway.token("owner")).await.problem(404, "ROUTE_NOT_DECLARED");
}
