//! The two ends of the authorization endpoint: where a client sends the browser, and where the sign-in sends it back.

use super::{html, on};
use crate::access::{AuthorizeError, Parameters};
use crate::console::{Side, Site, problem_page};
use crate::control::ControlState;
use crate::control::extract::Call;
use crate::domain::problem::Problem;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

/// What a person is told whose sign-in can't go on.
pub(super) fn stopped(site: Site, call: &Call, detail: &str) -> Response {
    let problem = Problem {
        status: 400,
        code: "BAD_REQUEST",
        detail,
        request_id: &call.caller.request.id,
        revoke_reason: None,
        member: None,
    };
    html(problem_page(site, Side::Staff, &problem, false))
}

/// `GET /oauth2/authorize` → 302 to the sign-in page; each request is signed in for anew.
pub(in crate::control::routes) async fn begin(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Parameters::read(query.unwrap_or_default().as_bytes());
    match state.access.authorize(&asked) {
        Ok(sealed) => on(state.site, StatusCode::FOUND, &format!("/platform/login?authorization={sealed}")),
        Err(AuthorizeError::Page(detail)) => stopped(state.site, &call, detail),
        Err(AuthorizeError::Redirect(to)) => on(state.site, StatusCode::FOUND, &to),
    }
}

/// `GET /oauth2/authorize/callback?ticket=` → 302 to the client with `code`, `state` and `iss`.
pub(in crate::control::routes) async fn callback(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Parameters::read(query.unwrap_or_default().as_bytes());
    match asked.get("ticket").and_then(|ticket| state.access.callback(ticket)) {
        Some(to) => on(state.site, StatusCode::FOUND, &to),
        None => stopped(state.site, &call, EXPIRED),
    }
}

pub(super) const EXPIRED: &str =
    "this sign-in took too long, or was not begun here; start again from the application";
