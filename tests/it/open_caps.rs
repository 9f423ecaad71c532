//! Caps on what is open to the upstream, under one session and in all: what is above is refused and not
//! forwarded, and every place comes back, whatever held it and however it ended.

use crate::support::{Answer, Door, Open, SOON, Target, eventually, websocket};
use drawbridge::config::{Config, Tls};
use drawbridge::domain::OrgRole;
use serde_json::json;
use std::num::NonZeroUsize;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;

const SSE: &str = "/api/v1/events/stream";

fn caps(all: usize, per_session: usize) -> impl Fn(&mut Config) {
    move |config| {
        config.limits.open_requests = NonZeroUsize::new(all);
        config.limits.open_requests_per_session = NonZeroUsize::new(per_session);
    }
}

async fn open_is(door: &Door, wanted: usize) {
    let what = format!("{wanted} open");
    eventually(&what, async || (door.open_requests().await == wanted).then_some(())).await;
}

/// What holds a place until it is dropped.
#[expect(dead_code, reason = "held open")]
enum Held {
    Events(Open),
    Upload(Open),
    WebSocket(Box<WebSocketStream<TcpStream>>),
}

const KINDS: [&str; 3] = ["events", "upload", "websocket"];

/// Opens one kind of stream, and waits until it is the `n`th that is open.
async fn hold(door: &Door, kind: &str, token: &str, n: usize) -> Held {
    let target = door.target();
    let held = match kind {
        "events" => {
            let mut events = Open::begin(&target, "GET", SSE, token, "").await;
            assert!(events.read_until("data:").await, "an event comes");
            Held::Events(events)
        }
        "upload" => Held::Upload(upload(&target, token).await),
        _ => Held::WebSocket(Box::new(websocket(&target, token).await)),
    };
    open_is(door, n).await;
    held
}

async fn upload(target: &Target, token: &str) -> Open {
    let mut upload =
        Open::begin(target, "POST", "/api/v1/echo", token, "Content-Length: 1000000000\r\n").await;
    upload.send(b"the beginning").await.unwrap();
    upload
}

/// Refused by a cap, with help and a time to wait, and unknown to the upstream.
async fn refused(door: &Door, token: &str, status: u16) -> String {
    let answer = door.get("/api/v1/cameras", token).await.problem(status, "RATE_LIMITED");
    assert_eq!(answer.header("retry-after"), "1", "{answer}");
    let id = answer.text("/request_id").to_owned();
    assert!(!door.upstream_saw(&id).await, "it was forwarded: {answer}");
    id
}

async fn admitted(door: &Door, token: &str) {
    eventually("a place comes back", async || {
        let answer = door.get("/api/v1/cameras", token).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_has_its_share_and_each_kind_gives_its_place_back() {
    let door = Door::open(caps(0, 3)).await;
    let other = door.person("other@acme.example", OrgRole::Operator, 3_600_000).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let mut held = Vec::new();
    for (n, kind) in KINDS.into_iter().enumerate() {
        held.push((kind, hold(&door, kind, &door.owner, n + 1).await));
    }
    // Twice round, so that each kind takes a place that another kind gave back.
    for _ in 0..2 * KINDS.len() {
        refused(&door, &door.owner, 429).await;
        let large = "Content-Length: 1000000000\r\n";
        for (method, path, more) in
            [("GET", SSE, ""), ("POST", "/api/v1/echo", large), ("GET", "/api/v1/live", upgrade)]
        {
            let mut next = Open::begin(&door.target(), method, path, &door.owner, more).await;
            let answer = tokio::time::timeout(SOON, next.read_until("\r\n")).await;
            assert_eq!(answer, Ok(true), "{method} {path}: no answer");
            let line = String::from_utf8_lossy(&next.got);
            assert!(line.starts_with("HTTP/1.1 429 "), "{method} {path}: {line}");
        }
        door.get("/api/v1/cameras", &other).await.expect(200);
        door.get("/api/v1/me", &door.owner).await.expect(200);
        let (kind, gone) = held.remove(0);
        drop(gone);
        admitted(&door, &door.owner).await;
        open_is(&door, 2).await;
        held.push((kind, hold(&door, kind, &door.owner, 3).await));
    }
    drop(held);
    open_is(&door, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_come_at_once_get_exactly_the_places_there_are() {
    let door = Door::open(caps(7, 4)).await;
    let other = door.person("other@acme.example", OrgRole::Operator, 3_600_000).await;
    for _ in 0..3 {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..60 {
            let (target, token) = (door.target(), if n % 2 == 0 { &door.owner } else { &other }.clone());
            tasks.spawn(async move {
                let mut events = Open::begin(&target, "GET", SSE, &token, "").await;
                assert!(events.read_until("\r\n").await, "an answer");
                let status = String::from_utf8_lossy(&events.got[9..12]).into_owned();
                (token, status, events)
            });
        }
        let opened = tasks.join_all().await;
        let count = |token: Option<&String>, status: &str| {
            opened.iter().filter(|o| token.is_none_or(|t| o.0 == *t) && o.1 == status).count()
        };
        assert_eq!(count(None, "200"), 7, "{:?}", opened.iter().map(|o| &o.1).collect::<Vec<_>>());
        assert!(count(Some(&door.owner), "200") <= 4 && count(Some(&other), "200") <= 4);
        assert_eq!(count(None, "429"), 53);
        assert_eq!(door.open_requests().await, 7);
        drop(opened);
        open_is(&door, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_gateway_can_be_told_to_end_what_fills_it() {
    let door = Door::open(caps(3, 2)).await;
    for way in ["customer", "own token", "switch"] {
        let (token, id) = door.mint().await;
        let held = [hold(&door, "websocket", &token, 1).await, hold(&door, "upload", &token, 2).await];
        let full = refused(&door, &token, 429).await;
        let last = hold(&door, "events", &door.owner, 3).await;
        let own = refused(&door, &door.owner, 429).await;
        drop(last);
        open_is(&door, 2).await;
        // The grant's second place is free, and the gateway full.
        let [one, _two] = held;
        drop(one);
        open_is(&door, 1).await;
        let rest = [hold(&door, "events", &door.owner, 2).await, hold(&door, "upload", &door.owner, 3).await];
        let crowded = refused(&door, &token, 429).await;
        door.get("/api/v1/platform/impersonations", &door.staff.token).await.expect(200);
        let org = format!("/api/v1/orgs/{}", door.org);
        match way {
            "customer" => door.call("DELETE", &format!("{org}/impersonations/{id}"), &door.owner, None).await,
            "own token" => {
                door.call("POST", "/api/v1/platform/end-impersonation", &token, Some(json!({}))).await
            }
            _ => {
                let off = json!({ "allow_platform_impersonation": false });
                door.call("PATCH", &format!("{org}/support-access"), &door.owner, Some(off)).await
            }
        }
        .expect(200);
        // What was cut has given its place back; nobody closed it.
        open_is(&door, 2).await;
        door.get("/api/v1/cameras", &token).await.problem(401, "IMPERSONATION_REVOKED");
        drop(rest);
        open_is(&door, 0).await;
        let filter = format!("&decision=deny&impersonation_id={id}&event=platform.impersonated_request");
        for log in door.both_logs(&filter).await {
            for (request, status) in [(&full, 429), (&crowded, 429)] {
                let entry = log.iter().find(|e| e["request_id"] == **request);
                let entry = entry.unwrap_or_else(|| panic!("{request} isn't in the log: {log:#?}"));
                assert_eq!((&entry["code"], &entry["status"]), (&json!("RATE_LIMITED"), &json!(status)));
            }
            assert!(log.iter().all(|e| e["request_id"] != *own), "the owner's is no impersonated request");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_http2_connection_are_counted_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let files = Tls { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let made = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let door = Door::open(|config| {
        caps(0, 2)(config);
        config.server.tls = Some(files);
    })
    .await;
    let client = reqwest::Client::builder()
        .resolve("gateway.test", door.target().authority.parse().unwrap())
        .danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let get = async |path: &str, token: &str| {
        let answer = client.get(format!("https://gateway.test{path}")).bearer_auth(token).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        answer
    };
    let too_many = async |token: &str| {
        let answer = get(SSE, token).await;
        // A stream that is let in has no end to read to.
        assert_eq!(answer.status(), 429);
        Answer::of(answer).await.problem(429, "RATE_LIMITED");
    };
    let post = async |path: &str, token: &str, body: serde_json::Value| {
        let request = client.post(format!("https://gateway.test{path}")).bearer_auth(token);
        Answer::of(request.body(body.to_string()).send().await.expect("an answer")).await
    };
    let mint = format!("/api/v1/platform/orgs/{}/impersonate", door.org);
    let body = json!({ "reason": "cameras offline since 03:00" });
    let minted = post(&mint, &door.staff.token, body).await.expect(201);
    let grant = minted.text("/token");
    let (mut one, mut two) = (get(SSE, grant).await, get(SSE, grant).await);
    assert!(one.chunk().await.unwrap().is_some() && two.chunk().await.unwrap().is_some());
    assert_eq!(door.open_requests().await, 2);
    too_many(grant).await;
    let mut bystander = get(SSE, &door.owner).await;
    assert!(bystander.chunk().await.unwrap().is_some());
    // Reset by the client.
    drop(one);
    open_is(&door, 2).await;
    let mut again = get(SSE, grant).await;
    assert_eq!(again.status(), 200);
    assert!(again.chunk().await.unwrap().is_some());
    too_many(grant).await;
    // Reset by the gateway.
    post("/api/v1/platform/end-impersonation", grant, json!({})).await.expect(200);
    open_is(&door, 1).await;
    while let Ok(Some(_)) = two.chunk().await {}
    assert!(bystander.chunk().await.unwrap().is_some());
    Answer::of(get("/api/v1/cameras", grant).await).await.problem(401, "IMPERSONATION_REVOKED");
    drop(bystander);
    open_is(&door, 0).await;
}
