//! A whole log as lines, to be kept and verified elsewhere.

use super::refused_to_others;
use crate::audit::export::{Events, Export, ExportError, MEDIA_TYPE};
use crate::audit::tree::LogName;
use crate::control::ControlState;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::{Call, Query};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use std::convert::Infallible;

fn fault(call: &Call, error: ExportError) -> ApiError {
    match error {
        ExportError::Store(error) => call.fault(Fault::Store(error)),
        ExportError::Unsigned(_) => {
            call.fault(Fault::NotYet("nothing of this log has been signed yet; ask again in a second"))
        }
        ExportError::Expiring(_) => call.fault(Fault::NotYet(
            "entries of this log have just expired; ask again once it has been signed anew",
        )),
        error @ (ExportError::Beyond { .. } | ExportError::Expired { .. } | ExportError::Missing { .. }) => {
            call.fault(Fault::Query(format!("`after`: {error}")))
        }
    }
}

async fn export(
    state: &ControlState,
    call: &Call,
    log: &LogName,
    raw: Option<&str>,
) -> Result<Response, ApiError> {
    let query = Query::read(call, raw, &["after", "format"])?;
    let wrong =
        || call.fault(Fault::Query("`after` must be a whole number: how many entries you have".to_owned()));
    let after = query.get("after").map(|text| text.parse().map_err(|_| wrong())).transpose()?;
    let (name, body) = match query.get("format") {
        None | Some("jsonl") => {
            let export = Export::begin(&state.audit, log, after).await.map_err(|error| fault(call, error))?;
            (format!("{log}.jsonl"), Body::from_stream(export.into_stream().map(Ok::<_, Infallible>)))
        }
        Some("ocsf") => {
            let events = Events::begin(&state.audit, log, after).await.map_err(|error| fault(call, error))?;
            (format!("{log}.ocsf.jsonl"), Body::from_stream(events.into_stream()))
        }
        Some(_) => return Err(call.fault(Fault::Query("`format` must be `jsonl` or `ocsf`".to_owned()))),
    };
    let headers = [
        (CONTENT_TYPE, MEDIA_TYPE.to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, body).into_response())
}

/// `GET /api/v1/orgs/{org}/audit-log/export`.
pub(in crate::control::routes) async fn of_org(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let org = call.org()?.id.clone();
    export(&state, &call, &LogName::Org(org), raw.as_deref()).await
}

/// `GET /api/v1/platform/audit-log/export`: for platform admins, since it holds everybody's entries.
pub(in crate::control::routes) async fn of_platform(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    refused_to_others(&call)?;
    export(&state, &call, &LogName::Platform, raw.as_deref()).await
}
