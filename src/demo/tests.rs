use super::{DemoOrgs, serve};
use crate::domain::ids::OrgId;
use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::{CancellationToken, DropGuard};

const ACME: &str = "org_acme";
const GLOBEX: &str = "org_globex";

/// A running demo; it stops when this is dropped.
struct Running {
    address: String,
    client: Client,
    _stop: DropGuard,
}

impl Running {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let orgs = DemoOrgs { acme: OrgId::parse(ACME).unwrap(), globex: OrgId::parse(GLOBEX).unwrap() };
        tokio::spawn(serve(listener, orgs, stop.clone()));
        Self { address, client: Client::new(), _stop: stop.drop_guard() }
    }

    async fn call(&self, method: Method, path: &str, org: Option<&str>, body: Option<Value>) -> Response {
        let mut request = self.client.request(method, format!("http://{}{path}", self.address));
        if let Some(org) = org {
            request = request.header("x-drawbridge-org", org).header("x-request-id", "req_1");
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str, org: &str) -> (u16, Value) {
        read(self.call(Method::GET, path, Some(org), None).await).await
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn an_org_reaches_its_own_ids_and_no_others() {
    let demo = Running::start().await;
    let (status, mine) = demo.get("/api/v1/cameras", ACME).await;
    assert_eq!((status, mine["items"].as_array().unwrap().len()), (200, 3));
    assert_eq!(demo.get("/api/v1/cameras/cam_globex_1", GLOBEX).await.0, 200);

    let (status, foreign) = demo.get("/api/v1/cameras/cam_globex_1", ACME).await;
    let (_, absent) = demo.get("/api/v1/cameras/cam_nowhere", ACME).await;
    assert_eq!(status, 404);
    assert_eq!(foreign, absent, "a foreign id has to look like one that doesn't exist");

    for (method, path, body) in [
        (Method::PATCH, "/api/v1/cameras/cam_globex_1", Some(json!({"name": "taken"}))),
        (Method::DELETE, "/api/v1/cameras/cam_globex_1", None),
        (Method::PATCH, "/api/v1/members/mem_globex_owner", Some(json!({"role": "viewer"}))),
        (Method::POST, "/api/v1/transfer-ownership", Some(json!({"to": "mem_globex_admin"}))),
        (Method::GET, "/api/v1/orgs/org_globex/cameras", None),
    ] {
        assert_eq!(demo.call(method, path, Some(ACME), body).await.status(), 404, "{path}");
    }
    let (_, camera) = demo.get("/api/v1/cameras/cam_globex_1", GLOBEX).await;
    assert_eq!(camera["name"], "Lobby");
    assert_eq!(demo.get("/api/v1/cameras", "org_new").await.1["items"], json!([]));
}

#[tokio::test]
async fn without_an_org_there_is_nothing_but_the_page_and_the_echo() {
    let demo = Running::start().await;
    for path in [
        "/api/v1/cameras",
        "/api/v1/cameras/cam_acme_1",
        "/api/v1/orgs/org_acme/cameras",
        "/api/v1/events",
        "/api/v1/events/stream",
        "/api/v1/live",
        "/api/v1/members",
        "/api/v1/billing/plan",
    ] {
        let (status, body) = read(demo.call(Method::GET, path, None, None).await).await;
        assert_eq!((status, &body["error"]["code"]), (401, &json!("NO_IDENTITY")), "{path}");
    }
    let (status, body) = read(demo.call(Method::DELETE, "/api/v1/org", None, None).await).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("NO_IDENTITY")));
    let (status, page) = read(demo.call(Method::GET, "/", None, None).await).await;
    assert_eq!(status, 200);
    assert!(page.as_str().unwrap().contains("Nobody vouches"));
    assert!(!page.as_str().unwrap().contains("cam_"));
}

#[tokio::test]
async fn writes_are_seen_by_the_next_read() {
    let demo = Running::start().await;
    let new = json!({"name": "Roof", "location": "East"});
    let (status, camera) =
        read(demo.call(Method::POST, "/api/v1/cameras", Some(ACME), Some(new)).await).await;
    assert_eq!(status, 201);
    let path = format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap());
    demo.call(Method::PATCH, &path, Some(ACME), Some(json!({"online": false}))).await;
    assert_eq!(demo.get(&path, ACME).await.1["online"], false);
    assert_eq!(demo.call(Method::DELETE, &path, Some(ACME), None).await.status(), 204);
    assert_eq!(demo.get(&path, ACME).await.0, 404);

    let member = json!({"email": "new@acme.example", "role": "viewer"});
    let (_, member) = read(demo.call(Method::POST, "/api/v1/members", Some(ACME), Some(member)).await).await;
    let path = format!("/api/v1/members/{}", member["id"].as_str().unwrap());
    let (_, changed) =
        read(demo.call(Method::PATCH, &path, Some(ACME), Some(json!({"role": "admin"}))).await).await;
    assert_eq!(changed["role"], "admin");

    demo.call(Method::PATCH, "/api/v1/billing/plan", Some(ACME), Some(json!({"plan": "premium"}))).await;
    assert_eq!(demo.get("/api/v1/billing/plan", ACME).await.1["plan"], "premium");
    assert_eq!(demo.get("/api/v1/billing/plan", GLOBEX).await.1["plan"], "standard");

    let to = json!({"to": "mem_acme_admin"});
    assert_eq!(
        demo.call(Method::POST, "/api/v1/transfer-ownership", Some(ACME), Some(to)).await.status(),
        200
    );
    let (_, members) = demo.get("/api/v1/members", ACME).await;
    let owners: Vec<_> =
        members["items"].as_array().unwrap().iter().filter(|m| m["role"] == "owner").collect();
    assert_eq!((owners.len(), &owners[0]["id"]), (1, &json!("mem_acme_admin")));
    assert_eq!(demo.call(Method::DELETE, "/api/v1/org", Some(ACME), None).await.status(), 202);
}

#[tokio::test]
async fn a_wrong_body_is_named() {
    let demo = Running::start().await;
    let body = json!({"name": "Roof", "owner": "me"});
    let (status, answer) =
        read(demo.call(Method::POST, "/api/v1/cameras", Some(ACME), Some(body)).await).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("INVALID_BODY")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("owner"));
    assert_eq!(demo.call(Method::PUT, "/api/v1/cameras", Some(ACME), None).await.status(), 405);
    assert_eq!(demo.get("/api/v2", ACME).await.0, 404);
}

#[tokio::test]
async fn echo_tells_what_arrived() {
    let demo = Running::start().await;
    let target = "/api/v1/echo?a=%2F&b=%zz&a=1";
    let body = vec![7_u8; 5_000_000];
    let sent = demo.client.request(Method::PUT, format!("http://{}{target}", demo.address));
    let (status, told) =
        read(sent.header("x-two", "1").header("x-two", "2").body(body.clone()).send().await.unwrap()).await;
    assert_eq!((status, &told["method"], &told["target"]), (200, &json!("PUT"), &json!(target)));
    let headers = told["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-two", "1"])) && headers.contains(&json!(["x-two", "2"])));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body);
    assert_eq!(told["body"], json!({"length": 5_000_000, "sha256": hex::encode(digest)}));
    let (_, empty) = demo.get("/api/v1/echo", ACME).await;
    assert_eq!(empty["body"]["sha256"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[tokio::test]
async fn hits_hold_every_request_but_their_own() {
    let demo = Running::start().await;
    demo.get("/api/v1/cameras", ACME).await;
    demo.get("/nowhere", ACME).await;
    demo.call(Method::GET, "/", None, None).await;
    let (_, hits) = read(demo.call(Method::GET, "/__hits", None, None).await).await;
    assert_eq!(hits, json!({"count": 3, "request_ids": ["req_1", "req_1"]}));
    assert_eq!(demo.call(Method::DELETE, "/__hits", None, None).await.status(), 204);
    let (_, hits) = read(demo.call(Method::GET, "/__hits", None, None).await).await;
    assert_eq!(hits, json!({"count": 0, "request_ids": []}));
}

#[tokio::test]
async fn a_stream_begins_at_once_and_ends_with_the_server() {
    let demo = Running::start().await;
    let response = demo.call(Method::GET, "/api/v1/events/stream", Some(GLOBEX), None).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut chunks = response.bytes_stream();
    let first = String::from_utf8(chunks.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.contains("cam_globex_"), "{first}");
    assert!(String::from_utf8_lossy(&chunks.next().await.unwrap().unwrap()).contains("id: 1"));
    drop(demo);
    while let Some(Ok(_)) = chunks.next().await {}
}

#[tokio::test]
async fn the_websocket_echoes() {
    let demo = Running::start().await;
    let mut request = format!("ws://{}/api/v1/live", demo.address).into_client_request().unwrap();
    request.headers_mut().insert("x-drawbridge-org", ACME.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    for message in [Message::text("hello"), Message::binary(vec![0, 255])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
}

#[tokio::test]
async fn the_page_escapes_what_it_shows() {
    let demo = Running::start().await;
    let camera = json!({"name": "<script>alert(1)</script>"});
    demo.call(Method::POST, "/api/v1/cameras", Some(ACME), Some(camera)).await;
    let (_, page) = demo.get("/", ACME).await;
    let page = page.as_str().unwrap();
    assert!(page.contains("Loading dock") && page.contains("&lt;script&gt;") && !page.contains("<script>"));
}
