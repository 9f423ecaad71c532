//! A witness in a process of its own, and a gateway's logs.

use crate::support::{Gateway, GatewayBuilder, eventually};
use drawbridge::audit::tree::{Checkpoint, Hash, VerifierKey, parse_hash};
use drawbridge::audit::witness::{Witness, WitnessError, verify_cosignature};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The process; ended when dropped.
struct Process {
    child: Child,
    url: String,
    key: String,
}

impl Process {
    fn start(state: &Path, trust: &VerifierKey) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_drawbridge"))
            .args([
                "audit",
                "witness",
                "--listen",
                "127.0.0.1:0",
                "--format",
                "json",
                "--trust",
                trust.as_str(),
            ])
            .arg("--state")
            .arg(state)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        Self { child, url: text("url"), key: text("key") }
    }

    fn witness(&self) -> Witness {
        Witness::url(&self.url, &self.key).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn log_of(gateway: &Gateway) -> String {
    format!("/api/v1/orgs/{}/audit-log", gateway.org("acme"))
}

async fn key(gateway: &Gateway) -> VerifierKey {
    let keys = gateway.get(&format!("{}/keys", log_of(gateway)), gateway.token("owner")).await.expect(200);
    VerifierKey::parse(keys.text("/keys/0/key")).unwrap()
}

/// The newest checkpoint, and the proof from `old` to it.
async fn signed(gateway: &Gateway, old: u64) -> (Checkpoint, Vec<Hash>) {
    let key = key(gateway).await;
    if old == 0 {
        let path = format!("{}/checkpoint", log_of(gateway));
        let newest = async || {
            let answer = gateway.get(&path, gateway.token("owner")).await;
            let note = String::from_utf8(answer.body.to_vec()).unwrap();
            Checkpoint::open(&note, &key).ok().filter(|c| c.size > 0)
        };
        return (eventually("a checkpoint", newest).await, Vec::new());
    }
    let query = format!("{}/consistency?from={old}", log_of(gateway));
    let answer = gateway.get(&query, gateway.token("owner")).await.expect(200);
    let hashes = answer.json["path"].as_array().unwrap();
    let hashes = hashes.iter().map(|h| parse_hash(h.as_str().unwrap()).unwrap()).collect();
    (Checkpoint::open(answer.text("/checkpoint"), &key).unwrap(), hashes)
}

async fn cosign(witness: &Witness, gateway: &Gateway, old: u64) -> Result<u64, WitnessError> {
    let (checkpoint, proof) = signed(gateway, old).await;
    let lines = witness.cosign(&checkpoint.note, |_| std::future::ready(Ok(proof.clone()))).await?;
    verify_cosignature(&checkpoint.cosigned(&lines).unwrap(), witness.verifier_key()).unwrap();
    Ok(checkpoint.size)
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_records_were_put_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let state = folder.path().join("witness");
    let start = || GatewayBuilder::new().data(&data).start();
    let mut gateway = start();
    gateway.mint("staff", "acme").await;
    let process = Process::start(&state, &key(&gateway).await);
    let first = cosign(&process.witness(), &gateway, 0).await.unwrap();
    let wait_for = async |gateway: &Gateway, size: u64| {
        eventually("signed", async || Some(signed(gateway, 0).await.0.size).filter(|s| *s >= size)).await
    };
    gateway.signal("-TERM");
    gateway.wait();
    copy(&data, &backup);

    let mut gateway = start();
    // All that the backup holds was signed when its gateway stopped.
    let backed_up = signed(&gateway, 0).await.0.size;
    let (token, _) = gateway.mint("staff", "acme").await;
    gateway.get("/api/v1/cameras", &token).await.expect(200);
    wait_for(&gateway, backed_up + 3).await;
    let second = cosign(&process.witness(), &gateway, first).await.unwrap();
    assert!(second >= backed_up + 3);
    gateway.signal("-TERM");
    gateway.wait();

    // The records as they were before, then other things.
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    let gateway = start();
    gateway.mint("staff2", "acme").await;
    let rolled_back = signed(&gateway, 0).await.0;
    if rolled_back.size < second {
        let refused = cosign(&process.witness(), &gateway, 0).await;
        assert!(matches!(refused, Err(WitnessError::Refused { known_size, .. }) if known_size == second));
    }
    let (token, _) = gateway.mint("staff2", "acme").await;
    for _ in 0..second {
        gateway.get("/api/v1/cameras", &token).await.expect(200);
    }
    wait_for(&gateway, second + 1).await;
    // The witness itself is started again in between: it remembers.
    drop(process);
    let process = Process::start(&state, &key(&gateway).await);
    match cosign(&process.witness(), &gateway, second).await {
        Err(WitnessError::Refused { known_size, .. }) => assert_eq!(known_size, second),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_with_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
        let output =
            command.args(["audit", "witness"]).args(args).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, told) = run(&["--state", "w", "--trust", "x"]);
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("`x` is not a verifier key"), "{told}");
    let other = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert_eq!(run(&["--state", "w", "--trust", other]).0, Some(64), "no log of an installation");
    assert!(!folder.path().join("w").exists());
    let log = drawbridge::audit::tree::LogKey::new("a.example", &[1; 32]).unwrap();
    let log = log.verifier(&drawbridge::audit::tree::LogName::Platform);
    std::fs::write(folder.path().join("w.key"), "x").unwrap();
    let (code, told) = run(&["--state", "w", "--trust", log.as_str()]);
    assert_eq!(code, Some(1));
    assert!(told.contains("isn't the key of a witness"), "{told}");
}
