//! Platform accounts: list, create, disable, enable, and their credentials.

use crate::access::accounts::NewAccount;
use crate::access::{Cause, DisableRequest, Reason};
use crate::control::error::{ApiError, Fault};
use crate::control::extract::{Call, Query};
use crate::control::{ControlState, json};
use crate::domain::rfc3339;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisableBody {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    ticket_ref: Option<String>,
    #[serde(default)]
    cause: Option<CauseName>,
    #[serde(default)]
    approved_by: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum CauseName {
    Departure,
    RoleChange,
    Compromise,
}

impl From<CauseName> for Cause {
    fn from(name: CauseName) -> Self {
        match name {
            CauseName::Departure => Self::Departure,
            CauseName::RoleChange => Self::RoleChange,
            CauseName::Compromise => Self::Compromise,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    email: String,
    display_name: String,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    #[serde(default)]
    reason: Option<String>,
}

/// `GET /api/v1/platform/users`: all accounts, newest first.
pub(super) async fn list(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let query = Query::read(&call, raw.as_deref(), &["limit", "cursor"])?;
    let listed = state.access.platform_users(query.limit(&call)?, query.get("cursor")).await;
    let listed = listed.map_err(|e| call.fault(Fault::Store(e)))?;
    Ok(Json(json::page(&listed, json::platform_user_record)))
}

/// `PATCH /api/v1/platform/users/{user}/disable`: ends every session and impersonation, in one step.
pub(super) async fn disable(
    State(state): State<ControlState>,
    Path(user): Path<String>,
    call: Call,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body: DisableBody = call.body(&body)?;
    let asked = DisableRequest {
        user: call.platform_user(&user)?,
        reason: Reason::new(body.reason.as_deref()),
        ticket_ref: body.ticket_ref.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()),
        cause: body.cause.map(Cause::from),
        approved_by: body.approved_by,
    };
    let done = state.access.disable(call.permit()?, call.known()?, asked, &call.caller.request).await;
    let done = call.act(done)?;
    Ok(Json(json!({ "id": done.id, "disabled_at": rfc3339(done.disabled_at), "ended": done.ended })))
}

/// `PATCH /api/v1/platform/users/{user}/enable`.
pub(super) async fn enable(
    State(state): State<ControlState>,
    Path(user): Path<String>,
    call: Call,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body: ReasonBody = call.body(&body)?;
    let user = call.platform_user(&user)?;
    let reason = Reason::new(body.reason.as_deref());
    let done = state.access.enable(call.permit()?, call.known()?, user, reason, &call.caller.request).await;
    Ok(Json(json!({ "id": call.act(done)?.id, "disabled_at": null })))
}

/// `POST /api/v1/platform/platform-users` → 201 with the initial password, shown once.
pub(super) async fn create(
    State(state): State<ControlState>,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let CreateBody { email, display_name, role, reason } = call.body(&body)?;
    let new = NewAccount { email, display_name, role, reason: Reason::new(reason.as_deref()) };
    let made =
        state.access.create_platform_user(call.permit()?, call.known()?, new, &call.caller.request).await;
    let made = call.act(made)?;
    let mut answer = json!({
        "id": made.user.id, "email": made.user.email, "display_name": made.user.display_name, "roles": made.user.roles,
    });
    json::add_initial(&mut answer, &made.initial);
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// `POST /api/v1/platform/users/{user}/initial-password`: a new one, shown once; their sessions end.
pub(super) async fn initial_password(
    State(state): State<ControlState>,
    Path(user): Path<String>,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let body: ReasonBody = call.body(&body)?;
    let (user, reason) = (call.platform_user(&user)?, Reason::new(body.reason.as_deref()));
    let (permit, known, request) = (call.permit()?, call.known()?, &call.caller.request);
    let made = call.act(state.access.new_initial_password(permit, known, user, reason, request).await)?;
    let mut answer = json!({});
    json::add_initial(&mut answer, &made);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// `POST /api/v1/platform/users/{user}/2fa/reset`: the second factor is enrolled anew at the next sign-in.
pub(super) async fn reset_factors(
    State(state): State<ControlState>,
    Path(user): Path<String>,
    call: Call,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body: ReasonBody = call.body(&body)?;
    let (id, reason) = (call.platform_user(&user)?, Reason::new(body.reason.as_deref()));
    let (permit, known, request) = (call.permit()?, call.known()?, &call.caller.request);
    let ended = call.act(state.access.reset_factors(permit, known, id.clone(), reason, request).await)?;
    Ok(Json(json!({ "id": id, "ended": ended })))
}
