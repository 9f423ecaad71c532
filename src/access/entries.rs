//! An audit entry begun from who asked and what for.

use super::RequestInfo;
use crate::audit::entry::{ActorType, Entry, Logs, Stage};
use crate::domain::{Event, Principal, Session};
use crate::policy::{Denial, Permit};

/// Begins an entry. Without a session the actor is `system` (or a stranger).
#[must_use]
pub fn entry(event: Event, stage: Stage, session: Option<&Session>, request: &RequestInfo) -> Entry {
    let mut entry = Entry::system(event, stage, request.time);
    entry.request_id = request.id.clone();
    entry.method = Some(request.method.clone());
    entry.path = Some(request.path.clone());
    entry.query_keys.clone_from(&request.query_keys);
    entry.source_address = Some(request.source_address.to_string());
    entry.user_agent.clone_from(&request.user_agent);
    if let Some(session) = session {
        act_as(&mut entry, session);
    }
    entry
}

fn act_as(entry: &mut Entry, session: &Session) {
    entry.token_id = Some(session.key.clone());
    match &session.principal {
        Principal::PlatformUser(user) => {
            entry.actor_type = ActorType::PlatformUser;
            entry.actor = user.id.to_string();
            entry.actor_name.clone_from(&user.display_name);
            entry.platform_user = Some(user.identity());
        }
        Principal::Impersonation(grant) => {
            entry.actor_type = ActorType::PlatformAdminImpersonating;
            entry.actor = grant.operator.id.to_string();
            entry.actor_name.clone_from(&grant.operator.display_name);
            entry.platform_user = Some(grant.operator.identity());
            entry.impersonation_id = Some(grant.id.clone());
            entry.org_id = Some(grant.org.clone());
            entry.reason = Some(grant.reason.clone());
            entry.ticket_ref.clone_from(&grant.ticket_ref);
            entry.logs = Logs::Both;
        }
        Principal::OrgUser(user) => {
            entry.actor_type = ActorType::OrgUser;
            entry.actor = user.id.to_string();
            entry.actor_name.clone_from(&user.display_name);
            entry.acting_user_id = Some(user.id.to_string());
            entry.logs = Logs::Org;
        }
        Principal::Bot(bot) => {
            entry.actor_type = ActorType::Bot;
            entry.actor = bot.id.to_string();
            entry.actor_name.clone_from(&bot.name);
            entry.acting_bot_id = Some(bot.id.clone());
            entry.logs = Logs::Org;
        }
    }
}

/// What a permit adds.
pub(super) fn permitted(entry: &mut Entry, permit: &Permit) {
    entry.action = Some(permit.action().clone());
    entry.decision = Some("permit");
    entry.policies = permit.policies().clone();
    entry.policy_hash = Some(permit.policy_hash().clone());
}

/// What a refusal adds.
pub(super) fn denied(entry: &mut Entry, denial: &Denial) {
    entry.action = Some(denial.action.clone());
    entry.decision = Some("deny");
    entry.code = Some(denial.code.to_string());
    entry.status = Some(denial.status);
    entry.policies = denial.policies.clone();
    entry.policy_hash = Some(denial.policy_hash.clone());
}
