//! Accounts of the vendor's staff, for platform admins.

use super::form::{Form, again};
use super::view::{self, staff};
use crate::access::accounts::{InitialPassword, NewAccount};
use crate::access::{ActError, Cause, DisableRequest, PlatformUserRecord, Reason};
use crate::console::form::FormFault;
use crate::console::pages::{AdminPage, AdminsPage, InitialPasswordPage, NewAdminPage, User};
use crate::console::text::visible;
use crate::control::ControlState;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::{Call, Query};
use crate::domain::PlatformUser;
use crate::domain::ids::PlatformUserId;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

/// Accounts on a page.
const LIMIT: usize = 50;

fn shown(record: &PlatformUserRecord) -> User {
    User {
        id: record.id.clone(),
        email: visible(&record.email),
        display_name: visible(&record.display_name),
        roles: visible(&record.roles.join(", ")),
        disabled_at: record.disabled_at.map(view::time),
        created_at: view::time(record.created_at),
    }
}

async fn record(
    state: &ControlState,
    call: &Call,
    id: &PlatformUserId,
) -> Result<PlatformUserRecord, ApiError> {
    let found = state.access.platform_user(id).await.map_err(|e| call.fault(Fault::Store(e)))?;
    found.ok_or_else(|| call.fault(Fault::Act(ActError::NotFound("platform user"))))
}

/// `GET /platform/admins`.
pub(super) async fn list(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::read(&call, raw.as_deref(), &["cursor"])?;
    let listed = state.access.platform_users(LIMIT, query.get("cursor")).await;
    let listed = listed.map_err(|e| call.fault(Fault::Store(e)))?;
    let page = AdminsPage {
        frame: view::wide(staff(&call)?, "Accounts", "admins"),
        users: listed.items.iter().map(shown).collect(),
        next: listed.next.map(|cursor| format!("/platform/admins?cursor={cursor}")),
    };
    Ok(view::show(state.site, &page))
}

fn new_page(user: &PlatformUser, fault: FormFault, form: Option<&Form>) -> NewAdminPage {
    let text = |name: &str| form.map(|form| form.text(name)).unwrap_or_default();
    NewAdminPage {
        frame: view::narrow(user, "New account", "admins"),
        fault,
        email: text("email"),
        display_name: text("display_name"),
        role: text("role"),
        reason: text("reason"),
    }
}

/// `GET /platform/admins/new`.
pub(super) async fn new(State(state): State<ControlState>, call: Call) -> Result<Response, ApiError> {
    Ok(view::show(state.site, &new_page(staff(&call)?, FormFault::default(), None)))
}

fn initial_page(
    user: &PlatformUser,
    title: &str,
    email: String,
    initial: &InitialPassword,
) -> InitialPasswordPage {
    InitialPasswordPage {
        frame: view::narrow(user, title, "admins"),
        email,
        password: initial.password.expose().to_owned(),
        expires_at: view::time(initial.expires_at),
        setup: false,
    }
}

/// `POST /platform/admins`: an account, and its initial password, once.
pub(super) async fn create(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    const FIELDS: [&str; 4] = ["email", "display_name", "role", "reason"];
    let form = Form::read(&call, &headers, &body, &FIELDS)?;
    let user = staff(&call)?;
    let new = NewAccount {
        email: form.text("email"),
        display_name: form.text("display_name"),
        role: form.optional("role"),
        reason: Reason::new(form.optional("reason").as_deref()),
    };
    let request = &call.caller.request;
    let made = state.access.create_platform_user(call.permit()?, call.known()?, new, request).await;
    match call.act(made) {
        Ok(made) => {
            let page = initial_page(user, "The account is there", visible(&made.user.email), &made.initial);
            Ok(view::show_with(state.site, StatusCode::CREATED, &page))
        }
        Err(error) => again(error, &FIELDS, |fault, status| {
            view::show_with(state.site, status, &new_page(user, fault, Some(&form)))
        }),
    }
}

fn one_page(
    user: &PlatformUser,
    record: &PlatformUserRecord,
    done: &str,
    fault: FormFault,
    form: Option<&Form>,
) -> AdminPage {
    let text = |name: &str| form.map(|form| form.text(name)).unwrap_or_default();
    let shown = shown(record);
    AdminPage {
        frame: view::narrow(user, shown.display_name.clone(), "admins"),
        fault,
        done: done.to_owned(),
        user: shown,
        reason: text("reason"),
        cause: text("cause"),
        ticket_ref: text("ticket_ref"),
        approved_by: text("approved_by"),
    }
}

/// `GET /platform/admins/{user}`.
pub(super) async fn show(
    State(state): State<ControlState>,
    Path(id): Path<String>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::read(&call, raw.as_deref(), &["done"])?;
    let done = match query.get("done") {
        Some("disabled") => "The account is disabled; every session and impersonation of theirs has ended.",
        Some("enabled") => "The account is enabled. The second factor is enrolled anew at the next sign-in.",
        Some("reset") => {
            "The second factor is reset, and their sessions have ended. It is enrolled anew at the next sign-in."
        }
        _ => "",
    };
    let record = record(&state, &call, &call.platform_user(&id)?).await?;
    Ok(view::show(state.site, &one_page(staff(&call)?, &record, done, FormFault::default(), None)))
}

/// The account's page after an act: again with what was wrong, or anew with what was done.
async fn after<T>(
    state: &ControlState,
    call: &Call,
    id: &PlatformUserId,
    form: &Form,
    fields: &[&str],
    done: &str,
    result: Result<T, ActError>,
) -> Result<Response, ApiError> {
    match call.act(result) {
        Ok(_) => Ok(view::to(state.site, &format!("/platform/admins/{id}?done={done}"))),
        Err(error) => {
            let (user, record) = (staff(call)?, record(state, call, id).await?);
            again(error, fields, |fault, status| {
                view::show_with(state.site, status, &one_page(user, &record, "", fault, Some(form)))
            })
        }
    }
}

/// `POST /platform/admins/{user}/disable`.
pub(super) async fn disable(
    State(state): State<ControlState>,
    Path(id): Path<String>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    const FIELDS: [&str; 4] = ["reason", "cause", "ticket_ref", "approved_by"];
    let form = Form::read(&call, &headers, &body, &FIELDS)?;
    let id = call.platform_user(&id)?;
    let cause = match form.text("cause").as_str() {
        "" => None,
        "departure" => Some(Cause::Departure),
        "role_change" => Some(Cause::RoleChange),
        "compromise" => Some(Cause::Compromise),
        _ => {
            let fault = "must be `departure`, `role_change` or `compromise`";
            return Err(call.fault(Fault::Act(ActError::Invalid { member: "cause", fault })));
        }
    };
    let asked = DisableRequest {
        user: id.clone(),
        reason: Reason::new(form.optional("reason").as_deref()),
        ticket_ref: form.optional("ticket_ref"),
        cause,
        approved_by: form.optional("approved_by"),
    };
    let done = state.access.disable(call.permit()?, call.known()?, asked, &call.caller.request).await;
    after(&state, &call, &id, &form, &FIELDS, "disabled", done).await
}

/// Whom an act is about, and the form in which a reason is all that is asked for.
fn reasoned(
    call: &Call,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(PlatformUserId, Form, Reason), ApiError> {
    let form = Form::read(call, headers, body, &["reason"])?;
    let reason = Reason::new(form.optional("reason").as_deref());
    Ok((call.platform_user(id)?, form, reason))
}

/// `POST /platform/admins/{user}/enable`.
pub(super) async fn enable(
    State(state): State<ControlState>,
    Path(id): Path<String>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (id, form, reason) = reasoned(&call, &id, &headers, &body)?;
    let request = &call.caller.request;
    let done = state.access.enable(call.permit()?, call.known()?, id.clone(), reason, request).await;
    after(&state, &call, &id, &form, &[], "enabled", done).await
}

/// `POST /platform/admins/{user}/reset-factors`.
pub(super) async fn reset_factors(
    State(state): State<ControlState>,
    Path(id): Path<String>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (id, form, reason) = reasoned(&call, &id, &headers, &body)?;
    let request = &call.caller.request;
    let done = state.access.reset_factors(call.permit()?, call.known()?, id.clone(), reason, request).await;
    after(&state, &call, &id, &form, &[], "reset", done).await
}

/// `POST /platform/admins/{user}/initial-password`: a new one, shown once.
pub(super) async fn initial_password(
    State(state): State<ControlState>,
    Path(id): Path<String>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (id, form, reason) = reasoned(&call, &id, &headers, &body)?;
    let (user, record) = (staff(&call)?, record(&state, &call, &id).await?);
    let request = &call.caller.request;
    let issued =
        state.access.new_initial_password(call.permit()?, call.known()?, id.clone(), reason, request).await;
    match issued {
        Ok(initial) => {
            let page = initial_page(user, "New initial password", visible(&record.email), &initial);
            Ok(view::show(state.site, &page))
        }
        Err(error) => after(&state, &call, &id, &form, &[], "", Err::<(), _>(error)).await,
    }
}
