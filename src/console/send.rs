//! From a template to an answer.

use super::headers::security_headers;
use askama::Template;
use http::{HeaderValue, Response, StatusCode, header};

/// What answers depend on that is the same for all of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Site {
    /// The public URL is an https one.
    pub https: bool,
}

/// A page as an answer, with the security headers. `forms_to`: see [`security_headers`].
#[must_use]
pub fn page(site: Site, status: StatusCode, page: &impl Template, forms_to: &[&str]) -> Response<String> {
    let (status, body) = match page.render() {
        Ok(body) => (status, body),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a page can't be made");
            (StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = security_headers(site.https, forms_to);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// `303 See Other` to a path of ours: after a form, so that reloading what follows doesn't send it again, and so that
/// no browser sends its body on (RFC 9700 §4.12).
#[must_use]
pub fn see_other(site: Site, path: &str) -> Response<String> {
    redirect(site, StatusCode::SEE_OTHER, path)
}

/// On to another place; nothing of the request goes along. 500 for what can't stand in a header.
#[must_use]
pub fn redirect(site: Site, status: StatusCode, to: &str) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.headers_mut() = security_headers(site.https, &[]);
    *response.status_mut() = match HeaderValue::from_str(to) {
        Ok(to) => {
            response.headers_mut().insert(header::LOCATION, to);
            status
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    response
}
