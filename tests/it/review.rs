//! What a review found missing in the logs, and paths that mean another route once they are decoded.

use crate::support::{Gateway, GatewayBuilder, eventually};
use serde_json::{Value, json};

/// The newest entry of `path` in each log, once both have one that `fits`.
async fn in_both(gateway: &Gateway, path: &str, fits: impl Fn(&Value) -> bool) -> [Value; 2] {
    let mut both = [Value::Null, Value::Null];
    for (org, found) in [true, false].into_iter().zip(&mut both) {
        *found = eventually(&format!("an entry of {path} (the org's log: {org})"), async || {
            let items =
                if org { gateway.org_log("acme", "owner", "").await } else { gateway.platform_log("").await };
            items.into_iter().find(|i| i["path"] == path && fits(i))
        })
        .await;
    }
    both
}

#[tokio::test]
async fn own_routes_under_a_grant_are_in_both_logs() {
    let gateway = Gateway::demo();
    let (token, id) = gateway.mint("staff", "acme").await;
    gateway.get("/api/v1/me", &token).await.expect(200);
    for entry in in_both(&gateway, "/api/v1/me", |i| !i["outcome"].is_null()).await {
        assert_eq!(entry["impersonation_id"], id.as_str(), "{entry}");
        assert_eq!(entry["impersonation_seq"], 1, "{entry}");
        assert_eq!((&entry["outcome"], &entry["status"]), (&json!("completed"), &json!(200)), "{entry}");
    }
}

#[tokio::test]
async fn an_expired_platform_token_s_refusal_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut first = GatewayBuilder::new().data(&data).start();
    let (old, authority) = (first.token("staff").to_owned(), first.authority().to_owned());
    first.signal("-INT");
    assert_eq!(first.wait(), Some(0), "{}", first.log());
    let month = (30_i64 * 24 * 3_600_000).to_string();
    let later = GatewayBuilder::new().data(&data).arg("--listen").arg(&authority);
    let later = later.env("DRAWBRIDGE_TEST_CLOCK_SHIFT_MS", month).start();
    later.get("/api/v1/platform/orgs", &old).await.problem(401, "TOKEN_EXPIRED");
    let entries = later.platform_log("&event=platform.access_denied").await;
    assert!(entries.iter().any(|e| e["code"] == "TOKEN_EXPIRED"), "{entries:#?}");
}

#[tokio::test]
async fn what_handlers_refuse_is_recorded() {
    let gateway = Gateway::demo();
    let (token, id) = gateway.mint("staff", "acme").await;
    let staff = gateway.token("staff");
    let mint = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    let end = "/api/v1/platform/end-impersonation";

    let bad = Some(json!({ "reason": "cameras offline since 03:00", "force": true }));
    gateway.call("POST", &mint, staff, bad.clone()).await.problem(422, "INVALID_BODY");
    for entry in in_both(&gateway, &mint, |i| i["code"] == "INVALID_BODY").await {
        assert_eq!(entry["event"], "platform.impersonation_denied", "{entry}");
        assert_eq!((&entry["decision"], &entry["status"]), (&json!("deny"), &json!(422)), "{entry}");
    }
    let nowhere = "/api/v1/platform/orgs/org_nowhere/impersonate";
    gateway.call("POST", nowhere, staff, bad).await.problem(422, "INVALID_BODY");
    gateway.call("POST", end, staff, Some(json!({}))).await.problem(422, "INVALID_BODY");
    let other = Some(json!({ "impersonation_id": "imp_another" }));
    gateway.call("POST", end, &token, other).await.problem(404, "NOT_FOUND");
    for entry in in_both(&gateway, end, |i| i["code"] == "NOT_FOUND").await {
        assert_eq!(entry["event"], "platform.impersonated_request", "{entry}");
        assert_eq!(entry["impersonation_id"], id.as_str(), "{entry}");
    }
    // What an act has recorded stands there once.
    let reasonless = Some(json!({ "reason": "x" }));
    gateway.call("POST", &mint, staff, reasonless).await.problem(422, "REASON_REQUIRED");
    let told: Vec<(Value, Value)> = gateway
        .platform_log("&decision=deny")
        .await
        .into_iter()
        .map(|e| (e["event"].clone(), e["code"].clone()))
        .collect();
    let expected = [
        ("platform.impersonation_denied", "REASON_REQUIRED"),
        ("platform.impersonated_request", "NOT_FOUND"),
        ("platform.access_denied", "INVALID_BODY"),
        ("platform.impersonation_denied", "INVALID_BODY"),
        ("platform.impersonation_denied", "INVALID_BODY"),
    ];
    assert_eq!(told, expected.map(|(event, code)| (json!(event), json!(code))));
    let org = gateway.org_log("acme", "owner", "").await;
    assert!(org.iter().all(|e| !e.to_string().contains("pu_")), "the person leaks: {org:#?}");
}

#[tokio::test]
async fn a_bot_s_use_of_own_routes_is_attributed() {
    let gateway = Gateway::demo();
    gateway.get("/api/v1/me", gateway.token("bot")).await.expect(200);
    eventually("the use of the bot", async || {
        let entries = gateway.org_log("acme", "owner", "").await;
        entries.into_iter().find(|e| e["path"] == "/api/v1/me" && e["actor_type"] == "bot")
    })
    .await;
}
