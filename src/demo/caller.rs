//! What the demo believes about a request: the identity headers that the gateway sets.

use super::Refusal;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::HeaderMap;
use http::request::Parts;
use std::convert::Infallible;

/// Who calls, in which org, as the gateway says.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// `x-drawbridge-org`: whose data this request may see. Every look-up goes through it.
    pub(super) org: String,
    /// `x-drawbridge-principal`.
    pub(super) principal: Option<String>,
    /// `x-drawbridge-role`.
    pub(super) role: Option<String>,
    /// `x-drawbridge-impersonation`, when a member of staff acts in the org.
    pub(super) impersonation: Option<String>,
    /// `x-drawbridge-actor`: that member of staff.
    pub(super) actor: Option<String>,
}

impl Caller {
    fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Some(Self {
            org: text("x-drawbridge-org").filter(|org| !org.is_empty())?,
            principal: text("x-drawbridge-principal"),
            role: text("x-drawbridge-role"),
            impersonation: text("x-drawbridge-impersonation"),
            actor: text("x-drawbridge-actor"),
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::from_headers(&parts.headers).ok_or(Refusal::NoIdentity)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Self::from_headers(&parts.headers))
    }
}
