//! Introspection (RFC 7662): whether a token counts now, for services that hold none of our keys or want to know
//! about revocation at once.

use super::OAuthError;
use crate::access::{Access, CredentialError};
use crate::domain::{Millis, Principal};
use serde_json::{Map, Value};

/// The answer's members; nothing but `active` for a token that doesn't count.
pub type Introspection = Map<String, Value>;

impl Access {
    /// What a token says, if it counts at this moment. Unknown, expired, revoked, of a disabled account or of one that
    /// has yet to change its password: all the same (RFC 7662 §2.2).
    ///
    /// # Errors
    /// [`OAuthError::Unavailable`].
    pub async fn introspect(&self, token: &str) -> Result<Introspection, OAuthError> {
        let mut answer = Map::new();
        let found = match self.authenticate(token).await {
            Ok(found) => Some(found),
            Err(CredentialError::Invalid) => None,
            Err(CredentialError::Stale | CredentialError::Unavailable) => {
                return Err(OAuthError::Stale);
            }
        };
        let now = self.clock.now();
        let found = found.filter(|f| f.token_expires_at > now && counts(&f.known.session.principal));
        let found = found.filter(|f| f.known.session.ended.is_none() && f.known.session.expires_at > now);
        answer.insert("active".to_owned(), found.is_some().into());
        let Some(found) = found else { return Ok(answer) };
        let session = &found.known.session;
        let mut put = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
        put("token_type", "Bearer".into());
        put("iss", self.issuer().into());
        put("aud", self.issuer().into());
        put("sid", session.key.as_str().into());
        let until = session.expires_at.min(found.token_expires_at);
        if until < Millis::MAX {
            put("exp", (until / 1000).into());
        }
        if let Ok(proved) = self.prove_token(token).await {
            put("iat", (proved.issued_at / 1000).into());
            put("jti", proved.id.into());
            put("client_id", proved.client_id.into());
        }
        match &session.principal {
            Principal::PlatformUser(user) => {
                put("sub", user.id.as_str().into());
                put("username", user.email.as_str().into());
                put("scope", super::SCOPE.into());
                put("tenant_id", "platform".into());
                put("roles", user.roles.clone().into());
            }
            Principal::Impersonation(grant) => {
                put("sub", grant.id.as_str().into());
                put("scope", "impersonation".into());
                put("org_id", grant.org.as_str().into());
                put("role", grant.role.as_str().into());
                put("act", serde_json::json!({ "sub": grant.operator.id, "iss": self.issuer() }));
            }
            Principal::OrgUser(user) => {
                put("sub", user.id.as_str().into());
                put("username", user.email.as_str().into());
                put("scope", "org".into());
            }
            Principal::Bot(bot) => put("sub", bot.id.as_str().into()),
        }
        Ok(answer)
    }
}

/// Whether somebody may do anything at all with their session.
fn counts(principal: &Principal) -> bool {
    match principal {
        Principal::PlatformUser(user) => {
            !user.disabled && !user.password_change_required && !user.enrolment_required
        }
        Principal::Impersonation(grant) => !grant.operator.disabled,
        Principal::OrgUser(user) => user.active,
        Principal::Bot(bot) => bot.active,
    }
}
