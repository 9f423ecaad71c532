//! ID tokens that prove nobody (OpenID Connect Core §3.1.3.7): each is the right one but for one thing.

use super::{Change, SESSION, Visitor, door, entries};
use crate::support::idp::{By, CLIENT, Forger, IdToken, SECRET, Signer};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// What is wrong, how it comes to be, and what the log says of it.
type Forgery = (&'static str, Change, &'static str);

const STRANGER: By = By::Key(Signer::Stranger);

fn kid(token: IdToken, kid: &str) -> IdToken {
    token.header("kid", kid)
}

/// Doesn't say by which key.
fn no_kid(mut token: IdToken) -> IdToken {
    token.header.as_object_mut().expect("a header").remove("kid");
    token
}

/// As if the public key, which everybody has, were a secret.
fn by_public_key(token: IdToken, secret: impl Into<Vec<u8>>) -> IdToken {
    token.header("alg", "HS256").by(By::Hmac(secret.into()))
}

const CLAIMS: &[Forgery] = &[
    ("another issuer", |t| t.claim("iss", "https://id.evil.example"), "issuer"),
    (
        "the issuer with a slash",
        |t| {
            let iss = format!("{}/", t.claims["iss"].as_str().unwrap());
            t.claim("iss", iss)
        },
        "issuer",
    ),
    ("no issuer", |t| t.without("iss"), "issuer"),
    (
        "issuers",
        |t| {
            let iss = t.claims["iss"].clone();
            t.claim("iss", json!([iss]))
        },
        "malformed",
    ),
    ("for another client", |t| t.claim("aud", "another"), "audience"),
    ("for a client with a longer name", |t| t.claim("aud", format!("{CLIENT}2")), "audience"),
    ("for nobody", |t| t.without("aud"), "audience"),
    ("for an empty list", |t| t.claim("aud", json!([])), "audience"),
    ("for a stranger too", |t| t.claim("aud", json!([CLIENT, "stranger"])), "audience"),
    (
        "for a stranger too, handed to us",
        |t| t.claim("aud", json!([CLIENT, "stranger"])).claim("azp", CLIENT),
        "audience",
    ),
    ("handed to another", |t| t.claim("azp", "another"), "authorized_party"),
    ("expired", |t| t.at("exp", -120), "time"),
    ("expired long ago", |t| t.claim("exp", 1), "time"),
    ("without an end", |t| t.without("exp"), "time"),
    ("with a text as its end", |t| t.claim("exp", "9999999999"), "malformed"),
    ("without a beginning", |t| t.without("iat"), "time"),
    ("made in an hour", |t| t.at("iat", 3600), "time"),
    ("valid in an hour", |t| t.at("nbf", 3600), "time"),
    ("another nonce", |t| t.claim("nonce", "another"), "nonce"),
    ("no nonce", |t| t.without("nonce"), "nonce"),
    ("an empty nonce", |t| t.claim("nonce", ""), "nonce"),
    ("another access token", |t| t.claim("at_hash", "MTIzNDU2Nzg5MDEyMzQ1Ng"), "at_hash"),
    ("no subject", |t| t.without("sub"), "subject"),
    ("an empty subject", |t| t.claim("sub", ""), "subject"),
    ("a number as subject", |t| t.claim("sub", 5), "malformed"),
    ("a long subject", |t| t.claim("sub", "s".repeat(256)), "subject"),
    ("a subject with a line's end", |t| t.claim("sub", "one\ntwo"), "subject"),
];

const SIGNATURES: &[Forgery] = &[
    ("not signed", |t| t.header("alg", "none").by(By::Nothing), "algorithm"),
    ("not signed, in other letters", |t| t.header("alg", "nOnE").by(By::Nothing), "algorithm"),
    ("not signed, with a signature", |t| t.header("alg", "none"), "algorithm"),
    ("an empty signature", |t| t.by(By::Nothing), "signature"),
    ("by the client's secret", |t| by_public_key(t, SECRET), "algorithm"),
    ("by the key's file", |t| by_public_key(t, Signer::First.pem()), "algorithm"),
    ("by the key's modulus", |t| by_public_key(t, Signer::First.jwk()["n"].as_str().unwrap()), "algorithm"),
    ("by nothing", |t| by_public_key(no_kid(t), []), "algorithm"),
    ("by another key of the same id", |t| t.by(STRANGER), "signature"),
    ("by another key, without an id", |t| no_kid(t).by(STRANGER), "signature"),
    ("another padding", |t| t.header("alg", "PS256").by(By::Pss(Signer::First)), "algorithm"),
    ("the other padding of what it says", |t| t.by(By::Pss(Signer::First)), "signature"),
    (
        "a curve's key by the id of another",
        |t| t.header("alg", "ES256").by(By::Key(Signer::Curve)),
        "unknown_key",
    ),
    ("a key that isn't shown", |t| kid(t, "stranger").by(STRANGER), "unknown_key"),
    ("an id that nobody has", |t| kid(t, "../first"), "unknown_key"),
    ("a key in the header", |t| t.header("jwk", Signer::Stranger.jwk()).by(STRANGER), "signature"),
    (
        "a key in the header alone",
        |t| no_kid(t).header("jwk", Signer::Stranger.jwk()).by(STRANGER),
        "signature",
    ),
    (
        "a key in the header, by its id",
        |t| kid(t, "stranger").header("jwk", Signer::Stranger.jwk()).by(STRANGER),
        "unknown_key",
    ),
    (
        "a certificate in the header",
        |t| t.header("x5c", json!([Signer::Stranger.certificate()])).by(STRANGER),
        "signature",
    ),
    ("keys from elsewhere", |t| t.header("jku", "http://127.0.0.1:9/jwks").by(STRANGER), "signature"),
    (
        "a certificate from elsewhere",
        |t| t.header("x5u", "http://127.0.0.1:9/cert").by(STRANGER),
        "signature",
    ),
    ("something critical", |t| t.header("crit", json!(["exp"])).header("exp", 1), "critical_header"),
    (
        "a payload that isn't encoded",
        |t| t.header("crit", json!(["b64"])).header("b64", false),
        "critical_header",
    ),
    ("no token", |t| IdToken { sent: false, ..t }, "malformed"),
    ("a list", |t| IdToken { claims: json!(["sub"]), ..t }, "malformed"),
];

/// Each is refused, for what is wrong with it, and leaves nothing but an entry.
async fn refused(forgeries: &[Forgery]) {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    for (number, (what, forge, why)) in forgeries.iter().enumerate() {
        let mut visitor = Visitor::at(&door);
        let answer = visitor.sign_in(&forger, forge).await;
        assert_eq!(
            (answer.status, answer.json["code"].as_str()),
            (401, Some("SIGN_IN_FAILED")),
            "{what}: {answer}"
        );
        let answer = answer.problem(401, "SIGN_IN_FAILED");
        let told = String::from_utf8_lossy(&answer.body).to_lowercase();
        assert!(!told.contains("nonce") && !told.contains("signature"), "{what}: it helps to try on: {told}");
        assert!(!visitor.cookies.contains_key(SESSION), "{what}: {answer}");
        visitor.me().await.problem(401, "UNAUTHENTICATED");
        let failed = entries(&door, "org.login_failed", number + 1).await;
        assert_eq!(failed[0]["details"]["cause"], format!("id_token: {why}"), "{what}: {:?}", failed[0]);
        assert_eq!(failed[0]["details"]["provider"], "acme", "{what}: {:?}", failed[0]);
    }
    // Nobody has come to be by any of them; by the right one somebody does.
    assert_eq!(door.both_logs("&event=org.user_created").await.concat(), [] as [serde_json::Value; 0]);
    Visitor::at(&door).sign_in(&forger, |token| token).await.expect(303);
    assert_eq!(entries(&door, "org.user_created", 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_43_what_an_id_token_says_has_to_be_right() {
    Box::pin(refused(CLAIMS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_43_an_id_token_is_signed_by_a_key_of_the_provider() {
    Box::pin(refused(SIGNATURES)).await;
}

/// What looks odd and is right.
#[tokio::test]
async fn s_43_what_is_odd_and_right_signs_in() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let right: [(&str, Change); 9] = [
        ("a list of us", |t| t.claim("aud", json!([CLIENT]))),
        ("handed to us", |t| t.claim("azp", CLIENT)),
        ("no access token's hash", |t| t.without("at_hash")),
        ("the longest subject", |t| t.claim("sub", "s".repeat(255))),
        ("no key's id where there is one key", no_kid),
        ("no type", |mut t| {
            t.header.as_object_mut().unwrap().remove("typ");
            t
        }),
        ("times with a fraction", |t| {
            let iat = t.claims["iat"].as_f64().unwrap() - 0.5;
            t.claim("iat", iat)
        }),
        ("a clock that is slow by ten seconds", |t| t.at("iat", 10)),
        ("nothing of the person", |t| t.without("email").without("email_verified").without("name")),
    ];
    for (what, change) in right {
        let answer = Visitor::at(&door).sign_in(&forger, change).await;
        assert_eq!(answer.status, 303, "{what}: {answer}");
    }
    // Nothing of a token but its claims: a claim of the header is none.
    let odd = URL_SAFE_NO_PAD.encode("{}");
    let answer = Visitor::at(&door).sign_in(&forger, |t| t.header("nonce", odd)).await;
    assert_eq!(answer.status, 303, "{answer}");
}
