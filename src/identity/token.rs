//! The tokens that this gateway signs and accepts: access tokens (RFC 9068) and impersonation tokens
//! (delegation, RFC 8693 §4.1).
//!
//! A proved token says *which session* a request is made under. Whether that session is live is a fact
//! for policy, read elsewhere; `exp` is handed on and judged there too, with the same clock.

use super::keys::Keys;
use crate::domain::ids::{ImpersonationId, OrgId, OrgUserId, PlatformUserId, SessionId, Subject};
use crate::domain::{Millis, OrgRole, Secret};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `typ` of both kinds (RFC 9068 §2.1).
const TYP: &str = "at+jwt";
/// Longer than any token of ours.
const MAX_BYTES: usize = 4096;

/// Why a token proves nothing. The variants are for the log; a client is told `INVALID_TOKEN`.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not a compact JWS of a size that we issue.
    #[error("not a token of this gateway")]
    Malformed,
    /// A header that we never write: another `typ`, an unknown `kid`, embedded or remote keys, `crit`.
    #[error("the token's header is not acceptable")]
    Header,
    /// Signature, issuer, audience or a required claim.
    #[error("the token doesn't verify")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    /// Claims that don't fit together.
    #[error("the token's claims don't fit together")]
    Claims,
    /// Signing failed.
    #[error("the token can't be signed")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

/// Signs and proves tokens.
pub struct Tokens {
    keys: Arc<Keys>,
    issuer: String,
    validation: Validation,
}

/// A token that is ours and unaltered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvedToken {
    /// The session that it names: `ses_…` or `imp_…`.
    pub session: Subject,
    /// Its own `exp`. For an impersonation it equals the grant's.
    pub expires_at: Millis,
    /// Whether it is an impersonation's.
    pub impersonation: bool,
}

/// What an access token states.
#[derive(Debug)]
pub struct AccessGrant<'a> {
    /// Session it belongs to.
    pub session: &'a SessionId,
    /// Who.
    pub subject: AccessSubject<'a>,
    /// Client that asked for it.
    pub client_id: &'a str,
    /// How the person signed in (RFC 8176), for example `["pwd", "otp"]`.
    pub amr: &'a [String],
    /// When the person signed in.
    pub auth_time: Millis,
    /// From when it counts.
    pub issued_at: Millis,
    /// Until when.
    pub expires_at: Millis,
}

/// Whose access token.
#[derive(Debug)]
pub enum AccessSubject<'a> {
    /// Vendor staff: `scope` is `platform`, and there is no `org_id`.
    Platform {
        /// Who.
        id: &'a PlatformUserId,
        /// Role names, for `roles`.
        roles: &'a [String],
    },
    /// A person of a customer: `scope` is `org`.
    Org {
        /// Who.
        id: &'a OrgUserId,
    },
}

/// What an impersonation token states.
#[derive(Debug)]
pub struct ImpersonationGrant<'a> {
    /// The grant: also `jti` and `sub`.
    pub id: &'a ImpersonationId,
    /// The one org.
    pub org: &'a OrgId,
    /// The role there.
    pub role: OrgRole,
    /// The staff member behind it: `act.sub`.
    pub operator: &'a PlatformUserId,
    /// From when.
    pub issued_at: Millis,
    /// Until when.
    pub expires_at: Millis,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    jti: String,
    iat: i64,
    exp: i64,
    scope: String,
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform_user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Act>,
}

/// RFC 8693 §4.1. A nested `act` has no place here and is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    sub: String,
    iss: String,
}

impl Tokens {
    /// `issuer` is the gateway's public URL: `iss` and `aud` of its tokens.
    #[must_use]
    pub fn new(keys: Arc<Keys>, issuer: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = 0;
        // `exp` is judged with the session's facts and the gateway's clock, not here.
        validation.validate_exp = false;
        validation.validate_nbf = true;
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self { keys, issuer: issuer.to_owned(), validation }
    }

    /// `iss` of all tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// An access token (RFC 9068).
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    pub fn access(&self, grant: &AccessGrant<'_>) -> Result<Secret, TokenError> {
        let (sub, scope, platform_user_id, roles) = match &grant.subject {
            AccessSubject::Platform { id, roles } => {
                (id.as_str(), "platform", Some(id.as_str().to_owned()), Some(roles.to_vec()))
            }
            AccessSubject::Org { id } => (id.as_str(), "org", None, None),
        };
        self.sign(&Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: sub.to_owned(),
            jti: crate::domain::ids::TokenId::random().to_string(),
            iat: grant.issued_at / 1000,
            exp: grant.expires_at / 1000,
            scope: scope.to_owned(),
            client_id: grant.client_id.to_owned(),
            sid: Some(grant.session.to_string()),
            tenant_id: platform_user_id.is_some().then(|| "platform".to_owned()),
            platform_user_id,
            roles,
            amr: Some(grant.amr.to_vec()),
            auth_time: Some(grant.auth_time / 1000),
            org_id: None,
            role: None,
            impersonation_id: None,
            act: None,
        })
    }

    /// An impersonation token: `jti` = `sub` = `impersonation_id`, the staff member in `act`. The same
    /// grant always gives the same token.
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    pub fn impersonation(&self, grant: &ImpersonationGrant<'_>) -> Result<Secret, TokenError> {
        self.sign(&Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: grant.id.to_string(),
            jti: grant.id.to_string(),
            iat: grant.issued_at / 1000,
            exp: grant.expires_at / 1000,
            scope: "impersonation".to_owned(),
            client_id: "drawbridge".to_owned(),
            sid: None,
            platform_user_id: None,
            tenant_id: None,
            roles: None,
            amr: None,
            auth_time: None,
            org_id: Some(grant.org.to_string()),
            role: Some(grant.role.as_str().to_owned()),
            impersonation_id: Some(grant.id.to_string()),
            act: Some(Act { sub: grant.operator.to_string(), iss: self.issuer.clone() }),
        })
    }

    fn sign(&self, claims: &Claims) -> Result<Secret, TokenError> {
        let keys = self.keys.current();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYP.to_owned());
        header.kid = Some(keys.kid.clone());
        jsonwebtoken::encode(&header, claims, &keys.signing).map(Secret::new).map_err(TokenError::Signing)
    }

    /// Proves a presented token: ours, unaltered, for us (RFC 8725, RFC 9068 §4). Says nothing about
    /// whether it is expired or its session live.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn prove(&self, presented: &str) -> Result<ProvedToken, TokenError> {
        if presented.len() > MAX_BYTES || presented.bytes().filter(|b| *b == b'.').count() != 2 {
            return Err(TokenError::Malformed);
        }
        let header = jsonwebtoken::decode_header(presented).map_err(|_| TokenError::Malformed)?;
        if !header_is_ours(presented) {
            return Err(TokenError::Header);
        }
        let keys = self.keys.current();
        let key = header.kid.as_deref().and_then(|kid| keys.verifying.get(kid)).ok_or(TokenError::Header)?;
        let claims = jsonwebtoken::decode::<Claims>(presented, key, &self.validation)
            .map_err(TokenError::Invalid)?
            .claims;
        let expires_at = claims.exp.saturating_mul(1000);
        match claims.scope.as_str() {
            "impersonation" => {
                let id = ImpersonationId::parse(&claims.sub).map_err(|_| TokenError::Claims)?;
                let same = claims.jti == claims.sub
                    && claims.impersonation_id.as_deref() == Some(claims.sub.as_str())
                    && claims.act.is_some();
                if !same {
                    return Err(TokenError::Claims);
                }
                Ok(ProvedToken { session: id.subject(), expires_at, impersonation: true })
            }
            "platform" | "org" => {
                let sid = claims.sid.as_deref().ok_or(TokenError::Claims)?;
                let id = SessionId::parse(sid).map_err(|_| TokenError::Claims)?;
                Ok(ProvedToken { session: id.subject(), expires_at, impersonation: false })
            }
            _ => Err(TokenError::Claims),
        }
    }
}

/// The members that we write and no other: no `jwk`, `jku`, `x5c`, `x5u`, `crit`, `zip` (RFC 8725 §3.10), `typ` exact.
fn header_is_ours(presented: &str) -> bool {
    use base64::Engine as _;
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ours {
        typ: String,
        alg: String,
        #[serde(rename = "kid")]
        _kid: String,
    }
    let first = presented.split('.').next().unwrap_or_default();
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(first)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Ours>(&bytes).ok())
        .is_some_and(|h| h.typ == TYP && h.alg == "EdDSA")
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn an_impersonation_token_names_its_grant() {
        let tokens = tokens();
        let (id, token) = impersonation(&tokens);
        let proved = tokens.prove(token.expose()).unwrap();
        assert_eq!(proved.session, id.subject());
        assert_eq!(proved.expires_at, 2_800_000);
        assert!(proved.impersonation);
        let claims: serde_json::Value =
            jsonwebtoken::dangerous::insecure_decode(token.expose()).unwrap().claims;
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1800);
        assert_eq!(claims["jti"], claims["sub"]);
        assert_eq!(claims["act"]["iss"], ISSUER);
    }

    #[test]
    fn anything_altered_or_foreign_is_refused() {
        let tokens = tokens();
        let (_, token) = impersonation(&tokens);
        let text = token.expose();
        let parts: Vec<&str> = text.split('.').collect();
        let other_first = if parts[2].starts_with('A') { 'B' } else { 'A' };
        let rest: String = parts[2].chars().skip(1).collect();
        let flipped = format!("{}.{}.{other_first}{rest}", parts[0], parts[1]);
        let unsigned = format!("{}.{}.", parts[0], parts[1]);
        let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
        for bad in
            [flipped, unsigned, none, format!("{text} "), format!("{text}="), String::new(), "a.b.c".into()]
        {
            assert!(tokens.prove(&bad).is_err(), "{bad}");
        }
        let elsewhere = Tokens::new(Arc::new(Keys::ephemeral()), ISSUER);
        assert!(matches!(elsewhere.prove(text), Err(TokenError::Header)));
        let other_issuer = Tokens::new(tokens.keys, "http://other");
        assert!(matches!(other_issuer.prove(text), Err(TokenError::Invalid(_))));
    }

    #[test]
    fn a_header_with_more_than_we_write_is_refused() {
        let tokens = tokens();
        let keys = tokens.keys.current();
        let claims = serde_json::json!({});
        for change in [
            |h: &mut Header| h.typ = Some("JWT".into()),
            |h: &mut Header| h.jku = Some("http://evil".into()),
            |h: &mut Header| h.x5u = Some("http://evil".into()),
            |h: &mut Header| h.kid = Some("../../key".into()),
            |h: &mut Header| h.cty = Some("JWT".into()),
        ] {
            let mut header = Header::new(Algorithm::EdDSA);
            header.typ = Some(TYP.into());
            header.kid = Some(keys.kid.clone());
            change(&mut header);
            let token = jsonwebtoken::encode(&header, &claims, &keys.signing).unwrap();
            assert!(matches!(tokens.prove(&token), Err(TokenError::Header)), "{header:?}");
        }
    }
}
