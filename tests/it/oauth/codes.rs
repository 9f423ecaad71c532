//! Authorization codes: once, for a minute, for whom they were made.

use super::{CLIENT, Flow, VERIFIER, oauth_error, query};
use crate::support::{Engine, Gateway, GatewayBuilder, on_both_engines};
use drawbridge::store::{Db, DbOptions};
use serde_json::json;

on_both_engines!(s_33_a_code_redeemed_fifty_times_at_once_gives_one_token_which_is_revoked);

async fn s_33_a_code_redeemed_fifty_times_at_once_gives_one_token_which_is_revoked(engine: Engine) {
    let gateway = Gateway::on(engine).await;
    let flow = Flow::at(&gateway);
    let code = flow.code("staff", 0).await;
    let all = futures_util::future::join_all((0..50).map(|_| flow.redeem(&code))).await;
    let (tokens, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    for answer in &refused {
        oauth_error(answer, 400, "invalid_grant");
    }
    let token = tokens[0].text("/access_token");
    let ended = gateway.get("/api/v1/platform/me", token).await;
    assert_eq!(ended.status, 401, "{ended}");
    let log = gateway.platform_log("&event=token.revoked").await;
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(
        (&log[0]["revoke_reason"], &log[0]["stage"]),
        (&json!("code_reused"), &json!("act")),
        "{}",
        log[0]
    );
}

#[tokio::test]
async fn s_33_a_second_use_takes_back_what_came_of_the_first() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let code = flow.code("staff", -1).await;
    let token = flow.redeem(&code).await.expect(200).text("/access_token").to_owned();
    let path = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    let body = json!({ "reason": "cameras offline since 03:00" });
    let minted = gateway.call("POST", &path, &token, Some(body)).await.expect(201);
    gateway.get("/api/v1/cameras", minted.text("/token")).await.expect(200);
    // Whoever has the code only, and not the verifier, ends it all the same.
    let second = flow.redeem_with(&code, &[("code_verifier", &"x".repeat(43))]).await;
    oauth_error(&second, 400, "invalid_grant");
    assert_eq!(gateway.get("/api/v1/platform/me", &token).await.status, 401);
    let over =
        gateway.get("/api/v1/cameras", minted.text("/token")).await.problem(401, "IMPERSONATION_REVOKED");
    assert_eq!(over.text("/revoke_reason"), "code_reused");
    // The next sign-in is another session.
    let next = flow.token("staff", 0).await;
    gateway.get("/api/v1/platform/me", &next).await.expect(200);
}

#[tokio::test]
async fn s_33_a_code_counts_for_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let gateway = GatewayBuilder::new().data(&data).start();
    let code = Flow::at(&gateway).code("staff", 0).await;
    drop(gateway);
    let later = GatewayBuilder::new().data(&data).env("DRAWBRIDGE_TEST_CLOCK_SHIFT_MS", "61000").start();
    oauth_error(&Flow::at(&later).redeem(&code).await, 400, "invalid_grant");
}

#[tokio::test]
async fn s_34_the_verifier_belongs_to_the_challenge() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let code = flow.code("staff", 0).await;
    let (other, unknown) = ("e".repeat(43), format!("dbc_{}", "A".repeat(43)));
    for (change, error) in [
        (("code_verifier", other.as_str()), "invalid_grant"),
        (("code_verifier", ""), "invalid_request"),
        (("code_verifier", "short"), "invalid_request"),
        (("code_verifier", &"é".repeat(30)), "invalid_request"),
        (("code", ""), "invalid_request"),
        (("code", "dbc_unknown"), "invalid_grant"),
        (("code", unknown.as_str()), "invalid_grant"),
        (("redirect_uri", ""), "invalid_request"),
        (("redirect_uri", "http://127.0.0.1:49153/callback"), "invalid_grant"),
    ] {
        let refused = flow.redeem_with(&code, &[change]).await;
        oauth_error(&refused, 400, error);
    }
    oauth_error(&flow.redeem_with(&code, &[("client_id", "other")]).await, 401, "invalid_client");
    oauth_error(&flow.redeem_with(&code, &[("client_id", "")]).await, 401, "invalid_client");
    let by_body = flow.redeem_with(&code, &[("client_secret", "x")]).await;
    oauth_error(&by_body, 401, "invalid_client");
    // None of these used it up.
    flow.redeem(&code).await.expect(200);
}

/// Whoever makes up codes doesn't take turns with those who write: here another process holds the only writer's lock.
#[tokio::test]
async fn a_made_up_code_waits_for_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let gateway = GatewayBuilder::new().data(&data).start();
    let db = Db::open(DbOptions { exclusive: false, ..DbOptions::new(&data) }).await.unwrap();
    let mut held = db.write().await.unwrap();
    held.execute("UPDATE sign_in_failure SET failures = failures", &[]).await.unwrap();
    let refused = Flow::at(&gateway).redeem(&format!("dbc_{}", "A".repeat(43))).await;
    oauth_error(&refused, 400, "invalid_grant");
}

#[tokio::test]
async fn s_36_s_39_one_grant_and_no_refresh() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    for grant in
        ["password", "client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"]
    {
        let fields = [
            ("grant_type", grant),
            ("client_id", CLIENT),
            ("username", "a"),
            ("password", "b"),
            ("refresh_token", "x"),
        ];
        oauth_error(&flow.post("/oauth2/token", &fields).await, 400, "unsupported_grant_type");
    }
    let code = flow.code("staff", 0).await;
    let twice = [
        ("grant_type", "authorization_code"),
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("client_id", CLIENT),
        ("code_verifier", VERIFIER),
    ];
    oauth_error(&flow.post("/oauth2/token", &twice).await, 400, "invalid_request");
    let body = json!({ "grant_type": "authorization_code" });
    let as_json = gateway.call("POST", "/oauth2/token", "", Some(body)).await;
    oauth_error(&as_json, 400, "invalid_request");
    gateway.get("/oauth2/token", "").await.problem(401, "UNAUTHENTICATED");
    // In the answer there is nothing to go on with.
    let issued = flow.redeem(&code).await.expect(200);
    let members: Vec<_> = issued.json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["access_token", "token_type", "expires_in", "scope"]);
    assert!(query("x").is_empty());
}
