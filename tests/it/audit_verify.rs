//! A log is exported and verified: by the gateway's own command, and by a program of other hands.

use crate::support::{Gateway, GatewayBuilder, audit, eventually, migrated};
use std::path::{Path, PathBuf};
use std::process::Command;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn python(args: &[&str]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/verify_audit.py");
    let output = Command::new("python3").arg("-B").arg(script).args(args).output().unwrap();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// Two sessions in acme, one of them ended, until that is signed; the log's newest checkpoint.
async fn happenings(gateway: &Gateway) -> String {
    let (token, _) = gateway.mint("staff", "acme").await;
    let (ended, _) = gateway.mint("staff2", "acme").await;
    for token in [&token, &ended, &token] {
        gateway.get("/api/v1/cameras", token).await.expect(200);
    }
    let end = gateway.call("POST", "/api/v1/platform/end-impersonation", &ended, None).await.expect(200);
    signed(gateway, end.header("x-request-id")).await
}

/// The newest checkpoint of acme's log, once it covers this request.
async fn signed(gateway: &Gateway, request: &str) -> String {
    let log = format!("/api/v1/orgs/{}/audit-log", gateway.org("acme"));
    let proof = format!("{log}/proof?request_id={request}");
    eventually("the request is in a signed tree", async || {
        (gateway.get(&proof, gateway.token("owner")).await.status == 200).then_some(())
    })
    .await;
    text(&gateway.get(&format!("{log}/checkpoint"), gateway.token("owner")).await.expect(200).body)
}

fn at(folder: &Path, name: &str) -> (PathBuf, String) {
    let path = folder.join(name);
    (path.clone(), path.display().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_verified_online_offline_and_by_other_hands() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::demo();
    let (url, owner) = (gateway.url(""), gateway.token("owner"));
    let note = happenings(&gateway).await;
    let (kept, kept_name) = at(folder.path(), "kept");
    std::fs::write(kept, &note).unwrap();
    let (file, name) = at(folder.path(), "acme.jsonl");

    // Online, by the token alone.
    let (code, out, err) = audit(owner, &["verify", "--url", &url, "--against", &kept_name]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.starts_with("OK  drawbridge-") && out.contains("2 impersonations, no gaps"), "{out}");
    assert!(err.contains("the key came with the log"), "{err}");
    let (code, _, err) = audit(owner, &["export", "--url", &url, "--out", &name]).await;
    assert_eq!(code, Some(0), "{err}");
    let key =
        gateway.get(&format!("/api/v1/orgs/{}/audit-log/keys", gateway.org("acme")), owner).await.expect(200);
    let key = key.text("/keys/0/key").to_owned();
    let (code, out, err) =
        audit("", &["verify", "--export", &name, "--key", &key, "--against", &kept_name, "--format", "json"])
            .await;
    assert_eq!(code, Some(0), "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&report["ok"], &report["gaps"], &report["key_given"]),
        (&true.into(), &0.into(), &true.into())
    );
    let (fine, out) = python(&["--key", &key, "--against", &kept_name, &name]);
    assert!(fine && out.contains("2 impersonations, no gaps"), "{out}");

    // It isn't written over, and it is gone on with.
    assert_eq!(audit(owner, &["export", "--url", &url, "--out", &name]).await.0, Some(64));
    let size = std::fs::metadata(&file).unwrap().len();
    let (token, _) = gateway.mint("staff", "acme").await;
    let seen = gateway.get("/api/v1/cameras", &token).await.expect(200);
    signed(&gateway, seen.header("x-request-id")).await;
    let (code, _, err) = audit(owner, &["export", "--url", &url, "--out", &name, "--resume"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(std::fs::metadata(&file).unwrap().len() > size);
    assert_eq!(audit("", &["verify", "--export", &name, "--against", &kept_name]).await.0, Some(0));

    // One byte, and both name the line.
    let mut bytes = std::fs::read(&file).unwrap();
    let changed = memchr::memmem::find(&bytes, b"/api/v1/cameras").unwrap();
    bytes[changed + 5] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let line = 1 + bytes[..changed].iter().filter(|b| **b == b'\n').count();
    let (code, out, _) = audit("", &["verify", "--export", &name]).await;
    assert_eq!(code, Some(1));
    assert!(
        out.starts_with("NOT OK") && out.contains(&format!("line {line}, entry")) && out.contains("to do:"),
        "{out}"
    );
    let (fine, out) = python(&[&name]);
    assert!(!fine && out.contains(&format!("line {line}, entry")), "{out}");

    // The whole log of the platform is for its admins; who may not read a log may not export it.
    let (code, out, err) = audit(gateway.token("staff"), &["verify", "--url", &url]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("/platform  "), "{out}");
    let export = |log: String| format!("/api/v1/{log}/audit-log/export");
    let org = format!("orgs/{}", gateway.org("acme"));
    for (log, who, code) in [
        (org.clone(), token.as_str(), "PLATFORM_ACCESS_DENIED"),
        (org.clone(), gateway.token("staff"), "PLATFORM_ACCESS_DENIED"),
        (org.clone(), gateway.token("viewer"), "POLICY_DENIED"),
        (org.clone(), gateway.token("globex_owner"), "ORG_MISMATCH"),
        ("platform".to_owned(), owner, "PLATFORM_ACCESS_DENIED"),
        ("platform".to_owned(), token.as_str(), "PLATFORM_ACCESS_DENIED"),
    ] {
        gateway.get(&export(log), who).await.problem(403, code);
    }
    gateway.get(&format!("{}?after=1000000", export(org.clone())), owner).await.problem(400, "BAD_REQUEST");
    gateway.get(&format!("{}?after=x", export(org)), owner).await.problem(400, "BAD_REQUEST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_records_are_verified_beside_the_gateway_and_yesterday_s_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut gateway = GatewayBuilder::new().data(&data).start();
    happenings(&gateway).await;
    let data_name = data.display().to_string();
    let (code, out, err) = audit("", &["verify", "--data", &data_name]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.lines().filter(|line| line.starts_with("OK  ")).count() >= 2, "{out}");
    assert!(err.contains("are in both logs"), "{err}");
    let (_, export) = at(folder.path(), "platform.jsonl");
    let (code, _, err) = audit("", &["export", "--data", &data_name, "--platform", "--out", &export]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(python(&[&export]).0);

    // Yesterday's database is put back in the place of today's.
    gateway.signal("-INT");
    assert_eq!(gateway.wait(), Some(0), "{}", gateway.log());
    let files = ["drawbridge.db", "drawbridge.db-wal"].map(|name| data.join(name));
    let yesterday = files.clone().map(|file| std::fs::read(file).unwrap_or_default());
    drop(gateway);
    let mut gateway = GatewayBuilder::new().data(&data).start();
    let note = happenings(&gateway).await;
    let (kept, kept_name) = at(folder.path(), "kept");
    std::fs::write(kept, note).unwrap();
    gateway.kill();
    drop(std::fs::remove_file(data.join("drawbridge.db-shm")));
    for (file, bytes) in files.iter().zip(yesterday) {
        std::fs::write(file, bytes).unwrap();
    }
    let (code, out, err) = audit("", &["verify", "--data", &data_name]).await;
    assert_eq!(code, Some(1), "the witness in the folder knows better: {out}{err}");
    assert!(out.contains("rolled back"), "{out}");
    std::fs::remove_file(data.join("witness")).unwrap();
    let (code, out, err) = audit("", &["verify", "--data", &data_name]).await;
    assert_eq!(code, Some(0), "by itself it is whole: {out}{err}");
    let (code, out, err) = audit("", &["verify", "--data", &data_name, "--against", &kept_name]).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("rolled back"), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_s_database_is_verified_by_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let database = migrated().await;
    let builder = GatewayBuilder::new().data(&data);
    let gateway = builder.env("DRAWBRIDGE_TEST_DATABASE_URL", database.url()).start();
    let (kept, kept_name) = at(folder.path(), "kept");
    std::fs::write(kept, happenings(&gateway).await).unwrap();
    let (file, config) = at(folder.path(), "drawbridge.toml");
    let server = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\npublic_url = \"http://gate.example\"\n\
         [upstream]\nurl = \"http://127.0.0.1:9\"\n[policy]\npolicies = \"{0}/policies\"\nschemas = \"{0}/schemas\"\n\
         [data]\nmaster_key_file = \"{1}/master.key\"\n[database]\nurl = \"{2}\"\n",
        env!("CARGO_MANIFEST_DIR"),
        data.display(),
        database.url(),
    );
    std::fs::write(&file, server).unwrap();

    // Beside the gateway, which goes on meanwhile.
    let (token, _) = gateway.mint("staff", "acme").await;
    let verify = ["verify", "--config", &config, "--against", &kept_name];
    let busy = async {
        for _ in 0..50 {
            gateway.get("/api/v1/cameras", &token).await.expect(200);
        }
    };
    let ((code, out, err), ()) = tokio::join!(audit("", &verify), busy);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.lines().filter(|line| line.starts_with("OK  ")).count() >= 2, "{out}");
    assert!(err.contains("are in both logs"), "{err}");
    let (_, export) = at(folder.path(), "acme.jsonl");
    let org = gateway.org("acme");
    let (code, _, err) = audit("", &["export", "--config", &config, "--org", org, "--out", &export]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(python(&["--against", &kept_name, &export]).0);

    // Entries are compared with their leaves: the newest has its own by now.
    let newest = gateway.get("/api/v1/cameras", &token).await.expect(200);
    signed(&gateway, newest.header("x-request-id")).await;
    // The owner of the tables hides an entry from searches by its column, and then changes what another says.
    for (forged, told) in [
        (
            "SET actor = 'usr_nobody' WHERE n = (SELECT MAX(n) FROM org_audit WHERE stage = 'intent')",
            "the column `actor`",
        ),
        ("SET body = replace(body, '/api/v1/cameras', '/api/v1/cameraz')", "the entry was changed"),
    ] {
        database.sql(&format!("ALTER TABLE org_audit DISABLE TRIGGER ALL; UPDATE org_audit {forged}"));
        let (code, out, err) = audit("", &verify).await;
        assert_eq!(code, Some(1), "{out}{err}");
        let line =
            out.lines().find(|line| line.starts_with("NOT OK")).unwrap_or_else(|| panic!("{out}{err}"));
        assert!(line.contains(org) && out.contains(told), "{out}{err}");
    }
}

#[tokio::test]
async fn wrong_usage_is_told_apart() {
    for args in [
        vec!["verify"],
        vec!["verify", "--data", "/nowhere"],
        vec!["verify", "--export", "a", "--data", "b"],
        vec!["verify", "--export", "a", "--key", "nothing"],
        vec!["verify", "--url", "ftp://x"],
        vec!["export", "--data", "x", "--resume"],
        vec!["export", "--data", "x", "--org", "acme"],
    ] {
        let (code, out, err) = audit("t", &args).await;
        assert_eq!((code, out.as_str()), (Some(64), ""), "{args:?}: {err}");
    }
    assert_eq!(audit("", &["verify", "--export", "/nowhere"]).await.0, Some(1));
}
