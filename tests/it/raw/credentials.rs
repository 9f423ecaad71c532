//! One credential, in a place of its own, and it goes no further than the gate.

use super::{End, Probe};

const AMBIGUOUS: End = End::Refused(400, "AMBIGUOUS_CREDENTIALS");
const STRANGER: End = End::Refused(401, "UNAUTHENTICATED");
const INVALID: End = End::Refused(401, "INVALID_TOKEN");

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {{host}}\r\n{fields}\r\n")
}

#[tokio::test]
async fn s_54_one_credential_and_only_where_credentials_stand() {
    let probe = Probe::start().await;
    let echo = "/api/v1/echo";
    let bearer = "Authorization: Bearer {token}\r\n";
    let viewer = probe.gateway.token("viewer").to_owned();
    let other = format!("X-Drawbridge-Token: {viewer}\r\n");
    let cases = [
        ("bearer", get(echo, bearer), End::Forwarded),
        ("bearer in other letters", get(echo, "AUTHORIZATION: bEARER {token}\r\n"), End::Forwarded),
        ("a token header", get(echo, "X-Drawbridge-Token: {token}\r\n"), End::Forwarded),
        ("the other token header", get(echo, "x-platz-token: {token}\r\n"), End::Forwarded),
        ("both alike", get(echo, &format!("{bearer}X-Drawbridge-Token: {{token}}\r\n")), End::Forwarded),
        ("Authorization twice", get(echo, &format!("{bearer}{bearer}")), AMBIGUOUS),
        ("two schemes", get(echo, &format!("{bearer}Authorization: Basic YTpi\r\n")), AMBIGUOUS),
        (
            "two schemes, the other first",
            get(echo, &format!("Authorization: Basic YTpi\r\n{bearer}")),
            AMBIGUOUS,
        ),
        ("bearer and another token", get(echo, &format!("{bearer}{other}")), AMBIGUOUS),
        ("another token and bearer", get(echo, &format!("{other}{bearer}")), AMBIGUOUS),
        ("two token headers", get(echo, &format!("X-Platz-Token: {{token}}\r\n{other}")), AMBIGUOUS),
        ("two tokens in one", get(echo, "Authorization: Bearer {token}, {token}\r\n"), INVALID),
        ("two words", get(echo, "Authorization: Bearer {token} {token}\r\n"), INVALID),
        ("a byte more", get(echo, "Authorization: Bearer {token}A\r\n"), INVALID),
        ("padding", get(echo, "Authorization: Bearer {token}=\r\n"), INVALID),
        ("no token", get(echo, "Authorization: Bearer\r\n"), INVALID),
        ("another scheme", get(echo, "Authorization: Token {token}\r\n"), STRANGER),
        ("basic with the token", get(echo, "Authorization: Basic {token}\r\n"), STRANGER),
        ("in the query", get("/api/v1/echo?access_token={token}", ""), STRANGER),
        (
            "in the query by our name",
            get("/api/v1/echo?token={token}&x-drawbridge-token={token}", ""),
            STRANGER,
        ),
        ("in a cookie", get(echo, "Cookie: token={token}; Authorization=Bearer {token}\r\n"), STRANGER),
        ("with an underscore", get(echo, "X_Drawbridge_Token: {token}\r\n"), STRANGER),
        ("by a proxy's header", get(echo, "Proxy-Authorization: Bearer {token}\r\n"), STRANGER),
        ("nobody", get(echo, ""), STRANGER),
    ];
    probe.all(cases).await;
}

#[tokio::test]
async fn the_upstream_gets_none_of_our_credentials_and_all_cookies_of_others() {
    let probe = Probe::start().await;
    for (who, token) in &probe.callers {
        for credential in [
            "Authorization: Bearer {token}\r\n",
            "X-Drawbridge-Token: {token}\r\n",
            "x-platz-token: {token}\r\n",
            "Authorization: Bearer {token}\r\nX-Drawbridge-Token: {token}\r\nX-Platz-Token: {token}\r\n",
            "Authorization: Basic YTpi\r\nX-Drawbridge-Token: {token}\r\n",
            "Authorization: Bearer {token}\r\nX_Platz_Token: {token}\r\nX-Drawbridge_Token: {token}\r\n",
        ] {
            let cookies = "Cookie: a=1;b=\"two; words\";  c==; d\r\nCookie: e=5\r\n";
            let text = get("/api/v1/echo", &format!("{credential}{cookies}"));
            let seen = probe.send("GET", &probe.fill(text, token)).await;
            let echoed = seen.answer.unwrap().expect(200);
            let said = echoed.json["headers"].to_string();
            assert!(!said.contains(token.as_str()), "the token of {who} went on: {echoed}");
            assert!(!said.contains("-token\"") && !said.contains("_token\""), "{who}: {echoed}");
            // Another scheme than ours is the upstream's business.
            assert_eq!(said.contains("\"authorization\""), credential.contains("Basic"), "{who}: {echoed}");
            let values: Vec<_> = super::values(&echoed, "cookie");
            assert_eq!(values, ["a=1;b=\"two; words\";  c==; d", "e=5"], "{who}: {echoed}");
        }
    }
}
