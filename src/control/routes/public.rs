//! What anybody may read.

use crate::control::ControlState;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// `GET /.well-known/jwks.json`: the public keys of tokens and assertions (RFC 7517).
pub(super) async fn jwks(State(state): State<ControlState>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(state.keys.jwks())).into_response()
}
