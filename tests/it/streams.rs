//! What is open under a session when it ends: WebSockets, event streams, uploads, downloads, idle and busy.
//! All of it is closed; what others have open goes on. How soon is printed.

use crate::support::{Door, Gateway, GatewayBuilder, Open, SOON, Target, eventually, websocket};
use drawbridge::domain::OrgRole;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

const SSE: &str = "/api/v1/events/stream";
/// What is open under one session, and how many of them the upstream sees.
const KINDS: [&str; 6] =
    ["websocket idle", "websocket busy", "events", "upload idle", "upload busy", "download not read"];

/// All kinds, open under one session.
struct Opened {
    /// Each gives its kind and the moment at which it was closed.
    tasks: JoinSet<(&'static str, Instant)>,
    /// Told when all others are closed: who reads before may get it whole.
    read_on: watch::Sender<bool>,
}

async fn open_all(target: &Target, token: &str) -> Opened {
    let (read_on, mut ended) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut idle = websocket(target, token).await;
    assert!(echoes(&mut idle).await);
    open.spawn(async move {
        while let Some(Ok(message)) = idle.next().await {
            assert!(message.is_close(), "an idle WebSocket got {message}");
        }
        (KINDS[0], Instant::now())
    });
    let mut busy = websocket(target, token).await;
    assert!(echoes(&mut busy).await);
    open.spawn(async move {
        let mut pace = pace();
        while echoes(&mut busy).await {
            pace.tick().await;
        }
        (KINDS[1], Instant::now())
    });
    let mut events = Open::begin(target, "GET", SSE, token, "").await;
    assert!(events.read_until("data:").await, "an event comes");
    open.spawn(async move {
        events.read_to_end().await;
        assert!(!events.got.ends_with(b"\r\n0\r\n\r\n"), "it broke off, it did not end");
        (KINDS[2], Instant::now())
    });
    for (kind, method, size) in [(KINDS[3], "POST", 0), (KINDS[4], "PUT", 4096)] {
        let length = "Content-Length: 1000000000\r\n";
        let mut upload = Open::begin(target, method, "/api/v1/echo", token, length).await;
        upload.send(&[b'x'; 1024]).await.unwrap();
        open.spawn(async move {
            let (block, mut pace) = (vec![b'x'; size], pace());
            while size > 0 && upload.send(&block).await.is_ok() {
                pace.tick().await;
            }
            upload.read_to_end().await;
            assert!(!upload.got.starts_with(b"HTTP/1.1 200"), "an upload that was cut has no answer");
            (kind, Instant::now())
        });
    }
    let mut download = Open::begin(target, "GET", "/api/v1/cameras", token, "").await;
    assert!(download.read_until("HTTP/1.1 200").await);
    open.spawn(async move {
        ended.wait_for(|ended| *ended).await.unwrap();
        let got = download.read_to_end().await;
        assert!(got < LARGE, "all of the download came, {got} bytes");
        (KINDS[5], Instant::now())
    });
    Opened { tasks: open, read_on }
}

/// How busy the busy ones are: they share the machine with the gateway.
fn pace() -> tokio::time::Interval {
    tokio::time::interval(Duration::from_millis(1))
}

async fn echoes(socket: &mut tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>) -> bool {
    socket.send(Message::text("knock")).await.is_ok()
        && matches!(socket.next().await, Some(Ok(Message::Text(text))) if text.as_str() == "knock")
}

/// More than what sockets hold on the way (4 MB and a bit).
const LARGE: usize = 5 * 1_900_000;

/// A list of cameras that is [`LARGE`].
async fn furnish(create: impl AsyncFn(Value) -> u16) {
    for n in 0..5 {
        let camera = json!({ "name": format!("large {n}"), "location": "x".repeat(1_900_000) });
        assert_eq!(create(camera).await, 201);
    }
}

impl Opened {
    /// Waits until all are closed, and prints how soon after `answered`.
    async fn all_closed(mut self, what: &str, answered: Instant) {
        let mut closed: Vec<(&str, Instant)> = Vec::new();
        while !self.tasks.is_empty() {
            if closed.len() == KINDS.len() - 1 {
                self.read_on.send(true).unwrap();
            }
            let next = tokio::time::timeout(SOON, self.tasks.join_next()).await;
            let next =
                next.unwrap_or_else(|_| panic!("{what}: not all is closed after {SOON:?}, only {closed:?}"));
            closed.extend(next.map(|one| one.unwrap()));
        }
        let late = |at: &Instant| at.saturating_duration_since(answered).as_secs_f64() * 1000.0;
        let list: Vec<String> = closed.iter().map(|(kind, at)| format!("{kind} {:.1}", late(at))).collect();
        eprintln!("{what}: closed, ms after the answer: {}", list.join(", "));
        assert_eq!(closed.len(), KINDS.len());
    }
}

/// What somebody else has open all the while.
struct Bystander {
    socket: tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>,
    events: Open,
}

impl Bystander {
    async fn open(target: &Target, token: &str) -> Self {
        let mut socket = websocket(target, token).await;
        assert!(echoes(&mut socket).await);
        let mut events = Open::begin(target, "GET", SSE, token, "").await;
        assert!(events.read_until("data:").await);
        Self { socket, events }
    }

    async fn goes_on(&mut self) {
        assert!(echoes(&mut self.socket).await, "a bystander's WebSocket is untouched");
        self.events.got.clear();
        assert!(self.events.read_until("data:").await, "a bystander's events go on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_end_a_grant_closes_what_is_open() {
    let gateway = Gateway::demo();
    let (target, acme) = (gateway.target(), gateway.org("acme").to_owned());
    let owner = gateway.token("owner");
    furnish(async |camera| gateway.call("POST", "/api/v1/cameras", owner, Some(camera)).await.status).await;
    let mut bystanders = [Bystander::open(&target, owner).await, {
        let (colleagues, _) = gateway.mint("staff", "acme").await;
        Bystander::open(&target, &colleagues).await
    }];
    let staff2 = gateway.token("staff2");
    let own_end = "/api/v1/platform/end-impersonation";
    for way in ["own", "own token", "customer", "disable", "switch"] {
        let staff = if way == "switch" { "staff" } else { "staff2" };
        let (token, id) = gateway.mint(staff, "acme").await;
        let open = open_all(&target, &token).await;
        let named = Some(json!({ "impersonation_id": id }));
        match way {
            "own" => gateway.call("POST", own_end, staff2, named).await,
            "own token" => gateway.call("POST", own_end, &token, None).await,
            "customer" => {
                let path = format!("/api/v1/orgs/{acme}/impersonations/{id}");
                gateway.call("DELETE", &path, owner, None).await
            }
            "disable" => {
                let me = gateway.get("/api/v1/platform/me", staff2).await.expect(200);
                let path = format!("/api/v1/platform/users/{}/disable", me.text("/id"));
                let body = json!({ "reason": "left the company" });
                gateway.call("PATCH", &path, gateway.token("staff"), Some(body)).await
            }
            _ => gateway.switch("owner", "acme", false).await,
        }
        .expect(200);
        let answered = Instant::now();
        open.all_closed(way, answered).await;
        bystanders[0].goes_on().await;
        if way == "switch" {
            // It ends everybody's.
            assert!(!echoes(&mut bystanders[1].socket).await);
        } else {
            bystanders[1].goes_on().await;
        }
        all_cut(way, async || {
            let filter = format!("&event=platform.impersonated_request&impersonation_id={id}");
            [gateway.org_log("acme", "owner", &filter).await, gateway.platform_log(&filter).await]
        })
        .await;
    }
}

/// Each request that was open is in both logs as cut, with its cause.
async fn all_cut(what: &str, logs: impl AsyncFn() -> [Vec<Value>; 2]) {
    let logs = eventually("every outcome is written", async || {
        let logs = logs().await;
        logs.iter()
            .all(|log| !log.iter().any(|e| e["decision"] == "permit" && e["outcome"].is_null()))
            .then_some(logs)
    })
    .await;
    for log in &logs {
        let cut: Vec<&Value> = log.iter().filter(|e| e["outcome"] == "cut").collect();
        let all = || log.iter().map(|e| format!("{} {} {}\n", e["path"], e["outcome"], e["latency_ms"]));
        assert_eq!(cut.len(), KINDS.len(), "{what}:\n{}", all().collect::<String>());
        assert!(cut.iter().all(|e| e["cut_by"].as_str().is_some_and(|by| !by.is_empty())), "{cut:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_being_over_closes_what_is_open() {
    // Long enough for a loaded machine to open everything.
    let ttl = Duration::from_secs(6);
    let door = Door::open(|config| config.impersonation.ttl = ttl).await;
    let target = door.target();
    furnish(async |camera| door.call("POST", "/api/v1/cameras", &door.owner, Some(camera)).await.status)
        .await;
    let mut bystander = Bystander::open(&target, &door.owner).await;
    let (token, id) = door.mint().await;
    let person = door.person("short@acme.example", OrgRole::Operator, 6_000).await;
    let grant = open_all(&target, &token).await;
    let session = open_all(&target, &person).await;
    // Asked of the records, not under the grant: each such request would be an entry among those looked at below.
    let ended = format!("&event=platform.impersonation_ended&impersonation_id={id}");
    eventually("the grant is over", async || {
        door.both_logs(&ended).await.iter().all(|log| !log.is_empty()).then_some(())
    })
    .await;
    door.until_not(200, "/api/v1/me", &person).await.expect(401);
    let answered = Instant::now();
    grant.all_closed("a grant's expiry", answered).await;
    session.all_closed("a person's expiry", answered).await;
    bystander.goes_on().await;
    door.get("/api/v1/cameras", &token).await.problem(401, "IMPERSONATION_EXPIRED");
    door.get("/api/v1/cameras", &person).await.problem(401, "TOKEN_EXPIRED");
    let filter = format!("&event=platform.impersonated_request&impersonation_id={id}");
    all_cut("expiry", async || door.both_logs(&filter).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_http2_connection_a_cut_resets_its_own_stream_only() {
    let gateway = GatewayBuilder::new().arg("--tls").start();
    let (token, id) = gateway.mint("staff", "acme").await;
    let events = async |token: &str| {
        let mut answer = gateway.client.get(gateway.url(SSE)).bearer_auth(token).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
        assert!(answer.chunk().await.unwrap().is_some(), "an event comes");
        answer
    };
    let (mut cut, mut goes_on) = (events(&token).await, events(gateway.token("owner")).await);
    let path = format!("/api/v1/orgs/{}/impersonations/{id}", gateway.org("acme"));
    gateway.call("DELETE", &path, gateway.token("owner"), None).await.expect(200);
    let answered = Instant::now();
    let reset = loop {
        match cut.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if it were whole"),
            Err(error) => break error,
        }
    };
    eprintln!("h2: reset {:.1} ms after the answer: {reset:?}", answered.elapsed().as_secs_f64() * 1000.0);
    assert!(
        format!("{reset:?}").contains("CANCEL"),
        "a reset of the stream, not of the connection: {reset:?}"
    );
    for _ in 0..2 {
        assert!(goes_on.chunk().await.unwrap().is_some(), "the other session's stream goes on");
    }
    gateway.get("/api/v1/cameras", &token).await.problem(401, "IMPERSONATION_REVOKED");
    gateway.get("/api/v1/cameras", gateway.token("owner")).await.expect(200);
}
