//! What makes a log provable: its newest checkpoint, proofs against it, and the keys that verify it.

use crate::access::ActError;
use crate::audit::tree::{LogName, ProofError};
use crate::control::ControlState;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::{Call, Query};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a proof of an entry that was just written is waited for.
const SEQUENCED: Duration = Duration::from_secs(2);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);

fn org(call: &Call) -> Result<LogName, ApiError> {
    Ok(LogName::Org(call.org()?.id.clone()))
}

fn text(body: String) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")], body).into_response()
}

fn unsigned(call: &Call) -> ApiError {
    call.fault(Fault::NotYet("nothing of this log has been signed yet; ask again in a second"))
}

async fn checkpoint(state: &ControlState, call: &Call, log: &LogName) -> Result<Response, ApiError> {
    let note = state.audit.checkpoint(log).await.map_err(|e| call.fault(Fault::Store(e)))?;
    note.map(text).ok_or_else(|| unsigned(call))
}

fn number(call: &Call, query: &Query, name: &'static str) -> Result<Option<u64>, ApiError> {
    query
        .get(name)
        .map(|text| {
            let fault = || call.fault(Fault::Query(format!("`{name}` must be a whole number from 0")));
            text.parse().map_err(|_| fault())
        })
        .transpose()
}

fn refused(call: &Call, error: ProofError) -> ApiError {
    match error {
        ProofError::Store(error) => call.fault(Fault::Store(error)),
        ProofError::Beyond { size } => call.fault(Fault::Query(format!(
            "the newest checkpoint is of {size} entries: ask for one of those, or again in a second"
        ))),
        ProofError::Expired => call.fault(Fault::Act(ActError::NotFound("entry any more: it has expired"))),
        ProofError::Damaged(what) => call.fault(Fault::Store(crate::store::StoreError::Corrupt(what))),
    }
}

/// The proof of one entry, which is looked up by its request or by its index.
async fn proof(
    state: &ControlState,
    call: &Call,
    log: &LogName,
    raw: Option<&str>,
) -> Result<String, ApiError> {
    let query = Query::read(call, raw, &["request_id", "index"])?;
    let index = number(call, &query, "index")?;
    let until = tokio::time::Instant::now() + SEQUENCED;
    loop {
        let place = match (index, query.get("request_id")) {
            (Some(index), None) => Some(index),
            (None, Some(request)) => {
                state.audit.place_of(log, request).await.map_err(|e| call.fault(Fault::Store(e)))?
            }
            _ => {
                let fault = "name the entry by `request_id` or by `index`";
                return Err(call.fault(Fault::Query(fault.to_owned())));
            }
        };
        let proved = match place {
            Some(place) => state.audit.inclusion(log, place).await,
            None => Ok(None),
        };
        let late = tokio::time::Instant::now() >= until;
        match proved {
            Ok(Some(proof)) => return Ok(proof),
            Ok(None) if late && place.is_none() => {
                return Err(call.fault(Fault::Act(ActError::NotFound("entry in this log"))));
            }
            Ok(None) if late => return Err(unsigned(call)),
            // It was written a moment ago: its place and its checkpoint are on their way.
            Err(ProofError::Beyond { .. }) if !late && index.is_none() => {}
            Ok(None) => {}
            Err(error) => return Err(refused(call, error)),
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn consistency(
    state: &ControlState,
    call: &Call,
    log: &LogName,
    raw: Option<&str>,
) -> Result<Json<Value>, ApiError> {
    let query = Query::read(call, raw, &["from"])?;
    let from = number(call, &query, "from")?.ok_or_else(|| {
        call.fault(Fault::Query("`from` is missing: the size of the checkpoint that you keep".to_owned()))
    })?;
    let proved = state.audit.consistency(log, from).await.map_err(|error| refused(call, error))?;
    let (path, checkpoint) = proved.ok_or_else(|| unsigned(call))?;
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    Ok(Json(json!({ "from": from, "to": checkpoint.size, "path": path, "checkpoint": checkpoint.note })))
}

fn keys(state: &ControlState, log: &LogName) -> Json<Value> {
    let key = state.audit.verifier(log);
    let mut keys = vec![json!({ "use": "log", "key": key.as_str() })];
    if let Some(witness) = state.audit.witness() {
        keys.push(json!({ "use": "witness", "key": witness.to_string() }));
    }
    Json(json!({ "log": key.name(), "keys": keys }))
}

/// `GET /api/v1/orgs/{org}/audit-log/checkpoint`: the newest signed one, a C2SP checkpoint.
pub(super) async fn org_checkpoint(
    State(state): State<ControlState>,
    call: Call,
) -> Result<Response, ApiError> {
    checkpoint(&state, &call, &org(&call)?).await
}

/// `GET /api/v1/platform/audit-log/checkpoint`.
pub(super) async fn platform_checkpoint(
    State(state): State<ControlState>,
    call: Call,
) -> Result<Response, ApiError> {
    checkpoint(&state, &call, &LogName::Platform).await
}

/// `GET /api/v1/orgs/{org}/audit-log/proof`: a C2SP tlog-proof, which redeems an `audit-receipt`.
pub(super) async fn org_proof(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    Ok(text(proof(&state, &call, &org(&call)?, raw.as_deref()).await?))
}

/// `GET /api/v1/platform/audit-log/proof`: platform admins alone, for a proof tells the entry.
pub(super) async fn platform_proof(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    Ok(text(proof(&state, &call, &LogName::Platform, raw.as_deref()).await?))
}

/// `GET /api/v1/orgs/{org}/audit-log/consistency`: that the newest checkpoint grew out of the one that is kept.
pub(super) async fn org_consistency(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    consistency(&state, &call, &org(&call)?, raw.as_deref()).await
}

/// `GET /api/v1/platform/audit-log/consistency`.
pub(super) async fn platform_consistency(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    consistency(&state, &call, &LogName::Platform, raw.as_deref()).await
}

/// `GET /api/v1/orgs/{org}/audit-log/keys`: what verifies the checkpoints of this log.
pub(super) async fn org_keys(State(state): State<ControlState>, call: Call) -> Result<Json<Value>, ApiError> {
    Ok(keys(&state, &org(&call)?))
}

/// `GET /api/v1/platform/audit-log/keys`.
pub(super) async fn platform_keys(State(state): State<ControlState>) -> Json<Value> {
    keys(&state, &LogName::Platform)
}
