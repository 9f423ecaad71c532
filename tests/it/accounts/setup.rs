//! The setup gate, over HTTP and by command: shut to all before, shut to itself after.

use crate::support::{Answer, Held, token_by_chain};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

const BOOTSTRAP: &str = "/api/v1/platform/setup/bootstrap";

struct Site {
    folder: tempfile::TempDir,
    held: Held,
    client: reqwest::Client,
}

impl Site {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = env!("CARGO_MANIFEST_DIR");
        let at = folder.path().display();
        let text = format!(
            "[server]\npublic_url = \"http://gate.example\"\n[upstream]\nurl = \"http://127.0.0.1:9\"\n[data]\ndir = \"{at}/data\"\n\
             [policy]\npolicies = \"{sources}/policies\"\nschemas = \"{sources}/schemas\"\nwatch = false\n\
             [log]\nlevel = \"debug\"\naccess = \"{at}/access.log\"\n{more}\n"
        );
        std::fs::write(folder.path().join("drawbridge.toml"), text).unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { folder, held: Held::new(), client }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("drawbridge.toml")
    }

    /// Runs a command of the operator; exit code, stdout, stderr.
    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_drawbridge"))
            .args(args)
            .args(["--config"])
            .arg(self.config())
            .output()
            .unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
        (output.status.code(), out, err)
    }

    /// Signs the first admin in by the form.
    async fn sign_in(&self, password: &str) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("email", "first@vendor.example")
            .append_pair("password", password)
            .finish();
        let request = self.client.post(format!("http://{}/platform/login", self.held.gateway()));
        let request = request.header("host", "gate.example").header("origin", "http://gate.example");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        Answer::of(request.send().await.unwrap()).await
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let url = format!("http://{}{path}", self.held.gateway());
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, url).header("host", "gate.example");
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        Answer::of(request.send().await.unwrap()).await
    }
}

/// What the start says on standard error.
fn told(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("setup_secret\""))?;
    let line: Value = serde_json::from_str(line).expect("one line of JSON");
    assert_eq!(line["setup_required"], "http://gate.example/platform/setup");
    Some(line["setup_secret"].as_str().expect("a secret").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_served_before_setup_and_setup_only_once() {
    let mut site = Site::new("");
    let config = site.config();
    let mut gateway = site.held.serve(&config);
    gateway.ready(&site.held, &site.client).await;
    for (method, path) in [
        ("GET", "/api/v1/cameras"),
        ("GET", "/api/v1/platform/me"),
        ("POST", "/api/v1/platform/orgs/org_x/impersonate"),
        ("GET", "/nothing/there"),
        ("GET", BOOTSTRAP),
    ] {
        let refused = site.call(method, path, None).await.problem(503, "SETUP_REQUIRED");
        assert_eq!(refused.header("retry-after"), "5");
    }
    site.call("GET", "/.well-known/jwks.json", None).await.expect(200);
    let ready = site.client.get(format!("http://{}/readyz", site.held.admin())).send().await.unwrap();
    assert_eq!(ready.json::<Value>().await.unwrap()["set_up"], false);

    let secret = told(&gateway.log()).expect("the setup secret");
    let asked =
        |secret: &str| json!({ "secret": secret, "email": "First@Vendor.example", "display_name": "First" });
    site.call("POST", BOOTSTRAP, Some(asked("dbsetup_wrong"))).await.problem(401, "UNAUTHENTICATED");
    site.call("POST", BOOTSTRAP, Some(json!({ "secret": secret }))).await.problem(422, "INVALID_BODY");
    let bad = json!({ "secret": secret, "email": "nobody" });
    site.call("POST", BOOTSTRAP, Some(bad)).await.problem(422, "INVALID_BODY");
    let made = site.call("POST", "/api/platform/setup/v1/bootstrap", Some(asked(&secret))).await.expect(201);
    assert_eq!((made.text("/email"), made.text("/tenant_id")), ("first@vendor.example", "platform"));
    assert!(made.text("/platform_user_id").starts_with("pu_") && made.text("/initial_password").len() == 16);
    for given in [secret.as_str(), "dbsetup_wrong"] {
        site.call("POST", BOOTSTRAP, Some(asked(given))).await.problem(409, "SETUP_DONE");
    }
    site.call("GET", "/api/v1/cameras", None).await.problem(401, "UNAUTHENTICATED");

    // The password that was shown is nowhere; nor is the secret that was tried.
    let initial = made.text("/initial_password").to_owned();
    let access_log = std::fs::read_to_string(site.folder.path().join("access.log")).unwrap();
    let log = gateway.log();
    gateway.stop().await;
    for told in [&initial, "dbsetup_wrong"] {
        assert!(!access_log.contains(told) && !log.contains(told), "{told} is in a log");
        super::secrets::not_in_files(&site.folder.path().join("data"), told);
    }
    assert!(!access_log.contains(&secret));
    super::secrets::not_in_files(&site.folder.path().join("data"), &secret);

    // It stays so, and is told no more.
    let mut again = site.held.serve(&config);
    again.ready(&site.held, &site.client).await;
    site.call("GET", "/api/v1/cameras", None).await.problem(401, "UNAUTHENTICATED");
    assert_eq!(told(&again.log()), None);
    again.stop().await;
    let (code, _, err) = site.run(&["setup", "--email", "second@vendor.example"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("set up"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_setup_secrets_are_throttled() {
    let mut site = Site::new("");
    let config = site.config();
    let mut gateway = site.held.serve(&config);
    gateway.ready(&site.held, &site.client).await;
    let asked = json!({ "secret": "guess", "email": "first@vendor.example" });
    for _ in 0..10 {
        site.call("POST", BOOTSTRAP, Some(asked.clone())).await.problem(401, "UNAUTHENTICATED");
    }
    let waits = site.call("POST", BOOTSTRAP, Some(asked)).await.problem(429, "RATE_LIMITED");
    assert_eq!(waits.header("retry-after"), "1");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_sets_a_running_gateway_up() {
    let mut site = Site::new("");
    let config = site.config();
    let mut gateway = site.held.serve(&config);
    gateway.ready(&site.held, &site.client).await;
    site.call("GET", "/api/v1/cameras", None).await.problem(503, "SETUP_REQUIRED");
    let (code, out, err) = site.run(&["setup", "--email", "first@vendor.example"]);
    assert_eq!((code, out.trim().len()), (Some(0), 16), "{out}{err}");
    assert!(err.contains("shown once"), "{err}");
    crate::support::eventually("the gate opens", async || {
        (site.call("GET", "/api/v1/cameras", None).await.status == 401).then_some(())
    })
    .await;
    // Break-glass needs the folder for itself.
    let (code, _, err) = site.run(&["user", "password", "--email", "first@vendor.example"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("another gateway"), "{err}");
    gateway.stop().await;
    let (code, issued, err) =
        site.run(&["user", "password", "--email", "FIRST@vendor.example", "--reset-second-factor"]);
    assert_eq!((code, issued.trim().len()), (Some(0), 16), "{err}");
    assert_ne!(issued, out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_names_the_first_admin() {
    let mounted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(mounted.path(), "a mounted one, for one day\n").unwrap();
    let more = format!(
        "[setup.operator]\nemail = \"first@vendor.example\"\npassword_file = \"{}\"\n",
        mounted.path().display()
    );
    let mut site = Site::new(&more);
    let config = site.config();
    let mut gateway = site.held.serve(&config);
    gateway.ready(&site.held, &site.client).await;
    site.call("GET", "/api/v1/cameras", None).await.problem(401, "UNAUTHENTICATED");
    let asked = json!({ "secret": "x", "email": "other@vendor.example" });
    site.call("POST", BOOTSTRAP, Some(asked)).await.problem(409, "SETUP_DONE");
    assert_eq!(told(&gateway.log()), None);
    assert!(!gateway.log().contains("a mounted one"));

    // What is mounted is an initial password: it signs in once, and no further than to its change.
    site.sign_in("another one, for one day").await.expect(401);
    let signed_in = site.sign_in("a mounted one, for one day").await.expect(303);
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap();
    let me = format!("http://{}/api/v1/platform/me", site.held.gateway());
    let me = site.client.get(me).header("host", "gate.example").header("cookie", cookie);
    Answer::of(me.send().await.unwrap()).await.problem(403, "PASSWORD_CHANGE_REQUIRED");
    site.sign_in("a mounted one, for one day").await.expect(401);
    gateway.stop().await;
    let (_, out, _) = site.run(&["user", "list"]);
    assert!(out.contains("first@vendor.example") && out.contains("platform-admin"), "{out}");

    // At the next start it is there already, whatever the file says by then: nothing is made or set anew.
    std::fs::write(mounted.path(), "a newer one, for one day\n").unwrap();
    let mut again = site.held.serve(&config);
    again.ready(&site.held, &site.client).await;
    for spent in ["a newer one, for one day", "a mounted one, for one day"] {
        site.sign_in(spent).await.expect(401);
    }
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_tells_accounts_that_stay_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let start = || crate::support::GatewayBuilder::new().data(&folder.path().join("data")).start();
    let first = start();
    let accounts = first.told["accounts"].clone();
    for name in ["staff", "staff2"] {
        let text = |member: &str| accounts[name][member].as_str().unwrap_or_default().to_owned();
        assert!(text("email").ends_with("@drawbridge.example"), "{accounts}");
        assert_eq!((text("password").len(), text("totp_secret").len()), (24, 32), "{accounts}");
    }
    assert_ne!(accounts["staff"]["password"], accounts["staff2"]["password"]);
    let environment = std::fs::read_to_string(first.data.join("dev.env")).unwrap();
    assert!(environment.contains(accounts["staff"]["totp_secret"].as_str().unwrap()), "{environment}");
    drop(first);
    let again = start();
    assert_eq!(again.told["accounts"], accounts);
    // They aren't only told: each signs in with what was told at the first start.
    for name in ["staff", "staff2"] {
        let text = |member: &str| accounts[name][member].as_str().unwrap();
        let (url, otp) = (again.url(""), super::code(text("totp_secret"), 0));
        let token = token_by_chain(&again.client, &url, text("email"), text("password"), Some(&otp)).await;
        let me = again.get("/api/v1/platform/me", &token).await.expect(200);
        assert_eq!((me.text("/email"), me.text("/two_factor")), (text("email"), "enabled"));
    }
}
