//! One question, one decision: the words of it. How it is found is in `snapshot` and `judge`.

use super::snapshot::Action;
use crate::domain::ids::OrgId;
use crate::domain::{Millis, Org, Session};
use std::net::IpAddr;
use std::sync::Arc;

/// What a request asks of the policies.
pub struct Question<'a> {
    /// Who asks; `None` is a stranger (`Anonymous` in the schema).
    pub session: Option<&'a Session>,
    /// What they want to do.
    pub action: &'a Action,
    /// Where. An org that doesn't exist is passed as [`Org::unknown`]. `None` only for actions without an org.
    pub org: Option<&'a Org>,
    /// Identifier of the resource, where the route names one.
    pub resource_id: Option<&'a str>,
    /// Everything else.
    pub context: &'a Context<'a>,
    /// Where entities prebuilt for this session are kept between requests. `None`: build them anew.
    pub prepared: Option<&'a PreparedSlot>,
}

/// The context record of a decision. The schema's actions may name any of these attributes and no
/// others. (An action's schema context lists what the action is judged with.)
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// `now`: milliseconds since the epoch.
    pub now: Millis,
    /// `source_address`: the client's address as text (`ip(…)` is built only when a policy reads it).
    pub source_address: IpAddr,
    /// `method`.
    pub method: &'a str,
    /// `path`: the canonical path, without query.
    pub path: &'a str,
    /// `session_age`: seconds since the session began (whole).
    pub session_age: i64,
    /// `live_impersonations`: how many the platform user holds (mint only; else 0).
    pub live_impersonations: i64,
    /// `reason_length`: visible characters of the reason after trimming (mint, disable; else 0).
    pub reason_length: i64,
    /// `has_ticket`.
    pub has_ticket: bool,
    /// `cause`: of a disable: `departure`, `role_change`, `compromise`, or empty.
    pub cause: &'a str,
    /// `acknowledged`: another active admin is named in `approved_by` (disable; else false).
    pub acknowledged: bool,
    /// `target_is_self`: the platform user acts on their own account (disable; else false).
    pub target_is_self: bool,
    /// `target_is_admin`.
    pub target_is_admin: bool,
    /// `active_admins`: platform admins that are not disabled (disable; else 0).
    pub active_admins: i64,
}

impl<'a> Context<'a> {
    /// What is known of every request, of a session that began at `started_at`; what only handlers know is zero.
    #[must_use]
    pub fn of_request(
        now: Millis,
        source_address: IpAddr,
        method: &'a str,
        path: &'a str,
        started_at: Millis,
    ) -> Self {
        Self {
            now,
            source_address,
            method,
            path,
            session_age: now.saturating_sub(started_at).max(0) / 1000,
            live_impersonations: 0,
            reason_length: 0,
            has_ticket: false,
            cause: "",
            acknowledged: false,
            target_is_self: false,
            target_is_admin: false,
            active_admins: 0,
        }
    }
}

pub use super::prepared::PreparedSlot;

/// What must be written down about a decision, from the `@audit` annotation of the deciding policies.
/// When several decide, the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Nothing beyond the access log.
    None,
    /// Attribution, batched within a second.
    Use,
    /// Written by the handler's own transaction.
    Control,
    /// Durable in both logs before the first upstream byte.
    Dual,
}

/// The value that the policy engine gives when a request may pass. Only this module makes one.
#[derive(Debug)]
pub struct Permit {
    action: Arc<str>,
    org: Option<OrgId>,
    policies: Arc<[Arc<str>]>,
    duty: Duty,
    policy_hash: Arc<str>,
}

impl Permit {
    pub(super) fn new(
        action: Arc<str>,
        org: Option<OrgId>,
        policies: Arc<[Arc<str>]>,
        duty: Duty,
        policy_hash: Arc<str>,
    ) -> Self {
        Self { action, org, policies, duty, policy_hash }
    }
    /// The Cedar action that may be done.
    #[must_use]
    pub fn action(&self) -> &Arc<str> {
        &self.action
    }
    /// The org inside which it may be done.
    #[must_use]
    pub fn org(&self) -> Option<&OrgId> {
        self.org.as_ref()
    }
    /// The ids of the deciding policies, in a fixed order.
    #[must_use]
    pub fn policies(&self) -> &Arc<[Arc<str>]> {
        &self.policies
    }
    /// What must be written down.
    #[must_use]
    pub fn duty(&self) -> Duty {
        self.duty
    }
    /// Hash of the policy set that decided.
    #[must_use]
    pub fn policy_hash(&self) -> &Arc<str> {
        &self.policy_hash
    }
}

/// A refusal by policy.
#[derive(Debug, Clone)]
pub struct Denial {
    /// The Cedar action that was asked for.
    pub action: Arc<str>,
    /// `@code` of the deciding policy; `POLICY_DENIED` by default deny, `POLICY_ERROR` on an evaluation error.
    pub code: Arc<str>,
    /// `@status`.
    pub status: u16,
    /// `@help`: what the caller can do next.
    pub help: Option<Arc<str>>,
    /// What must be written down.
    pub duty: Duty,
    /// The ids of the deciding policies, in a fixed order.
    pub policies: Arc<[Arc<str>]>,
    /// Hash of the policy set that decided.
    pub policy_hash: Arc<str>,
}

/// The outcome of a question.
#[derive(Debug)]
pub enum Decision {
    /// It may pass.
    Permit(Permit),
    /// It may not.
    Denied(Denial),
}
