//! What leaves the logs and what doesn't: gateways of the past on the same records, and people who try.

use crate::support::{Answer, Engine, Gateway, GatewayBuilder, audit, eventually, migrated, on_both_engines};
use drawbridge::audit::tree::{Checkpoint, Hash, VerifierKey, parse_hash};
use drawbridge::domain::{Clock as _, SystemClock, parse_rfc3339};
use serde_json::Value;
use tlog_tiles::check_tree;

on_both_engines!(what_gateways_of_the_past_wrote_leaves_when_it_has_expired);

const DAY: i64 = 86_400_000;

/// A gateway whose clocks, the database's included, are so many days behind; it is gone at the end of `work`.
async fn days_ago(builder: GatewayBuilder, days: i64, work: impl AsyncFnOnce(&Gateway)) {
    let shift = (-days * DAY).to_string();
    let mut gateway = builder.env("DRAWBRIDGE_TEST_CLOCK_SHIFT_MS", shift).start();
    work(&gateway).await;
    gateway.signal("-TERM");
    gateway.wait();
}

fn age(entry: &Value) -> i64 {
    (SystemClock.now() - parse_rfc3339(entry["time"].as_str().unwrap()).unwrap()) / DAY
}

/// How many entries of each age in days.
fn ages(items: &[Value]) -> Vec<(i64, usize)> {
    let mut all = std::collections::BTreeMap::new();
    for entry in items {
        *all.entry(age(entry)).or_default() += 1;
    }
    all.into_iter().collect()
}

/// The newest checkpoint of a log and the log's key; `None` as long as nothing of it is signed.
async fn signed(gateway: &Gateway, log: &str, reader: &str) -> Option<(Checkpoint, VerifierKey)> {
    let keys = gateway.get(&format!("{log}/keys"), gateway.token(reader)).await.expect(200);
    let key = VerifierKey::parse(keys.text("/keys/0/key")).unwrap();
    let note = gateway.get(&format!("{log}/checkpoint"), gateway.token(reader)).await;
    if note.status == 503 {
        return None;
    }
    let note = String::from_utf8(note.expect(200).body.to_vec()).unwrap();
    Some((Checkpoint::open(&note, &key).unwrap(), key))
}

/// The log still continues what was kept of it.
async fn continues(gateway: &Gateway, log: &str, reader: &str, kept: &Checkpoint) -> Checkpoint {
    let query = format!("{log}/consistency?from={}", kept.size);
    let answer = gateway.get(&query, gateway.token(reader)).await.expect(200);
    let (_, key) = signed(gateway, log, reader).await.unwrap();
    let now = Checkpoint::open(answer.text("/checkpoint"), &key).unwrap();
    let path = answer.json["path"].as_array().unwrap();
    let path: Vec<Hash> = path.iter().map(|h| parse_hash(h.as_str().unwrap()).unwrap()).collect();
    check_tree(&path, now.size, now.root, kept.size, kept.root).unwrap();
    now
}

async fn what_gateways_of_the_past_wrote_leaves_when_it_has_expired(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let database = if engine == Engine::Postgres { Some(migrated().await) } else { None };
    let builder = || {
        let builder = GatewayBuilder::new().data(folder.path());
        match &database {
            Some(database) => builder.env("DRAWBRIDGE_TEST_DATABASE_URL", database.url()),
            None => builder,
        }
    };
    let mut kept = Vec::new();
    for days in [366, 91, 89] {
        days_ago(builder(), days, async |gateway: &Gateway| {
            let (token, _) = gateway.mint("staff", "acme").await;
            for _ in 0..3 {
                gateway.get("/api/v1/cameras", &token).await.expect(200);
            }
            let log = format!("/api/v1/orgs/{}/audit-log", gateway.org("acme"));
            for (log, reader) in [(log, "owner"), ("/api/v1/platform/audit-log".to_owned(), "staff")] {
                let some = async || Some(signed(gateway, &log, reader).await?.0).filter(|c| c.size > 0);
                let checkpoint = eventually("signed", some).await;
                kept.push((log, reader, checkpoint));
            }
        })
        .await;
    }
    let gateway = builder().start();
    let no_older = async |path: &str, reader: &str, days: i64| {
        let items = gateway.log_items(path, gateway.token(reader), "").await;
        items.iter().all(|entry| age(entry) <= days).then_some(items)
    };
    let log = format!("/api/v1/orgs/{}/audit-log", gateway.org("acme"));
    let org = eventually("acme's entries of 91 days go", || no_older(&log, "owner", 90)).await;
    let platform =
        eventually("the platform's of 366 days go", || no_older("/api/v1/platform/audit-log", "staff", 365))
            .await;
    // What is younger is all there: the mint, and three requests, each an item.
    let of = |items: &[Value], days| ages(items).iter().find(|(age, _)| *age == days).map_or(0, |(_, n)| *n);
    assert!(of(&org, 89) >= 4, "{:?}", ages(&org));
    assert!(of(&platform, 89) >= 4 && of(&platform, 91) >= 4, "{:?}", ages(&platform));
    assert_eq!((of(&org, 91), of(&org, 366), of(&platform, 366)), (0, 0, 0));
    let requests = |items: &[Value], days| {
        items.iter().filter(|e| age(e) == days && e["event"] == "platform.impersonated_request").count()
    };
    assert_eq!((requests(&org, 89), requests(&platform, 91), requests(&platform, 89)), (3, 3, 3));
    // Both logs tell of it, and continue everything that was signed before.
    assert!(org.iter().any(|e| e["event"] == "audit.expired" && age(e) == 0), "{org:#?}");
    assert!(platform.iter().any(|e| e["event"] == "audit.expired" && e["resource"] == "platform"));
    let begins_later = async || Some(signed(&gateway, &log, "owner").await?.0).filter(|c| c.first > 0);
    eventually("the checkpoint says where the log begins", begins_later).await;
    for (log, reader, kept) in &kept {
        let now = continues(&gateway, log, reader, kept).await;
        assert!(now.size > kept.size && now.first >= kept.first);
    }
    // The same from the customer's side, for a checkpoint all of whose entries have expired.
    let (_, _, oldest) = kept.iter().find(|(kept, ..)| *kept == log).unwrap();
    let file = folder.path().join("kept");
    std::fs::write(&file, &oldest.note).unwrap();
    let (url, file) = (gateway.url(&log), file.display().to_string());
    let verify = ["verify", "--url", &url, "--against", &file];
    // Refused (503) between an expiry and the checkpoint that says so.
    let verified = async || {
        let (code, out, _) = audit(gateway.token("owner"), &verify).await;
        (code == Some(0)).then_some(out)
    };
    let out = eventually("verified", verified).await;
    assert!(out.contains("by the gateway's proof"), "{out}");
}

/// Method and path of everything that somebody might try.
fn attempts(gateway: &Gateway) -> Vec<(&'static str, String)> {
    let org = format!("/api/v1/orgs/{}/audit-log", gateway.org("acme"));
    let platform = "/api/v1/platform/audit-log";
    let mut all = Vec::new();
    for method in ["DELETE", "PATCH", "PUT", "POST"] {
        for below in ["", "/1", "/req_1/entries", "/checkpoint", "/keys", "/proof", "/export"] {
            all.push((method, format!("{org}{below}")));
            all.push((method, format!("{platform}{below}")));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_changes_a_log_over_http_and_who_tries_is_in_it() {
    let gateway = Gateway::demo();
    let (impersonation, _) = gateway.mint("staff", "acme").await;
    let before = gateway.org_log("acme", "owner", "").await;
    let who = ["owner", "admin", "viewer", "bot", "globex_owner", "staff", "staff2", "impersonation"];
    for name in who {
        let token = if name == "impersonation" { &impersonation } else { gateway.token(name) };
        // Wrong paths before, between and after hide nothing.
        let astray = async || gateway.call("DELETE", "/api/v1/nowhere", token, None).await;
        astray().await;
        for (method, path) in attempts(&gateway) {
            let refused: Answer = gateway.call(method, &path, token, None).await;
            assert!(matches!(refused.status, 403..=405), "{name} {method} {path}: {refused}");
            if refused.status == 405 {
                assert!(!refused.header("allow").contains("DELETE"), "{refused}");
            }
        }
        astray().await;
    }
    for (method, path) in attempts(&gateway) {
        gateway.call(method, &path, "", None).await.problem(401, "UNAUTHENTICATED");
    }
    // Each of them is in the platform's log, and acme's own people and guests are in acme's.
    let tried = |items: &[Value]| -> Vec<Value> {
        let policy = |e: &Value| {
            let policies = e["policies"].as_array().cloned().unwrap_or_default();
            policies.iter().any(|p| p == "audit-log-attempt")
        };
        items.iter().filter(|e| policy(e)).cloned().collect()
    };
    let platform = tried(&gateway.platform_log("").await);
    let org = tried(&gateway.org_log("acme", "owner", "").await);
    let by = |items: &[Value], member: &str, kind: &str| -> std::collections::BTreeSet<String> {
        let of_kind = items.iter().filter(|e| e["actor_type"] == kind);
        of_kind.filter_map(|e| Some(e[member].as_str()?.to_owned())).collect()
    };
    assert_eq!(by(&platform, "actor", "org_user").len(), 4, "{platform:#?}");
    assert_eq!(by(&platform, "actor", "bot").len(), 1);
    assert_eq!(by(&platform, "actor", "platform_user").len(), 2);
    assert_eq!(by(&org, "actor", "org_user").len(), 3, "{org:#?}");
    assert_eq!(by(&org, "actor", "bot").len(), 1);
    // Under an impersonation each single one, in both logs.
    let impersonated = |items: &[Value]| -> std::collections::BTreeSet<(String, String)> {
        let of_kind = items.iter().filter(|e| e["actor_type"] == "platform_admin_impersonating");
        of_kind.map(|e| (e["method"].to_string(), e["path"].to_string())).collect()
    };
    let all = attempts(&gateway).len();
    assert_eq!((impersonated(&org).len(), impersonated(&platform).len()), (all, all));
    // And nothing is gone or changed.
    let after = gateway.org_log("acme", "owner", "").await;
    assert_eq!(after[after.len() - before.len()..], before[..]);
}
