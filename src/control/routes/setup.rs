//! The setup gate: the first platform admin, for whoever has the setup secret.

use crate::access::accounts::Bootstrap;
use crate::control::error::ApiError;
use crate::control::extract::Call;
use crate::control::json::secret;
use crate::control::{ControlState, json};
use crate::domain::Secret;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(deserialize_with = "secret::needed")]
    secret: Secret,
    email: String,
    #[serde(default)]
    display_name: Option<String>,
}

/// `POST /api/v1/platform/setup/bootstrap`: 201 once; ever after `409 SETUP_DONE`.
pub(super) async fn bootstrap(
    State(state): State<ControlState>,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let Body { secret, email, display_name } = call.body(&body)?;
    let key = crate::domain::email_key(&email);
    let asked = Bootstrap { secret, email, display_name };
    let made = call.act(state.access.bootstrap(asked, &call.caller.request).await)?;
    let mut answer = serde_json::json!({
        "platform_user_id": made.user, "email": key, "tenant_id": "platform",
    });
    json::add_initial(&mut answer, &made);
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}
