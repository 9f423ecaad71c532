use super::*;
use crate::access::oauth::{ClientAuthentication, OAuthClient, OAuthSettings};
use crate::identity::Sealer;

const ISSUER: &str = "https://gate.example";
const GOOD: &str = "response_type=code&client_id=cli&redirect_uri=http%3A%2F%2F127.0.0.1%3A99%2Fcb&state=a%26b&\
                    code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

fn oauth() -> OAuth {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Sealer::open_or_create(&folder.path().join("k")).unwrap();
    let client = OAuthClient {
        id: "cli".to_owned(),
        redirect_uris: vec!["http://127.0.0.1/cb".to_owned(), "https://app.example/cb?x=1".to_owned()],
        authentication: ClientAuthentication::Public,
    };
    OAuth::new(OAuthSettings { access_token_ttl: 1, clients: vec![client] }, &sealer).unwrap()
}

fn read(query: &str) -> Result<AuthorizationRequest, AuthorizeError> {
    oauth().read(&Parameters::read(query.as_bytes()), ISSUER)
}

/// `error` of the answer that goes to the client; "page" for one that doesn't.
fn refused(query: &str) -> String {
    match read(query) {
        Ok(request) => panic!("{query}: {request:?}"),
        Err(AuthorizeError::Page(_)) => "page".to_owned(),
        Err(AuthorizeError::Redirect(to)) => {
            let url = url::Url::parse(&to).unwrap();
            let all: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
            // S-37: `iss` and `state` in answers that are errors, too.
            assert_eq!(all["iss"], ISSUER, "{to}");
            if !query.contains("state=a%26b&state") {
                assert_eq!(all["state"], "a&b", "{to}");
            }
            assert!(
                all["error_description"]
                    .bytes()
                    .all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
            );
            all["error"].clone()
        }
    }
}

#[test]
fn s_34_what_is_asked_for_has_an_s256_challenge() {
    let request = read(GOOD).unwrap();
    assert_eq!((request.client_id.as_str(), request.state.as_deref()), ("cli", Some("a&b")));
    assert_eq!(request.redirect_uri, "http://127.0.0.1:99/cb");
    assert_eq!(read(&GOOD.replace("&state=a%26b", "")).unwrap().state, None);
    for (was, is) in [
        ("&code_challenge_method=S256", ""),
        ("=S256", "=plain"),
        ("=S256", "=s256"),
        ("&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", ""),
        ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "short"),
        ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM%3D"),
    ] {
        assert_eq!(refused(&GOOD.replace(was, is)), "invalid_request", "{was} → {is}");
    }
}

#[test]
fn s_36_one_way_to_ask() {
    for (was, is, error) in [
        ("response_type=code", "response_type=token", "unsupported_response_type"),
        ("response_type=code", "response_type=code+token", "unsupported_response_type"),
        ("response_type=code", "response_type=", "invalid_request"),
        ("response_type=code", "x=code", "invalid_request"),
        ("=S256", "=S256&response_mode=fragment", "invalid_request"),
        ("=S256", "=S256&scope=openid", "invalid_scope"),
        ("=S256", "=S256&scope=platform+admin", "invalid_scope"),
        ("=S256", "=S256&request=x.y.z", "request_not_supported"),
        ("=S256", "=S256&request_uri=https%3A%2F%2Fa", "request_uri_not_supported"),
        ("=S256", "=S256&resource=https%3A%2F%2Fother", "invalid_target"),
        ("=S256", "=S256&code_challenge_method=S256", "invalid_request"),
        ("&state=a%26b", "&state=a%26b&state=c", "invalid_request"),
    ] {
        assert_eq!(refused(&GOOD.replace(was, is)), error, "{was} → {is}");
    }
    for fine in
        ["scope=platform", "resource=https%3A%2F%2Fgate.example", "unheard_of=1", "prompt=login", "scope="]
    {
        assert!(read(&format!("{GOOD}&{fine}")).is_ok(), "{fine}");
    }
}

#[test]
fn s_35_nothing_is_sent_where_it_was_not_registered() {
    for (was, is) in [
        ("client_id=cli", "client_id=other"),
        ("client_id=cli", "client_id="),
        ("client_id=cli", "client_id=cli&client_id=cli"),
        ("127.0.0.1", "127.0.0.2"),
        ("%2Fcb", "%2Fcb%2F"),
        ("&redirect_uri=http%3A%2F%2F127.0.0.1%3A99%2Fcb", ""),
        ("&state", "&redirect_uri=http%3A%2F%2F127.0.0.1%3A99%2Fcb&state"),
        ("a%26b", &"a".repeat(2049)),
    ] {
        assert_eq!(refused(&GOOD.replace(was, is)), "page", "{was} → {is}");
    }
}

#[test]
fn s_37_every_answer_names_its_issuer() {
    let request = read(GOOD).unwrap();
    assert_eq!(
        request.answer(ISSUER, &[("code", "c d")]),
        "http://127.0.0.1:99/cb?code=c+d&state=a%26b&iss=https%3A%2F%2Fgate.example"
    );
    let with_query =
        AuthorizationRequest { redirect_uri: "https://app.example/cb?x=1".to_owned(), ..request };
    assert!(with_query.answer(ISSUER, &[("code", "c")]).starts_with("https://app.example/cb?x=1&code=c&"));
    assert_eq!(with_query.redirect_origin(), "https://app.example");
    let own = AuthorizationRequest { redirect_uri: "com.example.app:/cb".to_owned(), ..with_query };
    assert_eq!(own.redirect_origin(), "com.example.app:");
}
