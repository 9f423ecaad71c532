//! What happens once however often it is asked for at once, and what no rival gets around.
//!
//! `DRAWBRIDGE_ROUNDS` sets how often signing in and minting race against being disabled (1,000 for the full count;
//! without it 12), as it does for the races of `tests/it/races.rs`.

use super::*;
use crate::support::{Engine, code as code_of, number, on_both_engines};
use drawbridge::access::ActError;
use drawbridge::access::accounts::Bootstrap;
use drawbridge::store::Value;
use std::time::Instant;

on_both_engines!(
    s_11_one_code_fifty_times_at_once_is_one_sign_in,
    s_14_one_backup_code_fifty_times_at_once_is_one_sign_in,
    two_bootstraps_at_once_make_one_admin,
    nothing_survives_a_disable,
    two_admins_who_disable_each_other_leave_one,
);

async fn count(house: &House, sql: &'static str, args: &[Value]) -> i64 {
    let mut tx = house.db().await.read().await.unwrap();
    tx.row(sql, args).await.unwrap().unwrap().int(0).unwrap()
}

/// The whole sign-in, and its second step alone: how many of each came through.
async fn at_once(house: &House, who: &SeededAccount, otp: &str) -> (usize, usize) {
    let mut whole = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (access, typed) = (house.access().clone(), typed(&who.email, who.password.expose(), Some(otp)));
        whole.spawn(async move { matches!(access.sign_in(typed).await, Ok(SignInAnswer::SignedIn(_))) });
    }
    let whole = whole.join_all().await.into_iter().filter(|came| *came).count();
    forget_failures(house).await;
    let asked = sign_in(house.access(), &who.email, who.password.expose(), None).await;
    let Ok(SignInAnswer::OtpNeeded(proved)) = asked else { panic!("{asked:?}") };
    let mut second = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (access, proved, otp) = (house.access().clone(), proved.clone(), secret(otp));
        second.spawn(async move {
            access.sign_in_with_otp(proved, otp, "test".to_owned(), true, request("otp")).await.is_ok()
        });
    }
    (whole, second.join_all().await.into_iter().filter(|came| *came).count())
}

async fn s_11_one_code_fifty_times_at_once_is_one_sign_in(engine: Engine) {
    let house = House::on(engine).await;
    for n in 0..4 {
        let who = account(&house, &format!("ann{n}@vendor.example")).await;
        let now = code(who.totp_secret.expose(), 0);
        assert_eq!(at_once(&house, &who, &now).await, (1, 0), "round {n}");
    }
    // The second step alone, unspent: no throttle of passwords stands before it.
    let who = account(&house, "zoe@vendor.example").await;
    let asked = sign_in(house.access(), &who.email, who.password.expose(), None).await;
    let Ok(SignInAnswer::OtpNeeded(proved)) = asked else { panic!("{asked:?}") };
    let now = code(who.totp_secret.expose(), 0);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (access, proved, otp) = (house.access().clone(), proved.clone(), secret(&now));
        all.spawn(async move {
            access.sign_in_with_otp(proved, otp, "test".to_owned(), true, request("otp")).await.is_ok()
        });
    }
    assert_eq!(all.join_all().await.into_iter().filter(|came| *came).count(), 1);
    let sql = "SELECT count(*) FROM session s JOIN platform_user u ON u.id = s.subject_id WHERE u.email = $1";
    assert_eq!(count(&house, sql, &[who.email.as_str().into()]).await, 1);
}

async fn s_14_one_backup_code_fifty_times_at_once_is_one_sign_in(engine: Engine) {
    let house = House::on(engine).await;
    let who = account(&house, "ann@vendor.example").await;
    let session = known(house.access(), &signed_in(house.access(), &who, -1).await).await;
    let permit = house.permit(&session, "renewBackupCodes", false).await.unwrap();
    let step_up = drawbridge::access::accounts::StepUp {
        current: Some(who.password.clone()),
        otp: Some(secret(&code(who.totp_secret.expose(), 0))),
    };
    let codes = house.access().new_backup_codes(permit, &session, step_up, &request("codes")).await.unwrap();
    for one in codes.iter().take(3) {
        forget_failures(&house).await;
        assert_eq!(at_once(&house, &who, one.expose()).await, (1, 0));
    }
    assert_eq!(count(&house, "SELECT count(*) FROM backup_code WHERE used_at IS NULL", &[]).await, 5);
}

async fn two_bootstraps_at_once_make_one_admin(engine: Engine) {
    let house = House::on(engine).await;
    assert!(!house.access().is_set_up().await);
    let secret_of = house.access().setup_secret().expose().to_owned();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (access, given) = (house.access().clone(), secret(&secret_of));
        all.spawn(async move {
            let asked =
                Bootstrap { secret: given, email: format!("first{n}@vendor.example"), display_name: None };
            access.bootstrap(asked, &request("bootstrap")).await
        });
    }
    let (made, refused): (Vec<_>, Vec<_>) = all.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1, "{refused:?}");
    assert!(refused.iter().all(|r| matches!(r, Err(ActError::SetupDone))), "{refused:?}");
    assert_eq!(count(&house, "SELECT count(*) FROM platform_user", &[]).await, 1);
    assert_eq!(house.both_logs("platform.setup_done").await[1].len(), 1);
    assert_eq!(house.both_logs("platform.user_created").await[1].len(), 1);
    assert!(house.access().is_set_up().await);
    let late = Bootstrap { secret: secret("wrong"), email: "x@y".to_owned(), display_name: None };
    assert!(matches!(house.access().bootstrap(late, &request("late")).await, Err(ActError::SetupDone)));
}

/// Signing in and minting against being disabled: whatever comes first, nothing is live afterwards.
async fn nothing_survives_a_disable(engine: Engine) {
    let house = Arc::new(House::on(engine).await);
    let admin = house.staff("admin@vendor.example").await;
    let rounds = number("DRAWBRIDGE_ROUNDS", 12);
    let mut both = 0;
    for n in 0..rounds {
        let who = account(&house, &format!("ann{n}@vendor.example")).await;
        let begun = Instant::now();
        let first = signed_in(house.access(), &who, -1).await;
        let takes = begun.elapsed();
        let user = first.user.clone();
        let mut sign_in = {
            let (access, typed) = (
                house.access().clone(),
                typed(&who.email, who.password.expose(), Some(&code(who.totp_secret.expose(), 0))),
            );
            tokio::spawn(async move { access.sign_in(typed).await })
        };
        let mint = {
            let (house, first) = (house.clone(), first.clone());
            tokio::spawn(async move {
                let who = known(house.access(), &first).await;
                let permit = house.permit(&who, "call", false).await?;
                let asked = drawbridge::access::MintRequest {
                    org: house.org.clone(),
                    reason: drawbridge::access::Reason::new(Some("cameras offline since 03:00")),
                    ticket_ref: None,
                    idempotency_key: None,
                };
                house.access().mint(permit, &who, asked, &request("mint")).await
            })
        };
        // The sign-in gets a head start, from none to all that it takes (most of which is the hash) and somewhat more.
        let head_start = takes * u32::try_from(n * 3 / 2).unwrap() / u32::try_from(rounds).unwrap();
        let early = tokio::time::timeout(head_start, &mut sign_in).await;
        house.disable(&admin.token, &user).await.expect("disabled");
        let came = match early {
            Ok(came) => came.unwrap(),
            Err(_) => sign_in.await.unwrap(),
        };
        let minted = mint.await.unwrap();
        both += usize::from(came.is_ok()) + usize::from(minted.is_ok());
        let live = "SELECT (SELECT count(*) FROM session WHERE subject_id = $1 AND ended_at IS NULL) \
             + (SELECT count(*) FROM impersonation WHERE platform_user_id = $1 AND ended_at IS NULL)";
        assert_eq!(count(&house, live, &[user.as_str().into()]).await, 0, "round {n}: {came:?} {minted:?}");
        for session in came.ok().into_iter().filter_map(|answer| match answer {
            SignInAnswer::SignedIn(session) => Some(session),
            SignInAnswer::OtpNeeded(_) => None,
        }) {
            let who = known(house.access(), &session).await;
            assert!(house.permit(&who, "listOrgs", false).await.is_err(), "round {n}");
        }
    }
    eprintln!("{both} sign-ins and mints came before their disable, in {rounds} rounds");
}

/// Both have been let in before either begins. Beside a third admin nothing but the facts under the lock stops the
/// second: whoever has just been disabled disables nobody.
async fn two_admins_who_disable_each_other_leave_one(engine: Engine) {
    for others in [0, 0, 1, 1] {
        let house = Arc::new(House::on(engine).await);
        let (one, two) =
            (account(&house, "one@vendor.example").await, account(&house, "two@vendor.example").await);
        let (a, b) = (signed_in(house.access(), &one, 0).await, signed_in(house.access(), &two, 0).await);
        for n in 0..others {
            account(&house, &format!("other{n}@vendor.example")).await;
        }
        let let_in = async |by: &SignedIn, whom: &SignedIn| {
            let who = known(house.access(), by).await;
            let permit = house.permit(&who, "call", false).await.expect("may call");
            let asked = drawbridge::access::DisableRequest {
                user: whom.user.clone(),
                reason: drawbridge::access::Reason::new(Some("left the company")),
                ticket_ref: None,
                cause: None,
                approved_by: None,
            };
            (permit, who, asked)
        };
        let disable = |(permit, who, asked): (_, Arc<Known>, _)| {
            let access = house.access().clone();
            tokio::spawn(async move { access.disable(permit, &who, asked, &request("disable")).await })
        };
        let (first, second) = (let_in(&a, &b).await, let_in(&b, &a).await);
        let (first, second) = (disable(first), disable(second));
        let done = [first.await.unwrap(), second.await.unwrap()];
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
        let sql = "SELECT count(*) FROM platform_user WHERE disabled_at IS NULL";
        assert_eq!(count(&house, sql, &[]).await, 1 + others);
        // Nor do they themselves put an end to the last one.
        let left = if done[0].is_ok() { &a } else { &b };
        let refused = disable(let_in(left, left).await).await.unwrap();
        let expected = if others == 0 { "LAST_ADMIN" } else { "SELF_DISABLE_REFUSED" };
        assert_eq!(code_of(&refused), expected);
    }
}
