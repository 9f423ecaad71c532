//! What a handler can't answer with its own page.

use crate::access::HandlerRefusal;
use crate::console::{Side, Site, problem_page};
use crate::control::error::Told;
use crate::domain::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Makes a page of a problem where a browser asked for one; programs get the document.
pub(super) async fn as_page(State(site): State<Site>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let side = Side::of(request.uri().path());
    let accept = request.headers().get_all(header::ACCEPT);
    let html = accept.iter().any(|a| a.to_str().is_ok_and(|a| a.to_ascii_lowercase().contains("text/html")));
    let answered = next.run(request).await;
    let Some(told) = answered.extensions().get::<Told>().filter(|_| html) else { return answered };
    let problem = Problem {
        status: told.status.as_u16(),
        code: &told.code,
        detail: &told.detail,
        request_id: &told.request_id,
        revoke_reason: None,
        member: told.member,
    };
    let mut page = problem_page(site, side, &problem, safe).into_response();
    if let Some(refused) = answered.extensions().get::<HandlerRefusal>() {
        page.extensions_mut().insert(refused.clone());
    }
    for name in [header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        if let Some(value) = answered.headers().get(&name) {
            page.headers_mut().insert(name, HeaderValue::clone(value));
        }
    }
    page
}
