//! The people and orgs that cases speak of, and asking on their behalf.

use crate::domain::ids::{BotId, ImpersonationId, OrgId, OrgUserId, PlatformUserId, SessionId, TokenId};
use crate::domain::{
    Bot, Impersonation, Membership, Millis, Org, OrgRole, OrgStatus, OrgUser, PlatformUser, Principal,
    RevokeReason, Session,
};
use crate::policy::decide::{Context, Decision, Question};
use crate::policy::snapshot::Snapshot;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr};

/// When every case happens.
const NOW: Millis = 1_800_000_000_000;
const HALF_AN_HOUR: Millis = 30 * 60 * 1000;

/// Facts that differ from the ordinary: a live session, active accounts, open orgs with support access
/// on, a good reason, no impersonations yet.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct With {
    /// The session ended, for this reason.
    ended: Option<String>,
    /// The session's time is over.
    expired: bool,
    /// The platform user is disabled.
    disabled: bool,
    /// The platform user has an initial password.
    password_change_required: bool,
    /// The platform user has no second factor yet.
    enrolment_required: bool,
    /// The org user or bot is not active.
    inactive: bool,
    /// The org user is a site admin.
    site_admin: bool,
    /// The org user makes the request with an API token.
    api_token: bool,
    /// The place that the impersonation holds.
    slot: Option<i64>,
    /// Support access is off.
    switched_off: bool,
    /// The org is `suspended` or `deleted`.
    org_status: Option<String>,
    /// The request's method, `POST` if left out.
    method: Option<String>,
    /// The request's canonical path.
    path: Option<String>,
    live_impersonations: i64,
    reason_length: Option<i64>,
    cause: String,
    acknowledged: bool,
    target_is_self: bool,
    target_is_admin: bool,
    active_admins: Option<i64>,
}

/// Asks, or says which name is unknown.
pub(super) fn ask(
    snapshot: &Snapshot,
    who: &str,
    action: &str,
    org: &str,
    with: &With,
) -> Result<Decision, String> {
    let action = snapshot.action(action).ok_or_else(|| format!("no action is called `{action}`"))?;
    let session = session(who, with)?;
    let org = self::org(org, with)?;
    let context = Context {
        now: NOW,
        source_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        method: with.method.as_deref().unwrap_or("POST"),
        path: with.path.as_deref().unwrap_or("/case"),
        session_age: 60,
        live_impersonations: with.live_impersonations,
        reason_length: with.reason_length.unwrap_or(40),
        has_ticket: false,
        cause: &with.cause,
        acknowledged: with.acknowledged,
        target_is_self: with.target_is_self,
        target_is_admin: with.target_is_admin,
        active_admins: with.active_admins.unwrap_or(2),
    };
    Ok(snapshot.decide(&Question {
        session: session.as_ref(),
        action,
        org: action.needs_org.then_some(&org),
        resource_id: Some("case_1"),
        context: &context,
        prepared: None,
    }))
}

fn org(name: &str, with: &With) -> Result<Org, String> {
    let id = org_id(name)?;
    let mut org = Org::unknown(id);
    if name == "nowhere" {
        return Ok(org);
    }
    org.allow_platform_impersonation = !with.switched_off;
    org.status = match with.org_status.as_deref() {
        None => OrgStatus::Active,
        Some("suspended") => OrgStatus::Suspended,
        Some("deleted") => OrgStatus::Deleted,
        Some(other) => return Err(format!("`{other}` is not the status of a closed org")),
    };
    Ok(org)
}

fn org_id(name: &str) -> Result<OrgId, String> {
    match name {
        "acme" | "globex" | "nowhere" => OrgId::parse(&format!("org_{name}")).map_err(|e| e.to_string()),
        other => Err(format!("no org is called `{other}`; there are acme, globex and nowhere")),
    }
}

/// The session of somebody; `None` for a stranger.
fn session(who: &str, with: &With) -> Result<Option<Session>, String> {
    let said = |e: crate::domain::ids::InvalidId| e.to_string();
    let principal = match who {
        "stranger" => return Ok(None),
        "staff" => Principal::PlatformUser(staff("support", with)?),
        "platform-admin" => Principal::PlatformUser(staff("platform-admin", with)?),
        "impersonation" => Principal::Impersonation(Box::new(Impersonation {
            id: ImpersonationId::parse("imp_case").map_err(said)?,
            operator: staff("support", with)?,
            org: org_id("acme")?,
            role: OrgRole::Admin,
            slot: with.slot.unwrap_or(1),
            reason: "camera 4 shows no picture".to_owned(),
            ticket_ref: None,
        })),
        other => member(other, with)?,
    };
    let key = match (&principal, with.api_token) {
        (Principal::Impersonation(grant), _) => grant.id.subject(),
        (Principal::Bot(bot), _) => bot.token.subject(),
        (_, true) => TokenId::parse("tok_case").map_err(said)?.subject(),
        (_, false) => SessionId::parse("ses_case").map_err(said)?.subject(),
    };
    let ended = match &with.ended {
        None => None,
        Some(name) => {
            Some(RevokeReason::from_name(name).ok_or_else(|| format!("`{name}` is not a reason to end"))?)
        }
    };
    let expires_at = if with.expired { NOW } else { NOW + HALF_AN_HOUR };
    Ok(Some(Session { key, principal, started_at: NOW - 60_000, expires_at, ended }))
}

fn staff(role: &str, with: &With) -> Result<PlatformUser, String> {
    Ok(PlatformUser {
        id: PlatformUserId::parse("pu_case").map_err(|e| e.to_string())?,
        email: "staff@vendor.example".to_owned(),
        display_name: "Staff".to_owned(),
        roles: vec![role.to_owned()],
        disabled: with.disabled,
        password_change_required: with.password_change_required,
        enrolment_required: with.enrolment_required,
    })
}

fn member(who: &str, with: &With) -> Result<Principal, String> {
    let unknown = || {
        format!(
            "nobody is called `{who}`; there are stranger, staff, platform-admin, impersonation, viewer, operator, admin, owner, bot:viewer …, each with @acme or @globex"
        )
    };
    let said = |e: crate::domain::ids::InvalidId| e.to_string();
    let (bot, rest) = match who.strip_prefix("bot:") {
        Some(rest) => (true, rest),
        None => (false, who),
    };
    let (role, org) = rest.split_once('@').unwrap_or((rest, "acme"));
    let role = OrgRole::from_name(role).ok_or_else(unknown)?;
    let memberships = vec![Membership { org: org_id(org)?, role }];
    let active = !with.inactive;
    Ok(if bot {
        Principal::Bot(Bot {
            id: BotId::parse("bot_case").map_err(said)?,
            token: TokenId::parse("tok_case").map_err(said)?,
            name: "Bot".to_owned(),
            active,
            memberships,
        })
    } else {
        Principal::OrgUser(OrgUser {
            id: OrgUserId::parse("usr_case").map_err(said)?,
            email: "member@acme.example".to_owned(),
            display_name: "Member".to_owned(),
            active,
            site_admin: with.site_admin,
            memberships,
        })
    })
}
