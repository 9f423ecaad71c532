//! `docs/sign-in.md`: its commands are run as they are printed. And `drawbridge login`, with somebody at the browser.

use super::{Flow, query};
use crate::support::{Gateway, SOON};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// The commands of the document, in order.
fn commands() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sign-in.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks: Vec<_> =
        text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 8, "{blocks:?}");
    blocks.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_commands_sign_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = crate::support::GatewayBuilder::new().data(&folder.path().join("data")).start();
    let output =
        Command::new("sh").args(["-eu", "-c", &commands()]).current_dir(folder.path()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}\n{}", gateway.log());
    let answers: Vec<serde_json::Value> = serde_json::Deserializer::from_str(&out)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|e| panic!("{e}: {out}"));
    assert_eq!(answers.len(), 4, "{out}");
    assert_eq!(answers[0]["email"], "staff@drawbridge.example", "{out}");
    assert_eq!(answers[1]["code"], "PLATFORM_ACCESS_DENIED", "{out}");
    assert_eq!(answers[2], serde_json::json!({}), "{out}");
    assert_eq!(answers[3]["code"], "SESSION_ENDED", "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_waits_for_the_browser_and_prints_the_token() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let mut child = Command::new(env!("CARGO_BIN_EXE_drawbridge"))
        .args(["login", "--print-token", "--server", &gateway.url("")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let url =
        told.find_map(|line| line.unwrap().strip_prefix(&gateway.url("")).map(str::to_owned)).expect("a URL");
    let sent_on = flow.get(&url).await.expect(302);
    let authorization = query(sent_on.header("location"))["authorization"].clone();
    let signed_in = flow.sign_in("staff", 0, &authorization).await.expect(303);
    let answer = flow.get(signed_in.header("location")).await.expect(302);
    let to = answer.header("location");
    // Somebody else's answer, first: another state, another issuer.
    let got = |url: String| async {
        gateway.client.get(url).send().await.expect("the command listens").status().as_u16()
    };
    let state = query(to)["state"].clone();
    assert_eq!(got(to.replace(&state, "another")).await, 400);
    assert_eq!(got(to.replace("iss=http", "iss=https")).await, 400);
    assert_eq!(got(to.replace("/callback", "/other")).await, 404);
    assert_eq!(got(to.to_owned()).await, 200);
    let mut token = String::new();
    let mut out = child.stdout.take().unwrap();
    let begun = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < SOON, "it doesn't end");
        std::thread::yield_now();
    }
    out.read_to_string(&mut token).unwrap();
    gateway.get("/api/v1/platform/me", token.trim()).await.expect(200);
}
