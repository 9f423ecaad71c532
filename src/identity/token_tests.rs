use super::*;
use serde_json::{Value, json};

const ISSUER: &str = "http://127.0.0.1:8080";

fn tokens() -> Tokens {
    Tokens::new(Arc::new(Keys::ephemeral()), ISSUER)
}

fn impersonation(tokens: &Tokens) -> (ImpersonationId, Secret) {
    let id = ImpersonationId::random();
    let token = tokens
        .impersonation(&ImpersonationGrant {
            id: &id,
            org: &OrgId::random(),
            role: OrgRole::Admin,
            operator: &PlatformUserId::random(),
            issued_at: 1_000_000,
            expires_at: 2_800_000,
        })
        .unwrap();
    (id, token)
}

fn access(tokens: &Tokens) -> Secret {
    let (session, id) = (SessionId::random(), PlatformUserId::random());
    tokens
        .access(&AccessGrant {
            session: &session,
            subject: AccessSubject::Platform { id: &id, roles: &["platform-admin".to_owned()] },
            client_id: "drawbridge-cli",
            amr: &["pwd".to_owned(), "otp".to_owned()],
            auth_time: 1_000_000,
            issued_at: 1_000_000,
            expires_at: 4_600_000,
        })
        .unwrap()
}

/// Header and claims, unverified.
fn parts(token: &str) -> (Value, Value) {
    use base64::Engine as _;
    let part = |n| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap());
    let read = |n| serde_json::from_slice(&part(n).unwrap()).unwrap();
    (read(0), read(1))
}

/// A token with this header and these claims, signed by the key that signs access tokens: what nobody else can make.
fn signed(tokens: &Tokens, header: &Value, claims: &Value) -> String {
    let key = tokens.keys.signing(Algorithm::Rs256, 0).unwrap();
    key.compact(&header.to_string(), claims.to_string().as_bytes()).unwrap()
}

#[test]
fn s_25_an_access_token_has_what_rfc_9068_asks_for() {
    let tokens = tokens();
    let token = access(&tokens);
    let (header, claims) = parts(token.expose());
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("RS256")));
    for claim in [
        "iss",
        "exp",
        "aud",
        "sub",
        "client_id",
        "iat",
        "jti",
        "roles",
        "tenant_id",
        "scope",
        "sid",
        "amr",
        "auth_time",
    ] {
        assert!(!claims[claim].is_null(), "{claim}: {claims}");
    }
    assert_eq!(claims["roles"], json!(["platform-admin"]));
    assert_eq!((&claims["org_id"], &claims["tenant_id"]), (&Value::Null, &json!("platform")));
    // Each of the required ones is.
    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope", "sid"] {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(claim);
        assert!(tokens.prove(&signed(&tokens, &header, &claims)).is_ok());
        let refused = tokens.prove(&signed(&tokens, &header, &without));
        assert!(matches!(refused, Err(TokenError::Claims)), "{claim}: {refused:?}");
    }
}

#[test]
fn s_26_for_somebody_else_or_of_another_type_is_refused() {
    let tokens = tokens();
    let (header, claims) = parts(access(&tokens).expose());
    for aud in [
        json!("http://other"),
        json!(["http://other"]),
        json!([]),
        json!(null),
        json!(7),
        json!([ISSUER, "http://other"]),
    ] {
        let mut other = claims.clone();
        other["aud"] = aud;
        let refused = tokens.prove(&signed(&tokens, &header, &other));
        assert!(matches!(refused, Err(TokenError::Claims)), "{other}: {refused:?}");
    }
    for typ in [
        json!("JWT"),
        json!("jwt"),
        json!("id+jwt"),
        json!("AT+JWT"),
        json!("application/at+jwt"),
        json!("drawbridge-assertion+jwt"),
        json!(null),
    ] {
        let mut other = header.clone();
        other["typ"] = typ;
        let refused = tokens.prove(&signed(&tokens, &other, &claims));
        assert!(matches!(refused, Err(TokenError::Type)), "{other}: {refused:?}");
    }
    // An assertion for the upstream, of the same keys.
    let mut id_token = claims;
    id_token["nonce"] = json!("n");
    let untyped = json!({ "alg": "RS256", "kid": header["kid"] });
    assert!(matches!(tokens.prove(&signed(&tokens, &untyped, &id_token)), Err(TokenError::Type)));
}

#[test]
fn s_27_a_header_with_more_than_we_write_is_refused() {
    let tokens = tokens();
    let (header, claims) = parts(access(&tokens).expose());
    let more: [(&str, Value); 9] = [
        ("jku", json!("http://evil/keys")),
        ("x5u", json!("http://evil/cert")),
        ("x5c", json!(["MIIB"])),
        ("jwk", json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" })),
        ("crit", json!(["exp"])),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
        ("b64", json!(false)),
    ];
    for (name, value) in more {
        let mut other = header.clone();
        other[name] = value;
        let refused = tokens.prove(&signed(&tokens, &other, &claims));
        assert!(matches!(refused, Err(TokenError::Invalid(JwsError::Header))), "{name}: {refused:?}");
    }
    // `kid`: opaque, at most 64 bytes.
    for (kid, unknown) in [
        ("../../etc/passwd", true),
        ("x' OR '1'='1", true),
        ("", true),
        (&"k".repeat(64), true),
        (&"k".repeat(65), false),
    ] {
        let mut other = header.clone();
        other["kid"] = json!(kid);
        let refused = tokens.prove(&signed(&tokens, &other, &claims)).unwrap_err();
        assert_eq!(refused.is_unknown_key(), unknown, "{kid}: {refused:?}");
    }
    // The key is for one algorithm, and not for what the header says.
    let ed25519 = tokens.keys.signing(Algorithm::EdDsa, 0).unwrap();
    let mut confused = header.clone();
    confused["kid"] = json!(ed25519.kid);
    assert!(matches!(
        tokens.prove(&signed(&tokens, &confused, &claims)),
        Err(TokenError::Invalid(JwsError::Algorithm))
    ));
    for alg in ["none", "None", "HS256", "RS512", "PS256", "ES256", "EdDSA", ""] {
        let mut other = header.clone();
        other["alg"] = json!(alg);
        let refused = tokens.prove(&signed(&tokens, &other, &claims));
        assert!(matches!(refused, Err(TokenError::Invalid(JwsError::Algorithm))), "{alg}: {refused:?}");
    }
}

#[test]
fn s_28_not_before_counts() {
    let tokens = tokens();
    let (header, mut claims) = parts(access(&tokens).expose());
    let now = tokens.keys.now() / 1000;
    for (nbf, fine) in [(now - 1, true), (now + 5, false)] {
        claims["nbf"] = json!(nbf);
        assert_eq!(tokens.prove(&signed(&tokens, &header, &claims)).is_ok(), fine, "{nbf} at {now}");
    }
}

#[test]
fn s_29_anything_altered_or_foreign_is_refused() {
    let tokens = tokens();
    for token in [impersonation(&tokens).1, access(&tokens)] {
        let text = token.expose();
        assert!(tokens.prove(text).is_ok());
        let parts: Vec<&str> = text.split('.').collect();
        let other_first = if parts[2].starts_with('A') { 'B' } else { 'A' };
        let rest: String = parts[2].chars().skip(1).collect();
        let last = parts[2].chars().last().unwrap();
        // The last character of a part has bits that a careless decoder throws away.
        let head: String = parts[2].chars().take(parts[2].len() - 1).collect();
        let trailing = format!("{}.{}.{head}{}", parts[0], parts[1], char::from(last as u8 ^ 1));
        let flipped = format!("{}.{}.{other_first}{rest}", parts[0], parts[1]);
        let unsigned = format!("{}.{}.", parts[0], parts[1]);
        let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
        let array = format!("{}.{}.{}", parts[0], "W10", parts[2]);
        for bad in [
            flipped,
            unsigned,
            none,
            trailing,
            array,
            format!("{text} "),
            format!("{text}="),
            format!("{text}.x"),
            format!(" {text}"),
            text.replacen('.', "..", 1),
            String::new(),
            "a.b.c".into(),
        ] {
            assert!(tokens.prove(&bad).is_err(), "{bad}");
        }
        let elsewhere = Tokens::new(Arc::new(Keys::ephemeral()), ISSUER);
        assert!(elsewhere.prove(text).is_err_and(|e| e.is_unknown_key()));
        let other_issuer = Tokens::new(tokens.keys.clone(), "http://other");
        assert!(matches!(other_issuer.prove(text), Err(TokenError::Claims)));
    }
    // Twice the same member: the reader that takes the first and the one that takes the last would differ.
    let (header, claims) = parts(access(&tokens).expose());
    let twice = claims.to_string().replacen('{', r#"{"sub":"pu_other","#, 1);
    let key = tokens.keys.signing(Algorithm::Rs256, 0).unwrap();
    let token = key.compact(&header.to_string(), twice.as_bytes()).unwrap();
    assert!(matches!(tokens.prove(&token), Err(TokenError::Claims)));
    let twice = header.to_string().replacen('{', r#"{"typ":"JWT","#, 1);
    let token = key.compact(&twice, claims.to_string().as_bytes()).unwrap();
    assert!(matches!(tokens.prove(&token), Err(TokenError::Invalid(JwsError::Header))));
}

#[test]
fn s_31_an_impersonation_token_is_delegation() {
    let tokens = tokens();
    let (id, token) = impersonation(&tokens);
    let proved = tokens.prove(token.expose()).unwrap();
    assert_eq!(proved.session, id.subject());
    assert_eq!(proved.expires_at, 2_800_000);
    assert!(proved.impersonation);
    let (header, claims) = parts(token.expose());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1800);
    assert_eq!((&claims["jti"], &claims["impersonation_id"]), (&claims["sub"], &claims["sub"]));
    assert_eq!(claims["act"]["iss"], ISSUER);
    assert!(claims["act"]["sub"].as_str().unwrap().starts_with("pu_") && claims["may_act"].is_null());
    // `act` in an `act`, none at all, another session's.
    let kid = tokens.keys.signing(Algorithm::Rs256, 0).unwrap().kid.clone();
    let header = json!({ "typ": header["typ"], "alg": "RS256", "kid": kid });
    assert!(tokens.prove(&signed(&tokens, &header, &claims)).is_ok());
    type Change = fn(&mut Value);
    let changes: [Change; 4] = [
        |c| c["act"]["act"] = json!({ "sub": "pu_2", "iss": ISSUER }),
        |c| c["act"] = json!(null),
        |c| c["jti"] = json!("imp_other"),
        |c| c["impersonation_id"] = json!(null),
    ];
    for change in changes {
        let mut other = claims.clone();
        change(&mut other);
        assert!(
            matches!(tokens.prove(&signed(&tokens, &header, &other)), Err(TokenError::Claims)),
            "{other}"
        );
    }
}

/// By a library that isn't ours.
#[test]
fn others_verify_what_we_sign() {
    use jsonwebtoken::{DecodingKey, Validation, decode, jwk::JwkSet};
    let tokens = tokens();
    let jwks: JwkSet = serde_json::from_value(tokens.keys.jwks()).unwrap();
    for (token, alg) in [
        (impersonation(&tokens).1, jsonwebtoken::Algorithm::EdDSA),
        (access(&tokens), jsonwebtoken::Algorithm::RS256),
    ] {
        let kid = jsonwebtoken::decode_header(token.expose()).unwrap().kid.unwrap();
        let key = DecodingKey::from_jwk(jwks.find(&kid).unwrap()).unwrap();
        let mut validation = Validation::new(alg);
        validation.set_audience(&[ISSUER]);
        validation.set_issuer(&[ISSUER]);
        validation.validate_exp = false;
        decode::<Value>(token.expose(), &key, &validation).unwrap();
    }
}
