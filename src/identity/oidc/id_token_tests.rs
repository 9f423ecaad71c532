//! One right token, and everything that can be wrong with one.

use super::*;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto::sign;
use serde_json::{Value, json};
use std::sync::LazyLock;

const ISSUER: &str = "https://id.acme.example";
const CLIENT: &str = "drawbridge";
const NONCE: &str = "n-0S6_WzA2Mj";
const NOW: Millis = 1_800_000_000_000;

static RSA: LazyLock<EncodingKey> = LazyLock::new(|| {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    pkcs1(der.as_ref())
});

/// What stands inside of PKCS #8: the library wants the RSA key alone.
fn pkcs1(pkcs8: &[u8]) -> EncodingKey {
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(pkcs8)
    );
    EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
}

fn ec() -> EncodingKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref())
}

/// A key as the provider publishes it.
fn jwk(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    jwk
}

/// A provider with one key of each kind.
struct Idp {
    ec: EncodingKey,
    keys: JwkSet,
}

impl Idp {
    fn new() -> Self {
        let ec = ec();
        let keys = vec![jwk(&RSA, Algorithm::RS256, "rsa"), jwk(&ec, Algorithm::ES256, "ec")];
        Self { ec, keys: JwkSet { keys } }
    }

    fn prove(&self, token: &str) -> Result<Proved, IdTokenFault> {
        let access_token = Some("SlAV32hkKG");
        let expected = Expected { issuer: ISSUER, client_id: CLIENT, nonce: NONCE, access_token, now: NOW };
        prove(token, &self.keys, &expected)
    }

    /// Claims that are right but for what `change` does to them.
    fn claims(&self, change: &Value) -> Result<Proved, IdTokenFault> {
        let mut claims = claims_of_now();
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        self.prove(&compact(&header(), &claims, &self.ec, Algorithm::ES256))
    }

    /// A header of somebody who signs with `key`.
    fn header(
        &self,
        header: &Value,
        key: &EncodingKey,
        algorithm: Algorithm,
    ) -> Result<Proved, IdTokenFault> {
        self.prove(&compact(header, &claims_of_now(), key, algorithm))
    }
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "ec", "typ": "JWT" })
}

fn claims_of_now() -> Value {
    let now = NOW / 1000;
    json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "248289761001", "exp": now + 600, "iat": now, "nonce": NONCE,
        "email": "first@acme.example", "email_verified": true, "name": "First Person",
    })
}

fn compact(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let part = |value: &Value| BASE64URL.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn s_43_the_right_one_counts_by_either_kind_of_key() {
    let idp = Idp::new();
    let by_ec = idp.claims(&json!({})).unwrap();
    assert_eq!(by_ec.person.sub.as_deref(), Some("248289761001"));
    assert_eq!(by_ec.person.email.as_deref(), Some("first@acme.example"));
    assert_eq!(by_ec.expires_at, NOW + 600_000);
    let by_rsa = idp.header(&json!({ "alg": "RS256", "kid": "rsa" }), &RSA, Algorithm::RS256).unwrap();
    assert_eq!(by_rsa, by_ec);
    // An audience as a list of one, the party named, fractions of a second: as providers write it too.
    for same in [
        json!({ "aud": [CLIENT] }),
        json!({ "azp": CLIENT }),
        json!({ "iat": NOW as f64 / 1000.0 + 0.5 }),
        json!({ "exp": NOW / 1000 - 29, "iat": NOW / 1000 - 300 }),
        json!({ "nbf": NOW / 1000 + 29 }),
        // OpenID Connect Core, appendix A.3, has this pair for RS256; ES256 hashes alike.
        json!({ "at_hash": left_half("SlAV32hkKG", Algorithm::ES256) }),
    ] {
        idp.claims(&same).unwrap_or_else(|fault| panic!("{same}: {fault}"));
    }
}

/// OpenID Connect Core §3.1.3.6, with the values of its appendix A.3 and A.4.
#[test]
fn s_43_the_hash_of_an_access_token() {
    assert_eq!(
        left_half("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", Algorithm::RS256),
        "77QmUPtjPfzWtF2AnpK9RQ"
    );
}

#[test]
fn s_43_wrong_claims_prove_nobody() {
    use IdTokenFault as F;
    let idp = Idp::new();
    let now = NOW / 1000;
    for (change, fault) in [
        (json!({ "iss": null }), F::Issuer),
        (json!({ "iss": format!("{ISSUER}/") }), F::Issuer),
        (json!({ "iss": ISSUER.to_uppercase() }), F::Issuer),
        (json!({ "aud": null }), F::Audience),
        (json!({ "aud": "other" }), F::Audience),
        (json!({ "aud": [] }), F::Audience),
        (json!({ "aud": [CLIENT, "other"] }), F::Audience),
        (json!({ "aud": [CLIENT, "other"], "azp": CLIENT }), F::Audience),
        (json!({ "azp": "other" }), F::AuthorizedParty),
        (json!({ "exp": null }), F::Time),
        (json!({ "exp": now - 31 }), F::Time),
        (json!({ "exp": 0 }), F::Time),
        (json!({ "iat": null }), F::Time),
        (json!({ "iat": now + 31 }), F::Time),
        (json!({ "nbf": now + 31 }), F::Time),
        (json!({ "nonce": null }), F::Nonce),
        (json!({ "nonce": "" }), F::Nonce),
        (json!({ "nonce": format!("{NONCE}x") }), F::Nonce),
        (json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" }), F::AccessTokenHash),
        (json!({ "at_hash": "" }), F::AccessTokenHash),
        (json!({ "sub": null }), F::Subject),
        (json!({ "sub": "" }), F::Subject),
        (json!({ "sub": "a".repeat(256) }), F::Subject),
        (json!({ "sub": "a\nb" }), F::Subject),
        // Of another type than it should be.
        (json!({ "sub": 248_289_761 }), F::Malformed),
        (json!({ "exp": "2027" }), F::Malformed),
        (json!({ "iss": [ISSUER] }), F::Malformed),
        (json!({ "nonce": [NONCE] }), F::Malformed),
    ] {
        assert_eq!(idp.claims(&change), Err(fault), "{change}");
    }
}

#[test]
fn s_43_wrong_keys_and_algorithms_prove_nobody() {
    use Algorithm::{ES256, HS256, RS256};
    use IdTokenFault as F;
    let idp = Idp::new();
    let stranger = ec();
    let public = serde_json::to_string(&idp.keys.keys[0]).unwrap();
    let shared = EncodingKey::from_secret(public.as_bytes());
    for (header, key, algorithm, fault) in [
        (json!({ "alg": "ES256", "kid": "ec" }), &stranger, ES256, F::Signature),
        (json!({ "alg": "ES256", "kid": "other" }), &stranger, ES256, F::UnknownKey),
        (json!({ "alg": "ES256", "kid": "" }), &idp.ec, ES256, F::UnknownKey),
        // Of the one key, by the algorithm of the other.
        (json!({ "alg": "ES256", "kid": "rsa" }), &idp.ec, ES256, F::UnknownKey),
        (json!({ "alg": "RS256", "kid": "ec" }), &RSA, RS256, F::UnknownKey),
        (json!({ "alg": "PS256", "kid": "rsa" }), &RSA, Algorithm::PS256, F::Algorithm),
        (json!({ "alg": "HS256", "kid": "rsa" }), &shared, HS256, F::Algorithm),
        (json!({ "alg": "none", "kid": "ec" }), &idp.ec, ES256, F::Algorithm),
        (json!({ "alg": "NoNe", "kid": "ec" }), &idp.ec, ES256, F::Algorithm),
        (json!({ "kid": "ec" }), &idp.ec, ES256, F::Malformed),
        (json!({ "alg": "ES256", "kid": "ec", "crit": ["exp"] }), &idp.ec, ES256, F::CriticalHeader),
        (json!({ "alg": "ES256", "kid": "ec", "b64": false }), &idp.ec, ES256, F::CriticalHeader),
        (json!({ "alg": "ES256", "kid": "ec", "zip": "DEF" }), &idp.ec, ES256, F::CriticalHeader),
        // A key that comes along is nobody's.
        (
            json!({ "alg": "ES256", "kid": "ec", "jwk": jwk(&stranger, ES256, "ec") }),
            &stranger,
            ES256,
            F::Signature,
        ),
        (
            json!({ "alg": "ES256", "kid": "ec", "jku": "https://evil.example" }),
            &stranger,
            ES256,
            F::Signature,
        ),
        (
            json!({ "alg": "ES256", "kid": "mine", "x5u": "https://evil.example" }),
            &stranger,
            ES256,
            F::UnknownKey,
        ),
    ] {
        assert_eq!(idp.header(&header, key, algorithm), Err(fault), "{header}");
    }
    let right = compact(&header(), &claims_of_now(), &idp.ec, ES256);
    let (message, signature) = right.rsplit_once('.').unwrap();
    let (first, _) = message.split_once('.').unwrap();
    let owner = BASE64URL.encode(claims_of_now().to_string().replace("248289761001", "248289761002"));
    for (damaged, fault) in [
        (format!("{first}.{owner}.{signature}"), F::Signature),
        (format!("{message}."), F::Signature),
        (format!("{message}.{signature}="), F::Malformed),
        (message.to_owned(), F::Malformed),
        (format!("{right}.{signature}"), F::Malformed),
        (String::new(), F::Malformed),
        ("a.b.c".to_owned(), F::Malformed),
        ("a".repeat(MAX_TOKEN + 1), F::Malformed),
    ] {
        assert!(idp.prove(&damaged).is_err(), "{damaged}");
        if fault == F::Signature {
            assert_eq!(idp.prove(&damaged), Err(fault), "{damaged}");
        }
    }
}

#[test]
fn one_key_needs_no_name_and_one_for_encryption_signs_nothing() {
    let idp = Idp::new();
    let token = compact(&json!({ "alg": "ES256" }), &claims_of_now(), &idp.ec, Algorithm::ES256);
    let mut only = jwk(&idp.ec, Algorithm::ES256, "ec");
    only.common.key_id = None;
    let mut alone = Idp { ec: ec(), keys: JwkSet { keys: vec![only] } };
    alone.prove(&token).unwrap();
    alone.keys.keys[0].common.public_key_use = Some(PublicKeyUse::Encryption);
    assert_eq!(alone.prove(&token), Err(IdTokenFault::UnknownKey));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn s_43_no_bit_can_be_changed(at in 0_usize..4_096, bit in 0_u8..8) {
        let idp = Idp::new();
        let mut token = compact(&header(), &claims_of_now(), &idp.ec, Algorithm::ES256).into_bytes();
        let at = at % token.len();
        token[at] ^= 1 << bit;
        if let Ok(token) = String::from_utf8(token) {
            proptest::prop_assert!(idp.prove(&token).is_err());
        }
    }
}
