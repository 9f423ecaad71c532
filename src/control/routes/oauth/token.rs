//! Where clients redeem codes, give tokens back, and ask about them.

use super::{NO_STORE, failed, form};
use crate::access::{CodeGrant, OAuthClient, OAuthError, Parameters, PresentedClient};
use crate::control::ControlState;
use crate::control::extract::Call;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The client that a request is from.
fn client<'s>(
    state: &'s ControlState,
    headers: &HeaderMap,
    form: &Parameters,
) -> Result<&'s OAuthClient, OAuthError> {
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let has_secret = form.get("client_secret").is_some() || form.get("client_assertion").is_some();
    state.access.oauth().authenticate(PresentedClient {
        authorization,
        id: form.get("client_id"),
        has_secret,
    })
}

fn answered(call: &Call, result: Result<Value, OAuthError>) -> Response {
    match result {
        Ok(answer) => (StatusCode::OK, NO_STORE, Json(answer)).into_response(),
        Err(error) => failed(call, error),
    }
}

/// The token that is spoken of.
fn token(form: &Parameters) -> Result<&str, OAuthError> {
    let missing = OAuthError::Invalid { error: "invalid_request", description: "`token` is missing" };
    form.get("token").ok_or(missing)
}

/// `POST /oauth2/token` (RFC 6749 §4.1.3).
pub(in crate::control::routes) async fn redeem(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let redeemed = async {
        let form = form(&headers, &body)?;
        let client = client(&state, &headers, &form)?;
        let grant = CodeGrant::read(&form)?;
        let answer = state.access.redeem(client, grant, &call.caller.request).await?;
        Ok(json!({
            "access_token": answer.token.expose(), "token_type": "Bearer", "expires_in": answer.expires_in,
            "scope": answer.scope,
        }))
    };
    answered(&call, redeemed.await)
}

/// `POST /oauth2/revoke` (RFC 7009): 200 for whatever isn't valid now, revoked or not.
pub(in crate::control::routes) async fn revoke(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let revoked = async {
        let form = form(&headers, &body)?;
        let client = client(&state, &headers, &form)?;
        state.access.revoke_token(client, token(&form)?, &call.caller.request).await?;
        Ok(json!({}))
    };
    answered(&call, revoked.await)
}

/// `POST /oauth2/introspect` (RFC 7662): for clients with a secret only.
pub(in crate::control::routes) async fn introspect(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let introspected = async {
        let form = form(&headers, &body)?;
        let client = client(&state, &headers, &form)?;
        if client.is_public() {
            return Err(OAuthError::Client {
                description: "introspection is for clients that prove themselves by a secret",
            });
        }
        state.access.introspect(token(&form)?).await.map(Value::Object)
    };
    answered(&call, introspected.await)
}
