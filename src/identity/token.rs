//! The tokens that this gateway signs and accepts: access tokens (RFC 9068) and impersonation tokens
//! (delegation, RFC 8693 §4.1).
//!
//! A proved token says *which session* a request is made under. Whether that session is live is a fact
//! for policy, read elsewhere; `exp` is handed on and judged there too, with the same clock.

use super::jws::JwsError;
use super::keys::{Algorithm, Keys};
use crate::domain::ids::{ImpersonationId, OrgId, OrgUserId, PlatformUserId, SessionId, Subject};
use crate::domain::{Millis, OrgRole, Secret};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `typ` of both kinds (RFC 9068 §2.1).
const TYP: &str = "at+jwt";
/// Longer than any token of ours.
const MAX_BYTES: usize = 4096;

/// Why a token proves nothing. The variants are for the log; a client is told `INVALID_TOKEN`.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not of a size that we issue.
    #[error("not a token of this gateway")]
    Malformed,
    /// Another `typ`: an ID token, an assertion, anything that is no access token (RFC 9068 §4).
    #[error("the token is of another type")]
    Type,
    /// A header that we never write, an unknown `kid`, a wrong signature.
    #[error("the token doesn't verify")]
    Invalid(#[from] JwsError),
    /// Claims that are missing, given twice, of another issuer, for somebody else, or that don't fit together.
    #[error("the token's claims aren't ours")]
    Claims,
    /// Signing failed.
    #[error("the token can't be signed")]
    Signing,
}

impl TokenError {
    /// Whether a look at the keys could change it: it may be signed by a key that is newer than what is known here.
    #[must_use]
    pub const fn is_unknown_key(&self) -> bool {
        matches!(self, Self::Invalid(JwsError::UnknownKey))
    }
}

/// Signs and proves tokens.
pub struct Tokens {
    keys: Arc<Keys>,
    issuer: String,
}

/// A token that is ours and unaltered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvedToken {
    /// The session that it names: `ses_…` or `imp_…`.
    pub session: Subject,
    /// Its own `exp`. For an impersonation it equals the grant's.
    pub expires_at: Millis,
    /// Its `iat`.
    pub issued_at: Millis,
    /// Its `jti`.
    pub id: String,
    /// The client that it was issued to.
    pub client_id: String,
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
    /// Never ours; judged all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
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
        Self { keys, issuer: issuer.to_owned() }
    }

    /// What signs them.
    #[must_use]
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// `iss` of all tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// An access token (RFC 9068), by RS256: what every resource server of that profile reads.
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
        self.sign(
            Algorithm::Rs256,
            grant.expires_at,
            &Claims {
                iss: self.issuer.clone(),
                aud: self.issuer.clone(),
                sub: sub.to_owned(),
                jti: crate::domain::ids::TokenId::random().to_string(),
                iat: grant.issued_at / 1000,
                exp: grant.expires_at / 1000,
                nbf: None,
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
            },
        )
    }

    /// An impersonation token: `jti` = `sub` = `impersonation_id`, the staff member in `act`. The same
    /// grant always gives the same token.
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    pub fn impersonation(&self, grant: &ImpersonationGrant<'_>) -> Result<Secret, TokenError> {
        self.sign(
            Algorithm::EdDsa,
            grant.expires_at,
            &Claims {
                iss: self.issuer.clone(),
                aud: self.issuer.clone(),
                sub: grant.id.to_string(),
                jti: grant.id.to_string(),
                iat: grant.issued_at / 1000,
                exp: grant.expires_at / 1000,
                nbf: None,
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
            },
        )
    }

    fn sign(&self, by: Algorithm, expires_at: Millis, claims: &Claims) -> Result<Secret, TokenError> {
        let key = self.keys.signing(by, expires_at).ok_or(TokenError::Signing)?;
        key.sign(TYP, claims).map(Secret::new).ok_or(TokenError::Signing)
    }

    /// Proves a presented token: ours, unaltered, for us (RFC 8725, RFC 9068 §4). Says nothing about
    /// whether it is expired or its session live.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn prove(&self, presented: &str) -> Result<ProvedToken, TokenError> {
        if presented.len() > MAX_BYTES {
            return Err(TokenError::Malformed);
        }
        let verified = self.keys.verifying().verify(presented)?;
        if verified.typ.as_deref() != Some(TYP) {
            return Err(TokenError::Type);
        }
        let claims = Some(verified.payload.as_slice()).filter(|json| json.first() == Some(&b'{'));
        let claims = claims.and_then(|json| serde_json::from_slice::<Claims>(json).ok());
        let claims = claims.ok_or(TokenError::Claims)?;
        let for_us = claims.iss == self.issuer && claims.aud == self.issuer;
        // `exp` is judged with the session's facts, not here.
        let begun = claims.nbf.is_none_or(|nbf| nbf.saturating_mul(1000) <= self.keys.now());
        if !for_us || !begun {
            return Err(TokenError::Claims);
        }
        let (session, impersonation) = claims.session().ok_or(TokenError::Claims)?;
        Ok(ProvedToken {
            session,
            expires_at: claims.exp.saturating_mul(1000),
            issued_at: claims.iat.saturating_mul(1000),
            id: claims.jti,
            client_id: claims.client_id,
            impersonation,
        })
    }
}

impl Claims {
    /// The session that they name, and whether it is an impersonation; `None` if they don't fit together.
    fn session(&self) -> Option<(Subject, bool)> {
        match self.scope.as_str() {
            "impersonation" => {
                let id = ImpersonationId::parse(&self.sub).ok()?;
                let same = self.jti == self.sub
                    && self.impersonation_id.as_deref() == Some(self.sub.as_str())
                    && self.act.is_some();
                same.then(|| (id.subject(), true))
            }
            "platform" | "org" => Some((SessionId::parse(self.sid.as_deref()?).ok()?.subject(), false)),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
