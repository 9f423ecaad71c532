//! The provider that the tests forge by.

use crate::support::idp::{By, CLIENT, Forger, IdToken, Signer};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

/// What a library that nobody here wrote says of a token.
fn read(token: &str, keys: &JwkSet, issuer: &str) -> Result<Value, String> {
    let header = decode_header(token).map_err(|e| e.to_string())?;
    let key = keys.find(header.kid.as_deref().unwrap_or_default()).ok_or("no key")?;
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[CLIENT]);
    validation.set_issuer(&[issuer]);
    let key = DecodingKey::from_jwk(key).map_err(|e| e.to_string())?;
    decode::<Value>(token, &key, &validation).map(|data| data.claims).map_err(|e| e.to_string())
}

/// What the tests of forgeries stand on: the right token is right, and one thing that is changed is what is wrong.
#[tokio::test]
async fn the_forgers_right_tokens_are_right() {
    let forger = Forger::start().await;
    let issuer = &forger.issuer;
    let keys = json!({ "keys": [Signer::First.jwk(), Signer::Second.jwk(), Signer::Curve.jwk()] });
    let keys: JwkSet = serde_json::from_value(keys).unwrap();
    let verdict = async |token: IdToken| {
        let code = forger.code(token);
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("code", &code).finish();
        let request = reqwest::Client::new().post(format!("{issuer}/token"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        read(answer["id_token"].as_str().expect("a token"), &keys, issuer)
    };
    for signer in [Signer::First, Signer::Second, Signer::Curve] {
        let claims = verdict(IdToken::of(issuer, "n", signer)).await.unwrap();
        assert_eq!(claims["at_hash"].as_str().unwrap().len(), 22, "{claims}");
    }
    let right = || forger.right("n");
    verdict(right().header("alg", "PS256").by(By::Pss(Signer::First))).await.unwrap();
    let wrong = verdict(right().by(By::Key(Signer::Stranger))).await;
    assert_eq!(wrong.unwrap_err(), "InvalidSignature");
    assert_eq!(verdict(right().at("exp", -3600)).await.unwrap_err(), "ExpiredSignature");
    let pem = Signer::First.pem();
    DecodingKey::from_rsa_pem(pem.as_bytes()).unwrap_or_else(|e| panic!("{e}: {pem}"));
    assert!(Signer::Stranger.certificate().starts_with("MII"));
}
