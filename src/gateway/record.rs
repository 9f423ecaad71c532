//! The decision's audit duty, durable before anything leaves.
//!
//! Under an impersonation every request is recorded in both logs whatever the policies' duty says: the
//! duty may ask for more than the floor, never for less.

use super::context::Context;
use super::refusal::Refusal;
use super::route::is_unknown;
use crate::access::HandlerRefusal;
use crate::audit::entry::Logs;
use crate::audit::{ActorType, AuditWriter, Entry, IntentError, Stage};
use crate::domain::ids::OrgId;
use crate::domain::{Event, Principal, Session, fail_point};
use crate::policy::Duty;
use std::sync::Arc;

/// Makes a permitted request durable that must be so before it is forwarded.
///
/// # Errors
/// 401 when the grant is over by now, 503 when the entry can't be made durable.
pub(super) async fn intent(audit: &AuditWriter, ctx: &mut Context) -> Result<(), Refusal> {
    let Some(known) = ctx.known.clone() else { return Ok(()) };
    if !ctx.is_impersonated() && ctx.duty != Duty::Dual {
        return Ok(());
    }
    let entry = entry(ctx, &known.session, Stage::Intent, "permit");
    match audit.intent(entry).await {
        Ok(open) => {
            ctx.intent = Some(open);
            fail_point("gate.recorded");
            Ok(())
        }
        Err(IntentError::Ended(reason)) => Err(Refusal::over(&known.session, Some(reason))),
        Err(IntentError::Audit(_)) => Err(Refusal::audit_unavailable()),
    }
}

/// Whether a refusal must be written down, and whether the answer must wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefusalDuty {
    Nothing,
    /// If the log can't be written, the refusal itself is answer enough.
    Written,
    /// Answered only once it is durable.
    Durable,
}

fn duty_of(session: &Session, refusal: &Refusal) -> RefusalDuty {
    match &session.principal {
        Principal::Impersonation(_) | Principal::PlatformUser(_) => RefusalDuty::Durable,
        Principal::OrgUser(_) | Principal::Bot(_) if refusal.duty > Duty::None => RefusalDuty::Written,
        Principal::OrgUser(_) | Principal::Bot(_) => RefusalDuty::Nothing,
    }
}

/// Records a refusal. What is given back is what the client is answered.
pub(super) async fn refusal(audit: &AuditWriter, ctx: &Context, refusal: Refusal) -> Refusal {
    let Some(known) = &ctx.known else { return refusal };
    // What the grant's own transaction found to be over is in the log by then (`after_end`), and an audit
    // log that is out of order can't take a note of that.
    let duty = duty_of(&known.session, &refusal);
    if duty == RefusalDuty::Nothing || refusal.code.as_str() == "AUDIT_UNAVAILABLE" {
        return refusal;
    }
    let mut entry = entry(ctx, &known.session, Stage::Refused, "deny");
    entry.code = Some(refusal.code.as_str().to_owned());
    entry.status = Some(refusal.status);
    entry.revoke_reason = refusal.revoke_reason;
    if let Some((policies, hash)) = &refusal.policies {
        entry.policies = policies.clone();
        entry.policy_hash = Some(hash.clone());
    }
    match audit.refusal(entry).await {
        Err(e) if duty == RefusalDuty::Durable => {
            tracing::warn!(request_id = %ctx.request_id, error = %e, "a refusal could not be recorded");
            Refusal::audit_unavailable()
        }
        Err(_) | Ok(()) => refusal,
    }
}

/// Records what a handler of the gateway's own API refuses, by itself: the client may leave meanwhile.
pub(super) struct HandlerRecorder {
    audit: AuditWriter,
    template: Entry,
}

impl HandlerRecorder {
    /// For staff and impersonations; the refusals of others by handlers aren't recorded.
    pub(super) fn of(ctx: &Context) -> Option<Self> {
        let session = &ctx.known.as_ref()?.session;
        let staff = matches!(session.principal, Principal::PlatformUser(_));
        if !staff && !ctx.is_impersonated() {
            return None;
        }
        let mut template = entry(ctx, session, Stage::Refused, "deny");
        // No policy decided it.
        template.policies = Arc::from([]);
        if staff && ctx.action.as_deref() == Some("startImpersonation") {
            template.event = Event::ImpersonationDenied;
            // The customer sees "Platform Support", as with the refusals of the act itself.
            template.actor_type = ActorType::PlatformAdminImpersonating;
            template.resource = template.org_id.as_ref().map(ToString::to_string);
            template.logs = if template.org_id.is_some() { Logs::Both } else { Logs::Platform };
        }
        Some(Self { audit: ctx.shared.audit.clone(), template })
    }

    /// Makes a refusal durable that no act has recorded.
    ///
    /// # Errors
    /// `503 AUDIT_UNAVAILABLE`, to be answered instead.
    pub(super) async fn record(self, refused: &HandlerRefusal) -> Result<(), Refusal> {
        if refused.recorded || !(400..500).contains(&refused.status) {
            return Ok(());
        }
        let entry = Entry { code: Some(refused.code.clone()), status: Some(refused.status), ..self.template };
        self.audit.refusal(entry).await.map_err(|e| {
            tracing::warn!(error = %e, "a handler's refusal could not be recorded");
            Refusal::audit_unavailable()
        })
    }
}

/// Attribution of a request with a person's or bot's credential, once its outcome is known.
pub(super) fn attribute(audit: &AuditWriter, ctx: &Context) {
    let Some(known) = &ctx.known else { return };
    let due = match ctx.duty {
        Duty::None => false,
        Duty::Use => true,
        // On the gateway's own routes the act has written its entry.
        Duty::Control | Duty::Dual => ctx.progress.forwarded,
    };
    if !due || ctx.is_impersonated() || ctx.intent.is_some() {
        return;
    }
    let mut entry = entry(ctx, &known.session, Stage::Use, "permit");
    entry.status = (ctx.progress.status != 0).then_some(ctx.progress.status);
    audit.attribute(entry);
}

/// The entry of a request, by whoever acts in `session`.
fn entry(ctx: &Context, session: &Session, stage: Stage, decision: &'static str) -> Entry {
    let who = Who::of(session);
    let refused = stage == Stage::Refused;
    let org_id = who.grant.clone().or_else(|| own_org(ctx, session));
    let (policies, policy_hash) = match &ctx.decided_by {
        Some((policies, hash)) => (policies.clone(), Some(hash.clone())),
        None => (Arc::from([]), None),
    };
    let impersonation = match &session.principal {
        Principal::Impersonation(grant) => Some(grant),
        Principal::PlatformUser(_) | Principal::OrgUser(_) | Principal::Bot(_) => None,
    };
    Entry {
        event: match (who.actor_type, refused) {
            (ActorType::PlatformAdminImpersonating, _) => Event::ImpersonatedRequest,
            (ActorType::PlatformUser, _) => Event::AccessDenied,
            (ActorType::OrgUser | ActorType::Bot | ActorType::System, true) => Event::OrgAccessDenied,
            (ActorType::OrgUser | ActorType::Bot | ActorType::System, false) => Event::OrgRequest,
        },
        stage,
        time: ctx.time,
        request_id: ctx.request_id.clone(),
        logs: if who.actor_type == ActorType::PlatformUser || org_id.is_none() {
            Logs::Platform
        } else if impersonation.is_some() || refused || ctx.duty == Duty::Dual {
            Logs::Both
        } else {
            Logs::Org
        },
        actor_type: who.actor_type,
        actor: who.actor,
        actor_name: who.name,
        platform_user: who.platform_user,
        acting_user_id: who.acting_user,
        acting_bot_id: who.acting_bot,
        token_id: Some(session.key.clone()),
        org_id,
        impersonation_id: impersonation.map(|i| i.id.clone()),
        impersonation_seq: None,
        action: ctx.action.clone(),
        resource: None,
        method: Some(ctx.method.as_str().to_owned()),
        path: Some(ctx.uri.path().to_owned()),
        query_keys: ctx.query_keys(),
        decision: Some(decision),
        code: None,
        policies,
        policy_hash,
        source_address: Some(ctx.source.to_string()),
        user_agent: ctx.user_agent(),
        reason: impersonation.map(|i| i.reason.clone()),
        ticket_ref: impersonation.and_then(|i| i.ticket_ref.clone()),
        revoke_reason: None,
        status: None,
        count: 1,
        details: serde_json::Map::new(),
    }
}

/// The org whose log is told: one that exists and, for its own people, that they belong to. Nobody writes
/// into the log of an org that they are strangers to.
fn own_org(ctx: &Context, session: &Session) -> Option<OrgId> {
    let org = ctx.org.as_ref().filter(|o| !is_unknown(o)).map(|o| o.id.clone());
    match &session.principal {
        Principal::PlatformUser(_) => org,
        Principal::Impersonation(grant) => Some(grant.org.clone()),
        Principal::OrgUser(_) | Principal::Bot(_) => {
            let memberships = session.principal.memberships();
            org.filter(|o| memberships.iter().any(|m| m.org == *o)).or_else(|| match memberships {
                [only] => Some(only.org.clone()),
                _ => None,
            })
        }
    }
}

/// Who acts, as entries tell it.
struct Who {
    actor_type: ActorType,
    actor: String,
    name: String,
    platform_user: Option<(crate::domain::ids::PlatformUserId, String)>,
    acting_user: Option<String>,
    acting_bot: Option<crate::domain::ids::BotId>,
    grant: Option<OrgId>,
}

impl Who {
    fn of(session: &Session) -> Self {
        let (actor_type, actor, name) = match &session.principal {
            Principal::PlatformUser(p) => (ActorType::PlatformUser, p.id.as_str(), &p.display_name),
            Principal::Impersonation(i) => {
                (ActorType::PlatformAdminImpersonating, i.operator.id.as_str(), &i.operator.display_name)
            }
            Principal::OrgUser(u) => (ActorType::OrgUser, u.id.as_str(), &u.display_name),
            Principal::Bot(b) => (ActorType::Bot, b.id.as_str(), &b.name),
        };
        let mut who = Self {
            actor_type,
            actor: actor.to_owned(),
            name: name.clone(),
            platform_user: None,
            acting_user: None,
            acting_bot: None,
            grant: None,
        };
        match &session.principal {
            Principal::PlatformUser(p) => who.platform_user = Some(p.identity()),
            Principal::Impersonation(i) => {
                who.platform_user = Some(i.operator.identity());
                who.grant = Some(i.org.clone());
            }
            Principal::OrgUser(u) => who.acting_user = Some(u.id.as_str().to_owned()),
            Principal::Bot(b) => who.acting_bot = Some(b.id.clone()),
        }
        who
    }
}
