//! One's own account: what it is, and its password.

use super::form::{Form, again};
use super::view::{self, staff};
use crate::access::accounts::{ChangePassword, OwnAccount};
use crate::console::form::FormFault;
use crate::console::pages::{MePage, PasswordPage};
use crate::console::text::visible;
use crate::control::ControlState;
use crate::control::error::ApiError;
use crate::control::extract::Call;
use crate::domain::PlatformUser;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

/// One's own account.
pub(super) async fn own(state: &ControlState, call: &Call) -> Result<OwnAccount, ApiError> {
    call.act(state.access.own_account(call.known()?).await)
}

/// `enabled`, `required` or `none`, as the API says it.
fn two_factor(account: &OwnAccount) -> &'static str {
    match (account.has_password, account.second_factor) {
        (_, true) => "enabled",
        (true, false) => "required",
        (false, false) => "none",
    }
}

/// `GET /platform/me`.
pub(super) async fn show(State(state): State<ControlState>, call: Call) -> Result<Response, ApiError> {
    let (user, account) = (staff(&call)?, own(&state, &call).await?);
    let session = &call.known()?.session;
    let shown = MePage {
        frame: view::wide(user, "My account", "me"),
        email: visible(&user.email),
        display_name: visible(&user.display_name),
        roles: visible(&user.roles.join(", ")),
        two_factor: two_factor(&account),
        backup_codes: account.backup_codes,
        last_sign_in_at: account.last_sign_in_at.map(view::time),
        signed_in_at: view::time(session.started_at),
        expires_at: view::time(session.expires_at),
    };
    Ok(view::show(state.site, &shown))
}

fn page(user: &PlatformUser, account: &OwnAccount, fault: FormFault) -> PasswordPage {
    let forced = user.password_change_required;
    let title = if forced { "Choose your password" } else { "Change your password" };
    PasswordPage {
        frame: view::narrow(user, title, "me"),
        fault,
        email: user.email.clone(),
        forced,
        current_label: if forced { "Initial password" } else { "Present password" },
        otp: account.second_factor,
    }
}

/// `GET /platform/me/password`.
pub(super) async fn password(State(state): State<ControlState>, call: Call) -> Result<Response, ApiError> {
    let (user, account) = (staff(&call)?, own(&state, &call).await?);
    Ok(view::show(state.site, &page(user, &account, FormFault::default())))
}

/// `POST /platform/me/password`.
pub(super) async fn change_password(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let form = Form::read(&call, &headers, &body, &["username", "current", "new", "again", "otp"])?;
    let (user, account) = (staff(&call)?, own(&state, &call).await?);
    let new = form.secret("new");
    if form.secret("again").expose() != new.expose() {
        let fault = FormFault::at("again", "This is not the new password: type the same into both.");
        let shown = page(user, &account, fault);
        return Ok(view::show_with(state.site, StatusCode::UNPROCESSABLE_ENTITY, &shown));
    }
    let asked = ChangePassword { current: form.secret("current"), new, otp: form.code("otp") };
    let request = &call.caller.request;
    let changed = state.access.change_own_password(call.permit()?, call.known()?, asked, request).await;
    match call.act(changed) {
        Ok(changed) => {
            let next = if account.second_factor { "/platform/me" } else { "/platform/me/2fa" };
            Ok(view::with_cookie(state.site, view::to(state.site, next), changed.cookie.as_ref()))
        }
        Err(error) => again(error, &["current", "new", "otp"], |fault, status| {
            view::show_with(state.site, status, &page(user, &account, fault))
        }),
    }
}
