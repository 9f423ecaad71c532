//! One file a resource. The paths are those of `schemas/platform.cedarschema`; a test holds them together
//! ([`routes`]).

mod accounts;
mod audit_log;
mod audit_proofs;
mod impersonations;
mod me;
mod oauth;
mod orgs;
mod people;
mod platform_users;
mod public;
mod setup;
mod support_access;

pub(super) use audit_log::platform_log;

use super::{ControlState, RouteTable, pages};
use axum::Router;

/// The API.
fn api() -> RouteTable {
    RouteTable::default()
        .get("/.well-known/jwks.json", public::jwks)
        .get("/.well-known/oauth-authorization-server", oauth::metadata::show)
        .get("/oauth2/authorize", oauth::authorize::begin)
        .get("/oauth2/authorize/callback", oauth::authorize::callback)
        .get("/platform/login", oauth::login::show)
        .post("/platform/login", oauth::login::submit)
        .post("/oauth2/token", oauth::token::redeem)
        .post("/oauth2/revoke", oauth::token::revoke)
        .post("/oauth2/introspect", oauth::token::introspect)
        .post("/api/v1/platform/setup/bootstrap", setup::bootstrap)
        .post("/api/platform/setup/v1/bootstrap", setup::bootstrap)
        .get("/api/v1/me", me::show)
        .get("/api/v1/users", people::list)
        .patch("/api/v1/users/{user}", people::set)
        .get("/api/v1/orgs/{org}/support-access", support_access::show)
        .patch("/api/v1/orgs/{org}/support-access", support_access::set)
        .get("/api/v1/orgs/{org}/impersonations", impersonations::of_org)
        .delete("/api/v1/orgs/{org}/impersonations/{impersonation}", impersonations::end_of_org)
        .get("/api/v1/orgs/{org}/audit-log", audit_log::of_org)
        .get("/api/v1/orgs/{org}/audit-log/export", audit_log::export::of_org)
        .get("/api/v1/orgs/{org}/audit-log/tail", audit_log::tail::of_org)
        .get("/api/v1/orgs/{org}/audit-log/checkpoint", audit_proofs::org_checkpoint)
        .get("/api/v1/orgs/{org}/audit-log/proof", audit_proofs::org_proof)
        .get("/api/v1/orgs/{org}/audit-log/consistency", audit_proofs::org_consistency)
        .get("/api/v1/orgs/{org}/audit-log/keys", audit_proofs::org_keys)
        .get("/api/v1/platform/me", me::platform)
        .post("/api/v1/platform/me/password", accounts::change_password)
        .post("/api/v1/platform/me/2fa", accounts::begin_enrolment)
        .post("/api/v1/platform/me/2fa/confirm", accounts::confirm_enrolment)
        .post("/api/v1/platform/me/2fa/backup-codes", accounts::renew_backup_codes)
        .get("/api/v1/platform/orgs", orgs::list)
        .post("/api/v1/platform/orgs", orgs::register)
        .post("/api/v1/platform/orgs/{org}/impersonate", impersonations::mint)
        .post("/api/v1/platform/end-impersonation", impersonations::end_own)
        .get("/api/v1/platform/impersonations", impersonations::own)
        .get("/api/v1/platform/audit-log", audit_log::of_platform)
        .get("/api/v1/platform/audit-log/export", audit_log::export::of_platform)
        .get("/api/v1/platform/audit-log/tail", audit_log::tail::of_platform)
        .get("/api/v1/platform/audit-log/checkpoint", audit_proofs::platform_checkpoint)
        .get("/api/v1/platform/audit-log/proof", audit_proofs::platform_proof)
        .get("/api/v1/platform/audit-log/consistency", audit_proofs::platform_consistency)
        .get("/api/v1/platform/audit-log/keys", audit_proofs::platform_keys)
        .get("/api/v1/platform/users", platform_users::list)
        .post("/api/v1/platform/platform-users", platform_users::create)
        .post("/api/v1/platform/users/{user}/initial-password", platform_users::initial_password)
        .post("/api/v1/platform/users/{user}/2fa/reset", platform_users::reset_factors)
        .patch("/api/v1/platform/users/{user}/disable", platform_users::disable)
        .patch("/api/v1/platform/users/{user}/enable", platform_users::enable)
        .post("/api/v1/platform/logout", me::logout)
}

/// Method and path of every route served here, API and pages; those of actions with `@served("gateway")`.
#[must_use]
pub fn routes() -> Vec<(&'static str, &'static str)> {
    [api(), pages::routes()].into_iter().flat_map(RouteTable::mounted).collect()
}

/// The router that the gate's bridge calls.
pub fn router(state: ControlState) -> Router {
    api().router().with_state(state.clone()).merge(pages::router(state))
}

#[cfg(test)]
mod tests {
    use super::routes;
    use crate::policy::{PolicyEngine, PolicyFolders};
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The gate lets nobody through to what no action declares; what is declared and not served is answered by nobody.
    #[test]
    fn what_is_served_is_what_the_schema_declares() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = PolicyFolders { policies: root.join("policies"), schemas: root.join("schemas") };
        let snapshot = PolicyEngine::load(folders).unwrap_or_else(|r| panic!("{}", r.rendered)).snapshot();
        let declared: BTreeSet<_> = snapshot.served_here().collect();
        let served: BTreeSet<_> = routes().into_iter().collect();
        let only = |one: &BTreeSet<_>, other: &BTreeSet<_>| -> Vec<String> {
            one.difference(other).map(|(method, path)| format!("{method} {path}")).collect()
        };
        assert_eq!(only(&declared, &served), [""; 0], "declared, not served");
        assert_eq!(only(&served, &declared), [""; 0], "served, not declared");
        assert!(served.len() > 70, "{}", served.len());
    }
}
