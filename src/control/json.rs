//! How things are written in answers.

use crate::access::accounts::InitialPassword;
use crate::access::{ImpersonationRecord, Paged, PlatformUserRecord};
use crate::domain::{Org, PlatformUser, rfc3339};
use serde_json::{Value, json};

/// `{"items": […], "next": …}`.
pub(super) fn page<T>(paged: &Paged<T>, item: impl Fn(&T) -> Value) -> Value {
    json!({ "items": paged.items.iter().map(item).collect::<Vec<_>>(), "next": paged.next })
}

/// Org metadata, and nothing else of an org.
pub(super) fn org(org: &Org) -> Value {
    json!({
        "id": org.id, "name": org.name, "slug": org.slug, "plan": org.plan,
        "owner_email": org.owner_email, "status": org.status.as_str(),
    })
}

/// A platform user.
pub(super) fn platform_user(user: &PlatformUser) -> Value {
    json!({
        "id": user.id, "email": user.email, "display_name": user.display_name,
        "roles": user.roles, "disabled": user.disabled,
    })
}

/// A platform account in a list.
pub(super) fn platform_user_record(user: &PlatformUserRecord) -> Value {
    json!({
        "id": user.id, "email": user.email, "display_name": user.display_name, "roles": user.roles,
        "disabled_at": user.disabled_at.map(rfc3339), "created_at": rfc3339(user.created_at),
    })
}

/// The two members of an initial password, to be shown once.
pub(super) fn add_initial(answer: &mut Value, initial: &InitialPassword) {
    if let Some(members) = answer.as_object_mut() {
        members.insert("initial_password".to_owned(), initial.password.expose().into());
        members.insert("initial_password_expires_at".to_owned(), rfc3339(initial.expires_at).into());
    }
}

/// Reading secrets of a body: they are nowhere as plain texts in between.
pub(super) mod secret {
    use crate::domain::Secret;
    use serde::{Deserialize, Deserializer};

    /// One that has to be there.
    pub(in crate::control) fn needed<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }

    /// One that may be left out; an empty one is none, as forms send it.
    pub(in crate::control) fn optional<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
    }
}

/// An impersonation as its staff member sees it.
pub(super) fn own_impersonation(record: &ImpersonationRecord) -> Value {
    let mut value = customer_impersonation(record);
    if let Some(members) = value.as_object_mut() {
        members.insert("reason".to_owned(), record.reason.as_str().into());
        members.insert("ticket_ref".to_owned(), json!(record.ticket_ref));
        members.insert("platform_user_id".to_owned(), record.platform_user_id.as_str().into());
        members.remove("display_name");
    }
    value
}

/// An impersonation as the customer sees it: who at the vendor stays in the vendor's log.
pub(super) fn customer_impersonation(record: &ImpersonationRecord) -> Value {
    json!({
        "id": record.id,
        "impersonation_id": record.id,
        "org_id": record.org_id,
        "display_name": "Platform Support",
        "role": record.role,
        "started_at": rfc3339(record.started_at),
        "expires_at": rfc3339(record.expires_at),
        "ended_at": record.ended_at.map(rfc3339),
        "revoke_reason": record.revoke_reason,
        "live": record.ended_at.is_none(),
        "requests": record.requests,
    })
}
