//! Which host a request means (RFC 9110 §7.2, RFC 9112 §3.2): exactly one, and one that is served here.

use super::{End, Probe};
use crate::support::Wire;

const BAD: End = End::Refused(400, "BAD_REQUEST");
const UNKNOWN: End = End::Refused(421, "UNKNOWN_HOST");

fn get(target: &str, hosts: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{hosts}Authorization: Bearer {{token}}\r\n\r\n")
}

#[tokio::test]
async fn a_request_names_one_host_that_is_served_here() {
    let probe = Probe::start().await;
    let port = probe.gateway.authority().rsplit(':').next().unwrap();
    let echo = "/api/v1/echo";
    let cases = [
        ("the gateway's own", get(echo, "Host: {host}\r\n"), End::Forwarded),
        ("a name of it", get(echo, &format!("Host: localhost:{port}\r\n")), End::Forwarded),
        ("in capitals", get(echo, &format!("HOST: LocalHost:{port}\r\n")), End::Forwarded),
        ("with the root's dot", get(echo, &format!("Host: localhost.:{port}\r\n")), End::Forwarded),
        ("by IPv6", get(echo, &format!("Host: [::1]:{port}\r\n")), End::Forwarded),
        ("none", get(echo, ""), BAD),
        ("none on HTTP/1.0", get(echo, "").replace("HTTP/1.1", "HTTP/1.0"), BAD),
        ("an empty one", get(echo, "Host:\r\n"), End::Either),
        ("two", get(echo, "Host: {host}\r\nHost: other.example\r\n"), BAD),
        ("two, the other first", get(echo, "Host: other.example\r\nHost: {host}\r\n"), BAD),
        ("the same twice", get(echo, "Host: {host}\r\nHost: {host}\r\n"), BAD),
        ("a list", get(echo, "Host: {host}, other.example\r\n"), End::Either),
        ("with user", get(echo, "Host: other.example@{host}\r\n"), End::Either),
        ("with path", get(echo, "Host: {host}/x\r\n"), End::Either),
        ("another", get(echo, "Host: other.example\r\n"), UNKNOWN),
        ("another port", get(echo, "Host: localhost:1\r\n"), UNKNOWN),
        ("the default port", get(echo, "Host: localhost\r\n"), UNKNOWN),
        ("the metadata service", get(echo, "Host: 169.254.169.254\r\n"), UNKNOWN),
        ("two dots", get(echo, &format!("Host: localhost..:{port}\r\n")), UNKNOWN),
        ("another authority in the target", get("http://other.example/api/v1/echo", "Host: {host}\r\n"), BAD),
        ("another host beside the target", get("http://{host}/api/v1/echo", "Host: other.example\r\n"), BAD),
        ("a user in the target", get("http://a@{host}/api/v1/echo", "Host: {host}\r\n"), End::Either),
    ];
    let either = |end| end == End::Either;
    let (refused, firm): (Vec<_>, Vec<_>) = cases.into_iter().partition(|(_, _, end)| either(*end));
    probe.all(firm).await;
    // 400 by its form or 421: never the upstream.
    for (what, text, _) in refused {
        let seen = probe.send("GET", &probe.fill(text, probe.admin())).await;
        let answer = seen.answer.unwrap_or_else(|| panic!("{what}: closed"));
        assert!(matches!(answer.status, 400 | 421) && seen.hits.is_empty(), "{what}: {answer}");
    }
}

#[tokio::test]
async fn an_unknown_host_is_misdirected_before_anyone_is_known_and_the_connection_goes_on() {
    let probe = Probe::start().await;
    let mut wire = Wire::open(probe.gateway.authority()).await;
    wire.send("GET /api/v1/echo HTTP/1.1\r\nHost: other.example\r\n\r\n").await;
    wire.answer("GET").await.unwrap().problem(421, "UNKNOWN_HOST");
    wire.send(probe.fill(get("/api/v1/echo", "Host: {host}\r\n"), probe.admin())).await;
    assert_eq!(wire.answer("GET").await.unwrap().expect(200).json["target"], "/api/v1/echo");
}
