//! S-16 and S-17: what ends sessions, and what is a session's value.

use super::*;
use crate::support::{Door, Engine, on_both_engines};
use serde_json::json;

on_both_engines!(s_16_whatever_changes_credentials_ends_the_other_sessions);

const ME: &str = "/api/v1/platform/me";

async fn s_16_whatever_changes_credentials_ends_the_other_sessions(engine: Engine) {
    let house = House::on(engine).await;
    let who = account(&house, "ann@vendor.example").await;
    let access = house.access();
    let over = async |session: &SignedIn| {
        let known = known(access, session).await;
        known.session.ended.map(|why| why.as_str())
    };
    // A change of password.
    let (one, two) = (signed_in(access, &who, -1).await, signed_in(access, &who, 0).await);
    let caller = known(access, &two).await;
    let permit = house.permit(&caller, "changeOwnPassword", false).await.unwrap();
    let asked = drawbridge::access::accounts::ChangePassword {
        current: who.password.clone(),
        new: secret(OTHER),
        otp: Some(secret(&code(who.totp_secret.expose(), 1))),
    };
    let changed = access.change_own_password(permit, &caller, asked, &request("password")).await.unwrap();
    assert_eq!(changed.ended, 1);
    assert_eq!(
        (over(&one).await, over(&two).await),
        (Some("credentials_changed"), Some("credentials_changed"))
    );
    let third = access.authenticate_cookie(changed.cookie.unwrap().expose()).await.unwrap().known;
    assert!(third.session.ended.is_none() && third.session.key != caller.session.key);
    assert_eq!(third.session.started_at, caller.session.started_at, "its absolute end stays");

    // Somebody else takes the second factor away.
    let admin = house.staff("admin@vendor.example").await;
    let operator = house.known(&admin.token).await;
    let permit = house.permit(&operator, "call", false).await.unwrap();
    let reason = drawbridge::access::Reason::new(Some("lost the phone"));
    let ended =
        access.reset_factors(permit, &operator, one.user.clone(), reason, &request("reset")).await.unwrap();
    assert_eq!(ended, 1);
    let fourth = signed_in_first(access, &who.email, OTHER).await;
    assert!(over(&fourth).await.is_none());

    // Disabled: all of them, and no sign-in; enabled again without its factors.
    house.disable(&admin.token, &one.user).await.unwrap();
    assert_eq!(over(&fourth).await, Some("platform_user_disabled"));
    assert!(matches!(sign_in(access, &who.email, OTHER, None).await, Err(SignInError::Refused)));
    house.enable(&admin.token, &one.user).await;
    forget_failures(&house).await;
    assert!(
        signed_in_first(access, &who.email, OTHER).await.enrolment_required,
        "enrolled anew, not restored"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_16_the_next_request_is_refused() {
    let door = Door::open(|_| {}).await;
    let who = door.access().seed_account(person("ann@vendor.example"), vec!["sre".to_owned()]).await.unwrap();
    let (one, two) = (signed_in(door.access(), &who, -1).await, signed_in(door.access(), &who, 0).await);
    let cookie = |of: &SignedIn| of.cookie.as_ref().unwrap().expose().to_owned();
    for session in [&one, &two] {
        door.by_cookie("GET", ME, &cookie(session), None).await.expect(200);
    }
    let body =
        json!({ "current": who.password.expose(), "new": OTHER, "otp": code(who.totp_secret.expose(), 1) });
    let changed =
        door.by_cookie("POST", "/api/v1/platform/me/password", &cookie(&two), Some(body)).await.expect(200);
    assert_eq!(changed.json["ended"], 1);
    for session in [&one, &two] {
        assert_eq!(door.by_cookie("GET", ME, &cookie(session), None).await.status, 401);
    }
    let set = changed.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && set.contains("Path=/"), "{set}");
    let new = set.split_once('=').unwrap().1.split(';').next().unwrap();
    let me = door.by_cookie("GET", ME, new, None).await.expect(200);
    assert_eq!((me.text("/two_factor"), me.json["last_sign_in_at"].is_string()), ("enabled", true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_17_a_session_s_value_is_new_each_time_and_counts_only_as_a_cookie() {
    let door = Door::open(|_| {}).await;
    let who = door.access().seed_account(person("ann@vendor.example"), vec!["sre".to_owned()]).await.unwrap();
    let (one, two) = (signed_in(door.access(), &who, -1).await, signed_in(door.access(), &who, 0).await);
    let (first, second) = (one.cookie.unwrap(), two.cookie.unwrap());
    assert_ne!(first.expose(), second.expose());
    assert_ne!(one.session, two.session);
    assert_eq!(first.expose().len(), 47, "256 random bits");
    // A cookie is no bearer token, also once it is known; a token is no cookie.
    door.by_cookie("GET", ME, first.expose(), None).await.expect(200);
    door.get(ME, first.expose()).await.problem(401, "INVALID_TOKEN");
    assert!(door.access().recall(first.expose().as_bytes()).is_none());
    assert!(door.access().recall_cookie(first.expose()).is_some());
    door.get(ME, &door.staff.token).await.expect(200);
    assert_eq!(door.by_cookie("GET", ME, &door.staff.token, None).await.status, 401);
    // Signing out ends this one alone.
    door.by_cookie("POST", "/api/v1/platform/logout", first.expose(), Some(json!({}))).await.expect(200);
    assert_eq!(door.by_cookie("GET", ME, first.expose(), None).await.status, 401);
    door.by_cookie("GET", ME, second.expose(), None).await.expect(200);
}

/// The gate notes it: who goes on using the console stays signed in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_23_a_request_by_cookie_counts_as_use() {
    let door = Door::open(|config| config.accounts.session_idle = std::time::Duration::from_secs(4)).await;
    let who = door.access().seed_account(person("ann@vendor.example"), vec!["sre".to_owned()]).await.unwrap();
    let session = signed_in(door.access(), &who, 0).await;
    let cookie = session.cookie.as_ref().unwrap().expose();
    crate::support::eventually("its end moves on", async || {
        let me = door.by_cookie("GET", ME, cookie, None).await.expect(200);
        let ends = drawbridge::domain::parse_rfc3339(me.text("/expires_at")).unwrap();
        (ends > session.expires_at).then_some(())
    })
    .await;
}

/// S-23's half that is ours: a browser's session ends when it is idle, later when it is used, and in any case.
#[tokio::test]
async fn s_23_idle_and_absolute_ends() {
    let house = House::open_with(|config| {
        config.accounts.session_idle = std::time::Duration::from_secs(600);
        config.accounts.session_absolute = std::time::Duration::from_secs(1_200);
    })
    .await;
    let who = account(&house, "ann@vendor.example").await;
    let session = signed_in(house.access(), &who, 0).await;
    let began = known(house.access(), &session).await.session.clone();
    let idle = session.expires_at - began.started_at;
    assert!((600_000..602_000).contains(&idle), "{idle}");
    let db = house.db().await;
    let age = async |by: i64| {
        let mut tx = db.write().await.unwrap();
        let sql = "UPDATE session SET started_at = started_at - $1, expires_at = expires_at - $1";
        tx.execute(sql, &[by.into()]).await.unwrap();
        tx.commit().await.unwrap();
    };
    let facts = async || {
        let value = session.cookie.as_ref().unwrap();
        // Another gateway's view: this one has kept the facts.
        let row = db
            .read()
            .await
            .unwrap()
            .row("SELECT started_at, expires_at, secret_hash FROM session WHERE secret_hash IS NOT NULL", &[])
            .await;
        let row = row.unwrap().unwrap();
        assert!(!row.text(2).unwrap().contains(value.expose()));
        (row.int(0).unwrap(), row.int(1).unwrap())
    };
    // Used at once: nothing is written.
    house.access().touch(&began).await;
    assert_eq!(facts().await.1, session.expires_at);
    age(400_000).await;
    let (started_at, expires_at) = facts().await;
    let used = drawbridge::domain::Session { started_at, expires_at, ..(*began).clone() };
    house.access().touch(&used).await;
    let moved = facts().await.1;
    assert!(moved > expires_at + 390_000, "moved on by what has passed");
    // Nine hundred seconds after its start, while it isn't idle yet: its end moves on, and not by a whole idle time.
    age(500_000).await;
    let (started_at, expires_at) = facts().await;
    house.access().touch(&drawbridge::domain::Session { started_at, expires_at, ..(*began).clone() }).await;
    assert_eq!(facts().await.1, started_at + 1_200_000, "to the absolute end, and not beyond it");
    // Idle for too long, though its absolute end is far: no use brings it back.
    let second = signed_in(house.access(), &who, 1).await;
    let mut tx = db.write().await.unwrap();
    tx.execute("DELETE FROM session WHERE id <> $1", &[second.session.as_str().into()]).await.unwrap();
    tx.commit().await.unwrap();
    age(700_000).await;
    let (started_at, expires_at) = facts().await;
    let used = drawbridge::domain::Session {
        started_at,
        expires_at,
        key: second.session.subject(),
        ..(*began).clone()
    };
    house.access().touch(&used).await;
    assert_eq!(facts().await.1, expires_at);
    let over = known(house.access(), &second).await;
    let refused = house.permit(&over, "getPlatformMe", false).await;
    assert_eq!(crate::support::code(&refused), "TOKEN_EXPIRED");
}
