//! The two lines of one entry. The platform's tells all; in the org's, staff are "Platform Support" and appear by
//! the grant alone: no identity, reason or ticket, in whatever field they may have come.

use super::entry::{ActorType, Entry, Outcome, Stage};
use crate::domain::ids::{BotId, ImpersonationId, OrgId, PlatformUserId, RequestId, Subject};
use crate::domain::{Event, Millis, RevokeReason, rfc3339};
use crate::store::StoreError;
use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// How the customer sees staff.
const PLATFORM_SUPPORT: &str = "Platform Support";
/// Who staff are in an org's log when no grant tells it.
const PLATFORM: &str = "platform";

/// An item as it is kept and answered: architecture §10's keys first, in its order.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    request_id: &'a RequestId,
    time: String,
    event: Event,
    action: Option<&'a str>,
    actor_type: &'static str,
    actor: &'a str,
    acting_user_id: Option<&'a str>,
    acting_bot_id: Option<&'a BotId>,
    token_id: Option<&'a str>,
    source_address: Option<&'a str>,
    org_id: Option<&'a OrgId>,
    impersonation_id: Option<&'a ImpersonationId>,
    decision: Option<&'static str>,
    code: Option<&'a str>,
    policies: &'a [Arc<str>],
    method: Option<&'a str>,
    path: Option<&'a str>,
    status: Option<u16>,
    outcome: Option<&'static str>,
    reason: Option<&'a str>,
    ticket_ref: Option<&'a str>,
    revoke_reason: Option<RevokeReason>,
    stage: &'static str,
    impersonation_seq: Option<i64>,
    actor_name: &'a str,
    platform_user_id: Option<&'a PlatformUserId>,
    platform_user_name: Option<&'a str>,
    resource: Option<&'a str>,
    query_keys: &'a [String],
    policy_hash: Option<&'a str>,
    count: u64,
    details: Map<String, Value>,
    user_agent: Option<&'a str>,
    /// In the platform's line of an entry that is in both logs: see [`super::tree::leaf_hash`].
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<&'a str>,
}

/// What closes an intent; merged into its item when it is read.
#[derive(Serialize)]
struct Closing<'a> {
    id: String,
    request_id: &'a RequestId,
    time: String,
    stage: &'static str,
    impersonation_id: Option<&'a ImpersonationId>,
    outcome: &'static str,
    status: Option<u16>,
    bytes_in: u64,
    bytes_out: u64,
    latency_ms: u64,
    attempts: u32,
    cut_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<&'a str>,
}

/// What an entry is looked up by, in one of the logs, and its line.
pub(super) struct Written<'a> {
    pub(super) actor: &'a str,
    pub(super) body: String,
}

/// What tells one entry of a request and stage from another: several acts may share a request.
pub(super) fn part(entry: &Entry) -> String {
    match entry.stage {
        Stage::Act => {
            let grant = entry.impersonation_id.as_ref().map_or("", ImpersonationId::as_str);
            format!("{}/{grant}/{}", entry.event, entry.resource.as_deref().unwrap_or_default())
        }
        Stage::Intent | Stage::Outcome | Stage::Refused | Stage::Use => String::new(),
    }
}

/// The identifier of an entry: the same in both logs, and the same again when it is written again.
fn id(request_id: &RequestId, stage: Stage, part: &str) -> String {
    let name = format!("{request_id}\n{}\n{part}", stage.as_str());
    let hash = digest(&SHA256, name.as_bytes());
    format!("aud_{}", hex::encode(hash.as_ref().get(..16).unwrap_or_default()))
}

/// The platform's line. `salt`: random, when the entry is in the org's log too.
pub(super) fn platform<'a>(
    entry: &'a Entry,
    part: &str,
    seq: Option<i64>,
    salt: Option<&'a str>,
) -> Result<Written<'a>, StoreError> {
    let person = entry.platform_user.as_ref();
    // Staff who act for themselves are named as they are; under a grant the person stands behind it.
    let staff = person.filter(|_| entry.actor_type == ActorType::PlatformAdminImpersonating);
    let line = Line {
        actor: staff.map_or(&entry.actor, |(id, _)| id.as_str()),
        actor_name: staff.map_or(&entry.actor_name, |(_, name)| name),
        platform_user_id: person.map(|(id, _)| id),
        platform_user_name: person.map(|(_, name)| name.as_str()),
        reason: entry.reason.as_deref(),
        ticket_ref: entry.ticket_ref.as_deref(),
        details: entry.details.clone(),
        salt,
        ..common(entry, part, seq)
    };
    Ok(Written { actor: line.actor, body: super::json::line(&line)? })
}

/// The org's line.
pub(super) fn org<'a>(entry: &'a Entry, part: &str, seq: Option<i64>) -> Result<Written<'a>, StoreError> {
    let mut line = Line { details: scrubbed(entry), ..common(entry, part, seq) };
    if is_staff(entry) || entry.actor.starts_with(PlatformUserId::PREFIX) {
        line.actor_type = ActorType::PlatformAdminImpersonating.as_str();
        line.actor = entry.impersonation_id.as_ref().map_or(PLATFORM, ImpersonationId::as_str);
        line.actor_name = PLATFORM_SUPPORT;
        line.token_id = entry.impersonation_id.as_ref().map(ImpersonationId::as_str);
        line.acting_user_id = None;
        line.user_agent = None;
    }
    line.path = line.path.filter(|text| !tells_of_staff(entry, text));
    line.resource = line.resource.filter(|text| !tells_of_staff(entry, text));
    Ok(Written { actor: line.actor, body: super::json::line(&line)? })
}

/// The line that closes an intent: the org's, and with a salt the platform's.
pub(super) fn outcome(
    request_id: &RequestId,
    impersonation_id: Option<&ImpersonationId>,
    time: Millis,
    outcome: &Outcome,
    salt: Option<&str>,
) -> Result<String, StoreError> {
    super::json::line(&Closing {
        id: id(request_id, Stage::Outcome, ""),
        request_id,
        time: rfc3339(time),
        stage: Stage::Outcome.as_str(),
        impersonation_id,
        outcome: outcome.outcome,
        status: outcome.status,
        bytes_in: outcome.bytes_in,
        bytes_out: outcome.bytes_out,
        latency_ms: outcome.latency_ms,
        attempts: outcome.attempts,
        cut_by: outcome.cut_by,
        salt,
    })
}

/// What both lines tell.
fn common<'a>(entry: &'a Entry, part: &str, seq: Option<i64>) -> Line<'a> {
    Line {
        id: id(&entry.request_id, entry.stage, part),
        request_id: &entry.request_id,
        time: rfc3339(entry.time),
        event: entry.event,
        action: entry.action.as_deref(),
        actor_type: entry.actor_type.as_str(),
        actor: &entry.actor,
        acting_user_id: entry.acting_user_id.as_deref(),
        acting_bot_id: entry.acting_bot_id.as_ref(),
        token_id: entry.token_id.as_ref().map(Subject::as_str),
        source_address: entry.source_address.as_deref(),
        org_id: entry.org_id.as_ref(),
        impersonation_id: entry.impersonation_id.as_ref(),
        decision: entry.decision,
        code: entry.code.as_deref(),
        policies: &entry.policies,
        method: entry.method.as_deref(),
        path: entry.path.as_deref(),
        status: entry.status,
        outcome: None,
        reason: None,
        ticket_ref: None,
        revoke_reason: entry.revoke_reason,
        stage: entry.stage.as_str(),
        impersonation_seq: seq.or(entry.impersonation_seq),
        actor_name: &entry.actor_name,
        platform_user_id: None,
        platform_user_name: None,
        resource: entry.resource.as_deref(),
        query_keys: &entry.query_keys,
        policy_hash: entry.policy_hash.as_deref(),
        count: entry.count,
        details: Map::new(),
        user_agent: entry.user_agent.as_deref(),
        salt: None,
    }
}

fn is_staff(entry: &Entry) -> bool {
    match entry.actor_type {
        ActorType::PlatformAdminImpersonating | ActorType::PlatformUser => true,
        ActorType::OrgUser | ActorType::Bot | ActorType::System => false,
    }
}

/// Whether a path or a resource names a member of staff. Those of a request to the customer's API are the
/// customer's own, whatever they look like.
fn tells_of_staff(entry: &Entry, text: &str) -> bool {
    let own = entry.event == Event::ImpersonatedRequest
        && !entry.path.as_deref().is_some_and(|path| path.starts_with("/api/v1/platform/"));
    !own && names_staff_id(entry, text)
}

fn names_staff_id(entry: &Entry, text: &str) -> bool {
    entry.platform_user.as_ref().is_some_and(|(id, _)| text.contains(id.as_str()))
        || text.split('/').any(|piece| piece.starts_with(PlatformUserId::PREFIX))
}

fn names_staff(entry: &Entry, text: &str) -> bool {
    let told = |secret: &str| !secret.is_empty() && text.contains(secret);
    names_staff_id(entry, text)
        || entry.platform_user.as_ref().is_some_and(|(_, name)| told(name))
        || entry.reason.as_deref().is_some_and(told)
        || entry.ticket_ref.as_deref().is_some_and(told)
}

fn scrubbed(entry: &Entry) -> Map<String, Value> {
    fn keep(entry: &Entry, value: &Value) -> Option<Value> {
        match value {
            Value::String(text) => (!names_staff(entry, text)).then(|| value.clone()),
            Value::Array(items) => Some(items.iter().filter_map(|v| keep(entry, v)).collect()),
            Value::Object(members) => Some(Value::Object(
                members.iter().filter_map(|(k, v)| Some((k.clone(), keep(entry, v)?))).collect(),
            )),
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        }
    }
    entry.details.iter().filter_map(|(k, v)| Some((k.clone(), keep(entry, v)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::fixtures;

    fn parsed(written: Written<'_>) -> Value {
        serde_json::from_str(&written.body).unwrap()
    }

    #[test]
    fn the_org_sees_the_grant_and_the_platform_the_person() {
        let entry = fixtures::intent("imp_a", "org_acme");
        let (org, platform) = (
            parsed(org(&entry, "", Some(7)).unwrap()),
            parsed(super::platform(&entry, "", Some(7), Some("5a17")).unwrap()),
        );
        assert_eq!(org["id"], platform["id"]);
        assert_eq!(org["actor"], "imp_a");
        assert_eq!(org["actor_type"], "platform_admin_impersonating");
        assert_eq!(org["actor_name"], "Platform Support");
        assert_eq!(org["impersonation_seq"], 7);
        assert_eq!(platform["actor"], "pu_ann");
        assert_eq!(platform["actor_name"], "Staff Member");
        assert_eq!(platform["reason"], "looking into incident 7");
        assert_eq!(platform["ticket_ref"], "T-1");
        let text = org.to_string();
        for secret in ["pu_ann", "Staff", "incident", "T-1", "ses_"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let keys = |item: &Value| item.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!([keys(&org), vec!["salt".to_owned()]].concat(), keys(&platform), "the same keys");
    }

    #[test]
    fn an_act_in_the_orgs_log_names_no_staff_in_any_field() {
        let mut entry = fixtures::intent("imp_a", "org_acme");
        entry.stage = Stage::Act;
        entry.event = Event::ImpersonationEnded;
        entry.actor_type = ActorType::PlatformUser;
        entry.actor = "pu_bob".to_owned();
        entry.path = Some("/api/v1/platform/users/pu_ann/disable".to_owned());
        entry.resource = Some("pu_ann".to_owned());
        entry.details = serde_json::from_str(
            r#"{"slot":2,"who":"pu_bob","why":"see T-1","nested":{"names":["Staff Member","ok"]}}"#,
        )
        .unwrap();
        let org = parsed(org(&entry, &part(&entry), None).unwrap());
        assert_eq!(org["details"], serde_json::json!({"slot": 2, "nested": {"names": ["ok"]}}));
        assert_eq!((&org["path"], &org["resource"]), (&Value::Null, &Value::Null));
        assert!(!org.to_string().contains("pu_"), "{org}");
        entry.actor_type = ActorType::OrgUser;
        entry.actor = "usr_olga".to_owned();
        entry.actor_name = "Olga".to_owned();
        let org = parsed(super::org(&entry, &part(&entry), None).unwrap());
        assert_eq!((&org["actor"], &org["actor_name"]), (&"usr_olga".into(), &"Olga".into()));
    }
}
