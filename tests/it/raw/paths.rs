//! Only the canonical form of a path is forwarded, and a stranger learns nothing from it
//! (architecture §10, "Canonical path").

use super::{End, Probe};

/// The path, and the word in the problem's detail that says what is wrong.
const NOT_CANONICAL: [(&str, &str); 43] = [
    ("//", "empty segment"),
    ("//api/v1/echo", "empty segment"),
    ("/api//v1/echo", "empty segment"),
    ("/api/v1/echo//", "empty segment"),
    ("/./api/v1/echo", "segment"),
    ("/api/./v1/echo", "segment"),
    ("/api/v1/echo/.", "segment"),
    ("/api/v1/x/../echo", "segment"),
    ("/../api/v1/echo", "segment"),
    ("/api/v1/echo/..", "segment"),
    ("/api/v1/%2e/echo", "segment"),
    ("/api/v1/x/%2e%2e/echo", "segment"),
    ("/api/v1/x/%2E%2E/echo", "segment"),
    ("/api/v1/x/.%2e/echo", "segment"),
    ("/api/v1/x/%2e./echo", "segment"),
    ("/api/v1/cameras/%2e%2e", "segment"),
    ("/api%2fv1/echo", "escaped `/`"),
    ("/api/v1/cameras/a%2Fb", "escaped `/`"),
    ("/api/v1/cameras/..%2fecho", "escaped `/`"),
    ("/api/v1/cameras/a%5cb", "backslash"),
    ("/api/v1/cameras/a%5Cb", "backslash"),
    ("/api/v1/cameras/a\\b", "backslash"),
    ("/api\\v1\\echo", "backslash"),
    ("/api/v1/x/..\\echo", "backslash"),
    ("/api/v1/echo;a=b", "`;`"),
    ("/api/v1;a/echo", "`;`"),
    ("/api/v1/x/..;/echo", "`;`"),
    ("/api/v1/cameras/a%00", "control byte"),
    ("/api/v1/cameras/%0a", "control byte"),
    ("/api/v1/cameras/a%0d%0aX-A:%20b", "control byte"),
    ("/api/v1/cameras/%1f", "control byte"),
    ("/api/v1/cameras/%7f", "control byte"),
    ("/api/v1/cameras/%2541", "double escape"),
    ("/api/v1/x/%252e%252e/echo", "double escape"),
    ("/api/v1/cameras/a%252fb", "double escape"),
    ("/api/v1/cameras/%", "hexadecimal"),
    ("/api/v1/cameras/%4", "hexadecimal"),
    ("/api/v1/cameras/%zz", "hexadecimal"),
    ("/api/v1/cameras/%u0041", "hexadecimal"),
    ("/api/v1/cameras/%ff", "UTF-8"),
    ("/api/v1/cameras/%c0%af", "UTF-8"),
    ("/api/v1/cameras/%e2%82", "UTF-8"),
    ("/api/v1/cameras/%ed%a0%80", "UTF-8"),
];

/// Not in the form that origin servers get (RFC 9112 §3.2).
const OTHER_FORMS: [&str; 5] = ["*", "api/v1/echo", "http://{host}/api/v1/echo", "{host}", "?x"];

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {{host}}\r\nAuthorization: Bearer {{token}}\r\n\r\n")
}

#[tokio::test]
async fn what_is_not_canonical_is_refused_and_recorded() {
    let probe = Probe::start().await;
    let mut faults = Vec::new();
    for (path, why) in NOT_CANONICAL.into_iter().chain(OTHER_FORMS.map(|p| (p, ""))) {
        for query in ["", "?a=1"] {
            let case = get(&format!("{path}{query}"));
            faults.extend(probe.faults(path, &case, End::Refused(400, "BAD_PATH")).await);
        }
        let (case, impersonation) = (get(path), probe.impersonation().to_owned());
        let refused = probe.send("GET", &probe.fill(&case, &impersonation)).await.answer.unwrap();
        if !refused.text("/detail").contains(why) {
            faults.push(format!("{path}: the detail doesn't say `{why}`: {refused}"));
        }
        faults.extend(probe.unrecorded(&refused).await);
        // Whether a path is well formed is nothing that a stranger may ask.
        let stranger = case.replace("Authorization: Bearer {token}\r\n", "");
        faults.extend(probe.faults(path, stranger, End::Refused(401, "UNAUTHENTICATED")).await);
        let forged = case.replace("{token}", "{token}x");
        faults.extend(probe.faults(path, forged, End::Refused(401, "INVALID_TOKEN")).await);
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn bytes_that_no_request_line_has_are_refused_before_anyone_is_known() {
    let probe = Probe::start().await;
    let cases: [(&str, &[u8]); 10] = [
        ("a space", b"/api/v1/echo x"),
        ("a space in the query", b"/api/v1/echo?a= b"),
        ("a byte beyond ASCII", b"/api/v1/cameras/\xff"),
        ("UTF-8 that isn't escaped", "/api/v1/cameras/é".as_bytes()),
        ("the same in a query", "/api/v1/echo?q=é".as_bytes()),
        ("a fragment", b"/api/v1/echo#frag"),
        ("a fragment that hides a path", b"/api/v1/echo#/../../platform/orgs"),
        ("a NUL", b"/api/v1/echo\0"),
        ("a tab", b"/api/v1/echo\tx"),
        ("DEL", b"/api/v1/cameras/\x7f"),
    ];
    let line = |target: &[u8], rest: &str| {
        [b"GET ", target, b" HTTP/1.1\r\nHost: {host}\r\n", rest.as_bytes(), b"\r\n"].concat()
    };
    let bad = End::Refused(400, "BAD_REQUEST");
    probe
        .all(cases.map(|(what, target)| (what, line(target, "Authorization: Bearer {token}\r\n"), bad)))
        .await;
    probe.all(cases.map(|(what, target)| (what, line(target, ""), bad))).await;
}

#[tokio::test]
async fn literals_match_byte_for_byte_and_queries_pass_untouched() {
    let probe = Probe::start().await;
    let not_declared = End::Refused(404, "ROUTE_NOT_DECLARED");
    let paths = [
        "/API/v1/echo",
        "/api/V1/echo",
        "/api/v1/Echo",
        "/api/v1/echo/",
        "/api/v1/ech%6f",
        "/api/v1/echo%20",
        "/api/v1",
        "/api/v1/echo.json",
    ];
    probe.all(paths.map(|path| (path, get(path), not_declared))).await;
    let queries = [
        "?",
        "?a",
        "?a=1&a=2",
        "?a=%2e%2e/%2f;%5c%00%0a",
        "?a=//../..;x",
        "?a=%25%zz%",
        "?a=\\",
        "?a=?b",
        "?%61=b",
        "?a=+&b=%20",
        "?a=[]{}|^'!$*()",
        "?access_token=x",
        "?/../x",
    ];
    probe.all(queries.map(|query| (query, get(&format!("/api/v1/echo{query}")), End::Forwarded))).await;
}
