//! How a refusal looks, and what becomes of its connection.

use super::{End, Probe};
use crate::support::Wire;

fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: {{host}}\r\n{fields}\r\n")
}

const BEARER: &str = "Authorization: Bearer {token}\r\n";

#[tokio::test]
async fn a_refusal_is_a_problem_and_its_connection_goes_on() {
    let probe = Probe::start().await;
    let mut wire = Wire::open(probe.gateway.authority()).await;
    let body = "Content-Length: 7\r\n\r\nhello";
    let chunks = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
    // All of them on one connection, one after the other.
    for (line, fields, status, code) in [
        ("GET /api/v1/cameras", "", 401, "UNAUTHENTICATED"),
        ("GET /api/v1/cameras", "Authorization: Bearer x\r\n", 401, "INVALID_TOKEN"),
        ("POST /api/v1/cameras", body, 401, "UNAUTHENTICATED"),
        ("POST /api/v1/cameras", chunks, 401, "UNAUTHENTICATED"),
        ("GET /api/v1/nothing", BEARER, 404, "ROUTE_NOT_DECLARED"),
        ("PUT /api/v1/cameras", BEARER, 405, "METHOD_NOT_ALLOWED"),
        ("GET /api//v1", BEARER, 400, "BAD_PATH"),
        ("GET /api/v1/billing/plan", BEARER, 403, "OWNER_ONLY"),
    ] {
        wire.send(probe.fill(request(line, fields), probe.admin())).await;
        let method = line.split(' ').next().unwrap();
        let answer = wire.answer(method).await.unwrap_or_else(|| panic!("{line}: closed"));
        let answer = answer.problem(status, code);
        assert_eq!(answer.json["status"], status);
        assert_eq!(answer.json["request_id"], answer.header("x-request-id"));
        assert_eq!(answer.header("cache-control"), "no-store", "{answer}");
        assert_eq!(answer.header("www-authenticate").starts_with("Bearer realm"), status == 401, "{answer}");
        let given = answer.header("www-authenticate").contains("error=\"invalid_token\"");
        assert_eq!(given, code == "INVALID_TOKEN", "{answer}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{answer}");
        assert_ne!(answer.header("server"), "Pingora");
    }
    wire.send(probe.fill(request("GET /api/v1/echo", BEARER), probe.admin())).await;
    wire.answer("GET").await.expect("the connection still goes on").expect(200);
    assert_eq!(probe.gateway.hits().await.len(), 1);
}

#[tokio::test]
async fn a_refused_head_has_no_body() {
    let probe = Probe::start().await;
    let mut wire = Wire::open(probe.gateway.authority()).await;
    for (path, fields, status) in [
        ("/api/v1/cameras", "", 401),
        ("/api/v1/nothing", BEARER, 404),
        ("/api/v1//cameras", BEARER, 400),
        ("/api/v1/transfer-ownership", BEARER, 405),
    ] {
        wire.send(probe.fill(request(&format!("HEAD {path}"), fields), probe.admin())).await;
        // A body here would be taken for the next answer, which the last step would not survive.
        let answer = wire.answer("HEAD").await.unwrap().expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{answer}");
    }
    wire.send(probe.fill(request("GET /api/v1/echo", BEARER), probe.admin())).await;
    wire.answer("GET").await.unwrap().expect(200);
}

#[tokio::test]
async fn methods_that_are_never_forwarded() {
    let probe = Probe::start().await;
    let never = End::Refused(405, "METHOD_NOT_ALLOWED");
    probe
        .all([
            ("TRACE", request("TRACE /api/v1/echo", BEARER), never),
            ("TRACE by a stranger", request("TRACE /api/v1/echo", ""), never),
            ("CONNECT", request("CONNECT {host}", BEARER), never),
            (
                "CONNECT elsewhere",
                request("CONNECT other.example:443", BEARER).replace("{host}", "other.example:443"),
                End::Either,
            ),
            ("CONNECT with a path", request("CONNECT /api/v1/echo", BEARER), End::Either),
            ("TRACE in small letters", request("trace /api/v1/echo", BEARER), End::Either),
        ])
        .await;
    for (method, declared) in [("DELETE", false), ("PURGE", false), ("get", false), ("GET", true)] {
        let text = request(&format!("{method} /api/v1/cameras"), BEARER);
        let seen = probe.send(method, &probe.fill(text, probe.impersonation())).await;
        let answer = seen.answer.unwrap();
        assert_eq!(seen.hits.len(), usize::from(declared), "{method}: {answer}");
        if !declared {
            let answer = answer.problem(405, "METHOD_NOT_ALLOWED");
            let mut allow: Vec<_> = answer.header("allow").split(", ").collect();
            allow.sort_unstable();
            assert_eq!(allow, ["GET", "HEAD", "POST"], "{answer}");
            assert_eq!(probe.unrecorded(&answer).await, None);
        }
    }
}

#[tokio::test]
async fn an_undeclared_route_is_none_and_the_attempt_is_recorded() {
    let probe = Probe::start().await;
    for (line, code) in [
        ("GET /api/v1/nothing", "ROUTE_NOT_DECLARED"),
        ("GET /api/v1/cameras/a/b", "ROUTE_NOT_DECLARED"),
        ("GET /__hits", "ROUTE_NOT_DECLARED"),
        ("GET /healthz", "ROUTE_NOT_DECLARED"),
        ("GET /metrics", "ROUTE_NOT_DECLARED"),
        ("OPTIONS /nothing", "ROUTE_NOT_DECLARED"),
    ] {
        let text = request(line, BEARER);
        let method = line.split(' ').next().unwrap();
        for (who, token) in &probe.callers {
            let seen = probe.send(method, &probe.fill(&text, token)).await;
            assert_eq!(seen.fault(End::Refused(404, code), b""), None, "{line} as {who}");
            if who.contains("impersonation") {
                assert_eq!(probe.unrecorded(&seen.answer.unwrap()).await, None, "{line}");
            }
        }
        let stranger = probe.send(method, &probe.fill(text.replace(BEARER, ""), "")).await;
        assert_eq!(stranger.fault(End::Refused(401, "UNAUTHENTICATED"), b""), None, "{line}");
    }
}
