//! The short-lived signed statement to the upstream about who is calling.

use crate::domain::ids::OrgId;
use crate::domain::{Millis, Session};
use std::sync::Arc;

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

/// Signs assertions (EdDSA, `exp` at most 5 s ahead) and keeps those of the running second.
pub struct Assertions {
    _private: (),
}

impl Assertions {
    /// The compact JWS. Signed once for each session, org and second, and each time when bound to a request.
    #[must_use]
    pub fn sign(&self, _what: &AssertionFor<'_>) -> Arc<str> {
        unimplemented!()
    }
}
