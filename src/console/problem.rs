//! A refusal as a page: the same words as the problem document, and the way on.

use super::text::visible;
use super::{Frame, Side, Site, page};
use crate::domain::problem::{Problem, title};
use askama::Template;
use http::{HeaderValue, Response, StatusCode, header};

/// Where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    /// Path on the gateway.
    pub(super) path: &'static str,
    /// What the link says.
    pub(super) label: &'static str,
}

/// See the module.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct ProblemPage {
    frame: Frame,
    status: u16,
    code: String,
    detail: String,
    request_id: String,
    next: Option<Next>,
}

/// Where somebody goes on who asked for a page and was refused with this code.
fn next(side: Side, status: u16, code: &str) -> Option<Next> {
    let (path, label) = match code {
        "SETUP_REQUIRED" => ("/platform/setup", "Set up this installation"),
        "PASSWORD_CHANGE_REQUIRED" => ("/platform/me/password", "Choose your password"),
        "ENROLMENT_REQUIRED" => ("/platform/me/2fa", "Set up the second factor"),
        // Staff who look at a customer's page.
        "PLATFORM_ACCESS_DENIED" => (Side::Staff.home(), "Go to your account"),
        _ if status == 401 || code == "SIGN_IN_EXPIRED" => (side.sign_in(), "Sign in"),
        _ => (side.home(), "Go to your account"),
    };
    Some(Next { path, label })
}

impl ProblemPage {
    /// Of a problem.
    #[must_use]
    pub fn new(side: Side, problem: &Problem<'_>) -> Self {
        Self {
            frame: Frame::narrow(title(problem.code)),
            status: problem.status,
            code: visible(problem.code),
            detail: visible(problem.detail),
            request_id: problem.request_id.to_string(),
            next: next(side, problem.status, problem.code),
        }
    }
}

/// The answer to somebody who asked for a page. Where a page is the way on and nothing is lost by going there (a `GET`),
/// they are sent there: to sign in, to the forced change, to the enrolment. Whose sign-in has just failed is told so
/// instead.
#[must_use]
pub fn problem_page(site: Site, side: Side, problem: &Problem<'_>, safe: bool) -> Response<String> {
    let sends_on = safe
        && ((problem.status == 401 && problem.code != "SIGN_IN_FAILED")
            || matches!(problem.code, "PASSWORD_CHANGE_REQUIRED" | "ENROLMENT_REQUIRED"));
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let shown = ProblemPage::new(side, problem);
    let mut response = page(site, status, &shown, &[]);
    if let Some(next) = shown.next.filter(|_| sends_on) {
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(next.path));
    }
    response
}
