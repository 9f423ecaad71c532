//! One file a resource. The paths are those of `schemas/platform.cedarschema`; a test holds them together.

mod audit_log;
mod audit_proofs;
mod impersonations;
mod me;
mod orgs;
mod platform_users;
mod public;
mod support_access;

use super::ControlState;
use axum::Router;
use axum::routing::{delete, get, patch, post};

/// Method and path of every route served here.
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", "/.well-known/jwks.json"),
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
    ("GET", "/api/v1/platform/orgs"),
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
    ("PATCH", "/api/v1/platform/users/{user}/disable"),
    ("PATCH", "/api/v1/platform/users/{user}/enable"),
    ("POST", "/api/v1/platform/logout"),
];

/// The router that the gate's bridge calls.
pub fn router(state: ControlState) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(public::jwks))
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
        .route("/api/v1/platform/orgs", get(orgs::list))
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
        .route("/api/v1/platform/users/{user}/disable", patch(platform_users::disable))
        .route("/api/v1/platform/users/{user}/enable", patch(platform_users::enable))
        .route("/api/v1/platform/logout", post(me::logout))
        .with_state(state)
}
