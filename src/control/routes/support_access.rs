//! The owner's switch.

use crate::control::ControlState;
use crate::control::error::ApiError;
use crate::control::extract::Call;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    allow_platform_impersonation: bool,
}

/// `GET /api/v1/orgs/{org}/support-access`.
pub(super) async fn show(call: Call) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "allow_platform_impersonation": call.org()?.allow_platform_impersonation })))
}

/// `PATCH /api/v1/orgs/{org}/support-access`: off ends every live impersonation before this answers.
pub(super) async fn set(
    State(state): State<ControlState>,
    call: Call,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body: Body = call.body(&body)?;
    let org = call.org()?.id.clone();
    let (access, request) = (&state.access, &call.caller.request);
    let allow = body.allow_platform_impersonation;
    let set = access.set_support_access(call.permit()?, call.known()?, &org, allow, request).await;
    let set = call.act(set)?;
    Ok(Json(json!({ "allow_platform_impersonation": set.allow, "ended": set.ended })))
}
