//! The demands of ASVS, NIST 800-63B and the RFCs by their numbers (S-01 to S-64 of the security facts): each has a test
//! that bears its number, wherever it stands. Those that span several parts are here.

use crate::support::{Gateway, eventually, totp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// What sign-in and the gateway have to show.
const DEMANDED: [std::ops::RangeInclusive<u32>; 2] = [1..=46, 53..=58];

/// Those that have no test yet, and why. This list may only shrink.
const NOT_YET: [(u32, &str); 0] = [];

/// The numbers that names of functions in `text` bear: `s_25_s_37_…` bears two.
fn numbers(text: &str, found: &mut BTreeSet<u32>) {
    for name in text.split("fn ").skip(1) {
        let mut words = name.split('_');
        while words.next() == Some("s") {
            let Some(number) = words.next().and_then(|word| word.parse().ok()) else { break };
            found.insert(number);
        }
    }
}

fn read(folder: &Path, found: &mut BTreeSet<u32>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            numbers(&std::fs::read_to_string(path).unwrap(), found);
        }
    }
}

#[test]
fn every_demand_has_a_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    read(&root.join("src"), &mut found);
    read(&root.join("tests"), &mut found);
    let reasons: BTreeSet<u32> = NOT_YET.iter().map(|(n, _)| *n).collect();
    let missing: Vec<u32> =
        DEMANDED.into_iter().flatten().filter(|n| !found.contains(n) && !reasons.contains(n)).collect();
    assert!(missing.is_empty(), "no test bears S-{missing:?}");
    let done: Vec<&u32> = reasons.intersection(&found).collect();
    assert!(done.is_empty(), "S-{done:?} have a test: take them off the list");
}

#[tokio::test]
async fn s_42_s_46_what_is_not_offered_is_not_said_to_be() {
    let gateway = Gateway::demo();
    let metadata = gateway.get("/.well-known/oauth-authorization-server", "").await.expect(200);
    let offered: Vec<&String> = metadata.json.as_object().unwrap().keys().collect();
    let word = |word: &str| offered.iter().any(|name| name.contains(word));
    assert!(!word("dpop") && !word("mtls") && !word("ssf") && !word("device"), "{offered:?}");
    // A token that is bound to a key elsewhere is none of ours; a proof beside a token makes it no better.
    let answer = gateway.client.get(gateway.url("/api/v1/platform/orgs"));
    let answer = answer.header("authorization", format!("DPoP {}", gateway.token("staff"))).send().await;
    assert_eq!(answer.unwrap().status(), 401);
}

#[tokio::test]
async fn s_53_a_fault_tells_its_code_and_nothing_of_the_inside() {
    let gateway = Gateway::demo();
    let (staff, owner, viewer) = (gateway.token("staff"), gateway.token("owner"), gateway.token("viewer"));
    let mint = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    let log = format!("/api/v1/orgs/{}/audit-log", gateway.org("acme"));
    let cases = [
        ("GET", "/api/v1/cameras", "", None),
        ("GET", "/api/v1/cameras", "nonsense", None),
        ("GET", "/api/v1/cameras", staff, None),
        ("GET", "/api/v1/nowhere", owner, None),
        ("DELETE", "/api/v1/cameras/1", viewer, None),
        ("POST", mint.as_str(), staff, Some(json!({ "reason": "short" }))),
        ("POST", mint.as_str(), staff, Some(json!({ "reason": ["not", "a", "text"] }))),
        (
            "POST",
            "/api/v1/platform/me/password",
            staff,
            Some(json!({ "current": "x'; DROP TABLE session; --" })),
        ),
        (
            "POST",
            "/api/v1/platform/setup/bootstrap",
            "",
            Some(json!({ "secret": "x", "email": "a@b.example" })),
        ),
        ("GET", "/api/v1/platform/audit-log?cursor=%27%22", staff, None),
        ("GET", log.as_str(), viewer, None),
    ];
    for (method, path, token, body) in cases {
        let answer = gateway.call(method, path, token, body).await;
        let what = format!("{method} {path}: {answer}");
        assert!((400..500).contains(&answer.status), "{what}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
        let members: BTreeSet<&str> = answer.json.as_object().unwrap().keys().map(String::as_str).collect();
        for member in ["type", "title", "status", "detail", "code", "request_id"] {
            assert!(members.contains(member), "no {member}: {what}");
        }
        let text = String::from_utf8_lossy(&answer.body).to_lowercase();
        for inside in
            ["panicked", "src/", ".rs:", "sqlite", "sqlx", "select ", "backtrace", "/tmp/", "/root/"]
        {
            assert!(!text.contains(inside), "`{inside}` in {what}");
        }
    }
}

#[tokio::test]
async fn s_55_who_may_what_counts_from_the_next_request_on() {
    let gateway = Gateway::demo();
    let (staff, staff2) = (gateway.token("staff"), gateway.token("staff2"));
    gateway.get("/api/v1/platform/orgs", staff2).await.expect(200);
    let me = gateway.get("/api/v1/platform/me", staff2).await.expect(200);
    let disable = format!("/api/v1/platform/users/{}/disable", me.text("/id"));
    gateway.call("PATCH", &disable, staff, Some(json!({ "reason": "left the company" }))).await.expect(200);
    gateway.get("/api/v1/platform/orgs", staff2).await.problem(401, "ACCOUNT_DISABLED");
    // What nobody has permitted is denied, and another's org answers as one that there isn't.
    let viewer = gateway.token("viewer");
    gateway.call("POST", "/api/v1/cameras", viewer, Some(json!({ "name": "x" }))).await.expect(403);
    let shape = async |org: &str| {
        let answer = gateway.get(&format!("/api/v1/orgs/{org}/cameras"), viewer).await;
        (answer.status, answer.json["code"].clone(), answer.json["detail"].clone())
    };
    let other = shape(gateway.org("globex")).await;
    assert_eq!(other, shape("org_0000000000000000000000000000000f").await);
    assert_eq!(other.1, "ORG_MISMATCH");
}

#[tokio::test]
async fn s_57_every_sign_in_and_every_decision_is_written_down() {
    let gateway = Gateway::demo();
    let account = |member: &str| gateway.told["accounts"]["staff2"][member].as_str().unwrap().to_owned();
    let (email, password) = (account("email"), account("password"));
    let otp = totp(&account("totp_secret"), 0);
    let sign_in = async |password: &str, otp: &str| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("email", email.as_str()), ("password", password), ("otp", otp)])
            .finish();
        let request = gateway.client.post(gateway.url("/platform/login"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(form).send().await.unwrap().status().as_u16()
    };
    assert_eq!(sign_in("a wrong password", &otp).await, 401);
    assert_eq!(sign_in(&password, &otp).await, 303);
    let (bot, viewer, staff2) = (gateway.token("bot"), gateway.token("viewer"), gateway.token("staff2"));
    gateway.get("/api/v1/cameras", bot).await.expect(200);
    gateway.call("POST", "/api/v1/cameras", viewer, Some(json!({ "name": "x" }))).await.expect(403);
    gateway.get("/api/v1/platform/orgs", staff2).await.expect(200);
    gateway.get("/api/v1/cameras", staff2).await.expect(403);
    let has = async |org: bool, event: &str, decision: Value| {
        eventually(&format!("{event} ({decision})"), async || {
            let filter = format!("&event={event}");
            let items = if org {
                gateway.org_log("acme", "owner", &filter).await
            } else {
                gateway.platform_log(&filter).await
            };
            items.iter().any(|item| item["decision"] == decision).then_some(())
        })
        .await;
    };
    has(false, "platform.login_failed", json!("deny")).await;
    has(false, "platform.login", Value::Null).await;
    has(false, "platform.orgs_read", json!("permit")).await;
    has(false, "platform.access_denied", json!("deny")).await;
    has(true, "org.request", json!("permit")).await;
    has(true, "org.access_denied", json!("deny")).await;
}
