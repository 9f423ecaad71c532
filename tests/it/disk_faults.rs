//! A disk that fails or hangs when it is told to make something durable: nothing is forwarded meanwhile, and all
//! goes on by itself, after an I/O error at the next start. The system's calls are stood in for (`slow_disk.c`).

use crate::support::{Gateway, GatewayBuilder, Recorder, eventually};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A gateway's disk.
struct Disk {
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("slow_disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/slow_disk.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
        assert!(compiler.status().expect("a C compiler").success(), "slow_disk.c");
        Self { folder, library }
    }

    fn order(&self) -> PathBuf {
        self.folder.path().join("trouble")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// From here on; with nothing, all is well.
    fn trouble(&self, what: &str) {
        let order = self.folder.path().join("order");
        std::fs::write(&order, what).unwrap();
        std::fs::rename(order, self.order()).unwrap();
    }

    fn gateway(&self, upstream: &Recorder, listen: &str) -> Gateway {
        GatewayBuilder::new()
            .data(&self.data())
            .env("LD_PRELOAD", self.library.to_str().unwrap())
            .env("DRAWBRIDGE_TEST_DISK", self.order().to_str().unwrap())
            .arg("--listen")
            .arg(listen)
            .arg("--upstream")
            .arg(upstream.url())
            .start()
    }
}

async fn readyz(gateway: &Gateway) -> (u16, Value) {
    let answer = gateway.client.get(gateway.admin_url("/readyz")).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The requests of a grant in both logs with their outcomes, oldest first; `None` while an outcome is missing or
/// comes between the two looks.
async fn told(gateway: &Gateway, grant: &str) -> Option<Vec<(String, String)>> {
    let filter = format!("&impersonation_id={grant}&event=platform.impersonated_request");
    let pairs = |items: Vec<Value>| -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
        items.iter().rev().map(|i| (text(&i["request_id"]), text(&i["outcome"]))).collect()
    };
    let org = pairs(gateway.org_log("acme", "owner", &filter).await);
    let platform = pairs(gateway.platform_log(&filter).await);
    (org == platform && org.iter().all(|(_, outcome)| !outcome.is_empty())).then_some(org)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_56_a_disk_that_takes_five_seconds_forwards_nothing_and_recovers() {
    let (disk, upstream) = (Disk::new(), Recorder::start().await);
    let gateway = disk.gateway(&upstream, "127.0.0.1:0");
    let (token, grant) = gateway.mint("staff", "acme").await;
    gateway.get("/some/thing", &token).await.expect(200);
    disk.trouble("slow 5000");
    let refused = gateway.get("/some/thing", &token).await.problem(503, "AUDIT_UNAVAILABLE");
    let refused = refused.header("x-request-id").to_owned();
    // Whoever isn't audited notices nothing.
    gateway.get("/some/thing", gateway.token("owner")).await.expect(200);
    gateway.get("/some/thing", gateway.token("bot")).await.expect(200);
    disk.trouble("");
    let again = eventually("requests pass again", async || {
        let answer = gateway.get("/some/thing", &token).await;
        (answer.status == 200).then(|| answer.header("x-request-id").to_owned())
    })
    .await;
    assert!(upstream.saw(&again) && !upstream.saw(&refused));
    // It was written after all, late: nobody waited for it, so it says that it went nowhere.
    let all = eventually("the late ones are closed", async || told(&gateway, &grant).await).await;
    let late = all.iter().find(|(id, _)| *id == refused).map(|(_, outcome)| outcome.as_str());
    assert_eq!(late, Some("not_forwarded"));
    let (status, ready) = readyz(&gateway).await;
    assert_eq!((status, &ready["audit"]["latched"]), (200, &false.into()), "{ready}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_io_error_nothing_is_forwarded_until_the_next_start() {
    let (disk, upstream) = (Disk::new(), Recorder::start().await);
    let mut gateway = disk.gateway(&upstream, "127.0.0.1:0");
    let authority = gateway.authority().to_owned();
    let (token, grant) = gateway.mint("staff", "acme").await;
    let fine = gateway.get("/some/thing", &token).await.expect(200).header("x-request-id").to_owned();
    disk.trouble("eio");
    let refused = gateway.get("/some/thing", &token).await.problem(503, "AUDIT_UNAVAILABLE");
    let refused = refused.header("x-request-id").to_owned();
    disk.trouble("");
    // The disk is well again, but what it has kept nobody knows: it isn't tried again.
    gateway.get("/some/thing", &token).await.problem(503, "AUDIT_UNAVAILABLE");
    gateway.get("/some/thing", gateway.token("owner")).await.expect(200);
    let (status, ready) = readyz(&gateway).await;
    assert_eq!((status, &ready["audit"]["latched"]), (503, &true.into()), "{ready}");
    assert_eq!(upstream.seen().len(), 2, "the owner's and the first");
    gateway.signal("-TERM");
    assert!(gateway.wait().is_some());

    let gateway = disk.gateway(&upstream, &authority);
    let next = gateway.get("/some/thing", &token).await.expect(200).header("x-request-id").to_owned();
    let all = eventually("all are closed", async || told(&gateway, &grant).await).await;
    for (id, outcome) in &all {
        let seen = upstream.saw(id);
        match outcome.as_str() {
            "completed" => assert!(seen && (*id == fine || *id == next), "{id}"),
            "not_forwarded" => assert!(*id == refused && !seen, "{id}"),
            // What the disk kept of the refused one; and of the first one, if the trouble came before its outcome.
            "unknown" => assert!(*id == refused && !seen || *id == fine, "{id}"),
            other => panic!("{id} is {other}"),
        }
    }
    assert!(all.iter().any(|(id, _)| *id == fine) && all.iter().any(|(id, _)| *id == next));
}
