//! What a browser is told and what it is held to: S-18 to S-22 of the security facts, on raw answers.

use crate::support::{Answer, Gateway, GatewayBuilder, totp};
use drawbridge::control::routes;

/// Pages that anybody may see, and pages of staff.
const OPEN: [&str; 2] = ["/platform/login", "/platform/signed-out"];
const OWN: [&str; 9] = [
    "/platform/me",
    "/platform/me/password",
    "/platform/me/2fa",
    "/platform/orgs",
    "/platform/orgs/new",
    "/platform/admins",
    "/platform/admins/new",
    "/platform/audit-log",
    "/platform/audit-log?from=noon",
];

fn gateway() -> Gateway {
    GatewayBuilder::new().arg("--tls").start()
}

/// What a browser sends with a form of one of our pages.
const FROM_HERE: &[(&str, &str)] = &[("sec-fetch-site", "same-origin"), ("origin", "null")];

async fn send(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = gateway.client.request(method, gateway.url(path)).header("accept", "text/html");
    if !body.is_empty() {
        request = request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await.unwrap()).await
}

/// Signs in by the form; the answer.
async fn signed_in(gateway: &Gateway) -> Answer {
    let account = &gateway.told["accounts"]["staff"];
    let text = |name: &str| account[name].as_str().unwrap();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("email", text("email"))
        .append_pair("password", text("password"))
        .append_pair("otp", &totp(text("totp_secret"), 0))
        .finish();
    send(gateway, "POST", "/platform/login", FROM_HERE, &body).await.expect(303)
}

/// `name=value` of the session.
async fn cookie(gateway: &Gateway) -> String {
    signed_in(gateway).await.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn is_live(gateway: &Gateway, cookie: &str) -> bool {
    send(gateway, "GET", "/api/v1/platform/me", &[("cookie", cookie)], "").await.status == 200
}

#[tokio::test]
async fn s_18_the_cookie_is_bound_to_the_host() {
    let gateway = gateway();
    let answer = signed_in(&gateway).await;
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 1, "{answer}");
    let text = answer.header("set-cookie");
    let mut parts = text.split("; ");
    assert!(parts.next().unwrap().starts_with("__Host-drawbridge-platform=dbs_"), "{text}");
    let mut attributes: Vec<_> = parts.collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"], "{text}");

    // A cookie's value is no bearer token, and a token is no cookie.
    let value = text.split(['=', ';']).nth(1).unwrap();
    gateway.get("/api/v1/platform/me", value).await.problem(401, "INVALID_TOKEN");
    let token = format!("__Host-drawbridge-platform={}", gateway.token("staff"));
    assert!(!is_live(&gateway, &token).await);
    // It never reaches the upstream, and explicit credentials count before it.
    let both = [
        ("cookie", "__Host-drawbridge-platform=x; theirs=1"),
        ("x-drawbridge-token", gateway.token("viewer")),
    ];
    let answer = send(&gateway, "GET", "/api/v1/echo", &both, "").await.expect(200);
    let echoed = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(echoed.contains("theirs=1") && !echoed.contains("__Host-drawbridge"), "{echoed}");
}

#[tokio::test]
async fn s_19_the_cookie_is_short() {
    let gateway = gateway();
    let cookie = cookie(&gateway).await;
    assert!(cookie.len() <= 4096 && is_live(&gateway, &cookie).await, "{cookie}");
}

#[tokio::test]
async fn s_20_only_our_own_pages_change_anything_by_cookie() {
    let gateway = gateway();
    let cookie = cookie(&gateway).await;
    let changing = routes().into_iter().filter(|(method, _)| *method != "GET");
    let mut tried = 0;
    for (method, path) in changing {
        let path = path
            .replace("{user}", "pu_1")
            .replace("{org}", gateway.org("acme"))
            .replace("{impersonation}", "imp_1");
        for from in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://127.0.0.1")],
        ] {
            let mut headers = vec![("cookie", cookie.as_str())];
            headers.extend_from_slice(from);
            let answer = send(&gateway, method, &path, &headers, "reason=x").await;
            assert_eq!(answer.status, 403, "{method} {path} {from:?}: {answer}");
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(text.contains("ORIGIN_NOT_ALLOWED"), "{method} {path} {from:?}: {text}");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
    assert!(is_live(&gateway, &cookie).await, "signed out by another site's page");
    // Looking changes nothing: what stands in the log of acts stays.
    let acts =
        async || gateway.platform_log("").await.iter().filter(|e| e["event"] != "platform.orgs_read").count();
    let before = acts().await;
    for path in OWN {
        send(&gateway, "GET", path, &[("cookie", &cookie), ("sec-fetch-site", "cross-site")], "").await;
    }
    assert_eq!(acts().await, before);
    // The public URL as origin will do, for browsers that know no Sec-Fetch-Site; so will our own pages.
    let origin = gateway.url("");
    let from_here = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
    let wrong = "current=x&otp=000000";
    send(&gateway, "POST", "/platform/me/2fa/backup-codes", &from_here, wrong).await.expect(403);
    let headers = [&[("cookie", cookie.as_str())], FROM_HERE].concat();
    send(&gateway, "POST", "/platform/logout", &headers, "x=").await.expect(303);
    assert!(!is_live(&gateway, &cookie).await);
}

/// A browser goes on sending the cookie of a session that is over: it has to reach the sign-in page all the same.
#[tokio::test]
async fn the_cookie_of_a_session_that_is_over_is_none() {
    let gateway = gateway();
    let cookie = cookie(&gateway).await;
    let from_here = [&[("cookie", cookie.as_str())], FROM_HERE].concat();
    send(&gateway, "POST", "/platform/logout", &from_here, "").await.expect(303);
    let with = [("cookie", cookie.as_str())];
    let sent_on = send(&gateway, "GET", "/platform/me", &with, "").await.expect(302);
    assert_eq!(sent_on.header("location"), "/platform/login");
    assert!(sent_on.header("set-cookie").contains("Max-Age=0"), "{sent_on}");
    for path in OPEN {
        send(&gateway, "GET", path, &with, "").await.expect(200);
    }
    let again =
        send(&gateway, "POST", "/platform/login", &from_here, "email=a%40b&password=c").await.expect(401);
    assert!(again.header("content-type").starts_with("text/html"), "{again}");
    send(&gateway, "GET", "/api/v1/platform/me", &with, "").await.expect(401);
}

/// ASVS 3.4.1 to 3.4.8, on every kind of answer.
#[track_caller]
fn has_the_headers(answer: &Answer) {
    let hsts = answer.header("strict-transport-security");
    let age = hsts.split(['=', ';']).nth(1).and_then(|age| age.parse::<u64>().ok()).unwrap_or_default();
    assert!(age >= 31_536_000 && hsts.contains("includeSubDomains"), "{answer}");
    let policy = answer.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "style-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.split("; ").any(|p| p == part), "{part} is not in {policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains("script-src") && !policy.contains('*'),
        "{policy}"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer}");
    assert_eq!(answer.header("referrer-policy"), "no-referrer", "{answer}");
    assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{answer}");
}

#[tokio::test]
async fn s_21_every_page_has_the_security_headers() {
    let gateway = gateway();
    let answer = signed_in(&gateway).await;
    has_the_headers(&answer);
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    for path in OPEN.iter().chain(&OWN) {
        let answer = send(&gateway, "GET", path, &[("cookie", &cookie)], "").await;
        assert!(matches!(answer.status, 200 | 400), "{path}: {answer}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        has_the_headers(&answer);
        let html = String::from_utf8(answer.body.clone()).unwrap();
        assert!(!html.contains("<script") && !html.contains(" style=") && !html.contains("<style"), "{path}");
    }
    // Refusals, by the gate and by a handler; redirects; the style sheet.
    has_the_headers(
        &send(&gateway, "GET", "/platform/nowhere", &[("cookie", &cookie)], "").await.expect(404),
    );
    has_the_headers(&send(&gateway, "GET", "/platform/setup", &[("cookie", &cookie)], "").await.expect(409));
    has_the_headers(&send(&gateway, "GET", "/platform/me", &[], "").await.expect(302));
    has_the_headers(
        &send(&gateway, "POST", "/platform/logout", &[("cookie", &cookie)], "x=").await.expect(403),
    );
    let page = send(&gateway, "GET", "/platform/login", &[], "").await.expect(200);
    let html = String::from_utf8(page.body).unwrap();
    let sheet = html.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let sheet = send(&gateway, "GET", sheet, &[], "").await.expect(200);
    has_the_headers(&sheet);
    assert_eq!(sheet.header("content-type"), "text/css; charset=utf-8");
    assert!(sheet.header("cache-control").contains("immutable"));
    // Programs get documents, also there.
    gateway.get("/platform/me", "").await.problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn s_22_redirects_stay_here() {
    let gateway = gateway();
    let cookie = cookie(&gateway).await;
    let with =
        |more: &'static [(&'static str, &'static str)]| [&[("cookie", cookie.as_str())], more].concat();
    for path in [
        "/platform",
        "/platform?next=https://evil.example",
        "/platform//evil.example",
        "/platform/me?return_to=//evil.example",
        "/platform/login?next=https://evil.example",
        "/admin-console?url=https:evil.example",
    ] {
        for headers in [with(&[]), with(&[("x-forwarded-host", "evil.example")]), Vec::new()] {
            let answer = send(&gateway, "GET", path, &headers, "").await;
            let to = answer.header("location");
            let here = to.starts_with("/platform/") && !to.contains("evil") && !to.contains('\\');
            assert!(if answer.status / 100 == 3 { here } else { to.is_empty() }, "{path}: {answer}");
        }
    }
    let form = with(FROM_HERE);
    let answer = send(&gateway, "POST", "/platform/logout", &form, "next=https://evil.example").await;
    assert!(matches!(answer.header("location"), "" | "/platform/signed-out"), "{answer}");
}
