//! What pages have in common.

use crate::access::ADMIN_ROLE;
use crate::console::{Cookie, Frame, Site, Viewer, assets, page, see_other};
use crate::control::ControlState;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::Call;
use crate::domain::{Millis, PlatformUser, Principal, Secret, rfc3339};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// Who looks; handlers of pages for staff have one.
pub(super) fn staff(call: &Call) -> Result<&PlatformUser, ApiError> {
    match call.principal()? {
        Principal::PlatformUser(user) => Ok(user),
        Principal::Impersonation(_) | Principal::OrgUser(_) | Principal::Bot(_) => {
            Err(call.fault(Fault::Act(crate::access::ActError::NoPermit)))
        }
    }
}

pub(super) fn is_admin(user: &PlatformUser) -> bool {
    user.roles.iter().any(|role| role == ADMIN_ROLE)
}

/// Around a page with a list.
pub(super) fn wide(user: &PlatformUser, title: impl Into<String>, here: &'static str) -> Frame {
    let restricted = user.password_change_required || user.enrolment_required;
    let viewer = Viewer { email: user.email.clone(), admin: is_admin(user), restricted };
    Frame { title: title.into(), here, viewer: Some(viewer), narrow: false }
}

/// Around a page with a form.
pub(super) fn narrow(user: &PlatformUser, title: impl Into<String>, here: &'static str) -> Frame {
    Frame { narrow: true, ..wide(user, title, here) }
}

/// A page.
pub(super) fn show(site: Site, shown: &impl Template) -> Response {
    page(site, StatusCode::OK, shown, &[]).into_response()
}

/// A page with another status than 200.
pub(super) fn show_with(site: Site, status: StatusCode, shown: &impl Template) -> Response {
    page(site, status, shown, &[]).into_response()
}

/// To another page, after a form.
pub(super) fn to(site: Site, path: &str) -> Response {
    see_other(site, path).into_response()
}

/// The session goes on under another value.
pub(super) fn with_cookie(site: Site, mut response: Response, renewed: Option<&Secret>) -> Response {
    if let Some(value) = renewed.and_then(|secret| Cookie::Staff.set(site.https, secret)) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// A time for people.
pub(super) fn time(ms: Millis) -> String {
    crate::console::pages::shown_time(&rfc3339(ms))
}

/// `GET /platform`, `GET /admin-console`.
pub(super) async fn home(State(state): State<ControlState>) -> Response {
    let mut response = to(state.site, "/platform/me");
    *response.status_mut() = StatusCode::FOUND;
    response
}

/// `GET /platform/assets/{file}`: anybody may, for the sign-in page needs them.
pub(super) async fn asset(
    State(state): State<ControlState>,
    Path(file): Path<String>,
    call: Call,
) -> Result<Response, ApiError> {
    let found = assets::answer(&file, state.site.https);
    let missing = || call.fault(Fault::Act(crate::access::ActError::NotFound("file")));
    Ok(found.ok_or_else(missing)?.map(axum::body::Body::from))
}
