//! Reading the logs: pages here, live in `tail`. There is no route that changes or deletes an entry.

pub(super) mod tail;

pub(super) mod export;

use crate::audit::query::{Filter, Log};
use crate::control::ControlState;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::{Call, Query};
use crate::domain::{Millis, Principal, parse_rfc3339};
use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

/// Filters that both logs take.
const PARAMETERS: &[&str] = &[
    "from",
    "to",
    "actor",
    "action",
    "event",
    "impersonation_id",
    "decision",
    "request_id",
    "ticket_ref",
    "limit",
    "cursor",
];

fn time(call: &Call, query: &Query, name: &'static str) -> Result<Option<Millis>, ApiError> {
    query
        .get(name)
        .map(|text| {
            parse_rfc3339(text).ok_or_else(|| {
                call.fault(Fault::Query(format!(
                    "`{name}` must be a time like 2026-11-21T13:02:37Z (RFC 3339)"
                )))
            })
        })
        .transpose()
}

fn filter(call: &Call, query: &Query) -> Result<Filter, ApiError> {
    Ok(Filter {
        from: time(call, query, "from")?,
        to: time(call, query, "to")?,
        actor: query.owned("actor"),
        action: query.owned("action"),
        event: query.owned("event"),
        impersonation_id: query.owned("impersonation_id"),
        decision: query.owned("decision"),
        request_id: query.owned("request_id"),
        ticket_ref: query.owned("ticket_ref"),
    })
}

/// The platform log as the caller may read it.
pub(in crate::control) fn platform_log(call: &Call) -> Result<Log, ApiError> {
    match call.principal()? {
        Principal::PlatformUser(user) if user.roles.iter().any(|r| r == crate::access::ADMIN_ROLE) => {
            Ok(Log::Platform)
        }
        Principal::PlatformUser(user) => Ok(Log::PlatformOf(user.id.clone())),
        Principal::Impersonation(_) | Principal::OrgUser(_) | Principal::Bot(_) => {
            Err(call.fault(Fault::Act(crate::access::ActError::NoPermit)))
        }
    }
}

async fn page(
    state: &ControlState,
    call: &Call,
    log: Log,
    raw: Option<&str>,
) -> Result<Json<Value>, ApiError> {
    let query = Query::read(call, raw, PARAMETERS)?;
    let filter = filter(call, &query)?;
    let page = state.access.audit_page(&log, &filter, query.limit(call)?, query.get("cursor")).await;
    let page = page.map_err(|e| call.fault(Fault::Store(e)))?;
    let page = page.ok_or_else(|| {
        call.fault(Fault::Query(
            "`cursor` is not one of ours: give back `next` of the page before".to_owned(),
        ))
    })?;
    Ok(Json(json!({ "items": page.items, "next": page.next })))
}

/// `GET /api/v1/orgs/{org}/audit-log`.
pub(super) async fn of_org(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let org = call.org()?.id.clone();
    page(&state, &call, Log::Org(org), raw.as_deref()).await
}

/// `GET /api/v1/platform/audit-log`: the whole log for platform admins, their own entries for others.
pub(super) async fn of_platform(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let log = platform_log(&call)?;
    page(&state, &call, log, raw.as_deref()).await
}

/// Whatever the policies say: the whole platform log is for platform admins.
fn refused_to_others(call: &Call) -> Result<(), ApiError> {
    match call.principal()? {
        Principal::PlatformUser(user) if user.roles.iter().any(|r| r == crate::access::ADMIN_ROLE) => Ok(()),
        Principal::PlatformUser(_)
        | Principal::Impersonation(_)
        | Principal::OrgUser(_)
        | Principal::Bot(_) => Err(call.fault(Fault::Act(crate::access::ActError::NoPermit))),
    }
}
