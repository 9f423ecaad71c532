//! Beginning, listing and ending impersonations.

use crate::access::{ActError, Ended, MintRequest, Reason};
use crate::control::error::{ApiError, Fault};
use crate::control::extract::{Call, Query};
use crate::control::{ControlState, json};
use crate::domain::ids::{ImpersonationId, OrgId};
use crate::domain::{Principal, rfc3339};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest reason, in bytes of UTF-8.
const MAX_REASON: usize = 4_000;
/// Longest ticket reference and `Idempotency-Key`, in bytes.
const MAX_SHORT: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MintBody {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    ticket_ref: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndBody {
    #[serde(default)]
    impersonation_id: Option<String>,
}

fn invalid(call: &Call, member: &'static str, fault: &'static str) -> ApiError {
    call.fault(Fault::Act(ActError::Invalid { member, fault }))
}

/// `POST /api/v1/platform/orgs/{org}/impersonate` → 201 with the token.
pub(super) async fn mint(
    State(state): State<ControlState>,
    Path(org): Path<String>,
    headers: HeaderMap,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let body: MintBody = call.body(&body)?;
    let reason = Reason::new(body.reason.as_deref());
    if reason.as_str().len() > MAX_REASON {
        return Err(invalid(&call, "reason", "is longer than 4000 bytes: shorten it and name a ticket"));
    }
    let ticket_ref = body.ticket_ref.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    if ticket_ref.as_ref().is_some_and(|t| t.len() > MAX_SHORT) {
        return Err(invalid(&call, "ticket_ref", "is longer than 200 bytes"));
    }
    let idempotency_key = match headers.get("idempotency-key").map(|v| v.to_str()) {
        None => None,
        Some(Ok(key)) if !key.is_empty() && key.len() <= MAX_SHORT => Some(key.to_owned()),
        Some(_) => {
            return Err(invalid(&call, "Idempotency-Key", "must be 1 to 200 printable ASCII characters"));
        }
    };
    let Ok(org) = OrgId::parse(&org) else {
        return Err(call.fault(Fault::Act(ActError::NotFound("org"))));
    };
    let asked = MintRequest { org, reason, ticket_ref, idempotency_key };
    let minted = state.access.mint(call.permit()?, call.known()?, asked, &call.caller.request).await;
    let minted = call.act(minted)?;
    let answer = json!({
        "token": minted.token.expose(), "org_id": minted.org, "role": minted.role.as_str(),
        "impersonation_id": minted.id, "expires_in": minted.expires_in,
    });
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

fn ended(ended: &Ended) -> Json<Value> {
    Json(json!({
        "impersonation_id": ended.id, "ended_at": rfc3339(ended.ended_at), "revoke_reason": ended.reason.as_str(),
    }))
}

/// `POST /api/v1/platform/end-impersonation`: with its own token, or with the platform token and the id.
pub(super) async fn end_own(
    State(state): State<ControlState>,
    call: Call,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body: EndBody = call.body(&body)?;
    let id = body.impersonation_id.map(|id| ImpersonationId::parse(&id)).transpose();
    let Ok(id) = id else {
        return Err(call.fault(Fault::Act(ActError::NotFound("impersonation"))));
    };
    let done = state.access.end_own(call.permit()?, call.known()?, id, &call.caller.request).await;
    Ok(ended(&call.act(done)?))
}

/// `GET /api/v1/platform/impersonations`: one's own, newest first.
pub(super) async fn own(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let query = Query::read(&call, raw.as_deref(), &["limit", "cursor"])?;
    let Principal::PlatformUser(user) = call.principal()? else {
        return Err(call.fault(Fault::Act(ActError::NoPermit)));
    };
    let listed =
        state.access.impersonations_of_user(&user.id, query.limit(&call)?, query.get("cursor")).await;
    let listed = listed.map_err(|e| call.fault(Fault::Store(e)))?;
    Ok(Json(json::page(&listed, json::own_impersonation)))
}

/// `GET /api/v1/orgs/{org}/impersonations`: those of the org, newest first.
pub(super) async fn of_org(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let query = Query::read(&call, raw.as_deref(), &["limit", "cursor"])?;
    let org = &call.org()?.id;
    let listed = state.access.impersonations_of_org(org, query.limit(&call)?, query.get("cursor")).await;
    let listed = listed.map_err(|e| call.fault(Fault::Store(e)))?;
    Ok(Json(json::page(&listed, json::customer_impersonation)))
}

/// `DELETE /api/v1/orgs/{org}/impersonations/{impersonation}`: the customer ends one.
pub(super) async fn end_of_org(
    State(state): State<ControlState>,
    Path((_, id)): Path<(String, String)>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let Ok(id) = ImpersonationId::parse(&id) else {
        return Err(call.fault(Fault::Act(ActError::NotFound("impersonation"))));
    };
    let org = call.org()?.id.clone();
    let done =
        state.access.end_by_customer(call.permit()?, call.known()?, &org, id, &call.caller.request).await;
    Ok(ended(&call.act(done)?))
}
