//! What an answer is when it reaches the client: the service's bytes, with our request id.

use super::{Service, ask, callers, noise, target};
use crate::support::Wire;
use std::fmt::Write as _;

struct Case {
    method: &'static str,
    head: &'static str,
    body: Vec<u8>,
    /// Interim answers before it.
    interim: &'static [u16],
}

fn case(method: &'static str, head: &'static str, body: &[u8]) -> Case {
    Case { method, head, body: body.to_vec(), interim: &[] }
}

fn cases() -> Vec<Case> {
    let gzip = noise(1000);
    let ranges = b"--sep\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/9\r\n\r\na\r\n--sep\r\nContent-Range: bytes \
                   8-8/9\r\n\r\ni\r\n--sep--\r\n";
    vec![
        case("GET", "200 OK\nContent-Length: 0\nContent-Type: text/plain", b""),
        case(
            "GET",
            "200 OK\nContent-Length: 1\nETag: W/\"a\"\nLast-Modified: Sat, 21 Nov 2026 00:00:00 GMT",
            b"x",
        ),
        case("GET", "200 OK\nContent-Length: 1000\nContent-Encoding: gzip\nVary: Accept-Encoding", &gzip),
        case("GET", "200 OK\nContent-Length: 5\nServer: theirs/1.0\nX-Cache: miss", b"hello"),
        case("GET", "200 OK\nX-Powered-By: x\nConnection: close", b"until the end"),
        case("HEAD", "200 OK\nContent-Length: 1234\nETag: \"a\"", b""),
        case("HEAD", "404 Not Found\nContent-Length: 9", b""),
        case("GET", "201 Created\nContent-Length: 0\nLocation: /things/1", b""),
        case("POST", "202 Accepted\nContent-Length: 2\nRetry-After: 1", b"{}"),
        case("DELETE", "204 No Content\nX-A: b", b""),
        case(
            "GET",
            "206 Partial Content\nContent-Length: 3\nContent-Range: bytes 2-4/9\nAccept-Ranges: bytes",
            b"cde",
        ),
        case(
            "GET",
            "206 Partial Content\nContent-Length: 115\nContent-Type: multipart/byteranges; boundary=sep",
            ranges,
        ),
        case(
            "GET",
            "301 Moved Permanently\nContent-Length: 0\nLocation: https://elsewhere.example/a?b#c",
            b"",
        ),
        case("GET", "302 Found\nContent-Length: 0\nLocation: http://127.0.0.1:9/internal", b""),
        case("POST", "303 See Other\nContent-Length: 0\nLocation: ../up//x;y", b""),
        case("GET", "304 Not Modified\nETag: \"a\"\nCache-Control: max-age=5", b""),
        case("GET", "304 Not Modified\nContent-Length: 77\nETag: \"a\"", b""),
        case("POST", "307 Temporary Redirect\nContent-Length: 0\nLocation: //other.example/", b""),
        case("GET", "400 Bad Request\nContent-Length: 4\nContent-Type: application/problem+json", b"null"),
        case("GET", "401 Unauthorized\nContent-Length: 2\nWWW-Authenticate: Basic realm=\"theirs\"", b"no"),
        case("GET", "405 Method Not Allowed\nContent-Length: 0\nAllow: GET", b""),
        case("GET", "416 Range Not Satisfiable\nContent-Length: 0\nContent-Range: bytes */9", b""),
        case("GET", "429 Too Many Requests\nContent-Length: 0\nRetry-After: 7", b""),
        case("GET", "500 Internal Server Error\nContent-Length: 4", b"oops"),
        case("GET", "502 Bad Gateway\nContent-Length: 6", b"theirs"),
        case("GET", "503 Service Unavailable\nContent-Length: 6\nRetry-After: 3", b"theirs"),
        case("GET", "504 Gateway Timeout\nContent-Length: 6", b"theirs"),
        case(
            "GET",
            "200 OK\nContent-Length: 0\nSet-Cookie: a=1; Path=/; HttpOnly\nSet-Cookie: b=\"2, 3\"; Expires=Sat, 21 Nov 2026 \
             00:00:00 GMT\nX-Between: 1\nSet-Cookie: a=2; Domain=example.com; Secure; SameSite=None",
            b"",
        ),
        Case { interim: &[103], ..case("GET", "200 OK\nContent-Length: 2", b"ok") },
        Case { interim: &[102, 103, 103], ..case("GET", "200 OK\nContent-Length: 2", b"ok") },
    ]
}

/// As it goes over the wire.
fn bytes(case: &Case) -> Vec<u8> {
    let mut head = String::new();
    for status in case.interim {
        write!(head, "HTTP/1.1 {status} Wait\r\nLink: </a.css>; rel=preload\r\n\r\n").unwrap();
    }
    write!(head, "HTTP/1.1 {}\r\n\r\n", case.head.replace('\n', "\r\n")).unwrap();
    [head.as_bytes(), &case.body].concat()
}

#[tokio::test]
async fn whatever_the_service_says_is_what_the_client_hears() {
    let service = Service::answering(|head, _| {
        let number: usize = target(head).trim_start_matches('/').parse().unwrap();
        bytes(&cases()[number])
    })
    .await;
    let gateway = service.gateway();
    for (who, token) in &callers(&gateway).await {
        let mut wire = Wire::open(gateway.authority()).await;
        for (number, case) in cases().iter().enumerate() {
            let name = format!("{} {}, as {who}", case.method, case.head);
            wire.send(ask(&gateway, &format!("{} /{number}", case.method), token, "")).await;
            // The same connection all the way: a wrong length would spoil the next answer.
            let answer = wire.answer(case.method).await.unwrap_or_else(|| panic!("{name}: closed"));
            let mut head = case.head.split('\n');
            assert_eq!(head.next().unwrap()[..3], answer.status.to_string(), "{name}: {answer}");
            assert_eq!(answer.body, case.body, "{name}");
            assert_eq!(std::mem::take(&mut wire.interim), case.interim, "{name}");
            let mut said: Vec<_> = head.map(|line| line.split_once(": ").unwrap()).collect();
            // Pingora writes the time of its own answer over HTTP/1, whatever the service said.
            said.retain(|(name, _)| !matches!(*name, "Connection" | "Date"));
            for (field, _) in &said {
                let sent: Vec<_> = said.iter().filter(|(n, _)| n == field).map(|(_, value)| *value).collect();
                let got: Vec<_> =
                    answer.headers.get_all(*field).iter().map(|v| v.to_str().unwrap()).collect();
                assert_eq!(got, sent, "{name}: {answer}");
            }
            // Nothing else, but for what a gateway says of itself.
            for field in answer.headers.keys() {
                let own = ["x-request-id", "audit-receipt", "connection", "date", "transfer-encoding"];
                let known = said.iter().any(|(n, _)| n.eq_ignore_ascii_case(field.as_str()));
                assert!(known || own.contains(&field.as_str()), "{name}: `{field}` is new: {answer}");
            }
            assert!(answer.header("x-request-id").starts_with("req_"), "{name}: {answer}");
        }
    }
}

#[tokio::test]
async fn conditions_and_ranges_reach_the_service() {
    let service = Service::answering(|head, _| {
        let said = ["range", "if-range", "if-none-match", "if-modified-since", "accept-encoding"]
            .map(|name| super::field(head, name).unwrap_or_default())
            .join("|");
        format!("HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n\r\n{said}", said.len()).into_bytes()
    })
    .await;
    let gateway = service.gateway();
    for (who, token) in &callers(&gateway).await {
        let fields = "Range: bytes=0-0,5-\r\nIf-Range: \"a\"\r\nIf-None-Match: W/\"b\", \"c\"\r\n\
                      If-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT\r\nAccept-Encoding: br;q=1, gzip\r\n";
        let mut wire = Wire::open(gateway.authority()).await;
        wire.send(ask(&gateway, "GET /", token, fields)).await;
        let answer = wire.answer("GET").await.unwrap().expect(206);
        let expected = "bytes=0-0,5-|\"a\"|W/\"b\", \"c\"|Sat, 21 Nov 2026 00:00:00 GMT|br;q=1, gzip";
        assert_eq!(String::from_utf8_lossy(&answer.body), expected, "as {who}");
    }
}

#[tokio::test]
async fn what_is_said_for_one_connection_ends_here() {
    let service = Service::answering(|_, _| {
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\n\
          Proxy-Connection: keep-alive\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    })
    .await;
    let gateway = service.gateway();
    for (who, token) in &callers(&gateway).await {
        let answer = gateway.get("/", token).await.expect(200);
        for name in ["x-hop", "keep-alive", "proxy-connection"] {
            assert!(!answer.headers.contains_key(name), "{name} as {who}: {answer}");
        }
        assert_eq!((answer.header("x-stays"), answer.body.as_slice()), ("1", &b"ok"[..]), "as {who}");
    }
}
