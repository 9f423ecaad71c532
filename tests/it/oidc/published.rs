//! What a provider publishes about itself, and what its endpoints answer.

use super::{SESSION, Visitor, door, provider};
use crate::support::idp::{By, CLIENT, Forger, IdToken, Signer};
use crate::support::{Door, eventually};
use axum::http::StatusCode;
use drawbridge::config::OidcProvider;
use serde_json::{Value, json};

#[tokio::test]
async fn s_43_discovery_names_the_issuer_that_is_configured() {
    let forger = Forger::start().await;
    let right = forger.script().discovery.clone();
    let start = "/auth/oidc/start/acme";
    type Lie = fn(&mut Value);
    let changes: [(&str, Lie); 7] = [
        ("a slash", |d| d["issuer"] = format!("{}/", d["issuer"].as_str().unwrap()).into()),
        ("somebody else", |d| d["issuer"] = "https://id.evil.example".into()),
        ("nobody", |d| d["issuer"] = Value::Null),
        ("no keys", |d| d["jwks_uri"] = Value::Null),
        ("keys that aren't there", |d| {
            d["jwks_uri"] = format!("{}/nowhere", d["issuer"].as_str().unwrap()).into();
        }),
        ("a script", |d| d["authorization_endpoint"] = "javascript:alert(1)".into()),
        ("a list", |d| *d = json!([])),
    ];
    for (what, change) in changes {
        forger.script().discovery = right.clone();
        change(&mut forger.script().discovery);
        let door = door(&forger).await;
        let mut visitor = Visitor::at(&door);
        let answer = visitor.get(start).await;
        assert_eq!(
            (answer.status, answer.json["code"].as_str()),
            (502, Some("PROVIDER_UNREACHABLE")),
            "{what}: {answer}"
        );
        assert!(visitor.cookies.is_empty(), "{what}: {answer}");
        // It is mended without a restart.
        forger.script().discovery = right.clone();
        eventually(&format!("{what}: mended"), async || {
            (Visitor::at(&door).get(start).await.status == 302).then_some(())
        })
        .await;
    }
    let nobody = Door::open(|config| {
        config.oidc.providers = vec![provider(config, "acme", "http://127.0.0.1:9")];
    })
    .await;
    Visitor::at(&nobody).get(start).await.problem(502, "PROVIDER_UNREACHABLE");
    let other = Visitor::at(&nobody).get("/auth/oidc/start/another").await;
    assert!(matches!(other.status, 400 | 404), "{other}");
}

#[tokio::test]
async fn s_43_what_the_token_endpoint_answers() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let error = |error: &str| json!({ "error": error }).to_string();
    for (status, body, expected) in [
        (StatusCode::BAD_REQUEST, error("invalid_grant"), (401, "SIGN_IN_FAILED")),
        (StatusCode::UNAUTHORIZED, error("invalid_client"), (502, "PROVIDER_UNREACHABLE")),
        (StatusCode::INTERNAL_SERVER_ERROR, "oops".to_owned(), (502, "PROVIDER_UNREACHABLE")),
        (StatusCode::SERVICE_UNAVAILABLE, String::new(), (502, "PROVIDER_UNREACHABLE")),
        (StatusCode::FOUND, String::new(), (502, "PROVIDER_UNREACHABLE")),
        (StatusCode::OK, "<html>".to_owned(), (502, "PROVIDER_UNREACHABLE")),
        (StatusCode::OK, "[".repeat(1_000_000), (502, "PROVIDER_UNREACHABLE")),
        (StatusCode::OK, error("invalid_grant"), (401, "SIGN_IN_FAILED")),
        (StatusCode::OK, json!({ "id_token": "a.b.c" }).to_string(), (401, "SIGN_IN_FAILED")),
        (StatusCode::OK, json!({ "id_token": "" }).to_string(), (401, "SIGN_IN_FAILED")),
    ] {
        forger.script().instead = Some((status, body.clone()));
        let mut visitor = Visitor::at(&door);
        let answer = visitor.sign_in(&forger, |token| token).await;
        let body = body.chars().take(100).collect::<String>();
        assert_eq!(
            (answer.status, answer.json["code"].as_str()),
            (expected.0, Some(expected.1)),
            "{status} {body}: {answer}"
        );
        assert!(!visitor.cookies.contains_key(SESSION), "{answer}");
    }
    forger.script().instead = None;
    Visitor::at(&door).sign_in(&forger, |token| token).await.expect(303);
}

#[tokio::test]
async fn s_43_keys_are_read_anew_once_for_one_that_is_unknown() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let sign_in = async |change: fn(IdToken) -> IdToken| {
        let before = forger.keys_read();
        let answer = Visitor::at(&door).sign_in(&forger, change).await;
        (answer.status, forger.keys_read() - before)
    };
    assert_eq!(sign_in(|t| t).await, (303, 1), "the first reads them");
    assert_eq!(sign_in(|t| t).await, (303, 0));
    assert_eq!(sign_in(|t| t.header("kid", "another")).await, (401, 1));
    // Another key under the old one's id is looked for too: a signature that doesn't fit may be a new key's.
    {
        let mut script = forger.script();
        script.signer = Signer::Second;
        script.keys = json!({ "keys": [Signer::Second.jwk()] });
        script.keys["keys"][0]["kid"] = "first".into();
    }
    assert_eq!(sign_in(|t| t.header("kid", "first")).await, (303, 1), "the id goes over to another key");
    forger.rotate();
    assert_eq!(sign_in(|t| t).await, (303, 1), "the new key");
    assert_eq!(sign_in(|t| t).await, (303, 0));
    let old = IdToken::of(&forger.issuer, "", Signer::First);
    let answer = Visitor::at(&door).sign_in(&forger, |t| IdToken { claims: t.claims, ..old }).await;
    answer.problem(401, "SIGN_IN_FAILED");
}

/// RFC 7517 §5: what isn't understood is passed over.
#[tokio::test]
async fn s_43_odd_keys_beside_the_right_one_are_passed_over() {
    let forger = Forger::start().await;
    let strange = [
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AAAA" }),
        json!({ "kty": "OKP", "crv": "X25519", "kid": "agreement", "use": "enc", "x": "AAAA" }),
        json!({ "kty": "EC", "crv": "secp256k1", "kid": "coin", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "RSA", "alg": "RSA-OAEP-384", "kid": "wrap", "use": "enc", "n": "AAAA", "e": "AQAB" }),
        json!({ "kty": "oct", "kid": "secret", "alg": "HS256", "k": "AAAA" }),
        json!({ "kid": "nothing" }),
    ];
    for odd in strange {
        forger.script().keys = json!({ "keys": [odd, Signer::First.jwk(), Signer::Curve.jwk()] });
        let door = door(&forger).await;
        let answer = Visitor::at(&door).sign_in(&forger, |token| token).await;
        assert_eq!(answer.status, 303, "{odd}: {answer}");
    }
}

/// RFC 7517 §4.5: keys of two kinds may be alternatives, with one id.
#[tokio::test]
async fn s_43_two_kinds_of_keys_may_share_an_id() {
    let forger = Forger::start().await;
    let mut curve = Signer::Curve.jwk();
    curve["kid"] = "first".into();
    forger.script().keys = json!({ "keys": [curve, Signer::First.jwk()] });
    let door = door(&forger).await;
    Visitor::at(&door).sign_in(&forger, |token| token).await.expect(303);
    let by_curve = |token: IdToken| token.header("alg", "ES256").by(By::Key(Signer::Curve));
    Visitor::at(&door).sign_in(&forger, by_curve).await.expect(303);
    let neither = |token: IdToken| token.by(By::Key(Signer::Second));
    Visitor::at(&door).sign_in(&forger, neither).await.problem(401, "SIGN_IN_FAILED");
}

#[tokio::test]
async fn s_43_a_provider_may_sign_on_a_curve() {
    let forger = Forger::start().await;
    forger.script().signer = Signer::Curve;
    forger.script().keys = json!({ "keys": [Signer::First.jwk(), Signer::Curve.jwk()] });
    forger.script().discovery["id_token_signing_alg_values_supported"] = json!(["ES256"]);
    let door = door(&forger).await;
    Visitor::at(&door).sign_in(&forger, |token| token).await.expect(303);
    let answer = Visitor::at(&door).sign_in(&forger, |token| token.header("kid", "first")).await;
    answer.problem(401, "SIGN_IN_FAILED");
}

#[tokio::test]
async fn s_43_a_public_client_proves_nothing_but_the_verifier() {
    let forger = Forger::start().await;
    let door = Door::open(|config| {
        let known = provider(config, "acme", &forger.issuer);
        config.oidc.providers = vec![OidcProvider { client_secret_file: None, ..known }];
    })
    .await;
    Visitor::at(&door).sign_in(&forger, |token| token).await.expect(303);
    let received = forger.received().remove(0);
    assert_eq!((received.authorization.as_str(), received.fields["client_id"].as_str()), ("", CLIENT));
    assert!(!received.fields.contains_key("client_secret"), "{received:?}");
}

/// OpenID Connect Core §5.3.2.
#[tokio::test]
async fn s_43_userinfo_is_of_the_same_person() {
    let forger = Forger::start().await;
    let endpoint = format!("{}/userinfo", forger.issuer);
    forger.script().discovery["userinfo_endpoint"] = endpoint.into();
    let door = door(&forger).await;
    let bare = |token: IdToken| token.without("email").without("email_verified").without("name");
    forger.script().userinfo =
        json!({ "sub": "somebody-else", "email": "admin@acme.example", "email_verified": true });
    let mut visitor = Visitor::at(&door);
    visitor.sign_in(&forger, bare).await.problem(401, "SIGN_IN_FAILED");
    assert!(!visitor.cookies.contains_key(SESSION));
    forger.script().userinfo["sub"] = "248289761001".into();
    visitor.sign_in(&forger, bare).await.expect(303);
    let me = visitor.me().await.expect(200);
    assert_eq!((me.text("/email"), &me.json["site_admin"]), ("admin@acme.example", &json!(true)));
}
