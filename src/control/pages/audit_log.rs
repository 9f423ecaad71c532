//! The platform log as a page: the whole of it for platform admins, their own entries for others.

use super::view::{self, staff};
use crate::audit::query::{Filter, Log};
use crate::console::form::FormFault;
use crate::console::pages::{AuditLogPage, FilterFields, ShownEntry};
use crate::control::ControlState;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::{Call, Query};
use crate::control::routes::platform_log;
use crate::domain::{Millis, parse_rfc3339};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use url::form_urlencoded::Serializer;

/// Entries on a page.
const LIMIT: usize = 25;
const PATH: &str = "/platform/audit-log";

const PARAMETERS: &[&str] =
    &["event", "decision", "from", "to", "actor", "ticket_ref", "impersonation_id", "request_id", "cursor"];

/// An empty field of a form is none.
fn given(query: &Query, name: &str) -> String {
    query.get(name).unwrap_or_default().trim().to_owned()
}

/// `2026-11-21T13:02` or with seconds, as browsers send it, in UTC; RFC 3339 too.
fn instant(text: &str) -> Option<Millis> {
    parse_rfc3339(text)
        .or_else(|| parse_rfc3339(&format!("{text}Z")))
        .or_else(|| parse_rfc3339(&format!("{text}:00Z")))
}

fn filter(fields: &FilterFields) -> Result<Filter, FormFault> {
    let time = |text: &str, name: &'static str| match text {
        "" => Ok(None),
        text => instant(text).map(Some).ok_or_else(|| {
            FormFault::general(format!("“{name}” must be a time like 2026-11-21T13:02, in UTC."))
        }),
    };
    let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    Ok(Filter {
        from: time(&fields.from, "From")?,
        to: time(&fields.to, "To")?,
        event: some(&fields.event),
        actor: some(&fields.actor),
        action: None,
        impersonation_id: some(&fields.impersonation_id),
        decision: some(&fields.decision),
        request_id: some(&fields.request_id),
        ticket_ref: some(&fields.ticket_ref),
    })
}

/// The same filter, from `cursor` on.
fn link(fields: &FilterFields, cursor: Option<&str>) -> String {
    let pairs = [
        ("event", fields.event.as_str()),
        ("decision", &fields.decision),
        ("from", &fields.from),
        ("to", &fields.to),
        ("actor", &fields.actor),
        ("ticket_ref", &fields.ticket_ref),
        ("impersonation_id", &fields.impersonation_id),
        ("request_id", &fields.request_id),
        ("cursor", cursor.unwrap_or_default()),
    ];
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
    if query.is_empty() { PATH.to_owned() } else { format!("{PATH}?{query}") }
}

/// `GET /platform/audit-log`.
pub(super) async fn show(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::read(&call, raw.as_deref(), PARAMETERS)?;
    let (user, log) = (staff(&call)?, platform_log(&call)?);
    let fields = FilterFields {
        event: given(&query, "event"),
        decision: given(&query, "decision"),
        from: given(&query, "from"),
        to: given(&query, "to"),
        actor: given(&query, "actor"),
        ticket_ref: given(&query, "ticket_ref"),
        impersonation_id: given(&query, "impersonation_id"),
        request_id: given(&query, "request_id"),
    };
    let cursor = query.get("cursor").filter(|cursor| !cursor.is_empty());
    let (status, fault, page) = match filter(&fields) {
        Err(fault) => (StatusCode::BAD_REQUEST, fault, None),
        Ok(filter) => {
            let page = state.access.audit_page(&log, &filter, LIMIT, cursor).await;
            let page = page.map_err(|e| call.fault(Fault::Store(e)))?;
            let unknown =
                "the address of this page of the log is not one of ours; begin with the newest entries";
            (
                StatusCode::OK,
                FormFault::default(),
                Some(page.ok_or_else(|| call.fault(Fault::Query(unknown.into())))?),
            )
        }
    };
    let items =
        page.as_ref().map(|page| page.items.iter().map(ShownEntry::new).collect()).unwrap_or_default();
    let first = link(&fields, None);
    let shown = AuditLogPage {
        frame: view::wide(user, "Audit log", "audit-log"),
        fault,
        whole: matches!(log, Log::Platform),
        filtered: first != PATH,
        events: AuditLogPage::event_names(),
        entries: items,
        next: page.and_then(|page| page.next).map(|next| link(&fields, Some(&next))),
        newest: if cursor.is_some() { first } else { String::new() },
        filter: fields,
    };
    Ok(view::show_with(state.site, status, &shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_browsers_send_them() {
        let noon = parse_rfc3339("2026-11-21T12:00:00Z");
        for text in [
            "2026-11-21T12:00",
            "2026-11-21T12:00:00",
            "2026-11-21T12:00:00.000",
            "2026-11-21T13:00:00+01:00",
        ] {
            assert_eq!(instant(text), noon, "{text}");
        }
        assert_eq!(instant("noon"), None);
        let wrong = FilterFields { to: "noon".into(), ..FilterFields::default() };
        assert!(filter(&wrong).unwrap_err().is_general());
    }

    #[test]
    fn links_keep_the_filter_and_escape_it() {
        let fields = FilterFields { actor: "a&b=\"<".into(), ..FilterFields::default() };
        assert_eq!(link(&fields, Some("c+d")), "/platform/audit-log?actor=a%26b%3D%22%3C&cursor=c%2Bd");
        assert_eq!(link(&FilterFields::default(), None), PATH);
    }
}
