//! One file a resource. The paths are those of `schemas/platform.cedarschema`; a test holds them together.

mod accounts;
mod audit_log;
mod audit_proofs;
mod impersonations;
mod me;
mod oauth;
mod orgs;
mod platform_users;
mod public;
mod setup;
mod support_access;

pub(super) use audit_log::platform_log;

use super::{ControlState, pages};
use axum::Router;
use axum::routing::{delete, get, patch, post};

/// Method and path of every route of the API.
pub(super) const API: &[(&str, &str)] = &[
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/oauth2/authorize"),
    ("GET", "/oauth2/authorize/callback"),
    ("GET", "/platform/login"),
    ("POST", "/platform/login"),
    ("POST", "/oauth2/token"),
    ("POST", "/oauth2/revoke"),
    ("POST", "/oauth2/introspect"),
    ("POST", "/api/v1/platform/setup/bootstrap"),
    ("POST", "/api/platform/setup/v1/bootstrap"),
    ("GET", "/api/v1/me"),
    ("GET", "/api/v1/orgs/{org}/support-access"),
    ("PATCH", "/api/v1/orgs/{org}/support-access"),
    ("GET", "/api/v1/orgs/{org}/impersonations"),
    ("DELETE", "/api/v1/orgs/{org}/impersonations/{impersonation}"),
    ("GET", "/api/v1/orgs/{org}/audit-log"),
    ("GET", "/api/v1/orgs/{org}/audit-log/export"),
    ("GET", "/api/v1/orgs/{org}/audit-log/tail"),
    ("GET", "/api/v1/orgs/{org}/audit-log/checkpoint"),
    ("GET", "/api/v1/orgs/{org}/audit-log/proof"),
    ("GET", "/api/v1/orgs/{org}/audit-log/consistency"),
    ("GET", "/api/v1/orgs/{org}/audit-log/keys"),
    ("GET", "/api/v1/platform/me"),
    ("POST", "/api/v1/platform/me/password"),
    ("POST", "/api/v1/platform/me/2fa"),
    ("POST", "/api/v1/platform/me/2fa/confirm"),
    ("POST", "/api/v1/platform/me/2fa/backup-codes"),
    ("GET", "/api/v1/platform/orgs"),
    ("POST", "/api/v1/platform/orgs"),
    ("POST", "/api/v1/platform/orgs/{org}/impersonate"),
    ("POST", "/api/v1/platform/end-impersonation"),
    ("GET", "/api/v1/platform/impersonations"),
    ("GET", "/api/v1/platform/audit-log"),
    ("GET", "/api/v1/platform/audit-log/export"),
    ("GET", "/api/v1/platform/audit-log/tail"),
    ("GET", "/api/v1/platform/audit-log/checkpoint"),
    ("GET", "/api/v1/platform/audit-log/proof"),
    ("GET", "/api/v1/platform/audit-log/consistency"),
    ("GET", "/api/v1/platform/audit-log/keys"),
    ("GET", "/api/v1/platform/users"),
    ("POST", "/api/v1/platform/platform-users"),
    ("POST", "/api/v1/platform/users/{user}/initial-password"),
    ("POST", "/api/v1/platform/users/{user}/2fa/reset"),
    ("PATCH", "/api/v1/platform/users/{user}/disable"),
    ("PATCH", "/api/v1/platform/users/{user}/enable"),
    ("POST", "/api/v1/platform/logout"),
];

/// Method and path of every route served here.
pub const ROUTES: &[&[(&str, &str)]] = &[API, pages::ROUTES];

/// The router that the gate's bridge calls.
pub fn router(state: ControlState) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(public::jwks))
        .route("/.well-known/oauth-authorization-server", get(oauth::metadata::show))
        .route("/oauth2/authorize", get(oauth::authorize::begin))
        .route("/oauth2/authorize/callback", get(oauth::authorize::callback))
        .route("/platform/login", get(oauth::login::show).post(oauth::login::submit))
        .route("/oauth2/token", post(oauth::token::redeem))
        .route("/oauth2/revoke", post(oauth::token::revoke))
        .route("/oauth2/introspect", post(oauth::token::introspect))
        .route("/api/v1/platform/setup/bootstrap", post(setup::bootstrap))
        .route("/api/platform/setup/v1/bootstrap", post(setup::bootstrap))
        .route("/api/v1/me", get(me::show))
        .route("/api/v1/orgs/{org}/support-access", get(support_access::show).patch(support_access::set))
        .route("/api/v1/orgs/{org}/impersonations", get(impersonations::of_org))
        .route("/api/v1/orgs/{org}/impersonations/{impersonation}", delete(impersonations::end_of_org))
        .route("/api/v1/orgs/{org}/audit-log", get(audit_log::of_org))
        .route("/api/v1/orgs/{org}/audit-log/export", get(audit_log::export::of_org))
        .route("/api/v1/orgs/{org}/audit-log/tail", get(audit_log::tail::of_org))
        .route("/api/v1/orgs/{org}/audit-log/checkpoint", get(audit_proofs::org_checkpoint))
        .route("/api/v1/orgs/{org}/audit-log/proof", get(audit_proofs::org_proof))
        .route("/api/v1/orgs/{org}/audit-log/consistency", get(audit_proofs::org_consistency))
        .route("/api/v1/orgs/{org}/audit-log/keys", get(audit_proofs::org_keys))
        .route("/api/v1/platform/me", get(me::platform))
        .route("/api/v1/platform/me/password", post(accounts::change_password))
        .route("/api/v1/platform/me/2fa", post(accounts::begin_enrolment))
        .route("/api/v1/platform/me/2fa/confirm", post(accounts::confirm_enrolment))
        .route("/api/v1/platform/me/2fa/backup-codes", post(accounts::renew_backup_codes))
        .route("/api/v1/platform/orgs", get(orgs::list).post(orgs::register))
        .route("/api/v1/platform/orgs/{org}/impersonate", post(impersonations::mint))
        .route("/api/v1/platform/end-impersonation", post(impersonations::end_own))
        .route("/api/v1/platform/impersonations", get(impersonations::own))
        .route("/api/v1/platform/audit-log", get(audit_log::of_platform))
        .route("/api/v1/platform/audit-log/export", get(audit_log::export::of_platform))
        .route("/api/v1/platform/audit-log/tail", get(audit_log::tail::of_platform))
        .route("/api/v1/platform/audit-log/checkpoint", get(audit_proofs::platform_checkpoint))
        .route("/api/v1/platform/audit-log/proof", get(audit_proofs::platform_proof))
        .route("/api/v1/platform/audit-log/consistency", get(audit_proofs::platform_consistency))
        .route("/api/v1/platform/audit-log/keys", get(audit_proofs::platform_keys))
        .route("/api/v1/platform/users", get(platform_users::list))
        .route("/api/v1/platform/platform-users", post(platform_users::create))
        .route("/api/v1/platform/users/{user}/initial-password", post(platform_users::initial_password))
        .route("/api/v1/platform/users/{user}/2fa/reset", post(platform_users::reset_factors))
        .route("/api/v1/platform/users/{user}/disable", patch(platform_users::disable))
        .route("/api/v1/platform/users/{user}/enable", patch(platform_users::enable))
        .route("/api/v1/platform/logout", post(me::logout))
        .with_state(state.clone())
        .merge(pages::router(state))
}
