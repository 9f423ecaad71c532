//! The customers' people, for their site admins.

use crate::access::{PersonChange, PersonRecord};
use crate::control::error::{ApiError, Fault};
use crate::control::extract::{Call, Query};
use crate::control::{ControlState, json};
use crate::domain::ids::OrgUserId;
use crate::domain::{Principal, rfc3339};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    active: Option<bool>,
    #[serde(default)]
    site_admin: Option<bool>,
}

fn record(person: &PersonRecord) -> Value {
    json!({
        "id": person.id, "email": person.email, "display_name": person.display_name, "active": person.active,
        "site_admin": person.site_admin, "created_at": rfc3339(person.created_at),
        "last_sign_in_at": rfc3339(person.last_sign_in_at),
    })
}

/// `GET /api/v1/users`: who signs in with the caller's provider, newest first.
pub(super) async fn list(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let Principal::OrgUser(caller) = call.principal()? else {
        return Err(call.fault(Fault::Act(crate::access::ActError::NoPermit)));
    };
    let query = Query::read(&call, raw.as_deref(), &["limit", "cursor"])?;
    let listed = state.access.people(&caller.id, query.limit(&call)?, query.get("cursor")).await;
    let listed = listed.map_err(|e| call.fault(Fault::Store(e)))?;
    Ok(Json(json::page(&listed, record)))
}

/// `PATCH /api/v1/users/{user}`: off ends every session of the person before this answers.
pub(super) async fn set(
    State(state): State<ControlState>,
    Path(user): Path<String>,
    call: Call,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let missing = |_| call.fault(Fault::Act(crate::access::ActError::NotFound("person")));
    let person = OrgUserId::parse(&user).map_err(missing)?;
    let Body { active, site_admin } = call.body(&body)?;
    if active.is_none() && site_admin.is_none() {
        return Err(
            call.fault(Fault::Body("say what is to change: `active`, `site_admin` or both".to_owned()))
        );
    }
    let (access, request) = (&state.access, &call.caller.request);
    let change = PersonChange { active, site_admin };
    let done = access.change_person(call.permit()?, call.known()?, person, change, request).await;
    let done = call.act(done)?;
    Ok(Json(json!({
        "id": done.id, "active": done.active, "site_admin": done.site_admin, "ended": done.ended,
    })))
}
