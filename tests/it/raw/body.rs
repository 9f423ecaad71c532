//! Bodies on their way in: chunks, their extensions and trailers, bounds, and `Expect: 100-continue`.

use super::{End, Probe, values};
use crate::support::{Answer, Wire};

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn post(fields: &str) -> String {
    format!("POST /api/v1/echo HTTP/1.1\r\nHost: {{host}}\r\nAuthorization: Bearer {{token}}\r\n{fields}\r\n")
}

fn is_hello(echoed: &Answer) -> bool {
    echoed.json["body"]["length"] == 5 && echoed.json["body"]["sha256"] == HELLO
}

#[tokio::test]
async fn chunks_are_taken_apart_and_what_isn_t_body_stays_here() {
    let probe = Probe::start().await;
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\nTrailer: X-Drawbridge-Org\r\n") + body;
    for (what, body) in [
        ("one chunk", "5\r\nhello\r\n0\r\n\r\n"),
        ("a byte a chunk", "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n"),
        ("extensions", "5;a=b;c=\"d;e\"\r\nhello\r\n0;last\r\n\r\n"),
        ("leading zeros", "005\r\nhello\r\n000\r\n\r\n"),
        (
            "trailers",
            "5\r\nhello\r\n0\r\nX-Drawbridge-Org: forged\r\nContent-Length: 3\r\nX-T: forged\r\n\r\n",
        ),
    ] {
        for (who, token) in &probe.callers {
            let seen = probe.send("POST", &probe.fill(chunked(body), token)).await;
            assert_eq!(seen.hits.len(), 1, "{what} as {who}");
            let echoed = seen.answer.unwrap().expect(200);
            assert!(is_hello(&echoed) && seen.more.is_empty(), "{what} as {who}: {echoed}");
            assert!(!echoed.to_string().contains("forged"), "{what} as {who}: {echoed}");
            assert_eq!(values(&echoed, "x-drawbridge-org"), [probe.gateway.org("acme")], "{what}: {echoed}");
        }
    }
}

#[tokio::test]
async fn a_body_with_broken_chunks_is_never_whole_and_hides_no_request() {
    let probe = Probe::start().await;
    let hidden = "GET /api/v1/cameras HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n";
    // What the parser beneath lets pass: it is one request still, whose body is framed anew for the upstream.
    let lenient = ["no size", "LF in an extension"];
    for (what, body) in [
        ("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a size with a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("no hexadecimal", "g\r\nhello\r\n0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("more than the size", "5\r\nhello!\r\n0\r\n\r\n"),
        ("nothing after a chunk", "5\r\nhello0\r\n\r\n"),
        ("LF alone after the size", "5\nhello\r\n0\r\n\r\n"),
        ("LF alone after a chunk", "5\r\nhello\n0\r\n\r\n"),
        ("a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ] {
        for (who, token) in &probe.callers {
            let text = post("Transfer-Encoding: chunked\r\n") + body + hidden;
            let seen = probe.send("POST", &probe.fill(&text, token)).await;
            // The body is streamed, so the upstream may have seen the head of it; never a second request,
            // and never a body that it takes for whole.
            let answer = seen.answer.unwrap_or_else(|| panic!("{what} as {who}: closed without an answer"));
            let whole = answer.status == 200;
            assert_eq!(whole, lenient.contains(&what), "{what} as {who}: {answer}");
            assert!(whole || (400..500).contains(&answer.status), "{what} as {who}: {answer}");
            assert!(!seen.goes_on, "{what} as {who}: the connection goes on");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_for_the_gateway_s_own_routes() {
    let probe = Probe::start().await;
    let path = "POST /api/v1/platform/end-impersonation HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n";
    let large = 70_000;
    let body = "x".repeat(large);
    let declared = format!("{path}Content-Length: {large}\r\n\r\n{body}");
    let chunked = format!("{path}Transfer-Encoding: chunked\r\n\r\n{large:x}\r\n{body}\r\n0\r\n\r\n");
    let too_large = End::Refused(413, "BODY_TOO_LARGE");
    let cases = [("declared", declared), ("in chunks", chunked)];
    let impersonation = probe.impersonation().to_owned();
    for (what, text) in cases {
        let seen = probe.send("POST", &probe.fill(&text, &impersonation)).await;
        assert_eq!(seen.fault(too_large, b""), None, "{what}");
        assert_eq!(probe.unrecorded(&seen.answer.unwrap()).await, None, "{what}");
    }
    probe.gateway.get("/api/v1/cameras", &impersonation).await.expect(200);
}

#[tokio::test]
async fn who_expects_100_continue_is_told_before_the_body() {
    let probe = Probe::start().await;
    let fields = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    for (who, token) in &probe.callers {
        let mut wire = Wire::open(probe.gateway.authority()).await;
        wire.send(probe.fill(post(fields), token)).await;
        // Nothing of the body is sent until it is asked for.
        assert_eq!(wire.interim_answer().await, 100, "{who}");
        wire.send("hello").await;
        let echoed = wire.answer("POST").await.unwrap().expect(200);
        assert!(is_hello(&echoed), "{who}: {echoed}");
    }
    // A refusal comes instead, and the connection ends: whether the body follows can't be known.
    let mut wire = Wire::open(probe.gateway.authority()).await;
    wire.send(probe.fill(post(fields), "nonsense")).await;
    let refused = wire.answer("POST").await.unwrap().problem(401, "INVALID_TOKEN");
    assert_eq!((refused.header("connection"), wire.interim.len()), ("close", 0), "{refused}");
    assert!(wire.rest().await.is_empty());
}
