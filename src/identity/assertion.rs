//! The short-lived signed statement to the upstream about who is calling: a JWT that verifies by the
//! same JWK set as the tokens (`typ` tells them apart).

use super::keys::Keys;
use crate::domain::ids::OrgId;
use crate::domain::{Millis, Principal, Session};
use jsonwebtoken::{Algorithm, Header};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// `typ` of an assertion: never accepted as a token.
const TYP: &str = "drawbridge-assertion+jwt";
/// How long one lives, in seconds.
const LIFETIME: i64 = 5;
/// How many of the running second are kept at most.
const KEPT: usize = 65_536;

/// What an assertion is bound to.
pub struct AssertionFor<'a> {
    /// Who.
    pub session: &'a Session,
    /// Where.
    pub org: Option<&'a OrgId>,
    /// Under an impersonation: request id, method and path go in too.
    pub request: Option<(&'a str, &'a str, &'a str)>,
    /// Now.
    pub now: Millis,
}

/// Signs assertions (EdDSA, `exp` 5 s ahead) and keeps those of the running second.
pub struct Assertions {
    keys: Arc<Keys>,
    issuer: String,
    audience: String,
    kept: Mutex<Kept>,
}

/// A plain lock: held for a look-up, never while signing or waiting.
#[derive(Default)]
struct Kept {
    second: i64,
    by_session: HashMap<(Arc<str>, Option<OrgId>), Arc<str>>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    principal: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Act<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    htm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
}

#[derive(Serialize)]
struct Act<'a> {
    sub: &'a str,
}

impl Assertions {
    /// `issuer` is the gateway's public URL, `audience` the upstream's name.
    #[must_use]
    pub fn new(keys: Arc<Keys>, issuer: &str, audience: &str) -> Self {
        Self { keys, issuer: issuer.to_owned(), audience: audience.to_owned(), kept: Mutex::default() }
    }

    /// The compact JWS. Signed once for each session, org and second, and each time when bound to a request.
    ///
    /// # Errors
    /// What the signer said; the request must not be forwarded then.
    pub fn sign(&self, what: &AssertionFor<'_>) -> Result<Arc<str>, jsonwebtoken::errors::Error> {
        let second = what.now.div_euclid(1000);
        if what.request.is_some() {
            return self.compose(what, second);
        }
        let key = (Arc::from(what.session.key.as_str()), what.org.cloned());
        {
            let mut kept = self.kept.lock();
            if kept.second != second || kept.by_session.len() >= KEPT {
                kept.second = second;
                kept.by_session.clear();
            } else if let Some(found) = kept.by_session.get(&key) {
                return Ok(found.clone());
            }
        }
        let signed = self.compose(what, second)?;
        let mut kept = self.kept.lock();
        if kept.second == second {
            kept.by_session.insert(key, signed.clone());
        }
        Ok(signed)
    }

    fn compose(&self, what: &AssertionFor<'_>, second: i64) -> Result<Arc<str>, jsonwebtoken::errors::Error> {
        let principal = &what.session.principal;
        let (kind, impersonation) = match principal {
            Principal::PlatformUser(_) => ("platform_user", None),
            Principal::Impersonation(i) => ("impersonation", Some(i)),
            Principal::OrgUser(_) => ("org_user", None),
            Principal::Bot(_) => ("bot", None),
        };
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: principal.id(),
            iat: second,
            exp: (second + LIFETIME).min(what.session.expires_at.div_euclid(1000).max(second + 1)),
            principal: kind,
            org_id: what.org.map(OrgId::as_str),
            role: what.org.and_then(|org| principal.role_in(org)).map(crate::domain::OrgRole::as_str),
            impersonation_id: impersonation.map(|i| i.id.as_str()),
            act: impersonation.map(|i| Act { sub: i.operator.id.as_str() }),
            jti: what.request.map(|r| r.0),
            htm: what.request.map(|r| r.1),
            path: what.request.map(|r| r.2),
        };
        let keys = self.keys.current();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYP.to_owned());
        header.kid = Some(keys.kid.clone());
        jsonwebtoken::encode(&header, &claims, &keys.signing).map(Arc::from)
    }
}
