//! OAuth 2.0 for clients, and the sign-in page that stands between.

pub(super) mod authorize;
pub(super) mod login;
pub(super) mod metadata;
pub(super) mod token;

use crate::access::{OAuthError, Parameters};
use crate::console::{Site, redirect};
use crate::control::error::{ApiError, Fault};
use crate::control::extract::Call;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A page as axum sends it.
fn html(page: http::Response<String>) -> Response {
    page.map(Body::from)
}

/// On to another place; nothing of the request goes along.
fn on(site: Site, status: StatusCode, to: &str) -> Response {
    html(redirect(site, status, to))
}

/// The form of a request of a client: `application/x-www-form-urlencoded`, each parameter once.
fn form(headers: &HeaderMap, body: &[u8]) -> Result<Parameters, OAuthError> {
    let form = Parameters::read(body);
    if !is_form(headers) {
        return Err(OAuthError::Invalid {
            error: "invalid_request",
            description: "the body is a form: Content-Type application/x-www-form-urlencoded",
        });
    }
    if form.repeats_any() {
        return Err(OAuthError::Invalid {
            error: "invalid_request",
            description: "a parameter is given twice; give it once",
        });
    }
    Ok(form)
}

fn is_form(headers: &HeaderMap) -> bool {
    let of = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = of.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The answer to a client (RFC 6749 §5.2).
fn failed(call: &Call, error: OAuthError) -> Response {
    let (status, code, description) = match error {
        OAuthError::Invalid { error, description } => (StatusCode::BAD_REQUEST, error, description),
        OAuthError::Client { description } => (StatusCode::UNAUTHORIZED, "invalid_client", description),
        OAuthError::Stale => {
            return ApiError::into_response(
                call.fault(Fault::NotYet("whether the token counts can't be told now; try again")),
            );
        }
        OAuthError::Unavailable(error) => return call.fault(Fault::Act(error)).into_response(),
    };
    let body = axum::Json(json!({ "error": code, "error_description": description }));
    let mut response = (status, NO_STORE, body).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static(r#"Basic realm="drawbridge", charset="UTF-8""#);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// RFC 6749 §5.1.
const NO_STORE: [(header::HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
