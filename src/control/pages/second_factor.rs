//! One's own second factor: enrolling it, confirming it, its backup codes.

use super::account::own;
use super::form::{Form, STEP_UP, again};
use super::view::{self, staff};
use crate::console::form::FormFault;
use crate::console::pages::{BackupCodesPage, EnrolPage, SecondFactorPage, ShownOnce};
use crate::control::ControlState;
use crate::control::error::ApiError;
use crate::control::extract::Call;
use crate::domain::{PlatformUser, Secret};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

/// Letters of a secret between two blanks.
const GROUP: usize = 4;

fn overview(user: &PlatformUser, enrolled: bool, backup_codes: i64, fault: FormFault) -> SecondFactorPage {
    let title = if enrolled { "Second factor" } else { "Set up the second factor" };
    SecondFactorPage { frame: view::narrow(user, title, "me"), fault, enrolled, backup_codes }
}

/// `GET /platform/me/2fa`.
pub(super) async fn show(State(state): State<ControlState>, call: Call) -> Result<Response, ApiError> {
    let (user, account) = (staff(&call)?, own(&state, &call).await?);
    let shown = overview(user, account.second_factor, account.backup_codes, FormFault::default());
    Ok(view::show(state.site, &shown))
}

/// `POST /platform/me/2fa`: makes a secret and shows it, once.
pub(super) async fn begin(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let form = Form::read(&call, &headers, &body, STEP_UP)?;
    let (user, account) = (staff(&call)?, own(&state, &call).await?);
    let request = &call.caller.request;
    let begun = state.access.begin_enrolment(call.permit()?, call.known()?, form.step_up(), request).await;
    match call.act(begun) {
        Ok(enrolment) => {
            let shown = EnrolPage {
                frame: view::narrow(user, "Set up the second factor", "me"),
                fault: FormFault::default(),
                shown: Some(ShownOnce {
                    secret: grouped(enrolment.secret.expose()),
                    qr_svg: svg_alone(enrolment.qr_svg.expose()).to_owned(),
                }),
                enrolled: account.second_factor,
            };
            Ok(view::show(state.site, &shown))
        }
        Err(error) => again(error, &[], |fault, status| {
            let shown = overview(user, account.second_factor, account.backup_codes, fault);
            view::show_with(state.site, status, &shown)
        }),
    }
}

/// `POST /platform/me/2fa/confirm`.
pub(super) async fn confirm(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let form = Form::read(&call, &headers, &body, &["otp"])?;
    let (user, account) = (staff(&call)?, own(&state, &call).await?);
    let otp = form.code("otp").unwrap_or_else(|| Secret::new(""));
    let request = &call.caller.request;
    let confirmed = state.access.confirm_enrolment(call.permit()?, call.known()?, otp, request).await;
    match call.act(confirmed) {
        Ok(confirmed) => {
            let shown = codes(&call, user, &confirmed.backup_codes);
            Ok(view::with_cookie(state.site, view::show(state.site, &shown), confirmed.cookie.as_ref()))
        }
        Err(error) => again(error, &["otp"], |fault, status| {
            let shown = EnrolPage {
                frame: view::narrow(user, "Set up the second factor", "me"),
                fault,
                shown: None,
                enrolled: account.second_factor,
            };
            view::show_with(state.site, status, &shown)
        }),
    }
}

/// `POST /platform/me/2fa/backup-codes`: eight new ones.
pub(super) async fn backup_codes(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let form = Form::read(&call, &headers, &body, STEP_UP)?;
    let (user, account) = (staff(&call)?, own(&state, &call).await?);
    let request = &call.caller.request;
    let made = state.access.new_backup_codes(call.permit()?, call.known()?, form.step_up(), request).await;
    match call.act(made) {
        Ok(made) => Ok(view::show(state.site, &codes(&call, user, &made))),
        Err(error) => again(error, &[], |fault, status| {
            let shown = overview(user, account.second_factor, account.backup_codes, fault);
            view::show_with(state.site, status, &shown)
        }),
    }
}

fn codes(call: &Call, user: &PlatformUser, codes: &[Secret]) -> BackupCodesPage {
    let mut frame = view::narrow(user, "Your backup codes", "me");
    // Who has these has nothing left to do first.
    if let Some(viewer) = &mut frame.viewer {
        viewer.restricted = false;
    }
    BackupCodesPage {
        frame,
        email: user.email.clone(),
        codes: codes.iter().map(|code| code.expose().to_owned()).collect(),
        made_at: view::time(call.caller.request.time),
    }
}

/// In groups, as people type it.
fn grouped(secret: &str) -> String {
    let mut out = String::with_capacity(secret.len() * 5 / 4);
    for (n, c) in secret.chars().enumerate() {
        if n > 0 && n % GROUP == 0 {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// The element without an XML declaration before it, which doesn't belong into HTML.
fn svg_alone(text: &str) -> &str {
    text.find("<svg").and_then(|at| text.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{grouped, svg_alone};

    #[test]
    fn secrets_in_groups_and_pictures_alone() {
        assert_eq!(grouped("JBSWY3DPEH"), "JBSW Y3DP EH");
        assert_eq!(grouped(""), "");
        assert_eq!(svg_alone("<?xml version=\"1.0\"?><svg/>"), "<svg/>");
        assert_eq!(svg_alone("none"), "");
    }
}
