//! The console's pages: the same acts as the API's, asked for by forms, answered by pages.
//!
//! A `GET` changes nothing; what changes something is a form's `POST`, which the gate lets in from our own pages only.
//! What an act refuses is shown in its form, with the refusal's status; what a page can't show is a page of its own
//! (`problem`). What is shown once (passwords, secrets, codes) is in the answer to the form itself, never at an
//! address that could be opened again.

mod account;
mod admins;
mod audit_log;
mod form;
mod orgs;
mod problem;
mod second_factor;
mod setup;
mod view;

use super::ControlState;
use axum::Router;
use axum::routing::{get, post};

/// Method and path of every page.
pub(super) const ROUTES: &[(&str, &str)] = &[
    ("GET", "/platform"),
    ("GET", "/admin-console"),
    ("GET", "/platform/assets/{file}"),
    ("GET", "/platform/setup"),
    ("POST", "/platform/setup"),
    ("GET", "/platform/signed-out"),
    ("POST", "/platform/logout"),
    ("GET", "/platform/me"),
    ("GET", "/platform/me/password"),
    ("POST", "/platform/me/password"),
    ("GET", "/platform/me/2fa"),
    ("POST", "/platform/me/2fa"),
    ("POST", "/platform/me/2fa/confirm"),
    ("POST", "/platform/me/2fa/backup-codes"),
    ("GET", "/platform/admins"),
    ("POST", "/platform/admins"),
    ("GET", "/platform/admins/new"),
    ("GET", "/platform/admins/{user}"),
    ("POST", "/platform/admins/{user}/disable"),
    ("POST", "/platform/admins/{user}/enable"),
    ("POST", "/platform/admins/{user}/reset-factors"),
    ("POST", "/platform/admins/{user}/initial-password"),
    ("GET", "/platform/orgs"),
    ("POST", "/platform/orgs"),
    ("GET", "/platform/orgs/new"),
    ("GET", "/platform/audit-log"),
];

/// The pages.
pub(super) fn router(state: ControlState) -> Router {
    Router::new()
        .route("/platform", get(view::home))
        .route("/admin-console", get(view::home))
        .route("/platform/assets/{file}", get(view::asset))
        .route("/platform/setup", get(setup::show).post(setup::submit))
        .route("/platform/signed-out", get(setup::signed_out))
        .route("/platform/logout", post(setup::sign_out))
        .route("/platform/me", get(account::show))
        .route("/platform/me/password", get(account::password).post(account::change_password))
        .route("/platform/me/2fa", get(second_factor::show).post(second_factor::begin))
        .route("/platform/me/2fa/confirm", post(second_factor::confirm))
        .route("/platform/me/2fa/backup-codes", post(second_factor::backup_codes))
        .route("/platform/admins", get(admins::list).post(admins::create))
        .route("/platform/admins/new", get(admins::new))
        .route("/platform/admins/{user}", get(admins::show))
        .route("/platform/admins/{user}/disable", post(admins::disable))
        .route("/platform/admins/{user}/enable", post(admins::enable))
        .route("/platform/admins/{user}/reset-factors", post(admins::reset_factors))
        .route("/platform/admins/{user}/initial-password", post(admins::initial_password))
        .route("/platform/orgs", get(orgs::list).post(orgs::register))
        .route("/platform/orgs/new", get(orgs::new))
        .route("/platform/audit-log", get(audit_log::show))
        .layer(axum::middleware::from_fn_with_state(state.site, problem::as_page))
        .with_state(state)
}
