//! Facts as Cedar entities: exactly what `schemas/platform.cedarschema` promises, no less and no more.

use crate::domain::ids::OrgId;
use crate::domain::{Org, OrgRole, OrgStatus, PlatformUser, Principal, Session, visible_length};
use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression as E};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// The entity types that the gateway supplies. Parsing a name costs more than a decision may, so once.
pub(super) struct Types {
    pub(super) platform_user: EntityTypeName,
    pub(super) platform_role: EntityTypeName,
    pub(super) impersonation: EntityTypeName,
    pub(super) org_user: EntityTypeName,
    pub(super) org_role: EntityTypeName,
    pub(super) bot: EntityTypeName,
    pub(super) anonymous: EntityTypeName,
    pub(super) org: EntityTypeName,
    pub(super) platform: EntityTypeName,
    pub(super) action: EntityTypeName,
}

/// See [`Types`].
pub(super) static TYPES: LazyLock<Types> = LazyLock::new(|| Types {
    platform_user: type_name("PlatformUser"),
    platform_role: type_name("PlatformRole"),
    impersonation: type_name("Impersonation"),
    org_user: type_name("OrgUser"),
    org_role: type_name("OrgRole"),
    bot: type_name("Bot"),
    anonymous: type_name("Anonymous"),
    org: type_name("Org"),
    platform: type_name("Platform"),
    action: type_name("Action"),
});

#[expect(clippy::expect_used, reason = "the names above are constants; a test builds them all")]
fn type_name(name: &str) -> EntityTypeName {
    name.parse().expect("a constant type name")
}

/// The entity of this type with this id.
pub(super) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// What decisions know of an org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrgFacts {
    pub(super) id: OrgId,
    pub(super) status: OrgStatus,
    pub(super) allow_platform_impersonation: bool,
}

impl OrgFacts {
    /// The facts about `org`.
    pub(super) fn of(org: &Org) -> Self {
        Self {
            id: org.id.clone(),
            status: org.status,
            allow_platform_impersonation: org.allow_platform_impersonation,
        }
    }

    /// Whether these are the facts about `org`.
    pub(super) fn still(&self, org: &Org) -> bool {
        self.id == org.id
            && self.status == org.status
            && self.allow_platform_impersonation == org.allow_platform_impersonation
    }

    /// The entity.
    pub(super) fn entity(&self) -> Option<Entity> {
        let id = uid(&TYPES.org, self.id.as_str());
        entity(
            id.clone(),
            [
                ("org", E::new_entity_uid(id)),
                ("allow_platform_impersonation", E::new_bool(self.allow_platform_impersonation)),
                ("status", E::new_string(self.status.as_str().to_owned())),
            ],
            &[],
        )
    }
}

/// Who asks, as Cedar sees them.
pub(super) struct Who {
    /// The type of `uid`.
    pub(super) kind: EntityTypeName,
    /// The principal.
    pub(super) uid: EntityUid,
    /// Everything that it is `in`.
    pub(super) groups: Vec<EntityUid>,
    /// Its entity and those it refers to, except the org of the request.
    pub(super) entities: Vec<Entity>,
}

/// The principal of a session with its roles in `org`; a stranger without a session.
/// `None` if Cedar refuses an attribute (it never does): the caller denies.
pub(super) fn principal(session: Option<&Session>, org: Option<&OrgId>) -> Option<Who> {
    let Some(session) = session else {
        let stranger = uid(&TYPES.anonymous, "anonymous");
        return Some(Who {
            kind: TYPES.anonymous.clone(),
            uid: stranger,
            groups: Vec::new(),
            entities: Vec::new(),
        });
    };
    let live = [
        ("ended", E::new_bool(session.ended.is_some())),
        ("revoke_reason", E::new_string(session.ended.map_or("", |r| r.as_str()).to_owned())),
        ("expires_at", E::new_long(session.expires_at)),
    ];
    let in_org = org.and_then(|o| session.principal.role_in(o)).map_or(Vec::new(), org_roles);
    let (kind, groups, attributes, beside) = match &session.principal {
        Principal::PlatformUser(user) => (&TYPES.platform_user, platform_roles(user), account(user), None),
        Principal::Impersonation(grant) => {
            let operator = uid(&TYPES.platform_user, grant.operator.id.as_str());
            let attributes = vec![
                ("operator", E::new_entity_uid(operator.clone())),
                ("org", E::new_entity_uid(uid(&TYPES.org, grant.org.as_str()))),
                ("slot", E::new_long(grant.slot)),
                ("reason_length", E::new_long(visible_length(&grant.reason))),
                ("has_ticket", E::new_bool(grant.ticket_ref.is_some())),
            ];
            let facts = live.clone().into_iter().chain(account(&grant.operator));
            let operator = entity(operator, facts, &platform_roles(&grant.operator))?;
            (&TYPES.impersonation, in_org, attributes, Some(operator))
        }
        Principal::OrgUser(user) => {
            let api_token = session.key.as_str().starts_with(crate::domain::ids::TokenId::PREFIX);
            let attributes = vec![
                ("orgs", orgs(&session.principal)),
                ("active", E::new_bool(user.active)),
                ("site_admin", E::new_bool(user.site_admin)),
                ("api_token", E::new_bool(api_token)),
            ];
            (&TYPES.org_user, in_org, attributes, None)
        }
        Principal::Bot(bot) => {
            let attributes = vec![("orgs", orgs(&session.principal)), ("active", E::new_bool(bot.active))];
            (&TYPES.bot, in_org, attributes, None)
        }
    };
    let id = uid(kind, session.principal.id());
    let own = entity(id.clone(), live.into_iter().chain(attributes), &groups)?;
    let entities = std::iter::once(own).chain(beside).collect();
    Some(Who { kind: kind.clone(), uid: id, groups, entities })
}

/// A resource of a type that belongs to an org.
pub(super) fn of_org(resource: &EntityUid, org: &EntityUid) -> Option<Entity> {
    entity(resource.clone(), [("org", E::new_entity_uid(org.clone()))], std::slice::from_ref(org))
}

/// The action with its ancestors, for conditions that test the action.
pub(super) fn action(action: &EntityUid, ancestors: &[EntityUid]) -> Entity {
    Entity::new_no_attrs(action.clone(), ancestors.iter().cloned().collect())
}

fn entity<'a>(
    uid: EntityUid,
    attributes: impl IntoIterator<Item = (&'a str, E)>,
    parents: &[EntityUid],
) -> Option<Entity> {
    let attributes: HashMap<_, _> = attributes.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let parents: HashSet<_> = parents.iter().cloned().collect();
    Entity::new(uid, attributes, parents).ok()
}

/// What is known of a member of staff's account.
fn account(user: &PlatformUser) -> Vec<(&'static str, E)> {
    vec![
        ("disabled", E::new_bool(user.disabled)),
        ("password_change_required", E::new_bool(user.password_change_required)),
        ("enrolment_required", E::new_bool(user.enrolment_required)),
    ]
}

/// Each role contains the lesser ones.
fn org_roles(role: OrgRole) -> Vec<EntityUid> {
    OrgRole::ALL.into_iter().filter(|r| *r <= role).map(|r| uid(&TYPES.org_role, r.as_str())).collect()
}

fn platform_roles(user: &PlatformUser) -> Vec<EntityUid> {
    user.roles.iter().map(|r| uid(&TYPES.platform_role, r)).collect()
}

fn orgs(principal: &Principal) -> E {
    E::new_set(principal.memberships().iter().map(|m| E::new_entity_uid(uid(&TYPES.org, m.org.as_str()))))
}
