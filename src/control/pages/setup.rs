//! The setup gate as a page, and signing out.

use super::form::{Form, again};
use super::view;
use crate::access::ActError;
use crate::access::accounts::Bootstrap;
use crate::console::form::FormFault;
use crate::console::pages::{InitialPasswordPage, SetupPage, SignedOutPage};
use crate::console::{Cookie, Frame};
use crate::control::ControlState;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::Call;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

fn page(fault: FormFault, email: String, display_name: String) -> SetupPage {
    SetupPage { frame: Frame::narrow("Set up Drawbridge"), fault, email, display_name }
}

/// `GET /platform/setup`: the form while it is not done, `409 SETUP_DONE` afterwards.
pub(super) async fn show(State(state): State<ControlState>, call: Call) -> Result<Response, ApiError> {
    if state.access.look_whether_set_up().await {
        return Err(call.fault(Fault::Act(ActError::SetupDone)));
    }
    Ok(view::show(state.site, &page(FormFault::default(), String::new(), String::new())))
}

/// `POST /platform/setup`: the first platform admin, and their initial password, once.
pub(super) async fn submit(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let form = Form::read(&call, &headers, &body, &["secret", "email", "display_name"])?;
    let (email, display_name) = (form.text("email"), form.text("display_name"));
    let asked = Bootstrap {
        secret: crate::domain::Secret::new(form.text("secret")),
        email: email.clone(),
        display_name: form.optional("display_name"),
    };
    let done = state.access.bootstrap(asked, &call.caller.request).await;
    match call.act(done) {
        Ok(initial) => {
            let shown = InitialPasswordPage {
                frame: Frame::narrow("Your account is there"),
                email,
                password: initial.password.expose().to_owned(),
                expires_at: view::time(initial.expires_at),
                setup: true,
            };
            Ok(view::show_with(state.site, StatusCode::CREATED, &shown))
        }
        Err(error) => again(error, &["secret", "email", "display_name"], |fault, status| {
            view::show_with(state.site, status, &page(fault, email, display_name))
        }),
    }
}

/// `POST /platform/logout`: this session ends, and every impersonation of the person.
pub(super) async fn sign_out(State(state): State<ControlState>, call: Call) -> Result<Response, ApiError> {
    let done = state.access.logout(call.permit()?, call.known()?, &call.caller.request).await;
    call.act(done)?;
    let mut response = view::to(state.site, "/platform/signed-out");
    if let Some(gone) = Cookie::Staff.clear(state.site.https) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    Ok(response)
}

/// `GET /platform/signed-out`.
pub(super) async fn signed_out(State(state): State<ControlState>) -> Response {
    view::show(state.site, &SignedOutPage { frame: Frame::narrow("You are signed out") })
}
