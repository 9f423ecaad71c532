//! The service sees who calls: by header, and by an assertion that verifies against the public keys.

use super::{Service, field};
use crate::support::Gateway;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};

/// A service that answers with the head that it got.
async fn mirror() -> Service {
    Service::answering(|head, _| {
        let length = head.len();
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes(), head].concat()
    })
    .await
}

/// The claims, as a careful service reads them; or why it doesn't.
fn verify(gateway: &Gateway, keys: &JwkSet, assertion: &str, audience: &str) -> Result<Value, String> {
    let header = decode_header(assertion).map_err(|e| e.to_string())?;
    assert_eq!(header.alg, Algorithm::EdDSA);
    assert_eq!(header.typ.as_deref(), Some("drawbridge-assertion+jwt"));
    let kid = header.kid.ok_or("no kid")?;
    let key = keys.find(&kid).ok_or("an unknown key")?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[gateway.url("")]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.leeway = 0;
    let key = DecodingKey::from_jwk(key).map_err(|e| e.to_string())?;
    decode::<Value>(assertion, &key, &validation).map(|token| token.claims).map_err(|e| e.to_string())
}

async fn keys(gateway: &Gateway) -> JwkSet {
    let answer = gateway.get("/.well-known/jwks.json", "").await.expect(200);
    assert!(!answer.to_string().contains("\"d\""), "a private key is public: {answer}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn who_calls_is_said_and_signed() {
    let service = mirror().await;
    let gateway = service.gateway();
    let keys = keys(&gateway).await;
    let acme = gateway.org("acme").to_owned();
    let (impersonation, id) = gateway.mint("staff", "acme").await;
    for (who, token, kind, role) in [
        ("owner", gateway.token("owner"), "org_user", "owner"),
        ("viewer", gateway.token("viewer"), "org_user", "viewer"),
        ("bot", gateway.token("bot"), "bot", "operator"),
        ("impersonation", impersonation.as_str(), "impersonation", "admin"),
    ] {
        let answer = gateway.get("/some/path?with=query", token).await.expect(200);
        let head = |name: &str| field(&answer.body, name);
        let claims = verify(&gateway, &keys, &head("x-drawbridge-assertion").unwrap(), "upstream");
        let claims = claims.unwrap_or_else(|e| panic!("{who}: {e}"));
        let lived = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!((1..=5).contains(&lived), "{who}: {claims}");
        // Header and assertion say the same.
        assert_eq!(claims["sub"], head("x-drawbridge-principal").unwrap(), "{who}: {claims}");
        assert_eq!(claims["org_id"], head("x-drawbridge-org").unwrap(), "{who}: {claims}");
        assert_eq!(claims["role"], head("x-drawbridge-role").unwrap(), "{who}: {claims}");
        assert_eq!((&claims["org_id"], &claims["role"]), (&json!(acme), &json!(role)), "{who}");
        assert_eq!(claims["principal"], kind, "{who}");
        if who == "impersonation" {
            assert_eq!(claims["impersonation_id"], id.as_str());
            assert_eq!(claims["act"]["sub"], head("x-drawbridge-actor").unwrap());
            assert_eq!(claims["jti"], head("x-request-id").unwrap());
            assert_eq!((&claims["htm"], &claims["path"]), (&json!("GET"), &json!("/some/path")));
        } else {
            assert!(claims["act"].is_null() && claims["impersonation_id"].is_null(), "{who}: {claims}");
            assert_eq!(head("x-drawbridge-actor"), None);
        }
    }
    // The next request of an impersonation has another assertion, and none is good elsewhere.
    let of = async |path: &str, method: &str| {
        let answer = gateway.call(method, path, &impersonation, None).await.expect(200);
        field(&answer.body, "x-drawbridge-assertion").unwrap()
    };
    let (one, two) = (of("/a", "GET").await, of("/a", "GET").await);
    assert_ne!(one, two);
    let written = verify(&gateway, &keys, &of("/b", "PUT").await, "upstream").unwrap();
    assert_eq!((&written["htm"], &written["path"]), (&json!("PUT"), &json!("/b")));
    verify(&gateway, &keys, &one, "another-service").unwrap_err();
    let (body, signature) = one.rsplit_once('.').unwrap();
    let forged = format!("{body}.{}", signature.chars().rev().collect::<String>());
    verify(&gateway, &keys, &forged, "upstream").unwrap_err();
    // It is no credential.
    gateway.get("/a", &one).await.problem(401, "INVALID_TOKEN");
}
