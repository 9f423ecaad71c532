//! The authorization request and the sign-in page, byte by byte.

use super::{CHALLENGE, Flow, REDIRECT, asking, encoded, query};
use crate::support::{Gateway, raw_exchange, totp};

/// The request with one parameter otherwise; an empty one is left out.
fn changed<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut fields: Vec<_> = asking().into_iter().filter(|(key, _)| *key != name).collect();
    if !value.is_empty() {
        fields.push((name, value));
    }
    fields
}

#[tokio::test]
async fn s_35_nothing_is_sent_to_whom_nobody_registered() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    for (name, value) in [
        ("client_id", "other"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1:49152/callback/"),
        ("redirect_uri", "http://127.0.0.1/callback/more"),
        ("redirect_uri", "http://127.0.0.1:49152@evil.example/callback"),
        ("redirect_uri", "http://localhost:49152/callback"),
    ] {
        let path = format!("/oauth2/authorize?{}", encoded(&changed(name, value)));
        let page = flow.get(&path).await.expect(400);
        assert!(
            page.header("location").is_empty() && page.header("content-type").starts_with("text/html"),
            "{page}"
        );
        assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page}");
        // What is in the request is nowhere on the page.
        assert!(!String::from_utf8_lossy(&page.body).contains("evil.example"), "{page}");
    }
}

#[tokio::test]
async fn s_34_s_36_s_37_other_faults_go_to_the_client_with_state_and_issuer() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("scope", "openid profile", "invalid_scope"),
        ("request", "x.y.z", "request_not_supported"),
    ] {
        let path = format!("/oauth2/authorize?{}", encoded(&changed(name, value)));
        let sent_on = flow.get(&path).await.expect(302);
        let to = sent_on.header("location");
        assert!(to.starts_with(&format!("{REDIRECT}?")), "{to}");
        let told = query(to);
        assert_eq!((told["error"].as_str(), told["state"].as_str()), (error, "a b&c"), "{to}");
        assert_eq!(told["iss"], gateway.url(""));
    }
}

/// By hand: what stands on the wire.
#[tokio::test]
async fn s_36_a_post_with_a_password_is_answered_by_303() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let authorization = flow.begin(&asking()).await;
    let otp = totp(flow.account("staff", "totp_secret"), 0);
    let body = encoded(&[
        ("email", flow.account("staff", "email")),
        ("password", flow.account("staff", "password")),
        ("otp", &otp),
        ("authorization", &authorization),
    ]);
    let request = format!(
        "POST /platform/login HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        gateway.authority(),
        body.len()
    );
    let answer = Box::pin(raw_exchange(gateway.authority(), request.as_bytes())).await;
    let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 303 "), "{answer}");
    assert!(head.contains("location: /oauth2/authorize/callback?ticket="), "{answer}");
    assert!(
        head.contains("cache-control: no-store") && head.contains("referrer-policy: no-referrer"),
        "{answer}"
    );
    assert!(!head.contains("set-cookie"), "a client's sign-in is no session of the browser: {answer}");
    assert!(!answer.contains(flow.account("staff", "password")), "{answer}");
    assert!(
        !gateway.log().contains(flow.account("staff", "password")) && !gateway.log().contains(&authorization)
    );
}

#[tokio::test]
async fn who_can_not_sign_in_is_told_the_same_and_gets_the_form_again() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let authorization = flow.begin(&asking()).await;
    let mut pages = Vec::new();
    for (email, password) in [
        ("staff@drawbridge.example", "wrong password 1"),
        ("nobody@drawbridge.example", "wrong password 1"),
        ("staff@drawbridge.example", ""),
    ] {
        let fields = [("email", email), ("password", password), ("authorization", authorization.as_str())];
        let page = flow.post("/platform/login", &fields).await.expect(401);
        // The client is where the form may end (Chromium follows `form-action` through redirects).
        assert!(
            page.header("content-security-policy").ends_with("form-action 'self' http://127.0.0.1:49152"),
            "{page}"
        );
        pages.push(String::from_utf8_lossy(&page.body).replace(email, "…"));
    }
    assert!(pages[0].contains("role=\"alert\"") && pages[0].contains("name=\"authorization\""));
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
    // Sealed by nobody here, and with a bit flipped.
    let flipped: String = authorization.chars().rev().collect();
    for bad in ["x", "x.y", &flipped] {
        flow.get(&format!("/platform/login?authorization={bad}")).await.expect(400);
        flow.post("/platform/login", &[("email", "a"), ("password", "b"), ("authorization", bad)])
            .await
            .expect(400);
    }
    flow.get("/oauth2/authorize/callback").await.expect(400);
}

#[tokio::test]
async fn a_page_of_somebody_else_signs_nobody_in() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let fields = [("email", "a@b.example"), ("password", "wrong password 1")];
    let own = gateway.url("");
    for (header, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("origin", own.as_str(), 401),
        ("sec-fetch-site", "same-origin", 401),
    ] {
        let answer = flow.post_with("/platform/login", &fields, &[(header, value)]).await;
        assert_eq!(answer.status, status, "{header}: {value}: {answer}");
    }
    assert_eq!(CHALLENGE.len(), 43);
}
