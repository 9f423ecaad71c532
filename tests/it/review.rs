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
