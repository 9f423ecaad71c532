//! What a request is when it reaches the service: the client's bytes, and the gate's own fields.

use super::{Service, ask, callers, target};
use crate::support::Wire;
use std::sync::{Arc, Mutex};

/// Fields that the gate sets.
fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-drawbridge-") || name.starts_with("x-forwarded-") || name == "x-request-id"
}

fn lines(head: &[u8]) -> Vec<Vec<u8>> {
    head.split(|b| *b == b'\n').map(|line| line.trim_ascii_end().to_vec()).filter(|l| !l.is_empty()).collect()
}

/// The fields of a head that aren't the gate's, in no particular order of different names.
fn fields(head: &[u8]) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut fields: std::collections::BTreeMap<String, Vec<Vec<u8>>> = std::collections::BTreeMap::new();
    for line in lines(head).into_iter().skip(1) {
        let colon = line.iter().position(|b| *b == b':').unwrap();
        let name = String::from_utf8(line[..colon].to_vec()).unwrap();
        if !is_ours(&name) {
            fields.entry(name).or_default().push(line[colon + 1..].trim_ascii().to_vec());
        }
    }
    fields.into_iter().collect()
}

#[tokio::test]
async fn line_and_fields_arrive_byte_for_byte() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let service = Service::answering(move |head, _| {
        kept.lock().unwrap().push(head.to_vec());
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()
    })
    .await;
    let gateway = service.gateway();
    let extra = "User-Agent: a b/1\r\nAccept: */*\r\nX-Mixed-CASE: Value\r\nx-twice: 1\r\nx-twice: 2\r\nX-Empty:\r\n\
                 X-Quoted: \"a, b\"; c=d\r\nX-Long: ";
    for (who, token) in &callers(&gateway).await {
        for target in [
            "/",
            "/a",
            "/a/",
            "/a/b.c/d~e/-_!$&'()*+,=:@",
            "/%41%7e%20%c3%a9",
            "/%e2%82%ac/%F0%9F%98%80",
            "/a%3fb%23c%26d%3Be",
            "/%25",
            "/...",
            "/.well",
            "/a?",
            "/a?b=c&d=%2f..//\\;%00%ff&e=?",
            "/a?[]{}|^'",
        ] {
            let mut sent = ask(&gateway, &format!("GET {target}"), token, extra).into_bytes();
            sent.truncate(sent.len() - 2);
            sent.extend_from_slice(b"\xc3\xa9\xff\x80\tend\r\n\r\n");
            let mut wire = Wire::open(gateway.authority()).await;
            wire.send(&sent).await;
            let answer = wire.answer("GET").await.unwrap().expect(200);
            let got = seen.lock().unwrap().pop().unwrap();
            assert_eq!(super::target(&got), target, "as {who}");
            let (line, rest) = (lines(&got)[0].clone(), fields(&got));
            assert_eq!(line, format!("GET {target} HTTP/1.1").into_bytes(), "as {who}");
            let without = String::from_utf8_lossy(&sent).contains("Authorization");
            assert!(without);
            let expected: Vec<_> =
                fields(&sent).into_iter().filter(|(name, _)| name != "Authorization").collect();
            assert_eq!(rest, expected, "{target} as {who}: {}", String::from_utf8_lossy(&got));
            let id = super::field(&got, "x-request-id").unwrap();
            assert_eq!(id, answer.header("x-request-id"), "as {who}");
        }
    }
}

#[tokio::test]
async fn methods_arrive_as_they_are() {
    let service = Service::answering(|head, body| {
        let line = String::from_utf8_lossy(head).lines().next().unwrap().to_owned();
        let said = format!("{line} {}", body.len());
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len()).into_bytes()
    })
    .await;
    let gateway = service.gateway();
    for (who, token) in &callers(&gateway).await {
        let mut wire = Wire::open(gateway.authority()).await;
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY"] {
            let fields = if method == "GET" { "" } else { "Content-Length: 3\r\n" };
            let body = if method == "GET" { "" } else { "abc" };
            wire.send(ask(&gateway, &format!("{method} /m"), token, fields) + body).await;
            let answer = wire.answer(method).await.unwrap_or_else(|| panic!("{method} as {who}: closed"));
            let said = format!("{method} /m HTTP/1.1 {}", body.len());
            assert_eq!(String::from_utf8_lossy(&answer.expect(200).body), said, "as {who}");
        }
    }
    assert_eq!(target(b"GET /x HTTP/1.1"), "/x");
}
