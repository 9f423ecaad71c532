//! Who one is, and signing out.

use crate::control::error::ApiError;
use crate::control::extract::Call;
use crate::control::{ControlState, json};
use crate::domain::{Membership, Principal, rfc3339};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

fn orgs(memberships: &[Membership]) -> Vec<Value> {
    memberships.iter().map(|m| json!({ "org_id": m.org, "role": m.role.as_str() })).collect()
}

/// `GET /api/v1/me`: whose credential this is, what it reaches, until when.
pub(super) async fn show(call: Call) -> Result<Json<Value>, ApiError> {
    let session = &call.known()?.session;
    let who = match &session.principal {
        Principal::PlatformUser(user) => {
            json!({ "type": "platform_user", "platform_user": json::platform_user(user) })
        }
        Principal::Impersonation(grant) => json!({
            "type": "impersonation", "impersonation_id": grant.id, "org_id": grant.org,
            "role": grant.role.as_str(), "act": { "sub": grant.operator.id },
        }),
        Principal::OrgUser(user) => json!({
            "type": "org_user", "id": user.id, "email": user.email, "display_name": user.display_name,
            "active": user.active, "site_admin": user.site_admin, "orgs": orgs(&user.memberships),
        }),
        Principal::Bot(bot) => json!({
            "type": "bot", "id": bot.id, "name": bot.name, "token_id": bot.token,
            "active": bot.active, "orgs": orgs(&bot.memberships),
        }),
    };
    let mut who = who;
    if let Some(members) = who.as_object_mut() {
        members.insert("session_id".to_owned(), session.key.as_str().into());
        let expires = (session.expires_at < i64::MAX).then(|| rfc3339(session.expires_at));
        members.insert("expires_at".to_owned(), json!(expires));
    }
    Ok(Json(who))
}

/// `GET /api/v1/platform/me`.
pub(super) async fn platform(State(state): State<ControlState>, call: Call) -> Result<Json<Value>, ApiError> {
    let session = &call.known()?.session;
    let account = call.act(state.access.own_account_in(call.known()?).await)?;
    let mut who = match &session.principal {
        Principal::PlatformUser(user) => json::platform_user(user),
        Principal::Impersonation(_) | Principal::OrgUser(_) | Principal::Bot(_) => json!({}),
    };
    if let Some(members) = who.as_object_mut() {
        members.insert("session_id".to_owned(), session.key.as_str().into());
        members.insert("signed_in_at".to_owned(), rfc3339(session.started_at).into());
        members.insert("expires_at".to_owned(), rfc3339(session.expires_at).into());
        members.insert("two_factor".to_owned(), account.two_factor().into());
        members.insert("last_sign_in_at".to_owned(), json!(account.last_sign_in_at.map(rfc3339)));
    }
    Ok(Json(who))
}

/// `POST /api/v1/platform/logout`: this session ends, and every impersonation of the person.
pub(super) async fn logout(State(state): State<ControlState>, call: Call) -> Result<Json<Value>, ApiError> {
    let done = state.access.logout(call.permit()?, call.known()?, &call.caller.request).await;
    let ended = call.act(done)?;
    Ok(Json(json!({ "ended": ended.impersonations })))
}
