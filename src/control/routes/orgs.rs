//! Org metadata for vendor staff.

use crate::access::{NewOrg, OrgSearch};
use crate::control::error::ApiError;
use crate::control::extract::{Call, Query};
use crate::control::{ControlState, json};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterBody {
    name: String,
    slug: String,
    plan: String,
    owner_email: String,
}

/// `GET /api/v1/platform/orgs?q=`: names, slugs, plans, owners and states across orgs.
pub(super) async fn list(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let query = Query::read(&call, raw.as_deref(), &["q", "limit", "cursor"])?;
    let search = OrgSearch {
        text: query.owned("q").filter(|q| !q.is_empty()),
        limit: query.limit(&call)?,
        after: query.owned("cursor"),
    };
    let listed = state.access.list_orgs(call.permit()?, call.known()?, search, &call.caller.request).await;
    Ok(Json(json::page(&call.act(listed)?, json::org)))
}

/// `POST /api/v1/platform/orgs`: registers a tenant; its owner's switch begins on, as `drawbridge org add` leaves it.
pub(super) async fn register(
    State(state): State<ControlState>,
    call: Call,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let RegisterBody { name, slug, plan, owner_email } = call.body(&body)?;
    let new = NewOrg {
        slug,
        name: name.trim().to_owned(),
        plan: plan.trim().to_owned(),
        owner_email: owner_email.trim().to_owned(),
        allow_platform_impersonation: true,
        auto_add_new_users: false,
    };
    let made = state.access.register_org(call.permit()?, call.known()?, new, &call.caller.request).await;
    Ok((StatusCode::CREATED, Json(json::org(&call.act(made)?))))
}
