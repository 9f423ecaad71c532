//! One's own password and second factor.

use crate::access::accounts::{ChangePassword, StepUp};
use crate::control::ControlState;
use crate::control::error::ApiError;
use crate::control::extract::Call;
use crate::control::json::secret;
use crate::domain::Secret;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    #[serde(deserialize_with = "secret::needed")]
    current: Secret,
    #[serde(deserialize_with = "secret::needed")]
    new: Secret,
    #[serde(default, deserialize_with = "secret::optional")]
    otp: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepUpBody {
    #[serde(default, deserialize_with = "secret::optional")]
    current: Option<Secret>,
    #[serde(default, deserialize_with = "secret::optional")]
    otp: Option<Secret>,
}

impl From<StepUpBody> for StepUp {
    fn from(StepUpBody { current, otp }: StepUpBody) -> Self {
        Self { current, otp }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmBody {
    #[serde(deserialize_with = "secret::needed")]
    otp: Secret,
}

/// An answer that is shown once, with the browser's new cookie if it has one.
fn answer(state: &ControlState, body: Value, cookie: Option<&Secret>) -> Response {
    let mut response = ([(CACHE_CONTROL, "no-store")], Json(body)).into_response();
    if let Some(value) = cookie.and_then(|value| crate::console::Cookie::Staff.set(state.site.https, value)) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    response
}

fn shown(codes: &[Secret]) -> Value {
    json!({ "backup_codes": codes.iter().map(Secret::expose).collect::<Vec<_>>() })
}

/// `POST /api/v1/platform/me/password`: every other session and impersonation ends.
pub(super) async fn change_password(
    State(state): State<ControlState>,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let PasswordBody { current, new, otp } = call.body(&body)?;
    let asked = ChangePassword { current, new, otp };
    let done =
        state.access.change_own_password(call.permit()?, call.known()?, asked, &call.caller.request).await;
    let done = call.act(done)?;
    Ok(answer(&state, json!({ "ended": done.ended }), done.cookie.as_ref()))
}

/// `POST /api/v1/platform/me/2fa`: a secret for an authenticator, to be confirmed by one of its codes.
pub(super) async fn begin_enrolment(
    State(state): State<ControlState>,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let step_up = call.body::<StepUpBody>(&body)?.into();
    let begun =
        state.access.begin_enrolment(call.permit()?, call.known()?, step_up, &call.caller.request).await;
    let begun = call.act(begun)?;
    let body = json!({
        "secret": begun.secret.expose(), "otpauth_uri": begun.otpauth_uri.expose(), "qr_svg": begun.qr_svg.expose(),
    });
    Ok(answer(&state, body, None))
}

/// `POST /api/v1/platform/me/2fa/confirm`: the second factor is in force; the backup codes are shown once.
pub(super) async fn confirm_enrolment(
    State(state): State<ControlState>,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let ConfirmBody { otp } = call.body(&body)?;
    let done = state.access.confirm_enrolment(call.permit()?, call.known()?, otp, &call.caller.request).await;
    let done = call.act(done)?;
    Ok(answer(&state, shown(&done.backup_codes), done.cookie.as_ref()))
}

/// `POST /api/v1/platform/me/2fa/backup-codes`: eight new ones; the old ones are void.
pub(super) async fn renew_backup_codes(
    State(state): State<ControlState>,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let step_up = call.body::<StepUpBody>(&body)?.into();
    let made =
        state.access.new_backup_codes(call.permit()?, call.known()?, step_up, &call.caller.request).await;
    Ok(answer(&state, shown(&call.act(made)?), None))
}
