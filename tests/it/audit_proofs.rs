//! Receipts, proofs and checkpoints as a customer gets them, checked with another implementation than the gateway's.

use crate::support::{Gateway, GatewayBuilder, audit, eventually};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use drawbridge::audit::tree::{Checkpoint, VerifierKey};
use drawbridge::audit::witness::{CosignerKey, verify_cosignature};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::Path;

fn hash(text: &str) -> [u8; 32] {
    STANDARD.decode(text).unwrap().try_into().unwrap()
}

fn root(checkpoint: &Checkpoint) -> RootHash<Sha256> {
    RootHash::new(checkpoint.root.0.into(), checkpoint.size)
}

/// What a tlog-proof tells: the leaf's data, its index, the audit path, the checkpoint.
fn taken_apart(proof: &[u8]) -> (Vec<u8>, u64, Vec<u8>, String) {
    let proof = std::str::from_utf8(proof).unwrap();
    let (head, checkpoint) = proof.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
    let extra = STANDARD.decode(lines.next().unwrap().strip_prefix("extra ").unwrap()).unwrap();
    let index = lines.next().unwrap().strip_prefix("index ").unwrap().parse().unwrap();
    let path = lines.flat_map(hash).collect();
    (extra, index, path, checkpoint.to_owned())
}

async fn key(gateway: &Gateway, log: &str, token: &str) -> VerifierKey {
    let keys = gateway.get(&format!("{log}/keys"), token).await.expect(200);
    assert_eq!(keys.text("/keys/0/use"), "log");
    VerifierKey::parse(keys.text("/keys/0/key")).unwrap()
}

#[tokio::test]
async fn a_receipt_is_redeemed_for_a_proof_that_holds_by_itself() {
    let gateway = Gateway::demo();
    let log = format!("/api/v1/orgs/{}/audit-log", gateway.org("acme"));
    let (token, _) = gateway.mint("staff", "acme").await;
    let answer = gateway.get("/api/v1/cameras", &token).await.expect(200);
    let receipt = answer.header("audit-receipt").to_owned();
    let request = answer.header("x-request-id");
    let leaf = receipt.split("leaf=:").nth(1).unwrap().strip_suffix(':').unwrap();
    assert_eq!(receipt, format!("request=\"{request}\", log=\"{}\", leaf=:{leaf}:", gateway.org("acme")));

    let redeem = format!("{log}/proof?request_id={request}");
    let proof = gateway.get(&redeem, gateway.token("owner")).await.expect(200).body;
    let (data, index, path, note) = taken_apart(&proof);
    let checkpoint = Checkpoint::open(&note, &key(&gateway, &log, gateway.token("owner")).await).unwrap();
    let proved = InclusionProof::<Sha256>::from_bytes(path);
    root(&checkpoint).verify_inclusion(&data, index, &proved).unwrap();
    assert_eq!(Sha256::digest([&[0][..], &data].concat())[..], hash(leaf), "the receipt's leaf");
    let line = data.split(|b| *b == b'\n').next().unwrap();
    let entry: Value = serde_json::from_slice(line).unwrap();
    assert_eq!((&entry["request_id"], &entry["stage"]), (&request.into(), &"intent".into()));

    let by_index = gateway.get(&format!("{log}/proof?index={index}"), gateway.token("owner")).await;
    assert_eq!(taken_apart(&by_index.expect(200).body).0, data);

    for (query, status) in
        [("", 400), ("?index=-1", 400), ("?index=99999", 400), ("?request_id=req_none", 404)]
    {
        let path = format!("{log}/proof{query}");
        assert_eq!(gateway.get(&path, gateway.token("owner")).await.status, status, "{query}");
    }
    for other in ["viewer", "bot", "globex_owner", "staff"] {
        assert_eq!(gateway.get(&redeem, gateway.token(other)).await.status, 403, "{other}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_kept_proves_that_the_log_only_grew() {
    let gateway = Gateway::demo();
    for (log, reader) in [
        (format!("/api/v1/orgs/{}/audit-log", gateway.org("acme")), "owner"),
        ("/api/v1/platform/audit-log".to_owned(), "staff"),
    ] {
        let (token, _) = gateway.mint("staff", "acme").await;
        let key = key(&gateway, &log, gateway.token(reader)).await;
        let checkpoint = async || {
            let answer = gateway.get(&format!("{log}/checkpoint"), gateway.token(reader)).await;
            (answer.status == 200)
                .then(|| Checkpoint::open(std::str::from_utf8(&answer.body).unwrap(), &key).unwrap())
        };
        let kept = eventually("the mint is signed", async || checkpoint().await.filter(|c| c.size > 0)).await;
        gateway.get("/api/v1/cameras", &token).await.expect(200);
        eventually("the request is signed", async || checkpoint().await.filter(|c| c.size > kept.size)).await;
        let query = format!("{log}/consistency?from={}", kept.size);
        let answer = gateway.get(&query, gateway.token(reader)).await.expect(200);
        let now = Checkpoint::open(answer.text("/checkpoint"), &key).unwrap();
        assert_eq!(
            (answer.json["from"].as_u64(), answer.json["to"].as_u64()),
            (Some(kept.size), Some(now.size))
        );
        let path = answer.json["path"].as_array().unwrap();
        let path = path.iter().flat_map(|h| hash(h.as_str().unwrap())).collect();
        let proof = ConsistencyProof::<Sha256>::try_from_bytes(path).unwrap();
        root(&now).verify_consistency(&root(&kept), &proof).unwrap();
        gateway.get(&format!("{log}/consistency"), gateway.token(reader)).await.problem(400, "BAD_REQUEST");
        let beyond = format!("{log}/consistency?from=999999");
        gateway.get(&beyond, gateway.token(reader)).await.problem(400, "BAD_REQUEST");
    }
}

/// Copies a database at rest: its file, and what has come since, if that isn't in it yet.
fn copy(from: &Path, to: &Path) {
    for file in ["drawbridge.db", "drawbridge.db-wal", "drawbridge.db-shm"] {
        drop(std::fs::remove_file(to.join(file)));
    }
    std::fs::copy(from.join("drawbridge.db"), to.join("drawbridge.db")).unwrap();
    drop(std::fs::copy(from.join("drawbridge.db-wal"), to.join("drawbridge.db-wal")));
}

/// The newest checkpoint of the platform's log that the witness has cosigned.
async fn cosigned(gateway: &Gateway) -> Checkpoint {
    let log = "/api/v1/platform/audit-log";
    let keys = gateway.get(&format!("{log}/keys"), gateway.token("staff")).await.expect(200);
    assert_eq!(keys.text("/keys/1/use"), "witness");
    let witness = CosignerKey::parse(keys.text("/keys/1/key")).unwrap();
    eventually("it is cosigned", async || {
        let answer = gateway.get(&format!("{log}/checkpoint"), gateway.token("staff")).await;
        let checkpoint = Checkpoint::read(std::str::from_utf8(&answer.body).ok()?).ok()?;
        verify_cosignature(&checkpoint.note, &witness).ok().map(|_| checkpoint)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_put_back_is_not_cosigned() {
    let folder = tempfile::tempdir().unwrap();
    let (data, kept) = (folder.path().join("data"), folder.path().join("yesterday"));
    std::fs::create_dir(&kept).unwrap();
    let start = || GatewayBuilder::new().data(&data).start();
    let mut gateway = start();
    let yesterday = cosigned(&gateway).await;
    gateway.signal("-TERM");
    gateway.wait();
    copy(&data, &kept);

    let mut gateway = start();
    let (token, _) = gateway.mint("staff", "acme").await;
    gateway.get("/api/v1/cameras", &token).await.expect(200);
    let today = eventually("it has grown", async || {
        Some(cosigned(&gateway).await).filter(|now| now.size > yesterday.size + 4)
    })
    .await;
    gateway.signal("-TERM");
    gateway.wait();

    copy(&kept, &data);
    let gateway = start();
    let told = eventually("the witness refuses", async || {
        let ready = gateway.client.get(gateway.admin_url("/readyz")).send().await.unwrap();
        let ready: Value = ready.json().await.unwrap();
        ready["audit"]["witness_failing"].as_str().map(str::to_owned)
    })
    .await;
    assert!(told.contains("refuses"), "{told}");
    // Whoever verifies the folder is told too, though every entry in it is in order.
    let (code, out, err) = audit("", &["verify", "--data", data.to_str().unwrap()]).await;
    let said = format!("{out}{err}");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("rolled back") && said.contains("witness"), "{said}");
    assert!(today.size > yesterday.size);
}
