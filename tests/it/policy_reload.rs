//! Edits of the policy folder while clients send on kept-alive connections. `DRAWBRIDGE_RELOADS` sets how often
//! a rule comes and goes under load (3).

use crate::support::{Answer, Gateway, eventually, number};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Clients that send at the same time, each on one connection.
const CLIENTS: usize = 16;

const CLOSED: &str = r#"
@id("cameras-closed")
@code("CAMERAS_CLOSED")
@status("403")
@audit("control")
@priority("300")
@help("The cameras are being moved; try again tomorrow.")
forbid (principal, action == Action::"listCameras", resource);
"#;

fn write(gateway: &Gateway, name: &str, text: &str) {
    // Whole at once, as editors do it: half a file would be a set of its own.
    let file = gateway.policies().join(name);
    std::fs::write(file.with_extension("new"), text).unwrap();
    std::fs::rename(file.with_extension("new"), file).unwrap();
}

fn remove(gateway: &Gateway, name: &str) {
    std::fs::remove_file(gateway.policies().join(name)).unwrap();
}

async fn ready(gateway: &Gateway) -> Value {
    gateway.client.get(gateway.admin_url("/readyz")).send().await.unwrap().json().await.unwrap()
}

fn hash(ready: &Value) -> String {
    ready["policy_hash"].as_str().unwrap().to_owned()
}

/// Waits until another set than `old` is in force and the platform's log tells it; its hash.
async fn reloaded(gateway: &Gateway, old: &str) -> String {
    eventually("policy.reloaded", async || {
        let now = hash(&ready(gateway).await);
        let told = gateway.platform_log("&event=policy.reloaded").await;
        (now != old && told.iter().any(|item| item["policy_hash"] == now.as_str())).then_some(now)
    })
    .await
}

/// One connection that stays open: what a client that never reconnects sees.
struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(authority: &str) -> Self {
        Self(BufReader::new(TcpStream::connect(authority).await.unwrap()))
    }

    /// Status of the answer, with `code` if it has one. Panics when the connection fails.
    async fn get(&mut self, path: &str, host: &str, token: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).await.expect("the connection stays open");
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).await.expect("an answer") > 0, "the connection was closed");
            let head = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = head.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(rest) = head.strip_prefix("content-length: ") {
                length = rest.parse().unwrap();
            } else if head.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.expect("a body");
        let code =
            serde_json::from_slice::<Value>(&body).ok().and_then(|b| Some(b["code"].as_str()?.to_owned()));
        (status, code.unwrap_or_default())
    }
}

/// What the clients are to see: a rule that is certainly in force, certainly not, or either.
#[derive(Default)]
struct Expected {
    may_be_open: AtomicBool,
    may_be_closed: AtomicBool,
    stop: AtomicBool,
    open: AtomicUsize,
    closed: AtomicUsize,
}

async fn client(gateway: (String, String, String), expected: Arc<Expected>) {
    let (authority, owner, grant) = gateway;
    let mut connection = Connection::open(&authority).await;
    for n in 0_usize.. {
        if expected.stop.load(Ordering::SeqCst) {
            return;
        }
        // Only what held before the request was sent and still holds after it can be demanded of it.
        let before =
            (expected.may_be_open.load(Ordering::SeqCst), expected.may_be_closed.load(Ordering::SeqCst));
        let token = if n.is_multiple_of(4) { &grant } else { &owner };
        let seen = connection.get("/api/v1/cameras", &authority, token).await;
        let after =
            (expected.may_be_open.load(Ordering::SeqCst), expected.may_be_closed.load(Ordering::SeqCst));
        match (seen.0, seen.1.as_str()) {
            (200, _) => {
                assert!(before.0 || after.0, "forwarded though the rule was in force");
                expected.open.fetch_add(1, Ordering::SeqCst);
            }
            (403, "CAMERAS_CLOSED") => {
                assert!(before.1 || after.1, "refused though the rule was not in force");
                expected.closed.fetch_add(1, Ordering::SeqCst);
            }
            _ => panic!("a request failed: {seen:?}"),
        }
        if n.is_multiple_of(8) {
            let other = connection.get("/api/v1/events", &authority, &owner).await;
            assert_eq!(other.0, 200, "{other:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_takes_effect_on_open_connections_and_no_request_fails() {
    let gateway = Gateway::demo();
    let (grant, _) = gateway.mint("staff", "acme").await;
    let expected = Arc::new(Expected::default());
    expected.may_be_open.store(true, Ordering::SeqCst);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let whom = (gateway.authority().to_owned(), gateway.token("owner").to_owned(), grant.clone());
        clients.spawn(client(whom, expected.clone()));
    }
    let flowing = async |what: &AtomicUsize| {
        let before = what.load(Ordering::SeqCst);
        eventually("requests flow", async || {
            (what.load(Ordering::SeqCst) >= before + 10 * CLIENTS).then_some(())
        })
        .await;
    };
    let mut current = hash(&ready(&gateway).await);
    for _ in 0..number("DRAWBRIDGE_RELOADS", 3) {
        flowing(&expected.open).await;
        expected.may_be_closed.store(true, Ordering::SeqCst);
        write(&gateway, "closed.cedar", CLOSED);
        current = reloaded(&gateway, &current).await;
        expected.may_be_open.store(false, Ordering::SeqCst);
        flowing(&expected.closed).await;
        expected.may_be_open.store(true, Ordering::SeqCst);
        remove(&gateway, "closed.cedar");
        current = reloaded(&gateway, &current).await;
        expected.may_be_closed.store(false, Ordering::SeqCst);
    }
    flowing(&expected.open).await;
    expected.stop.store(true, Ordering::SeqCst);
    clients.join_all().await;
    let (open, closed) = (expected.open.load(Ordering::SeqCst), expected.closed.load(Ordering::SeqCst));
    println!("{open} forwarded, {closed} refused by the rule, none failed");
}

/// Puts a faulty set there, sees that it changes nothing but what is told about it, and takes it away.
async fn refused_edit(gateway: &Gateway, text: &str, place: &str, says: &str) {
    let before = ready(gateway).await;
    write(gateway, "extra.cedar", text);
    let told = eventually("/readyz tells the fault", async || {
        let told = ready(gateway).await;
        (!told["policy_rejected"].is_null()).then_some(told)
    })
    .await;
    assert_eq!((&told["policy_hash"], &told["ready"]), (&before["policy_hash"], &before["ready"]));
    let faults = told["policy_rejected"].to_string();
    assert!(faults.contains(place) && faults.contains(says), "{faults}");
    gateway.get("/api/v1/cameras", gateway.token("owner")).await.expect(200);
    eventually("the platform's log tells it", async || {
        let told = gateway.platform_log("&event=policy.rejected").await;
        let newest = told.first()?["details"]["faults"].to_string();
        newest.contains(place).then_some(())
    })
    .await;
    eventually("the process log tells it", async || {
        let log = gateway.log();
        (log.contains(place) && log.contains("stays in force")).then_some(())
    })
    .await;
    remove(gateway, "extra.cedar");
    eventually("the fault is gone", async || ready(gateway).await["policy_rejected"].is_null().then_some(()))
        .await;
    assert_eq!(ready(gateway).await["policy_hash"], before["policy_hash"]);
}

#[tokio::test]
async fn a_broken_edit_changes_nothing_and_is_told_with_its_place() {
    let gateway = Gateway::demo();
    let rule =
        |head: &str, rest: &str| format!("// what is wrong is below\n{head}\nforbid (principal, {rest}\n");
    let rest = "@status(\"403\") @audit(\"control\") @priority(\"300\") @help(\"help\")";
    let head = &format!("@id(\"extra\") @code(\"EXTRA\") {rest}");
    let no_code = &format!("@id(\"extra\") {rest}");
    let known_id = &format!("@id(\"no-standing-access\") @code(\"EXTRA\") {rest}");
    for (text, place, says) in [
        (rule(head, "action resource);"), "extra.cedar:3:27:", "unexpected token"),
        (
            rule(head, "action, resource) when { principal.expires_at == \"soon\" };"),
            "extra.cedar:3:45:",
            "not compatible",
        ),
        (rule(no_code, "action == Action::\"listCameras\", resource);"), "extra.cedar:2:1:", "@code"),
        (rule(known_id, "action, resource);"), "no-standing-access.cedar:4:1:", "extra.cedar"),
        (rule(head, "action == Action::\"flyAway\", resource);"), "extra.cedar:3:", "flyAway"),
    ] {
        refused_edit(&gateway, &text, place, says).await;
    }
}

#[tokio::test]
async fn s_56_a_policy_that_errors_stops_its_own_requests_only() {
    let gateway = Gateway::demo();
    let old = hash(&ready(&gateway).await);
    let overflow = r#"
@id("overflows") @code("NEVER") @status("403") @audit("control") @priority("300") @help("never")
forbid (principal is Impersonation, action == Action::"listCameras", resource)
when { principal.expires_at * 9223372036854775807 > 0 };
"#;
    let (grant, _) = gateway.mint("staff", "acme").await;
    write(&gateway, "extra.cedar", overflow);
    reloaded(&gateway, &old).await;
    let before = gateway.hits().await.len();
    let stopped: Answer = gateway.get("/api/v1/cameras", &grant).await.problem(500, "POLICY_ERROR");
    assert!(!stopped.json.to_string().contains("overflow"), "policies are nobody's business: {stopped}");
    assert_eq!(gateway.hits().await.len(), before, "the upstream was asked");
    gateway.get("/api/v1/cameras", gateway.token("owner")).await.expect(200);
    gateway.get("/api/v1/events", &grant).await.expect(200);
}

#[tokio::test]
async fn a_route_that_the_schema_gains_is_reachable() {
    let gateway = Gateway::demo();
    let owner = gateway.token("owner");
    gateway.get("/api/v1/new-thing", owner).await.problem(404, "ROUTE_NOT_DECLARED");
    let old = hash(&ready(&gateway).await);
    let file = gateway.schemas().join("customer-api.cedarschema");
    let schema = std::fs::read_to_string(&file).unwrap();
    let route = r#"
@http("GET /api/v1/new-thing")
action getNewThing in [read] appliesTo {
  principal: [PlatformUser, Impersonation, OrgUser, Bot],
  resource: [Org],
  context: RequestContext,
};
"#;
    std::fs::write(&file, format!("{schema}{route}")).unwrap();
    reloaded(&gateway, &old).await;
    let before = gateway.hits().await.len();
    // The demo API knows no such thing; that it is asked is what counts.
    gateway.get("/api/v1/new-thing", owner).await.expect(404);
    assert_eq!(gateway.hits().await.len(), before + 1);
    gateway.get("/api/v1/new-thing", gateway.token("staff")).await.problem(403, "PLATFORM_ACCESS_DENIED");
}
