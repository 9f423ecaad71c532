use super::*;
use crate::domain::ids::{OrgUserId, SessionId};
use crate::domain::{Membership, OrgRole, OrgUser, Principal};

fn session(key: &SessionId, user: &OrgUserId, expires_at: Millis) -> Session {
    Session {
        key: key.subject(),
        principal: Principal::OrgUser(OrgUser {
            site_admin: false,
            id: user.clone(),
            email: String::new(),
            display_name: String::new(),
            active: true,
            memberships: vec![Membership { org: OrgId::random(), role: OrgRole::Viewer }],
        }),
        started_at: 0,
        expires_at,
        ended: None,
    }
}

fn at(n: u64, tip: &str) -> Position {
    Position { n, tip: tip.repeat(16) }
}

#[test]
fn only_the_log_that_was_read_is_vouched_for() {
    let view = View::starting_at(&at(4, "a"), true);
    view.remember(&at(5, "b"));
    let vouches = |n, tip| view.vouches(n, at(n, tip).fingerprint());
    assert!(vouches(4, "a") && vouches(5, "b"));
    assert!(!vouches(5, "c"), "another log's fifth record");
    assert!(!vouches(6, "b") && !vouches(3, "a"), "beyond what was read");
    view.start_over(&at(2, "d"));
    assert!(vouches(2, "d") && !vouches(4, "a") && !vouches(5, "b"));
}

fn record(effect: Effect, subject: Subject) -> ChangeRecord {
    ChangeRecord { effect, subjects: vec![subject] }
}

#[test]
fn facts_older_than_a_change_are_refused() {
    let (view, key, user) = (View::starting_at(&at(0, ""), true), SessionId::random(), OrgUserId::random());
    view.apply(7, &record(Effect::Changed, user.subject()));
    assert_eq!(view.insert(session(&key, &user, 100), 6, 0).err(), Some(Overtaken));
    assert!(view.insert(session(&key, &user, 100), 7, 0).is_ok());
}

#[test]
fn what_is_open_is_cut_even_after_the_facts_were_forgotten() {
    let (view, key, user) = (View::starting_at(&at(0, ""), true), SessionId::random(), OrgUserId::random());
    let open = view.insert(session(&key, &user, 100), 0, 0).unwrap();
    view.apply(1, &record(Effect::Changed, user.subject()));
    assert!(view.session(&key.subject()).is_none() && !open.cancellation.is_cancelled());
    view.apply(2, &record(Effect::Ended(None), user.subject()));
    assert!(open.cancellation.is_cancelled());
}

#[test]
fn facts_read_anew_share_the_handle() {
    let (view, key, user) = (View::starting_at(&at(0, ""), true), SessionId::random(), OrgUserId::random());
    let old = view.insert(session(&key, &user, 100), 0, 0).unwrap();
    view.apply(1, &record(Effect::Changed, key.subject()));
    let new = view.insert(session(&key, &user, 100), 1, 0).unwrap();
    view.apply(2, &record(Effect::Ended(None), key.subject()));
    assert!(old.cancellation.is_cancelled() && new.cancellation.is_cancelled());
}

#[test]
fn each_change_is_applied_once_and_gaps_are_remembered() {
    let (view, key, user) = (View::starting_at(&at(4, ""), true), SessionId::random(), OrgUserId::random());
    view.apply(6, &record(Effect::Ended(None), user.subject()));
    assert_eq!(view.applied(), 4);
    let open = view.insert(session(&key, &user, 100), 6, 0).unwrap();
    view.apply(6, &record(Effect::Ended(None), user.subject()));
    assert!(!open.cancellation.is_cancelled(), "an end from before the session");
    view.apply(5, &record(Effect::Changed, OrgUserId::random().subject()));
    assert_eq!(view.applied(), 6);
}

#[test]
fn the_time_being_over_cuts() {
    let (view, key, user) = (View::starting_at(&at(0, ""), true), SessionId::random(), OrgUserId::random());
    let open = view.insert(session(&key, &user, 100), 0, 0).unwrap();
    view.expire(99);
    assert!(!open.cancellation.is_cancelled());
    view.expire(100);
    assert!(open.cancellation.is_cancelled() && view.session(&key.subject()).is_none());
}

#[test]
fn an_unrecorded_end_holds_until_a_record_comes() {
    let (view, key, user) = (View::starting_at(&at(0, ""), true), SessionId::random(), OrgUserId::random());
    view.apply_unrecorded(&[user.subject()], RevokeReason::PlatformUserDisabled);
    let known = view.insert(session(&key, &user, 100), 0, 0).unwrap();
    assert_eq!(known.session.ended, Some(RevokeReason::PlatformUserDisabled));
    view.apply(1, &record(Effect::Changed, user.subject()));
    assert_eq!(view.insert(session(&key, &user, 100), 1, 0).unwrap().session.ended, None);
}

#[test]
fn a_change_of_a_person_concerns_all_their_sessions_and_nobody_elses() {
    let view = View::starting_at(&at(0, ""), true);
    let (one, other) = (OrgUserId::random(), OrgUserId::random());
    let keys: Vec<_> = (0..3).map(|_| SessionId::random()).collect();
    let open = |key, user| view.insert(session(key, user, 100), 0, 0).unwrap();
    let (mine, also, theirs) = (open(&keys[0], &one), open(&keys[1], &one), open(&keys[2], &other));
    view.apply(1, &record(Effect::Ended(None), one.subject()));
    let cut = [mine, also, theirs].map(|known| known.cancellation.is_cancelled());
    assert_eq!(cut, [true, true, false]);
    view.expire(100);
    let inner = view.inner.read();
    assert!(inner.sessions.is_empty() && inner.under.is_empty() && inner.expiries.is_empty());
}

#[test]
fn a_stale_view_cuts_without_saying_that_anything_has_ended() {
    let (view, key, user) = (View::starting_at(&at(0, ""), true), SessionId::random(), OrgUserId::random());
    let open = view.insert(session(&key, &user, 100), 0, 0).unwrap();
    assert_eq!(view.cut(Whose::Staff), 0);
    assert_eq!(view.cut(Whose::Everybody), 1);
    assert!(open.cancellation.is_cancelled() && open.cancellation.is_unproven());
    // Met again with facts that may be trusted, and then ended.
    let again = view.insert(session(&key, &user, 100), 0, 0).unwrap();
    assert!(!again.cancellation.is_cancelled() && !again.cancellation.is_unproven());
    view.apply(1, &record(Effect::Ended(None), key.subject()));
    assert!(again.cancellation.is_cancelled() && !again.cancellation.is_unproven());
}
