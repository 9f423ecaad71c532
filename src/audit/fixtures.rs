//! Entries and grants for the module's tests.

use super::entry::{ActorType, Entry, Logs, Stage};
use crate::domain::Event;
use crate::domain::ids::{ImpersonationId, OrgId, PlatformUserId, RequestId, SessionId};
use crate::store::db::testing::{Engine, Store};
use crate::store::{Db, DbOptions};

/// A permitted request under grant `imp`, by Staff.
pub(crate) fn intent(imp: &str, org: &str) -> Entry {
    Entry {
        event: Event::ImpersonatedRequest,
        stage: Stage::Intent,
        time: 1_709_210_096_789,
        request_id: RequestId::random(),
        actor_type: ActorType::PlatformAdminImpersonating,
        actor: "pu_ann".to_owned(),
        actor_name: "Staff Member".to_owned(),
        platform_user: Some((PlatformUserId::parse("pu_ann").unwrap(), "Staff Member".to_owned())),
        acting_user_id: None,
        acting_bot_id: None,
        token_id: Some(SessionId::parse("ses_ann").unwrap().subject()),
        org_id: Some(OrgId::parse(org).unwrap()),
        logs: Logs::Both,
        impersonation_id: Some(ImpersonationId::parse(imp).unwrap()),
        impersonation_seq: None,
        action: Some("listCameras".into()),
        resource: None,
        method: Some("GET".to_owned()),
        path: Some("/api/v1/cameras".to_owned()),
        query_keys: vec!["q".to_owned()],
        decision: Some("permit"),
        code: None,
        policies: vec!["impersonation-scope".into()].into(),
        policy_hash: Some("abc".into()),
        source_address: Some("203.0.113.7".to_owned()),
        user_agent: Some("curl/8".to_owned()),
        reason: Some("looking into incident 7".to_owned()),
        ticket_ref: Some("T-1".to_owned()),
        revoke_reason: None,
        status: None,
        count: 1,
        details: serde_json::Map::new(),
    }
}

/// A refusal of somebody outside impersonations.
pub(crate) fn refusal(actor: &str, code: &str) -> Entry {
    Entry {
        event: Event::OrgAccessDenied,
        stage: Stage::Refused,
        actor_type: ActorType::OrgUser,
        actor: actor.to_owned(),
        actor_name: actor.to_owned(),
        platform_user: None,
        token_id: None,
        impersonation_id: None,
        decision: Some("deny"),
        code: Some(code.to_owned()),
        status: Some(403),
        reason: None,
        ticket_ref: None,
        ..intent("imp_none", "org_acme")
    }
}

/// Attribution of a request of `actor`.
pub(crate) fn attribution(actor: &str) -> Entry {
    Entry { event: Event::OrgRequest, stage: Stage::Use, logs: Logs::Org, code: None, ..refusal(actor, "") }
}

/// A store with orgs `org_acme` and `org_globex`, staff `pu_ann` and `pu_bob`, and Staff's grants `imp_a`, `imp_b` and `imp_c` for acme.
pub(crate) async fn store(folder: &std::path::Path) -> Db {
    store_with(DbOptions::new(folder)).await
}

/// The same, opened with `options`. What is there already stays.
pub(crate) async fn store_with(options: DbOptions) -> Db {
    let db = Db::open(options).await.unwrap();
    filled(&db).await;
    db
}

/// The same on either engine.
pub(crate) async fn store_on(engine: Engine) -> Store {
    let store = Store::open(engine).await;
    filled(&store.db).await;
    store
}

/// Puts them into an open store.
pub(crate) async fn filled(db: &Db) {
    let mut tx = db.write().await.unwrap();
    for org in ["acme", "globex"] {
        tx.execute(
            "INSERT INTO org (id, name, slug, plan, owner_email, status, allow_platform_impersonation, created_at) \
             VALUES ('org_' || $1, $1, $1, 'pro', 'o@example.com', 'active', 1, {now}) ON CONFLICT DO NOTHING",
            &[org.into()],
        )
        .await
        .unwrap();
    }
    for user in ["ann", "bob"] {
        tx.execute(
            "INSERT INTO platform_user (id, email, display_name, roles, created_at) \
             VALUES ('pu_' || $1, $1, $1, '[]', {now}) ON CONFLICT DO NOTHING",
            &[user.into()],
        )
        .await
        .unwrap();
    }
    for (slot, imp) in (1_i64..).zip(["imp_a", "imp_b", "imp_c"]) {
        tx.execute(
            "INSERT INTO impersonation (id, platform_user_id, org_id, role, reason, slot, started_at, expires_at) \
             VALUES ($1, 'pu_ann', 'org_acme', 'admin', 'r', $2, {now}, {now} + 1800000) ON CONFLICT DO NOTHING",
            &[imp.into(), slot.into()],
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}
