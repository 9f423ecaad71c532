//! Org metadata for vendor staff.

use crate::access::OrgSearch;
use crate::control::error::ApiError;
use crate::control::extract::{Call, Query};
use crate::control::{ControlState, json};
use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::Value;

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
