//! A disk that is full or fails: what has to be recorded stops, everything else goes on. And start-up on a data
//! folder that can't be used.

use crate::support::{Gateway, GatewayBuilder, Mount, Recorder, eventually};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Writes until nothing more fits.
fn fill(folder: &Path) {
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("ballast")).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![1_u8; size];
        while file.write_all(&block).is_ok() {}
    }
}

fn start(data: &Path, upstream: &Recorder) -> Gateway {
    GatewayBuilder::new().data(data).arg("--upstream").arg(upstream.url()).start()
}

async fn ready(gateway: &Gateway) -> (u16, Value) {
    let answer = gateway.client.get(gateway.admin_url("/readyz")).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn logged(gateway: &Gateway, text: &str) {
    eventually(text, async || gateway.log().contains(text).then_some(())).await;
}

/// Opens an answer without an end, and reads its beginning.
async fn open_stream(gateway: &Gateway, token: &str) -> reqwest::Response {
    let mut stream = gateway.client.get(gateway.url("/stream")).bearer_auth(token).send().await.unwrap();
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "first\n");
    stream
}

/// Sends impersonated requests until the log can't take any more; none of the refused ones is forwarded.
async fn until_audit_fails(gateway: &Gateway, upstream: &Recorder, token: &str) {
    eventually("the audit log fails", async || {
        let answer = gateway.get("/some/thing", token).await;
        let request_id = answer.header("x-request-id").to_owned();
        assert_eq!(upstream.saw(&request_id), answer.status == 200, "{answer}");
        (answer.status != 200).then(|| answer.problem(503, "AUDIT_UNAVAILABLE"))
    })
    .await;
}

/// Whatever the code: it is refused, and the upstream isn't asked.
async fn refused(gateway: &Gateway, upstream: &Recorder, token: &str) {
    let before = upstream.seen().len();
    let answer = gateway.get("/some/thing", token).await;
    match answer.status {
        401 => answer.problem(401, "IMPERSONATION_REVOKED"),
        // The attempt has to be recorded too.
        _ => answer.problem(503, "AUDIT_UNAVAILABLE"),
    };
    assert_eq!(upstream.seen().len(), before);
}

async fn cut(stream: &mut reqwest::Response) {
    let rest = tokio::time::timeout(crate::support::SOON, stream.chunk()).await;
    assert!(!matches!(rest.expect("the stream is cut"), Ok(Some(_))), "the stream goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_customers_and_revocations_go_on() {
    let Some(disk) = Mount::tmpfs("a full disk", 48) else { return };
    let upstream = Recorder::start().await;
    let mut gateway = start(&disk.path().join("data"), &upstream);
    let (token, grant) = gateway.mint("staff", "acme").await;
    let mut stream = open_stream(&gateway, &token).await;

    fill(disk.path());
    until_audit_fails(&gateway, &upstream, &token).await;
    let (status, told) = ready(&gateway).await;
    assert_eq!(status, 200, "customers are served: {told}");
    assert!(told["audit"]["failing"].as_str().is_some_and(|why| why.contains("full")), "{told}");
    logged(&gateway, "the disk is full").await;
    for path in ["/some/thing", "/api/v1/me"] {
        gateway.get(path, gateway.token("owner")).await.expect(200);
        gateway.get(path, gateway.token("bot")).await.expect(200);
    }
    // Whoever isn't let in is told so, recorded or not.
    gateway.call("DELETE", "/some/thing", gateway.token("viewer"), None).await.expect(403);

    let switched = gateway.switch("owner", "acme", false).await.expect(200);
    assert_eq!(switched.json["ended"], 1);
    cut(&mut stream).await;
    refused(&gateway, &upstream, &token).await;
    let filter = format!("&request_id={}", switched.header("x-request-id"));
    for log in [gateway.org_log("acme", "owner", &filter).await, gateway.platform_log(&filter).await] {
        let events: Vec<_> = log.iter().map(|item| item["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["platform.impersonation_ended", "org.support_access_changed"]);
    }
    // What the reserve left belongs to revocations.
    gateway.switch("owner", "acme", true).await.problem(503, "AUDIT_UNAVAILABLE");
    gateway.try_mint("staff", "acme").await.problem(503, "AUDIT_UNAVAILABLE");
    refused(&gateway, &upstream, &token).await;

    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    eventually("there is room, and /readyz knows", async || {
        ready(&gateway).await.1["audit"]["failing"].is_null().then_some(())
    })
    .await;
    gateway.get("/some/thing", &token).await.problem(401, "IMPERSONATION_REVOKED");
    gateway.switch("owner", "acme", true).await.expect(200);
    let (again, _) = gateway.mint("staff", "acme").await;
    gateway.get("/some/thing", &again).await.expect(200);

    // What the upstream saw is told by both logs, to its end.
    let filter = format!("&event=platform.impersonated_request&impersonation_id={grant}&decision=permit");
    let told = eventually("every outcome is written", async || {
        let told = gateway.platform_log(&filter).await;
        told.iter().all(|item| !item["outcome"].is_null()).then_some(told)
    })
    .await;
    let id = |item: &Value| item["request_id"].as_str().unwrap().to_owned();
    let org: Vec<String> = gateway.org_log("acme", "owner", &filter).await.iter().map(id).collect();
    assert_eq!(told.iter().map(id).collect::<Vec<_>>(), org);
    let seen = upstream.seen().into_iter().filter(|seen| seen.impersonation == grant);
    let unrecorded: Vec<_> = seen.filter(|seen| !org.contains(&seen.request_id)).collect();
    assert!(unrecorded.is_empty(), "{unrecorded:?}");
    gateway.signal("-TERM");
    assert_eq!(gateway.wait(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_that_turns_read_only_revocations_are_in_force_unwritten() {
    let Some(disk) = Mount::ext4("a read-only disk", 64) else { return };
    let upstream = Recorder::start().await;
    let mut gateway = start(&disk.path().join("data"), &upstream);
    let (token, _) = gateway.mint("staff", "acme").await;
    let (other, _) = gateway.mint("staff2", "acme").await;
    gateway.get("/some/thing", &token).await.expect(200);
    let mut stream = open_stream(&gateway, &token).await;

    disk.turn_read_only("remount,abort");
    gateway.switch("owner", "acme", false).await.problem(503, "AUDIT_UNAVAILABLE");
    cut(&mut stream).await;
    refused(&gateway, &upstream, &token).await;
    refused(&gateway, &upstream, &other).await;
    gateway.try_mint("staff", "acme").await.problem(503, "AUDIT_UNAVAILABLE");
    gateway.get("/some/thing", gateway.token("owner")).await.expect(200);
    gateway.get("/api/v1/me", gateway.token("viewer")).await.expect(200);
    logged(&gateway, "it is in force in this process only").await;
    let (_, told) = ready(&gateway).await;
    assert!(told["audit"]["failing"].is_string(), "{told}");
    gateway.signal("-TERM");
    assert_eq!(gateway.wait(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_owner_ended_unwritten_does_not_come_back() {
    let Some(disk) = Mount::ext4("a disk that fails for a while", 64) else { return };
    let (upstream, data) = (Recorder::start().await, disk.path().join("data"));
    let mut gateway = start(&data, &upstream);
    let authority = gateway.authority().to_owned();
    let (token, _) = gateway.mint("staff", "acme").await;

    let log = data.join("drawbridge.db-wal");
    disk.let_write(&log, false);
    gateway.switch("owner", "acme", false).await.problem(503, "AUDIT_UNAVAILABLE");
    refused(&gateway, &upstream, &token).await;
    disk.let_write(&log, true);
    let switched = gateway.switch("owner", "acme", true).await.expect(200);
    assert_eq!(switched.json["allow_platform_impersonation"], true);
    refused(&gateway, &upstream, &token).await;

    gateway.signal("-TERM");
    assert_eq!(gateway.wait(), Some(0));
    let builder = GatewayBuilder::new().data(&data).arg("--upstream").arg(upstream.url());
    let gateway = builder.arg("--listen").arg(&authority).start();
    let refused = gateway.get("/some/thing", &token).await.problem(401, "IMPERSONATION_REVOKED");
    assert_eq!(refused.json["revoke_reason"], "support_access_disabled");
    let (token, _) = gateway.mint("staff", "acme").await;
    gateway.get("/some/thing", &token).await.expect(200);
}

/// One paragraph that a person can use, and exit code 1.
#[track_caller]
fn assert_told(refused: (Option<i32>, String), words: &[&str]) {
    let (code, said) = refused;
    assert_eq!(code, Some(1), "{said}");
    let said_lines = said.lines().filter(|line| !line.starts_with('{')).count();
    assert!((1..=6).contains(&said_lines), "{said}");
    for sign in ["panicked", "Os {", "Error(", "Sqlite", "Custom {", "RUST_BACKTRACE"] {
        assert!(!said.contains(sign), "a dump: {said}");
    }
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    println!("{said}");
}

#[tokio::test]
async fn a_gateway_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let builder = || GatewayBuilder::new().data(&data);
    let mut running = builder().start();
    let authority = running.authority().to_owned();
    assert_told(builder().refused(), &["another gateway", data.to_str().unwrap()]);
    let elsewhere = GatewayBuilder::new().data(&folder.path().join("other"));
    assert_told(elsewhere.arg("--listen").arg(&authority).refused(), &[&authority, "in use"]);
    running.get("/api/v1/cameras", running.token("owner")).await.expect(200);
    running.signal("-TERM");
    assert_eq!(running.wait(), Some(0));

    let key = data.join("master.key");
    let right = std::fs::read(&key).unwrap();
    std::fs::write(&key, [7_u8; 32]).unwrap();
    assert_told(builder().refused(), &["master key", key.to_str().unwrap(), "put"]);
    std::fs::write(&key, b"short").unwrap();
    assert_told(builder().refused(), &["master key", "32 bytes"]);
    std::fs::write(&key, right).unwrap();
    File::create(folder.path().join("a-file")).unwrap();
    assert_told(GatewayBuilder::new().data(&folder.path().join("a-file")).refused(), &["a-file"]);
    builder().start();
}

#[test]
fn a_gateway_on_a_read_only_or_full_disk_says_why() {
    let Some(disk) = Mount::tmpfs("start on a read-only disk", 24) else { return };
    let data = disk.path().join("data");
    let builder = || GatewayBuilder::new().data(&data);
    fill(disk.path());
    assert_told(builder().refused(), &[data.to_str().unwrap(), "space"]);
    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    let mut running = builder().start();
    running.kill();
    disk.turn_read_only("remount,ro");
    assert_told(builder().refused(), &[data.to_str().unwrap(), "Read-only"]);
}
