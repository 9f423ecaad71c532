//! Where a request ends, and what its head may be made of (RFC 9112 §2.2, §3, §5, §6).

use super::{End, Probe};

const BAD: End = End::Refused(400, "BAD_REQUEST");

fn post(rest: &str) -> String {
    format!("POST /api/v1/echo HTTP/1.1\r\nHost: {{host}}\r\nAuthorization: Bearer {{token}}\r\n{rest}")
}

#[tokio::test]
async fn a_body_has_one_length() {
    let probe = Probe::start().await;
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    probe
        .all(
            [
                ("a length", "Content-Length: 5\r\n\r\nhello".to_owned(), End::Forwarded),
                ("chunks", format!("Transfer-Encoding: chunked\r\n\r\n{chunked}"), End::Forwarded),
                (
                    "chunks, in capitals",
                    format!("Transfer-Encoding: Chunked\r\n\r\n{chunked}"),
                    End::Forwarded,
                ),
                ("both", format!("Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"), BAD),
                (
                    "both, the other way",
                    format!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked}"),
                    BAD,
                ),
                (
                    "both, differently spelled",
                    format!("tRANSFER-eNCODING: chunked\r\ncONTENT-lENGTH: 4\r\n\r\n{chunked}"),
                    BAD,
                ),
                ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello".into(), BAD),
                ("the same length twice", "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello".into(), BAD),
                ("a list of lengths", "Content-Length: 5, 5\r\n\r\nhello".into(), BAD),
                ("a length with a sign", "Content-Length: +5\r\n\r\nhello".into(), BAD),
                ("a negative length", "Content-Length: -5\r\n\r\nhello".into(), BAD),
                ("a hexadecimal length", "Content-Length: 0x5\r\n\r\nhello".into(), BAD),
                ("a length with a space", "Content-Length: 5 5\r\n\r\nhello".into(), BAD),
                ("an empty length", "Content-Length:\r\n\r\n".into(), BAD),
                (
                    "a length beyond 64 bits",
                    "Content-Length: 99999999999999999999999\r\n\r\nhello".into(),
                    BAD,
                ),
                ("an unknown coding", format!("Transfer-Encoding: xchunked\r\n\r\n{chunked}"), BAD),
                ("identity", format!("Transfer-Encoding: identity\r\n\r\n{chunked}"), BAD),
                ("chunked isn't last", format!("Transfer-Encoding: chunked, identity\r\n\r\n{chunked}"), BAD),
                ("another coding too", format!("Transfer-Encoding: gzip, chunked\r\n\r\n{chunked}"), BAD),
                ("chunked twice", format!("Transfer-Encoding: chunked, chunked\r\n\r\n{chunked}"), BAD),
                (
                    "two codings",
                    format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}"),
                    BAD,
                ),
                ("a vertical tab before it", format!("Transfer-Encoding: \x0bchunked\r\n\r\n{chunked}"), BAD),
                ("quoted", format!("Transfer-Encoding: \"chunked\"\r\n\r\n{chunked}"), BAD),
            ]
            .map(|(what, rest, end)| (what, post(&rest), end)),
        )
        .await;
    let old = post(&format!("Transfer-Encoding: chunked\r\n\r\n{chunked}")).replace("HTTP/1.1", "HTTP/1.0");
    probe.all([("chunks on HTTP/1.0", old, BAD)]).await;
}

#[tokio::test]
async fn a_head_is_made_of_lines_that_everybody_reads_alike() {
    let probe = Probe::start().await;
    let with = |line: &[u8]| [post("").as_bytes(), line, b"\r\n\r\n"].concat();
    let header_cases: [(&str, &[u8], End); 15] = [
        ("a plain field", b"X-A: b", End::Forwarded),
        ("bytes beyond ASCII in a value", b"X-A: \xc3\xa9\xff", End::Forwarded),
        ("obs-fold", b"X-A: b\r\n c", BAD),
        ("obs-fold with a tab", b"X-A: b\r\n\tTransfer-Encoding: chunked", BAD),
        ("a space before the colon", b"X-A : b", BAD),
        ("a space before the colon of a length", b"Content-Length : 0", BAD),
        ("a tab before the colon", b"Transfer-Encoding\t: chunked", BAD),
        ("a space in a name", b"X A: b", BAD),
        ("no colon", b"X-A", BAD),
        ("no name", b": b", BAD),
        ("a bare CR in a value", b"X-A: b\rX-B: c", BAD),
        ("a bare CR in a name", b"X-A\rB: c", BAD),
        ("a bare LF between fields", b"X-A: b\nX-B: c", BAD),
        ("a NUL in a value", b"X-A: b\0c", BAD),
        ("a NUL in a name", b"X-A\0: c", BAD),
    ];
    probe.all(header_cases.map(|(what, line, end)| (what, with(line), end))).await;
    let rest = "Host: {host}\r\nAuthorization: Bearer {token}\r\n\r\n";
    probe
        .all([
            ("a space before the first field", format!("GET /api/v1/echo HTTP/1.1\r\n {rest}"), BAD),
            ("two spaces", format!("GET  /api/v1/echo HTTP/1.1\r\n{rest}"), BAD),
            ("two spaces before the version", format!("GET /api/v1/echo  HTTP/1.1\r\n{rest}"), BAD),
            ("a tab", format!("GET\t/api/v1/echo HTTP/1.1\r\n{rest}"), BAD),
            ("a space after the version", format!("GET /api/v1/echo HTTP/1.1 \r\n{rest}"), BAD),
            ("a small version", format!("GET /api/v1/echo http/1.1\r\n{rest}"), BAD),
            ("another minor version", format!("GET /api/v1/echo HTTP/1.2\r\n{rest}"), BAD),
            ("HTTP/2 in clear text", format!("GET /api/v1/echo HTTP/2.0\r\n{rest}"), BAD),
            ("no version", format!("GET /api/v1/echo\r\n{rest}"), BAD),
            ("no method", format!(" /api/v1/echo HTTP/1.1\r\n{rest}"), BAD),
            ("a method with a colon", format!("GE:T /api/v1/echo HTTP/1.1\r\n{rest}"), BAD),
            ("bare LF after the request line", format!("GET /api/v1/echo HTTP/1.1\n{rest}"), BAD),
            ("bare LF everywhere", format!("GET /api/v1/echo HTTP/1.1\r\n{rest}").replace('\r', ""), BAD),
            ("a bare CR in the request line", format!("GET /api/v1/echo\r HTTP/1.1\r\n{rest}"), BAD),
            ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), BAD),
        ])
        .await;
}

#[tokio::test]
async fn what_follows_a_request_is_never_part_of_it() {
    let probe = Probe::start().await;
    let second = "GET /api/v1/cameras HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n";
    let get = |fields: &str| {
        format!(
            "GET /api/v1/echo HTTP/1.1\r\nHost: {{host}}\r\nAuthorization: Bearer {{token}}\r\n{fields}\r\n{second}"
        )
    };
    probe
        .all([
            // The second one is dropped, and the connection closed: it is never answered out of turn.
            ("pipelining", get(""), End::Forwarded),
            ("pipelining after a length of zero", get("Content-Length: 0\r\n"), End::Forwarded),
            ("Upgrade: foo", get("Connection: Upgrade\r\nUpgrade: foo\r\n"), End::Either),
            (
                "Upgrade: h2c",
                get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
                End::Either,
            ),
            (
                "a WebSocket handshake where there is none",
                get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
                End::Either,
            ),
            (
                "a WebSocket handshake with a body",
                get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 4\r\n"),
                BAD,
            ),
        ])
        .await;
}
