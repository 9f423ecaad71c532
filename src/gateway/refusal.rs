//! An answer that is not the upstream's: which code, which status, and what the caller can do next.

use crate::domain::{Millis, Principal, RevokeReason, Session};
use crate::policy::{Denial, Duty, Permit};
use std::borrow::Cow;
use std::sync::Arc;

/// A code of requirements §7, or one that a policy file introduced.
#[derive(Debug, Clone)]
pub enum Code {
    /// The gateway's own.
    Own(&'static str),
    /// From `@code`.
    Policy(Arc<str>),
}

impl Code {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Own(code) => code,
            Self::Policy(code) => code,
        }
    }
}

/// The ids of the policies that decided, and the hash of the set they belong to.
pub type DecidedBy = (Arc<[Arc<str>]>, Arc<str>);

/// Why a request is not forwarded.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Code.
    pub code: Code,
    /// What is wrong and what to do next.
    pub detail: Cow<'static, str>,
    /// What must be written down; counts only where the principal doesn't decide it.
    pub duty: Duty,
    /// The deciding policies, when policies decided.
    pub policies: Option<DecidedBy>,
    /// Why the grant ended, for `IMPERSONATION_REVOKED` and `_EXPIRED`.
    pub revoke_reason: Option<RevokeReason>,
    /// Value of `Allow`.
    pub allow: Option<String>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
    /// A credential was given: the challenge says `invalid_token` (RFC 6750 §3.1).
    pub credential_given: bool,
}

impl Refusal {
    /// One of the gateway's own.
    #[must_use]
    pub fn own(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code: Code::Own(code),
            detail: detail.into(),
            duty: Duty::None,
            policies: None,
            revoke_reason: None,
            allow: None,
            retry_after: None,
            credential_given: false,
        }
    }

    /// `400 BAD_REQUEST`.
    #[must_use]
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::own(400, "BAD_REQUEST", detail)
    }

    /// `401 UNAUTHENTICATED`.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::own(
            401,
            "UNAUTHENTICATED",
            "no credential was given; send an access or API token as `Authorization: Bearer …`",
        )
    }

    /// `401 INVALID_TOKEN`.
    #[must_use]
    pub fn invalid_token() -> Self {
        Self {
            credential_given: true,
            ..Self::own(
                401,
                "INVALID_TOKEN",
                "the token is not one of ours or is damaged; sign in again or ask for a new token",
            )
        }
    }

    /// `401 TOKEN_EXPIRED`.
    #[must_use]
    pub fn token_expired() -> Self {
        Self {
            credential_given: true,
            ..Self::own(401, "TOKEN_EXPIRED", "the token has expired; sign in again or ask for a new token")
        }
    }

    /// `503 AUDIT_UNAVAILABLE`: what must be written down can't be.
    #[must_use]
    pub fn audit_unavailable() -> Self {
        Self {
            retry_after: Some(1),
            ..Self::own(
                503,
                "AUDIT_UNAVAILABLE",
                "the audit log can't be written now, so nothing was forwarded; try again later",
            )
        }
    }

    /// `503 STORE_UNAVAILABLE`.
    #[must_use]
    pub fn store_unavailable() -> Self {
        Self {
            retry_after: Some(1),
            ..Self::own(
                503,
                "STORE_UNAVAILABLE",
                "the gateway's records can't be read now, so nothing was forwarded; try again later",
            )
        }
    }

    /// `503 VIEW_STALE`: whether the session still counts can't be told now.
    #[must_use]
    pub fn view_stale() -> Self {
        Self {
            retry_after: Some(1),
            ..Self::own(
                503,
                "VIEW_STALE",
                "this gateway can't tell now whether the session was revoked, so nothing was forwarded; try again",
            )
        }
    }

    /// `503 SETUP_REQUIRED`.
    #[must_use]
    pub fn setup_required() -> Self {
        Self {
            retry_after: Some(5),
            ..Self::own(
                503,
                "SETUP_REQUIRED",
                "this gateway isn't set up yet: whoever runs it makes the first platform admin on /platform/setup, by \
                 POST /api/v1/platform/setup/bootstrap or with `drawbridge setup`",
            )
        }
    }

    /// A grant, sign-in or API token that is over (`reason`: why, where it is known).
    #[must_use]
    pub fn over(session: &Session, reason: Option<RevokeReason>) -> Self {
        let (code, detail) = match (&session.principal, reason) {
            (Principal::Impersonation(_), Some(RevokeReason::Expired)) => (
                "IMPERSONATION_EXPIRED",
                "the impersonation's time is over; begin a new one if you still have a reason",
            ),
            (Principal::Impersonation(_), _) => (
                "IMPERSONATION_REVOKED",
                "the impersonation has ended; ask the customer before you begin a new one",
            ),
            (_, Some(RevokeReason::Expired)) => {
                ("TOKEN_EXPIRED", "the session has expired; sign in again or ask for a new token")
            }
            (Principal::Bot(_), _) => {
                ("TOKEN_REVOKED", "the token was revoked; ask an administrator of the org for a new one")
            }
            (Principal::OrgUser(_), _) if session.key.as_str().starts_with("tok_") => {
                ("TOKEN_REVOKED", "the token was revoked; create a new one")
            }
            (Principal::OrgUser(_) | Principal::PlatformUser(_), _) => {
                ("SESSION_ENDED", "the session has ended; sign in again")
            }
        };
        Self { credential_given: true, revoke_reason: reason, ..Self::own(401, code, detail) }
    }

    /// The same, of what the policies have permitted: recorded with their names and by their duty.
    #[must_use]
    pub fn despite(self, permit: &Permit) -> Self {
        let policies = Some((permit.policies().clone(), permit.policy_hash().clone()));
        Self { duty: permit.duty(), policies, ..self }
    }

    /// What the policies answered. `session`: whose facts say why a grant ended.
    #[must_use]
    pub fn denied(denial: Denial, session: Option<&Session>, now: Millis) -> Self {
        let revoke_reason =
            denial.code.starts_with("IMPERSONATION_").then(|| session.and_then(|s| over(s, now))).flatten();
        Self {
            status: denial.status,
            detail: denial.help.as_deref().map_or_else(
                || Cow::Borrowed("the policies in force don't permit this; ask the owner of the policies"),
                |help| Cow::Owned(help.to_owned()),
            ),
            duty: denial.duty,
            policies: Some((denial.policies, denial.policy_hash)),
            revoke_reason,
            allow: None,
            retry_after: matches!(denial.status, 429 | 503).then_some(1),
            credential_given: session.is_some(),
            code: Code::Policy(denial.code),
        }
    }
}

/// Whether a session is over at `now`, and why: the floor beneath the policies.
#[must_use]
pub fn over(session: &Session, now: Millis) -> Option<RevokeReason> {
    session.ended.or_else(|| (session.expires_at <= now).then_some(RevokeReason::Expired))
}
