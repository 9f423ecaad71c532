//! `/platform/login`: the form, and what was typed into it.

use super::authorize::{EXPIRED, stopped};
use super::{html, is_form, on};
use crate::access::accounts::{PasswordProved, SignIn, SignInAnswer, SignInError, SignedIn};
use crate::access::{AuthorizationRequest, Parameters};
use crate::console::{Cookie, LoginPage, page};
use crate::control::ControlState;
use crate::control::error::Fault;
use crate::control::extract::Call;
use crate::domain::Secret;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The console, in entries and sessions.
const CONSOLE: &str = "console";
/// Where the console begins; who has yet to change the password or to enrol is sent on from there.
const HOME: &str = "/platform/me";

/// What somebody signs in for.
struct For<'a> {
    /// The request as it goes through the browser, and opened; `None`: the console.
    authorization: Option<(&'a str, AuthorizationRequest)>,
}

impl For<'_> {
    fn page(&self) -> LoginPage {
        LoginPage::new(
            self.authorization.as_ref().map(|(sealed, request)| (request.client_id.as_str(), *sealed)),
        )
    }

    fn client(&self) -> &str {
        self.authorization.as_ref().map_or(CONSOLE, |(_, request)| &request.client_id)
    }

    fn answer(&self, state: &ControlState, status: StatusCode, shown: &LoginPage) -> Response {
        // Browsers apply a form's policy to the redirects after it.
        let origin = self.authorization.as_ref().map(|(_, request)| request.redirect_origin());
        html(page(state.site, status, shown, origin.as_deref().as_slice()))
    }
}

/// What the browser's request is for; `Err`: the person is told to begin anew.
fn what_for<'a>(state: &ControlState, call: &Call, asked: &'a Parameters) -> Result<For<'a>, Box<Response>> {
    let Some(sealed) = asked.get("authorization") else { return Ok(For { authorization: None }) };
    match state.access.open_authorization(sealed) {
        Some(request) => Ok(For { authorization: Some((sealed, request)) }),
        None => Err(Box::new(stopped(state.site, call, EXPIRED))),
    }
}

/// `GET /platform/login`.
pub(in crate::control::routes) async fn show(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Parameters::read(query.unwrap_or_default().as_bytes());
    match what_for(&state, &call, &asked) {
        Ok(purpose) => purpose.answer(&state, StatusCode::OK, &purpose.page()),
        Err(response) => *response,
    }
}

/// `POST /platform/login`: e-mail and password, with `otp` at once or in a second form.
pub(in crate::control::routes) async fn submit(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_form(&headers) {
        return call
            .fault(Fault::Query("the sign-in is a form: send application/x-www-form-urlencoded".to_owned()))
            .into_response();
    }
    if !comes_from_here(&state, &headers) {
        return call.fault(Fault::ForeignOrigin).into_response();
    }
    let asked = Parameters::read(&body);
    let purpose = match what_for(&state, &call, &asked) {
        Ok(purpose) => purpose,
        Err(response) => return *response,
    };
    let otp = asked.get("otp").map(|otp| Secret::new(otp.trim()));
    let proved = match asked.get("proved").map(|sealed| state.access.open_proved(sealed)) {
        None => None,
        Some(Some(proved)) => Some(proved),
        Some(None) => {
            let shown = purpose.page().saying("It took too long. Enter your e-mail and password again.");
            return purpose.answer(&state, StatusCode::UNAUTHORIZED, &shown);
        }
    };
    let email = asked.get("email").unwrap_or_default();
    let cookie = purpose.authorization.is_none();
    let done = match (proved, otp) {
        (Some(proved), Some(otp)) => {
            let (client, request) = (purpose.client().to_owned(), (*call.caller.request).clone());
            let done = state.access.sign_in_with_otp(proved.clone(), otp, client, cookie, request).await;
            done.map(SignInAnswer::SignedIn).map_err(|error| (error, Some(proved)))
        }
        (Some(proved), None) => Ok(SignInAnswer::OtpNeeded(proved)),
        (None, otp) => {
            let asked = SignIn {
                email: email.to_owned(),
                password: Secret::new(asked.get("password").unwrap_or_default()),
                otp,
                client_id: purpose.client().to_owned(),
                cookie,
                request: (*call.caller.request).clone(),
            };
            state.access.sign_in(asked).await.map_err(|error| (error, None))
        }
    };
    match done {
        Ok(SignInAnswer::SignedIn(signed_in)) => finish(&state, &call, purpose, &signed_in).await,
        Ok(SignInAnswer::OtpNeeded(proved)) => match state.access.seal_proved(&proved) {
            Some(sealed) => purpose.answer(&state, StatusCode::OK, &purpose.page().asking_for_code(sealed)),
            None => stopped(state.site, &call, EXPIRED),
        },
        Err((error, proved)) => refused(&state, &call, &purpose, email, &error, proved.as_ref()),
    }
}

/// The browser goes on: to the client by way of our callback, or into the console. 303, so that what was typed goes
/// nowhere else (RFC 9700 §4.12).
async fn finish(state: &ControlState, call: &Call, purpose: For<'_>, signed_in: &SignedIn) -> Response {
    let Some((_, request)) = purpose.authorization else {
        let mut response = on(state.site, StatusCode::SEE_OTHER, HOME);
        let cookie = signed_in.cookie.as_ref().and_then(|secret| Cookie::Staff.set(state.site.https, secret));
        if let Some(cookie) = cookie {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        return response;
    };
    match state.access.finish_authorization(request, signed_in).await {
        Ok(ticket) => {
            let to = format!("/oauth2/authorize/callback?ticket={ticket}");
            on(state.site, StatusCode::SEE_OTHER, &to)
        }
        Err(error) => call.fault(Fault::Act(error)).into_response(),
    }
}

/// The form again, with what was wrong: the same words whether or not there is such an account.
fn refused(
    state: &ControlState,
    call: &Call,
    purpose: &For<'_>,
    email: &str,
    error: &SignInError,
    proved: Option<&PasswordProved>,
) -> Response {
    let again = proved.and_then(|proved| state.access.seal_proved(proved));
    let shown = match again {
        Some(sealed) => purpose.page().asking_for_code(sealed),
        None => purpose.page().with_email(email),
    };
    let (status, shown, retry_after) = match error {
        SignInError::Refused => {
            let shown = purpose.page().with_email(email);
            (401, shown.saying("The e-mail or the password is wrong, or the account can't sign in."), None)
        }
        SignInError::OtpRefused => {
            (401, shown.saying("The code is wrong or was used already. Wait for the next one."), None)
        }
        SignInError::Throttled { retry_after } => (
            429,
            shown.saying(format!("Too many attempts have failed. Try again in {retry_after} s.")),
            Some(*retry_after),
        ),
        SignInError::Busy => {
            (429, shown.saying("Too many people sign in at once. Try again in a moment."), Some(1))
        }
        SignInError::Store(error) => {
            tracing::error!(error = error as &dyn std::error::Error, request_id = %call.caller.request.id, "nobody can sign in");
            (
                503,
                shown.saying("Nobody can sign in now, because the records can't be used. Try again later."),
                Some(1),
            )
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut response = purpose.answer(state, status, &shown);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Whether a browser says that the form is ours (ASVS 3.5.1): nobody is signed in with somebody else's account by a
/// page of theirs. A program says nothing of the kind.
fn comes_from_here(state: &ControlState, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return true };
    let scheme = if state.site.https { "https" } else { "http" };
    let here = text("host").map(|host| format!("{scheme}://{host}"));
    origin.eq_ignore_ascii_case(state.access.issuer())
        || here.is_some_and(|here| origin.eq_ignore_ascii_case(&here))
}
