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
mod person;
mod problem;
mod second_factor;
mod setup;
mod view;

use super::{ControlState, RouteTable};
use axum::Router;

/// Every page.
pub(super) fn routes() -> RouteTable {
    RouteTable::default()
        .get("/platform", view::home)
        .get("/admin-console", view::home)
        .get("/platform/assets/{file}", view::asset)
        .get("/platform/setup", setup::show)
        .post("/platform/setup", setup::submit)
        .get("/platform/signed-out", setup::signed_out)
        .post("/platform/logout", setup::sign_out)
        .get("/platform/me", account::show)
        .get("/platform/me/password", account::password)
        .post("/platform/me/password", account::change_password)
        .get("/platform/me/2fa", second_factor::show)
        .post("/platform/me/2fa", second_factor::begin)
        .post("/platform/me/2fa/confirm", second_factor::confirm)
        .post("/platform/me/2fa/backup-codes", second_factor::backup_codes)
        .get("/platform/admins", admins::list)
        .post("/platform/admins", admins::create)
        .get("/platform/admins/new", admins::new)
        .get("/platform/admins/{user}", admins::show)
        .post("/platform/admins/{user}/disable", admins::disable)
        .post("/platform/admins/{user}/enable", admins::enable)
        .post("/platform/admins/{user}/reset-factors", admins::reset_factors)
        .post("/platform/admins/{user}/initial-password", admins::initial_password)
        .get("/platform/orgs", orgs::list)
        .post("/platform/orgs", orgs::register)
        .get("/platform/orgs/new", orgs::new)
        .get("/platform/audit-log", audit_log::show)
        .get("/auth/login", person::providers)
        .get("/auth/oidc/start/{provider}", person::begin)
        .get("/auth/oidc/callback", person::finish)
        .get("/auth/google/callback", person::finish)
        .get("/auth/signed-out", person::signed_out)
        .post("/auth/logout", person::sign_out)
        .get("/profile", person::profile)
}

/// What serves them.
pub(super) fn router(state: ControlState) -> Router {
    routes()
        .router()
        .layer(axum::middleware::from_fn_with_state(state.site, problem::as_page))
        .with_state(state)
}
