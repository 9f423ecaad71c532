//! A service that takes too long, behind `serve` with a short read timeout of its own.

use super::{Service, target};
use crate::support::{Wire, eventually};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `drawbridge serve` with a configuration of its own; killed when dropped.
struct Server {
    child: Child,
    authority: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(words: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
    command.args(words.split(' ')).args(["--config", "drawbridge.toml"]).current_dir(folder);
    command
}

fn output(words: &str, folder: &Path) -> String {
    let output = command(words, folder).output().unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn serve(folder: &Path) -> Server {
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let child = command("serve", folder).stdin(Stdio::null()).stderr(log).spawn().unwrap();
    let mut server = Server { child, authority: String::new() };
    server.authority = eventually("the gateway is ready", async || {
        let log = std::fs::read_to_string(folder.join("log")).unwrap();
        let ready = log.lines().find(|line| line.contains("the gateway is ready"))?;
        let ready: serde_json::Value = serde_json::from_str(ready).ok()?;
        ready["gateway"].as_str().map(str::to_owned)
    })
    .await;
    server
}

#[tokio::test]
async fn it_takes_too_long() {
    let service = Service::start(|mut wire| async move {
        while let Some((head, _)) = wire.request().await {
            match target(&head).as_str() {
                "/api/v1/events" => wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await,
                "/api/v1/members" => {
                    wire.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno").await;
                }
                // Never: the connection stays open until the gate gives up.
                _ => {}
            }
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let delivered = env!("CARGO_MANIFEST_DIR");
    let settings = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\npublic_url = \"http://gate.example\"\n\
         [upstream]\nurl = \"{}\"\nread_timeout_ms = 300\n[policy]\npolicies = \"{delivered}/policies\"\n\
         schemas = \"{delivered}/schemas\"\n[log]\naccess = \"off\"\n",
        service.url
    );
    std::fs::write(folder.path().join("drawbridge.toml"), &settings).unwrap();
    output(
        "user add-platform --email staff@vendor.example --display-name Stella --role platform-admin",
        folder.path(),
    );
    output("org add --name Acme --slug acme --owner-email owner@acme.example", folder.path());
    output(
        "user add-org-user --org acme --email owner@acme.example --display-name Olga --role owner",
        folder.path(),
    );
    let token = output("token issue --org-user owner@acme.example", folder.path());
    let server = serve(folder.path()).await;
    let get = async |path: &str| {
        let mut wire = Wire::open(&server.authority).await;
        wire.send(format!(
            "GET {path} HTTP/1.1\r\nHost: gate.example\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
        .await;
        let answer = wire.answer("GET").await.unwrap_or_else(|| panic!("{path}: closed"));
        (answer, wire.whole)
    };
    let (answer, _) = get("/api/v1/cameras").await;
    answer.problem(504, "UPSTREAM_TIMEOUT");
    // In the middle of a body it is too late to say so.
    let (answer, whole) = get("/api/v1/events").await;
    assert_eq!((answer.expect(200).body.as_slice(), whole), (&b"hello"[..], false));
    // Its own 503 is no word of ours.
    let (answer, _) = get("/api/v1/members").await;
    assert_eq!(answer.expect(503).body, b"no");
}
