//! That the schemas ask for what the gateway supplies: exactly these entities, parents, context attributes.

use super::Joined;
use crate::domain::ids::{BotId, ImpersonationId, OrgId, OrgUserId, PlatformUserId, TokenId};
use crate::domain::{
    Bot, Impersonation, Membership, OrgRole, OrgStatus, OrgUser, PlatformUser, Principal, Session,
};
use crate::policy::context::{self, Keys};
use crate::policy::entities::{self, OrgFacts, TYPES, uid};
use crate::policy::fault::Fault;
use cedar_policy::{Entities, Entity, EntityTypeName, EntityUid, Schema};
use serde_json::Value;

/// Checks every entity type that a request can carry against a sample of what the gateway supplies.
pub(super) fn entities(schema: &Schema, json: &Value, joined: &Joined<'_>, faults: &mut Vec<Fault>) {
    let mut fault = |name: &EntityTypeName, message: String, help: &str| {
        faults.push(joined.fault_at(|_| true, &format!("entity {name}"), message).help(help));
    };
    let supplied: [(&EntityTypeName, Option<&EntityTypeName>); 7] = [
        (&TYPES.platform_user, Some(&TYPES.platform_role)),
        (&TYPES.impersonation, Some(&TYPES.org_role)),
        (&TYPES.org_user, Some(&TYPES.org_role)),
        (&TYPES.bot, Some(&TYPES.org_role)),
        (&TYPES.org, None),
        (&TYPES.platform, None),
        (&TYPES.anonymous, None),
    ];
    let samples = samples().unwrap_or_default();
    for (name, parent) in supplied {
        if !schema.entity_types().any(|t| t == name) {
            fault(name, format!("no schema declares the entity type `{name}`"), SUPPLIES);
            continue;
        }
        for other in schema.ancestors(name).into_iter().flatten().filter(|a| Some(*a) != parent) {
            fault(name, format!("the gateway never puts a `{name}` into a `{other}`"), SUPPLIES);
        }
        for sample in samples.iter().filter(|e| e.uid().type_name() == name) {
            if let Err(error) = Entities::from_entities([sample.clone()], Some(schema)) {
                fault(name, full(&error), SUPPLIES);
            }
        }
    }
    let org = uid(&TYPES.org, "org_sample");
    let principals: Vec<_> = supplied.iter().map(|(name, _)| *name).collect();
    let mut resources: Vec<_> = schema.resources().filter(|t| !principals.contains(t)).collect();
    resources.sort();
    resources.dedup();
    for name in resources {
        for other in schema.ancestors(name).into_iter().flatten().filter(|a| **a != TYPES.org) {
            fault(
                name,
                format!("the gateway puts a `{name}` into an `Org` only, not into a `{other}`"),
                OF_ORG,
            );
        }
        let optional = attributes(json, name).any(|a| a != "org");
        let sample = Entity::new(
            uid(name, "sample"),
            [("org".to_owned(), cedar_policy::RestrictedExpression::new_entity_uid(org.clone()))].into(),
            std::collections::HashSet::new(),
        );
        let Ok(sample) = sample else { continue };
        match Entities::from_entities([sample], Some(schema)) {
            Ok(_) if !optional => {}
            Err(error) => fault(name, full(&error), OF_ORG),
            Ok(_) => fault(name, format!("the gateway knows nothing of a `{name}` but its org"), OF_ORG),
        }
    }
}

const SUPPLIES: &str =
    "the gateway supplies exactly what `schemas/platform.cedarschema` declares as delivered";
const OF_ORG: &str =
    "a resource is `Platform`, `Org`, or a type with exactly `{ org: Org }`, `in [Org]` or in nothing";

/// One of each kind, with every attribute that is ever supplied.
fn samples() -> Option<Vec<Entity>> {
    let org: OrgId = OrgId::parse("org_sample").ok()?;
    let member = || vec![Membership { org: org.clone(), role: OrgRole::Viewer }];
    let user = || {
        Some(PlatformUser {
            id: PlatformUserId::parse("pu_sample").ok()?,
            email: String::new(),
            display_name: String::new(),
            roles: vec!["platform-admin".to_owned()],
            disabled: false,
            password_change_required: false,
            enrolment_required: false,
        })
    };
    let principals = [
        Principal::PlatformUser(user()?),
        Principal::Impersonation(Box::new(Impersonation {
            id: ImpersonationId::parse("imp_sample").ok()?,
            operator: user()?,
            org: org.clone(),
            role: OrgRole::Viewer,
            slot: 1,
            reason: String::new(),
            ticket_ref: None,
        })),
        Principal::OrgUser(OrgUser {
            id: OrgUserId::parse("usr_sample").ok()?,
            email: String::new(),
            display_name: String::new(),
            active: true,
            site_admin: false,
            memberships: member(),
        }),
        Principal::Bot(Bot {
            id: BotId::parse("bot_sample").ok()?,
            token: TokenId::parse("tok_sample").ok()?,
            name: String::new(),
            active: true,
            memberships: member(),
        }),
    ];
    let facts = OrgFacts { id: org.clone(), status: OrgStatus::Active, allow_platform_impersonation: true };
    let mut all = vec![facts.entity()?];
    for principal in principals {
        let key = TokenId::parse("tok_sample").ok()?.subject();
        let session = Session { key, principal, started_at: 0, expires_at: 0, ended: None };
        all.extend(entities::principal(Some(&session), Some(&org))?.entities);
    }
    Some(all)
}

/// The context attributes of an action; what the gateway doesn't supply goes to `fault`.
pub(super) fn context(
    schema: &Schema,
    json: &Value,
    action: &EntityUid,
    mut fault: impl FnMut(String, &str),
) -> Keys {
    let name = action.id().unescaped();
    let declared = json.get("").and_then(|ns| ns.get("actions")).and_then(|a| a.get(name));
    let record = declared.and_then(|a| a.get("appliesTo")).and_then(|a| a.get("context"));
    let (mut keys, mut unknown) = (Keys::default(), false);
    for attribute in record.into_iter().flat_map(|r| record_attributes(json, r)) {
        match Keys::named(attribute) {
            Some(key) => keys = keys.or(key),
            None => {
                unknown = true;
                let message = format!(
                    "the gateway knows no context attribute `{attribute}`, which action `{name}` asks for"
                );
                fault(message, &format!("the known ones are {}", context::NAMES.join(", ")));
            }
        }
    }
    if !unknown
        && let Some(sample) = context::sample(keys)
        && let Err(error) = sample.validate(schema, action)
    {
        fault(
            full(&error),
            "types of the context are fixed: see `schemas/platform.cedarschema` as delivered",
        );
    }
    keys
}

/// Every group above an action.
pub(super) fn groups(schema: &Schema, action: &EntityUid) -> Vec<EntityUid> {
    let entities = schema.action_entities().unwrap_or_else(|_| Entities::empty());
    let mut groups: Vec<_> = entities.ancestors(action).into_iter().flatten().cloned().collect();
    groups.sort_by_key(ToString::to_string);
    groups
}

fn attributes<'a>(json: &'a Value, name: &EntityTypeName) -> impl Iterator<Item = &'a str> {
    let namespace = json.get(name.namespace().as_str());
    let shape = namespace
        .and_then(|ns| ns.get("entityTypes"))
        .and_then(|types| types.get(name.basename()))
        .and_then(|t| t.get("shape"));
    shape.into_iter().flat_map(move |shape| record_attributes(json, shape))
}

/// The attributes of a record type, written out or by the name of a common type.
fn record_attributes<'a>(json: &'a Value, mut record: &'a Value) -> Vec<&'a str> {
    // A common type may stand for another; a chain can't be longer than there are types.
    for _ in 0..64 {
        if let Some(attributes) = record.get("attributes").and_then(Value::as_object) {
            return attributes.keys().map(String::as_str).collect();
        }
        let full = record.get("type").and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = full.rsplit_once("::").unwrap_or(("", full));
        let common = json.get(namespace).and_then(|ns| ns.get("commonTypes")).and_then(|c| c.get(name));
        match common {
            Some(found) => record = found,
            None => break,
        }
    }
    Vec::new()
}

/// The message with its causes.
fn full(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}
