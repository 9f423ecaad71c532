//! Cases of `admit`.

use super::super::settings::{GateSettings, Limits};
use super::{Admission, Admitted, Head};
use crate::gateway::path::BadPath;
use crate::gateway::settings::SessionCookies;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use std::net::IpAddr;

/// A request as it reaches `admit` over HTTP/1.1, built from its text.
struct Request {
    method: Method,
    target: Vec<u8>,
    headers: HeaderMap,
    raw: Vec<u8>,
    odd: bool,
    peer: IpAddr,
}

impl Request {
    fn get(target: &str) -> Self {
        Self::new("GET", target).with("host", "api.example.com")
    }
    fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.parse().unwrap(),
            target: target.as_bytes().to_vec(),
            headers: HeaderMap::new(),
            raw: format!("{method} {target} HTTP/1.1\r\n").into_bytes(),
            odd: false,
            peer: "192.0.2.7".parse().unwrap(),
        }
    }
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
        self.raw.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        self
    }
    fn admit(&self) -> Result<Admitted, (u16, String)> {
        self.admit_by(&settings())
    }
    fn admit_by(&self, settings: &GateSettings) -> Result<Admitted, (u16, String)> {
        // A target that doesn't parse never gets here; in absolute form the URI holds the path only.
        let text = String::from_utf8_lossy(&self.target);
        let uri: Uri =
            text.strip_prefix("http://api.example.com").unwrap_or(&text).parse().unwrap_or_default();
        let mut raw = self.raw.clone();
        raw.extend_from_slice(b"\r\n");
        Admission::new(settings)
            .admit(&Head {
                method: &self.method,
                version: Version::HTTP_11,
                target: &self.target,
                uri: &uri,
                headers: &self.headers,
                raw: Some(&raw),
                odd_request_line: self.odd,
                peer: self.peer,
            })
            .map_err(|r| (r.status, r.code.as_str().to_owned()))
    }
    fn code(&self) -> (u16, String) {
        self.admit().expect_err("refused")
    }
}

fn settings() -> GateSettings {
    GateSettings {
        public_hosts: vec!["api.example.com".into()],
        public_origins: vec!["https://api.example.com".into()],
        websocket_origins: vec!["https://app.example.com/".into()],
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        own_cookies: vec!["__Host-drawbridge".into()],
        limits: Limits { body_bytes: Some(1000), ..Limits::default() },
        ..GateSettings::default()
    }
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn hosts() {
    assert!(Request::get("/").admit().is_ok());
    assert_eq!(Request::new("GET", "/").code(), refused(400, "BAD_REQUEST"));
    assert_eq!(Request::new("GET", "/").with("host", "evil.org").code(), refused(421, "UNKNOWN_HOST"));
    assert_eq!(Request::new("GET", "/").with("host", "").code(), refused(421, "UNKNOWN_HOST"));
}

#[test]
fn methods_that_are_never_forwarded() {
    for method in ["TRACE", "CONNECT"] {
        let request = Request::new(method, "/").with("host", "api.example.com");
        assert_eq!(request.code(), refused(405, "METHOD_NOT_ALLOWED"), "{method}");
    }
    assert!(Request::new("PURGE", "/").with("host", "api.example.com").admit().is_ok());
}

#[test]
fn ambiguous_framing() {
    let bad = refused(400, "BAD_REQUEST");
    let post = || Request::new("POST", "/").with("host", "api.example.com");
    assert_eq!(post().with("content-length", "5").with("content-length", "5").code(), bad);
    assert_eq!(post().with("content-length", "5, 5").code(), bad);
    assert_eq!(post().with("content-length", "+4").code(), bad);
    assert_eq!(post().with("content-length", "").code(), bad);
    assert_eq!(post().with("transfer-encoding", "gzip, chunked").code(), bad);
    assert_eq!(post().with("transfer-encoding", "chunked").with("transfer-encoding", "chunked").code(), bad);
    assert_eq!(post().with("transfer-encoding", "chunked").with("content-length", "3").code(), bad);
    assert!(post().with("transfer-encoding", "Chunked").admit().is_ok());
    assert_eq!(post().with("content-length", "17").admit().unwrap().content_length, Some(17));
}

#[test]
fn a_length_that_pingora_has_removed_is_still_seen_on_the_wire() {
    let mut request =
        Request::new("POST", "/").with("host", "api.example.com").with("transfer-encoding", "chunked");
    request.raw.extend_from_slice(b"cOnTent-Length: 3\r\n");
    assert_eq!(request.code(), refused(400, "BAD_REQUEST"));
}

#[test]
fn bytes_that_must_not_stand_in_a_request_line() {
    let bad = refused(400, "BAD_REQUEST");
    assert_eq!(Request::get("/a#b").code(), bad);
    assert_eq!(Request::get("/caf\u{e9}").code(), bad);
    let mut escaped = Request::get("/a%20b");
    assert!(escaped.admit().is_ok());
    escaped.odd = true;
    assert_eq!(escaped.code(), bad);
    let mut bare_line_feed = Request::get("/");
    bare_line_feed.raw.extend_from_slice(b"x: y\n");
    assert_eq!(bare_line_feed.code(), bad);
}

#[test]
fn limits() {
    let large = Request::get("/").with("x-a", &"a".repeat(33 * 1024));
    assert_eq!(large.code(), refused(431, "HEADERS_TOO_LARGE"));
    let many = (0..200).fold(Request::get("/"), |r, i| r.with(&format!("x-{i}"), "1"));
    assert_eq!(many.code(), refused(431, "HEADERS_TOO_LARGE"));
    let body = Request::new("POST", "/").with("host", "api.example.com").with("content-length", "1001");
    assert_eq!(body.code(), refused(413, "BODY_TOO_LARGE"));
}

#[test]
fn a_bad_path_is_noted_not_answered() {
    assert_eq!(Request::get("/a/../b").admit().unwrap().bad_path, Some(BadPath::DotSegment));
    assert_eq!(Request::get("http://api.example.com/a").admit().unwrap().bad_path, Some(BadPath::NotOrigin));
    assert_eq!(Request::get("/a?x=/../%2f;").admit().unwrap().bad_path, None);
}

#[test]
fn connection_names_nothing_that_was_judged() {
    for tokens in ["close", "keep-alive, Upgrade", "TE, close", ""] {
        assert!(Request::get("/").with("connection", tokens).admit().is_ok(), "{tokens}");
    }
    for tokens in [
        "close, x-drawbridge-principal",
        "X_Drawbridge_Org",
        "host",
        "Authorization",
        "cookie",
        "x-forwarded-for",
        "\"close\"",
        "a,b,c,d,e,f,g,h,i",
    ] {
        assert_eq!(
            Request::get("/").with("connection", tokens).code(),
            refused(400, "BAD_REQUEST"),
            "{tokens}"
        );
    }
}

#[test]
fn what_the_upstream_does_not_see() {
    let names = |r: Request| -> Vec<String> {
        let mut all: Vec<String> = r.admit().unwrap().strip.iter().map(|n| n.as_str().to_owned()).collect();
        all.sort();
        all
    };
    let request = Request::get("/")
        .with("authorization", "Bearer t")
        .with("x_drawbridge_org", "org_x")
        .with("X-Forwarded-For", "1.2.3.4")
        .with("x-platz-token", "t")
        .with("accept", "*/*")
        .with("x-custom", "1");
    assert_eq!(names(request), ["authorization", "x-forwarded-for", "x-platz-token", "x_drawbridge_org"]);
    let basic = Request::get("/").with("authorization", "Basic dTpw").with("x-drawbridge-token", "t");
    assert_eq!(names(basic), ["x-drawbridge-token"]);
}

#[test]
fn whom_a_trusted_proxy_names() {
    let from = |peer: &str, forwarded: &str| {
        let mut request = Request::get("/").with("x-forwarded-for", forwarded);
        request.peer = peer.parse().unwrap();
        request.admit().unwrap().source.to_string()
    };
    assert_eq!(from("192.0.2.7", "1.2.3.4"), "192.0.2.7");
    assert_eq!(from("10.0.0.1", "1.2.3.4"), "1.2.3.4");
    assert_eq!(from("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9"), "1.2.3.4");
    assert_eq!(from("10.0.0.1", "junk, 10.9.9.9"), "10.9.9.9");
    assert_eq!(from("10.0.0.1", "junk"), "10.0.0.1");
}

#[test]
fn origins_of_web_sockets() {
    let handshake = |origin: Option<&str>| {
        let request = Request::get("/live").with("connection", "Upgrade").with("upgrade", "WebSocket");
        origin.map_or_else(
            || request.admit().unwrap(),
            |o| {
                Request::get("/live")
                    .with("connection", "Upgrade")
                    .with("upgrade", "WebSocket")
                    .with("origin", o)
                    .admit()
                    .unwrap()
            },
        )
    };
    assert!(handshake(None).websocket && !handshake(None).foreign_origin);
    for allowed in ["https://api.example.com", "https://APP.example.com"] {
        assert!(!handshake(Some(allowed)).foreign_origin, "{allowed}");
    }
    for foreign in ["https://evil.org", "null", "http://api.example.com", "https://app.example.com.evil.org"]
    {
        assert!(handshake(Some(foreign)).foreign_origin, "{foreign}");
    }
    // Any other request may come from anywhere: tokens don't travel by themselves.
    assert!(!Request::get("/").with("origin", "https://evil.org").admit().unwrap().foreign_origin);
}

#[test]
fn the_session_cookie_counts_where_nothing_else_is_said() {
    let mut with_cookie = settings();
    with_cookie.session_cookies = Some(SessionCookies { staff: "__Host-s", people: "__Host-p" });
    let admit = |request: Request| request.admit_by(&with_cookie);
    let cookie = |request: Request| admit(request).unwrap().cookie.map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(cookie(Request::get("/").with("cookie", "a=1; __Host-s=v")), Some("v".into()));
    assert_eq!(cookie(Request::get("/").with("cookie", "__Host-s=; a=1")), None);
    assert_eq!(Request::get("/").with("cookie", "__Host-s=v").admit().unwrap().cookie, None);
    for explicit in [("authorization", "Bearer t"), ("x-drawbridge-token", "t")] {
        let request = Request::get("/").with("cookie", "__Host-s=v").with(explicit.0, explicit.1);
        assert_eq!(cookie(request), None, "{explicit:?}");
    }
    // Another scheme is no credential of ours.
    let basic = Request::get("/").with("cookie", "__Host-s=v").with("authorization", "Basic dTpw");
    assert_eq!(cookie(basic), Some("v".into()));
    // Who signed in on both sides is staff on the staff's routes, and a person everywhere else.
    for (path, counts) in
        [("/platform/me", "v"), ("/api/v1/platform/orgs", "v"), ("/profile", "w"), ("/", "w")]
    {
        let both = Request::get(path).with("cookie", "__Host-s=v; __Host-p=w");
        assert_eq!(cookie(both).as_deref(), Some(counts), "{path}");
    }
    let two = Request::get("/").with("cookie", "__Host-s=v").with("cookie", "__Host-s=w");
    assert_eq!(admit(two).unwrap().presented.unwrap_err().code.as_str(), "AMBIGUOUS_CREDENTIALS");
}

#[test]
fn what_comes_from_our_own_pages() {
    let same = |headers: &[(&str, &str)]| {
        let request = headers.iter().fold(Request::get("/"), |r, (name, value)| r.with(name, value));
        request.admit().unwrap().same_origin
    };
    assert!(same(&[("sec-fetch-site", "same-origin")]));
    // `Referrer-Policy: no-referrer` makes browsers send this.
    assert!(same(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
    assert!(same(&[("origin", "https://api.example.com")]));
    for foreign in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "https://app.example.com")],
        &[("origin", "https://api.example.com.evil.org")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://api.example.com")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")],
    ] {
        assert!(!same(foreign), "{foreign:?}");
    }
}
