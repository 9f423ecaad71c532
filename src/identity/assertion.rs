//! The short-lived signed statement to the upstream about who is calling: a JWT that verifies by the
//! same JWK set as the tokens (`typ` tells them apart).

use super::keys::{Algorithm, Keys};
use crate::domain::ids::OrgId;
use crate::domain::{Millis, Principal, Session};
use arc_swap::ArcSwapOption;
use http::HeaderValue;
use serde::Serialize;
use std::sync::Arc;

/// `typ` of an assertion: never accepted as a token.
const TYP: &str = "drawbridge-assertion+jwt";
/// How long one lives, in seconds.
const LIFETIME: i64 = 5;

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
    /// For how long, in milliseconds, the gateway's view may be trusted; `None`: for as long as an assertion lives.
    pub trusted_for: Option<Millis>,
}

impl AssertionFor<'_> {
    /// `exp`, in seconds: never after the view's trust has run out, rounded up to a second (architecture §5.7),
    /// nor after the session's end.
    fn expires(&self, second: i64) -> i64 {
        let trusted =
            self.trusted_for.map_or(Millis::MAX, |ms| self.now.saturating_add(ms).saturating_add(999));
        (second + LIFETIME)
            .min(trusted.div_euclid(1000))
            .min(self.session.expires_at.div_euclid(1000))
            .max(second + 1)
    }
}

/// Why there is no assertion; the request must not be forwarded then.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// There is no key, or it doesn't sign.
    #[error("the assertion can't be signed")]
    Signer,
    /// It isn't a header's value (base64url and dots always are).
    #[error("the assertion is no header value")]
    Value(#[from] http::header::InvalidHeaderValue),
}

/// Signs assertions (EdDSA, `exp` 5 s ahead).
pub struct Assertions {
    keys: Arc<Keys>,
    issuer: String,
    audience: String,
}

/// Where the running second's assertion about one version of a session's facts is kept, beside these facts:
/// other facts have another slot. Of a session that is used in several orgs at once, the last one's.
#[derive(Default)]
pub struct AssertionSlot {
    /// Read on every request without a lock; a lost race costs one signature.
    kept: ArcSwapOption<Kept>,
}

struct Kept {
    second: i64,
    org: Option<OrgId>,
    value: HeaderValue,
}

impl AssertionSlot {
    /// Keeps nothing.
    pub fn clear(&self) {
        self.kept.store(None);
    }
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
        Self { keys, issuer: issuer.to_owned(), audience: audience.to_owned() }
    }

    /// The compact JWS, signed each time.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn sign(&self, what: &AssertionFor<'_>) -> Result<HeaderValue, AssertionError> {
        self.compose(what, what.now.div_euclid(1000))
    }

    /// The compact JWS, signed once for each version of a session's facts, org and second. `slot` belongs to
    /// these facts. What is bound to a request is signed for it alone.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn sign_once(
        &self,
        what: &AssertionFor<'_>,
        slot: &AssertionSlot,
    ) -> Result<HeaderValue, AssertionError> {
        if what.request.is_some() {
            return self.sign(what);
        }
        let second = what.now.div_euclid(1000);
        if let Some(kept) = slot.kept.load().as_ref()
            && kept.second == second
            && kept.org.as_ref() == what.org
        {
            return Ok(kept.value.clone());
        }
        let value = self.compose(what, second)?;
        slot.kept.store(Some(Arc::new(Kept { second, org: what.org.cloned(), value: value.clone() })));
        Ok(value)
    }

    fn compose(&self, what: &AssertionFor<'_>, second: i64) -> Result<HeaderValue, AssertionError> {
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
            exp: what.expires(second),
            principal: kind,
            org_id: what.org.map(OrgId::as_str),
            role: what.org.and_then(|org| principal.role_in(org)).map(crate::domain::OrgRole::as_str),
            impersonation_id: impersonation.map(|i| i.id.as_str()),
            act: impersonation.map(|i| Act { sub: i.operator.id.as_str() }),
            jti: what.request.map(|r| r.0),
            htm: what.request.map(|r| r.1),
            path: what.request.map(|r| r.2),
        };
        let key = self.keys.signing(Algorithm::EdDsa, what.now).ok_or(AssertionError::Signer)?;
        Ok(HeaderValue::try_from(key.sign(TYP, &claims).ok_or(AssertionError::Signer)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{OrgUserId, SessionId};
    use crate::domain::{Membership, OrgRole, OrgUser};

    #[test]
    fn once_a_second_for_each_org_and_for_each_request_that_it_is_bound_to() {
        let (org, other) = (OrgId::random(), OrgId::random());
        let membership = |org: &OrgId| Membership { org: org.clone(), role: OrgRole::Viewer };
        let session = Session {
            key: SessionId::random().subject(),
            principal: Principal::OrgUser(OrgUser {
                site_admin: false,
                id: OrgUserId::random(),
                email: String::new(),
                display_name: String::new(),
                active: true,
                memberships: vec![membership(&org), membership(&other)],
            }),
            started_at: 0,
            expires_at: i64::MAX,
            ended: None,
        };
        let assertions = Assertions::new(Arc::new(Keys::ephemeral()), "http://gate", "upstream");
        let slot = AssertionSlot::default();
        let sign = |org, request, now| {
            let what = AssertionFor { session: &session, org, request, now, trusted_for: None };
            assertions.sign_once(&what, &slot).unwrap()
        };
        let first = sign(Some(&org), None, 5_000);
        let kept = slot.kept.load_full().unwrap();
        assert_eq!(sign(Some(&org), None, 5_999), first);
        assert!(Arc::ptr_eq(&kept, &slot.kept.load_full().unwrap()), "signed twice in one second");
        assert_ne!(sign(Some(&org), None, 6_000), first);
        assert_ne!(sign(Some(&other), None, 6_000), sign(Some(&org), None, 6_000));
        assert_ne!(sign(None, None, 6_000), sign(Some(&org), None, 6_000));
        let bound = sign(Some(&org), Some(("req_1", "GET", "/")), 6_000);
        assert_ne!(sign(Some(&org), Some(("req_2", "GET", "/")), 6_000), bound);
        assert_ne!(sign(Some(&org), None, 6_000), bound);

        let expires = |now, trusted_for| {
            AssertionFor { session: &session, org: None, request: None, now, trusted_for }.expires(now / 1000)
        };
        assert_eq!(expires(5_400, None), 10);
        assert_eq!(
            [expires(5_400, Some(1_000)), expires(5_400, Some(600)), expires(5_400, Some(601))],
            [7, 6, 7]
        );
        assert_eq!([expires(5_400, Some(-9_000)), expires(5_400, Some(60_000))], [6, 10]);
    }
}
