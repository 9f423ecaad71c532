//! The anatomy of an entry. One [`Entry`] makes the line in the org's log and the line in the platform's:
//! the org's version shows "Platform Support" where the platform's shows the person.

use crate::domain::ids::{BotId, ImpersonationId, OrgId, PlatformUserId, RequestId, Subject};
use crate::domain::{Event, Millis, RevokeReason};
use std::sync::Arc;

/// What stage of a request (or act) an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Durable before the first upstream byte.
    Intent,
    /// How it went: closes an intent.
    Outcome,
    /// Refused; nothing was forwarded.
    Refused,
    /// An act of the gateway's own API, in the act's own transaction.
    Act,
    /// Attribution of a request that was forwarded.
    Use,
}

impl Stage {
    /// The name in the logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Refused => "refused",
            Self::Act => "act",
            Self::Use => "use",
        }
    }
}

/// Who acted, as the customer may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorType {
    /// `platform_admin_impersonating`
    PlatformAdminImpersonating,
    /// `platform_user`: staff acting on their own token (platform log only).
    PlatformUser,
    /// `org_user`
    OrgUser,
    /// `bot`
    Bot,
    /// `system`
    System,
}

impl ActorType {
    /// The name in the logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlatformAdminImpersonating => "platform_admin_impersonating",
            Self::PlatformUser => "platform_user",
            Self::OrgUser => "org_user",
            Self::Bot => "bot",
            Self::System => "system",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Name of the event.
    pub event: Event,
    /// Stage.
    pub stage: Stage,
    /// When, by the clock of the gateway (the log's own order is by position).
    pub time: Millis,
    /// The request. Acts without one (expiry) get a new id.
    pub request_id: RequestId,
    /// Who, by kind.
    pub actor_type: ActorType,
    /// Who: identifier of the platform user, org user, bot; `system`.
    pub actor: String,
    /// Name for people (in the org's log of an impersonation always "Platform Support").
    pub actor_name: String,
    /// Staff member behind it, platform log only.
    pub platform_user: Option<(PlatformUserId, String)>,
    /// The org user acting.
    pub acting_user_id: Option<String>,
    /// The bot acting.
    pub acting_bot_id: Option<BotId>,
    /// Session or API token in use.
    pub token_id: Option<Subject>,
    /// The org concerned: with one, the entry goes to that org's log too unless `platform_only`.
    pub org_id: Option<OrgId>,
    /// To the org's log, the platform's, or both.
    pub logs: Logs,
    /// The grant.
    pub impersonation_id: Option<ImpersonationId>,
    /// Running number within the grant; set by the writer for intents.
    pub impersonation_seq: Option<i64>,
    /// The Cedar action.
    pub action: Option<Arc<str>>,
    /// What it was done to.
    pub resource: Option<String>,
    /// HTTP method.
    pub method: Option<String>,
    /// Canonical path.
    pub path: Option<String>,
    /// Names of the query's keys, never their values.
    pub query_keys: Vec<String>,
    /// `permit` or `deny`.
    pub decision: Option<&'static str>,
    /// Code of a refusal.
    pub code: Option<String>,
    /// Deciding policies.
    pub policies: Arc<[Arc<str>]>,
    /// Hash of the policy set.
    pub policy_hash: Option<Arc<str>>,
    /// Where the request came from.
    pub source_address: Option<String>,
    /// `User-Agent`, as given.
    pub user_agent: Option<String>,
    /// Reason, platform log only.
    pub reason: Option<String>,
    /// Ticket, platform log only.
    pub ticket_ref: Option<String>,
    /// Why a grant ended.
    pub revoke_reason: Option<RevokeReason>,
    /// HTTP status of an act or refusal.
    pub status: Option<u16>,
    /// How many like it this entry stands for (coalesced refusals, attribution); 1 otherwise.
    pub count: u64,
    /// More, by event (for example `allow_platform_impersonation`), names without secrets.
    pub details: serde_json::Map<String, serde_json::Value>,
}

impl Entry {
    /// Begins an entry of something that no request asked for (expiry, reload, retention): by `system`, for the
    /// platform's log.
    #[must_use]
    pub fn system(event: Event, stage: Stage, time: Millis) -> Self {
        Self {
            event,
            stage,
            time,
            request_id: RequestId::random(),
            actor_type: ActorType::System,
            actor: "system".to_owned(),
            actor_name: "Drawbridge".to_owned(),
            platform_user: None,
            acting_user_id: None,
            acting_bot_id: None,
            token_id: None,
            org_id: None,
            logs: Logs::Platform,
            impersonation_id: None,
            impersonation_seq: None,
            action: None,
            resource: None,
            method: None,
            path: None,
            query_keys: Vec::new(),
            decision: None,
            code: None,
            policies: Arc::from([]),
            policy_hash: None,
            source_address: None,
            user_agent: None,
            reason: None,
            ticket_ref: None,
            revoke_reason: None,
            status: None,
            count: 1,
            details: serde_json::Map::new(),
        }
    }
}

/// Which logs an entry goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logs {
    /// The org's and the platform's, atomically.
    Both,
    /// The org's.
    Org,
    /// The platform's.
    Platform,
}

/// How a forwarded request went.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// `completed`, `cut`, `aborted`, `upstream_error`, `not_forwarded`, `unknown`.
    pub outcome: &'static str,
    /// HTTP status sent to the client, if one was.
    pub status: Option<u16>,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// From arrival to end, milliseconds.
    pub latency_ms: u64,
    /// How many upstream tries were made.
    pub attempts: u32,
    /// Why it was cut, when it was.
    pub cut_by: Option<&'static str>,
}
