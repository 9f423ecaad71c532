//! What every live store must do. Each implementation runs [`run`] on an empty store.

use super::{Live, Stamped};
use crate::domain::ids::{ImpersonationId, OrgId, PlatformUserId, SessionId};
use crate::domain::{Impersonation, Millis, OrgRole, PlatformUser, Principal, RevokeReason, Session};

fn user(id: &str) -> PlatformUser {
    PlatformUser {
        id: PlatformUserId::parse(id).unwrap(),
        email: format!("{id}@example.com"),
        display_name: id.to_owned(),
        roles: vec!["support".to_owned()],
        disabled: false,
        password_change_required: false,
        enrolment_required: false,
    }
}

fn stamped(
    key: crate::domain::ids::Subject,
    principal: Principal,
    expires_at: Millis,
    as_of: u64,
) -> Stamped {
    Stamped {
        session: Session { key, principal, started_at: 0, expires_at, ended: None }.shared(),
        as_of,
        log: 7,
    }
}

/// A sign-in of platform user `owner`.
pub(crate) fn session(id: &str, owner: &str, expires_at: Millis, as_of: u64) -> Stamped {
    let key = SessionId::parse(id).unwrap().subject();
    stamped(key, Principal::PlatformUser(user(owner)), expires_at, as_of)
}

/// An impersonation by platform user `owner`.
pub(crate) fn impersonation(id: &str, owner: &str, expires_at: Millis, as_of: u64) -> Stamped {
    let id = ImpersonationId::parse(id).unwrap();
    let principal = Principal::Impersonation(Box::new(Impersonation {
        id: id.clone(),
        operator: user(owner),
        org: OrgId::parse("org_acme").unwrap(),
        role: OrgRole::Admin,
        slot: 1,
        reason: "looking into incident 7".to_owned(),
        ticket_ref: None,
    }));
    stamped(id.subject(), principal, expires_at, as_of)
}

/// The whole contract.
pub(crate) async fn run(live: &dyn Live) {
    facts_come_back_until_they_expire(live).await;
    older_facts_never_replace_newer_ones(live).await;
    what_was_forgotten_is_not_resurrected_by_late_facts(live).await;
    impersonations_are_listed_by_user(live).await;
    hints_only_grow(live).await;
}

async fn facts_come_back_until_they_expire(live: &dyn Live) {
    let facts = session("ses_expiry", "pu_expiry", 1_000, 3);
    assert_eq!(live.get(&facts.session.key, 0).await.unwrap(), None);
    live.put(facts.clone()).await.unwrap();
    assert_eq!(live.get(&facts.session.key, 999).await.unwrap(), Some(facts.clone()));
    assert_eq!(live.get(&facts.session.key, 1_000).await.unwrap(), None, "over at its very instant");
}

async fn older_facts_never_replace_newer_ones(live: &dyn Live) {
    let (old, new) = (session("ses_order", "pu_old", 5_000, 7), session("ses_order", "pu_new", 5_000, 8));
    live.put(new.clone()).await.unwrap();
    live.put(old.clone()).await.unwrap();
    assert_eq!(live.get(&old.session.key, 1_000).await.unwrap(), Some(new.clone()));
    let newest = session("ses_order", "pu_newest", 5_000, 9);
    live.put(newest.clone()).await.unwrap();
    assert_eq!(live.get(&old.session.key, 1_000).await.unwrap(), Some(newest));
}

async fn what_was_forgotten_is_not_resurrected_by_late_facts(live: &dyn Live) {
    let late = session("ses_late", "pu_late", 5_000, 9);
    live.put(late.clone()).await.unwrap();
    live.forget(&late.session.key, 10).await.unwrap();
    assert_eq!(live.get(&late.session.key, 1_000).await.unwrap(), None);
    live.put(late.clone()).await.unwrap();
    assert_eq!(live.get(&late.session.key, 1_000).await.unwrap(), None, "read before the change");
    let fresh = session("ses_late", "pu_late", 5_000, 10);
    live.put(fresh.clone()).await.unwrap();
    assert_eq!(live.get(&late.session.key, 1_000).await.unwrap(), Some(fresh.clone()), "read after it");
    live.forget(&late.session.key, 8).await.unwrap();
    assert_eq!(
        live.get(&late.session.key, 1_000).await.unwrap(),
        Some(fresh),
        "an old change undoes nothing"
    );
    // Also what was never here.
    let unseen = session("ses_unseen", "pu_late", 5_000, 4);
    live.forget(&unseen.session.key, 5).await.unwrap();
    live.put(unseen.clone()).await.unwrap();
    assert_eq!(live.get(&unseen.session.key, 1_000).await.unwrap(), None);
}

async fn impersonations_are_listed_by_user(live: &dyn Live) {
    let owner = PlatformUserId::parse("pu_lister").unwrap();
    let ids = async || {
        let mut ids: Vec<_> =
            live.impersonations(&owner).await.unwrap().iter().map(ToString::to_string).collect();
        ids.sort();
        ids
    };
    assert!(ids().await.is_empty());
    let (a, b) =
        (impersonation("imp_a", "pu_lister", 5_000, 1), impersonation("imp_b", "pu_lister", 6_000, 1));
    for facts in
        [&a, &b, &impersonation("imp_c", "pu_other", 5_000, 1), &session("ses_l", "pu_lister", 5_000, 1)]
    {
        live.put(facts.clone()).await.unwrap();
    }
    live.put(a.clone()).await.unwrap();
    assert_eq!(ids().await, ["imp_a", "imp_b"]);
    live.forget(&a.session.key, 2).await.unwrap();
    assert_eq!(ids().await, ["imp_b"]);
    let mut over = (*b.session).clone();
    over.ended = Some(RevokeReason::Logout);
    live.put(Stamped { session: over.shared(), as_of: 3, log: 7 }).await.unwrap();
    assert!(ids().await.is_empty());
}

async fn hints_only_grow(live: &dyn Live) {
    let mut hints = live.hints();
    live.hint(7).await.unwrap();
    hints.changed().await.unwrap();
    assert_eq!(*hints.borrow_and_update(), 7);
    live.hint(5).await.unwrap();
    live.hint(8).await.unwrap();
    hints.changed().await.unwrap();
    assert_eq!(*hints.borrow_and_update(), 8);
}
