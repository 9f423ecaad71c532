//! The whole way, and what the token is good for.

use super::{CLIENT, Flow, REDIRECT, asking, hidden, part, query};
use crate::support::{Gateway, totp};
use serde_json::json;

#[tokio::test]
async fn s_25_s_37_from_a_clients_request_to_the_platform_api() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let answer = flow.answer("staff", 0).await;
    assert!(answer.starts_with(&format!("{REDIRECT}?")), "{answer}");
    let told = query(&answer);
    assert_eq!((told["state"].as_str(), told["iss"].as_str()), ("a b&c", gateway.url("").as_str()));
    let issued = flow.redeem(&told["code"]).await.expect(200);
    assert_eq!(issued.header("cache-control"), "no-store");
    assert_eq!((issued.text("/token_type"), issued.text("/scope")), ("Bearer", "platform"));
    assert!(issued.json["refresh_token"].is_null(), "{issued}");
    let token = issued.text("/access_token");

    let (header, claims) = (part(token, 0), part(token, 1));
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("RS256")));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(gateway.url("")), &json!(gateway.url(""))));
    assert_eq!((&claims["client_id"], &claims["tenant_id"]), (&json!(CLIENT), &json!("platform")));
    assert_eq!((&claims["amr"], &claims["scope"]), (&json!(["pwd", "otp"]), &json!("platform")));
    assert!(claims["roles"].as_array().unwrap().contains(&json!("platform-admin")), "{claims}");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(issued.json["expires_in"], 3600);
    assert!(claims["org_id"].is_null() && claims["jti"].is_string() && claims["auth_time"].is_i64());

    let me = gateway.get("/api/v1/platform/me", token).await.expect(200);
    assert_eq!(
        (me.text("/id"), me.text("/session_id")),
        (claims["sub"].as_str().unwrap(), claims["sid"].as_str().unwrap())
    );
    gateway.get("/api/v1/cameras", token).await.problem(403, "PLATFORM_ACCESS_DENIED");
    // Not in a query string, not as a cookie (S-54, S-17).
    gateway
        .get(&format!("/api/v1/platform/me?access_token={token}"), "")
        .await
        .problem(401, "UNAUTHENTICATED");
    let login = gateway.platform_log("&event=platform.login").await;
    assert_eq!(login[0]["details"]["client_id"], CLIENT, "{}", login[0]);
}

#[tokio::test]
async fn the_code_of_the_authenticator_may_come_in_a_second_form() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let authorization = flow.begin(&asking()).await;
    let (email, password) = (flow.account("staff", "email"), flow.account("staff", "password"));
    let fields = [("email", email), ("password", password), ("authorization", &authorization)];
    let second = flow.post("/platform/login", &fields).await.expect(200);
    let (proved, again) = (hidden(&second, "proved"), hidden(&second, "authorization"));
    assert_eq!(again, authorization);
    let wrong = flow
        .post("/platform/login", &[("proved", &proved), ("otp", "000000"), ("authorization", &again)])
        .await;
    let proved = hidden(&wrong.expect(401), "proved");
    let otp = totp(flow.account("staff", "totp_secret"), 0);
    let fields = [("proved", proved.as_str()), ("otp", &otp), ("authorization", &again)];
    let done = flow.post("/platform/login", &fields).await.expect(303);
    let answer = flow.get(done.header("location")).await.expect(302);
    flow.redeem(&query(answer.header("location"))["code"]).await.expect(200);
    // The same code of the authenticator isn't taken again.
    flow.post("/platform/login", &fields).await.expect(401);
    // What was sealed as one thing isn't another.
    flow.get(&format!("/oauth2/authorize/callback?ticket={proved}")).await.expect(400);
    flow.get(&format!("/platform/login?authorization={proved}")).await.expect(400);
}

#[tokio::test]
async fn without_a_client_the_console_is_where_one_goes() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let page = flow.get("/platform/login").await.expect(200);
    assert!(!String::from_utf8_lossy(&page.body).contains("authorization"), "{page}");
    let signed_in = flow.sign_in("staff", 0, "").await.expect(303);
    assert_eq!(signed_in.header("location"), "/platform/me");
    let cookie = signed_in.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let value = cookie.split(';').next().unwrap();
    let me =
        gateway.client.get(gateway.url("/api/v1/platform/me")).header("cookie", value).send().await.unwrap();
    assert_eq!(me.status(), 200);
    // Its value is no bearer token.
    let secret = value.split_once('=').unwrap().1;
    gateway.get("/api/v1/platform/me", secret).await.problem(401, "INVALID_TOKEN");
}
