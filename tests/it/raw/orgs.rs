//! Which org a request is about, and that nobody learns from an answer which orgs there are.

use super::Probe;
use crate::support::GatewayBuilder;
use serde_json::Value;
use std::process::Command;

/// An answer without what differs from request to request.
fn shape(answer: &crate::support::Answer) -> (u16, Value, Vec<String>) {
    let mut json = answer.json.clone();
    json["request_id"] = Value::Null;
    let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort();
    (answer.status, json, names)
}

#[tokio::test]
async fn another_org_looks_like_none_at_all() {
    let probe = Probe::start().await;
    let (acme, globex) = (probe.gateway.org("acme").to_owned(), probe.gateway.org("globex").to_owned());
    let absent = format!("{}0000", &globex[..globex.len() - 4]);
    for ((who, token), code) in probe.callers.iter().zip(["ORG_MISMATCH", "IMPERSONATION_OUT_OF_SCOPE"]) {
        probe.gateway.get(&format!("/api/v1/orgs/{acme}/cameras"), token).await.expect(200);
        let before = probe.gateway.hits().await.len();
        let mut shapes = Vec::new();
        for org in [globex.as_str(), &absent, "org_-", "nonsense", "%2A"] {
            let answer = probe.gateway.get(&format!("/api/v1/orgs/{org}/cameras"), token).await;
            let answer = answer.problem(403, code);
            assert!(!answer.to_string().to_lowercase().contains("globex"), "{answer}");
            if who.contains("impersonation") {
                assert_eq!(probe.unrecorded(&answer).await, None, "{org}");
            }
            shapes.push(shape(&answer));
        }
        assert!(shapes.windows(2).all(|two| two[0] == two[1]), "as {who}: {shapes:#?}");
        assert_eq!(probe.gateway.hits().await.len(), before);
    }
}

#[tokio::test]
async fn a_header_names_one_of_the_caller_s_orgs_and_replaces_none() {
    let probe = Probe::start().await;
    let (acme, globex) = (probe.gateway.org("acme").to_owned(), probe.gateway.org("globex").to_owned());
    let ask = |org: &str| {
        format!("GET /api/v1/echo HTTP/1.1\r\nHost: {{host}}\r\nAuthorization: Bearer {{token}}\r\n{org}\r\n")
    };
    let named = |org: &str| format!("Drawbridge-Org: {org}\r\n");
    let get = async |fields: &str, token: &str| {
        probe.send("GET", &probe.fill(ask(fields), token)).await.answer.unwrap()
    };
    for token in [probe.admin(), probe.gateway.token("bot")] {
        let own = get(&named(&acme), token).await.expect(200);
        assert_eq!(super::values(&own, "x-drawbridge-org"), [acme.as_str()], "{own}");
        get(&named(&globex), token).await.problem(403, "ORG_MISMATCH");
        get(&named("org_-"), token).await.problem(403, "ORG_MISMATCH");
        get(&named("nonsense"), token).await.problem(403, "ORG_MISMATCH");
        get(&(named(&acme) + &named(&globex)), token).await.problem(400, "BAD_REQUEST");
    }
    // The grant names the org; the header is not asked.
    let granted = get(&named(&globex), probe.impersonation()).await.expect(200);
    assert_eq!(super::values(&granted, "x-drawbridge-org"), [acme.as_str()], "{granted}");
    // Staff have no org at all.
    let staff = probe.gateway.token("staff");
    get(&named(&acme), staff).await.problem(403, "PLATFORM_ACCESS_DENIED");
}

#[tokio::test]
async fn whoever_belongs_to_several_orgs_names_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut first = GatewayBuilder::new().data(&data).start();
    first.signal("-INT");
    assert_eq!(first.wait(), Some(0), "{}", first.log());
    // Who looks after acme looks after globex too from now on.
    let config = folder.path().join("drawbridge.toml");
    let text = format!("[upstream]\nurl = \"http://127.0.0.1:1\"\n[data]\ndir = {data:?}\n");
    std::fs::write(&config, text).unwrap();
    let added = Command::new(env!("CARGO_BIN_EXE_drawbridge"))
        .args(["user", "add-org-user", "--org", "globex", "--role", "viewer"])
        .args(["--email", "admin@acme.example", "--display-name", "Acme Admin", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));

    let probe = Probe::of(GatewayBuilder::new().data(&data)).await;
    let (acme, globex) = (probe.gateway.org("acme").to_owned(), probe.gateway.org("globex").to_owned());
    let none = probe.gateway.get("/api/v1/cameras", probe.admin()).await.problem(400, "ORG_REQUIRED");
    assert!(none.text("/detail").contains("Drawbridge-Org"), "{none}");
    // An undeclared route is none, whoever asks; a path that names the org is enough.
    probe.gateway.get("/api/v1/nothing", probe.admin()).await.problem(404, "ROUTE_NOT_DECLARED");
    probe.gateway.get(&format!("/api/v1/orgs/{globex}/cameras"), probe.admin()).await.expect(200);
    assert_eq!(probe.gateway.hits().await.len(), 1);
    for (org, role) in [(&acme, "admin"), (&globex, "viewer")] {
        let ask = format!(
            "GET /api/v1/echo HTTP/1.1\r\nHost: {{host}}\r\nAuthorization: Bearer {{token}}\r\nDrawbridge-Org: {org}\r\n\r\n"
        );
        let echoed = probe.send("GET", &probe.fill(ask, probe.admin())).await.answer.unwrap().expect(200);
        assert_eq!(super::values(&echoed, "x-drawbridge-org"), [org.as_str()], "{echoed}");
        assert_eq!(super::values(&echoed, "x-drawbridge-role"), [role], "{echoed}");
        assert!(super::values(&echoed, "drawbridge-org").is_empty(), "{echoed}");
    }
}
