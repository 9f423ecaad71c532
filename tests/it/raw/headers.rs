//! Only the gateway says who calls and where from, in whatever spelling somebody else says it.

use super::{End, Probe, values};
use crate::support::Answer;

/// Names that only the gateway says, or that change what was judged.
const OURS: [&str; 38] = [
    "x-drawbridge-principal",
    "X-Drawbridge-Principal",
    "X-DRAWBRIDGE-PRINCIPAL",
    "X_Drawbridge_Principal",
    "x_drawbridge-principal",
    "x-drawbridge_principal",
    "x.drawbridge.principal",
    "x!drawbridge~principal",
    "x-drawbridge-org",
    "x-drawbridge_org",
    "x-drawbridge-role",
    "x-drawbridge-impersonation",
    "X_DRAWBRIDGE_IMPERSONATION",
    "x-drawbridge-actor",
    "x-drawbridge-assertion",
    "x_drawbridge_assertion",
    "x-drawbridge-anything-else",
    "drawbridge-org",
    "drawbridge_org",
    "x-request-id",
    "x_request_id",
    "forwarded",
    "x-forwarded-for",
    "x_forwarded_for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-real-ip",
    "x_real_ip",
    "x-client-ip",
    "true-client-ip",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-http-method-override",
    "proxy",
];

fn get(token: &str, fields: &str) -> String {
    format!("GET /api/v1/echo HTTP/1.1\r\nHost: {{host}}\r\nAuthorization: Bearer {token}\r\n{fields}\r\n")
}

/// What the upstream was told by these names, without what differs from request to request.
fn told(echoed: &Answer) -> Vec<(String, String)> {
    let pairs = echoed.json["headers"].as_array().unwrap();
    let mut told: Vec<_> = pairs
        .iter()
        .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()))
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "x-drawbridge-assertion"))
        .collect();
    told.sort();
    told
}

#[tokio::test]
async fn identity_is_said_by_the_gateway_alone() {
    let probe = Probe::start().await;
    let acme = probe.gateway.org("acme").to_owned();
    for (who, token) in &probe.callers {
        let honest = probe.send("GET", &probe.fill(get(token, ""), token)).await.answer.unwrap().expect(200);
        let one = |name: &str| match values(&honest, name).as_slice() {
            [one] => one.clone(),
            other => panic!("{name} for {who}: {other:?}"),
        };
        assert_eq!(one("x-drawbridge-org"), acme);
        assert_eq!(one("x-drawbridge-role"), "admin");
        assert_eq!(one("x-forwarded-for"), "127.0.0.1");
        assert_eq!(one("x-forwarded-proto"), "http");
        assert_eq!(one("x-forwarded-host"), probe.gateway.authority());
        assert_eq!(one("host"), probe.gateway.authority());
        assert_eq!(one("x-drawbridge-assertion").split('.').count(), 3);
        if who.contains("impersonation") {
            assert!(one("x-drawbridge-principal").starts_with("imp_"), "{honest}");
            assert_eq!(one("x-drawbridge-impersonation"), one("x-drawbridge-principal"));
            assert!(one("x-drawbridge-actor").starts_with("pu_"), "{honest}");
        } else {
            assert!(one("x-drawbridge-principal").starts_with("usr_"), "{honest}");
            for name in ["x-drawbridge-impersonation", "x-drawbridge-actor"] {
                assert!(values(&honest, name).is_empty(), "{honest}");
            }
        }
        for name in OURS {
            // An org that exists, so that a choice by `Drawbridge-Org` is not what the case fails by.
            let value = if name.eq_ignore_ascii_case("drawbridge-org") { acme.as_str() } else { "forged" };
            let fields = format!("{name}: {value}\r\n{}: {value}\r\n", name.to_uppercase());
            let forged = probe.send("GET", &probe.fill(get(token, &fields), token)).await;
            let forged = forged.answer.unwrap().expect(200);
            assert_eq!(told(&forged), told(&honest), "{name} as {who}");
            assert!(!forged.json.to_string().contains("forged"), "{name} as {who}: {forged}");
            let ids = values(&forged, "x-request-id");
            assert_eq!(ids, [forged.header("x-request-id")], "{name} as {who}");
        }
    }
}

#[tokio::test]
async fn connection_nominates_nothing_that_was_judged() {
    let probe = Probe::start().await;
    let refused = [
        "x-drawbridge-principal",
        "X-Drawbridge-Org",
        "x_drawbridge_role",
        "x-drawbridge-assertion",
        "x-drawbridge-impersonation",
        "x-drawbridge-actor",
        "x-drawbridge-token",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-host",
        "authorization",
        "AUTHORIZATION",
        "cookie",
        "host",
        "Host",
        "content-length",
        "content-type",
        "drawbridge-org",
        "origin",
        "bad name",
        "a/b",
        "\"close\"",
        "a, b, c, d, e, f, g, h, i",
    ];
    let line = |tokens: &str| get("{token}", &format!("Connection: {tokens}\r\n"));
    let bad = End::Refused(400, "BAD_REQUEST");
    probe.all(refused.map(|tokens| (tokens, line(tokens), bad))).await;
    probe.all(refused.map(|tokens| (tokens, line(&format!("close, {tokens}")), bad))).await;

    // Hop-by-hop fields, and others that were nominated, end here (RFC 9110 §7.6.1).
    for (_, token) in &probe.callers {
        let fields = "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
                      Proxy-Connection: keep-alive\r\nX-Stays: 1\r\n";
        let seen = probe.send("GET", &probe.fill(get(token, fields), token)).await;
        let echoed = seen.answer.unwrap().expect(200);
        for name in ["x-hop", "keep-alive", "proxy-connection", "te"] {
            assert!(values(&echoed, name).is_empty(), "{name}: {echoed}");
        }
        assert_eq!(values(&echoed, "x-stays"), ["1"], "{echoed}");
        assert!(values(&echoed, "x-drawbridge-principal").len() == 1, "{echoed}");
    }
}

#[tokio::test]
async fn a_head_has_its_bounds() {
    let probe = Probe::start().await;
    let too_large = End::Refused(431, "HEADERS_TOO_LARGE");
    let field = |bytes: usize| get("{token}", &format!("X-A: {}\r\n", "a".repeat(bytes)));
    let fields =
        |count: usize| get("{token}", &(0..count).map(|n| format!("X-{n}: 1\r\n")).collect::<String>());
    let target = format!("GET /api/v1/echo?{} HTTP/1.1\r\nHost: {{host}}\r\n\r\n", "a".repeat(40_000));
    probe
        .all([
            ("30 KB in one field", field(30_000), End::Forwarded),
            ("33 KB in one field", field(33_000), too_large),
            ("1.1 MB in one field", field(1_100_000), too_large),
            ("80 fields", fields(80), End::Forwarded),
            ("120 fields", fields(120), too_large),
            ("300 fields", fields(300), too_large),
            ("a long target", target, too_large),
        ])
        .await;
}
