//! S-11 to S-15: codes, backup codes, step-up.

use super::*;
use crate::support::{Engine, code as code_of, on_both_engines};
use drawbridge::access::accounts::{ChangePassword, Confirmed, Enrolment, StepUp};
use drawbridge::access::{ActError, Reason};
use std::collections::BTreeSet;

on_both_engines!(
    s_11_each_step_counts_once,
    s_12_one_step_of_tolerance,
    s_13_codes_have_a_throttle_of_their_own,
    s_14_backup_codes_count_once_each_and_new_ones_void_the_old,
    s_15_changes_of_credentials_need_password_and_code,
);

async fn begin(house: &House, who: &Known, step_up: StepUp) -> Result<Enrolment, ActError> {
    let permit = house.permit(who, "beginEnrolment", false).await?;
    house.access().begin_enrolment(permit, who, step_up, &request("2fa")).await
}

async fn confirm(house: &House, who: &Known, otp: &str) -> Result<Confirmed, ActError> {
    let permit = house.permit(who, "confirmEnrolment", false).await?;
    house.access().confirm_enrolment(permit, who, secret(otp), &request("confirm")).await
}

async fn renew(
    house: &House,
    who: &Known,
    current: Option<&str>,
    otp: Option<&str>,
) -> Result<Vec<Secret>, ActError> {
    let permit = house.permit(who, "renewBackupCodes", false).await?;
    let step_up = StepUp { current: current.map(secret), otp: otp.map(secret) };
    house.access().new_backup_codes(permit, who, step_up, &request("codes")).await
}

async fn otp(house: &House, who: &SeededAccount, otp: &str) -> Result<SignedIn, SignInError> {
    match sign_in(house.access(), &who.email, who.password.expose(), Some(otp)).await? {
        SignInAnswer::SignedIn(signed_in) => Ok(signed_in),
        SignInAnswer::OtpNeeded(_) => panic!("a code was given"),
    }
}

async fn s_11_each_step_counts_once(engine: Engine) {
    let house = House::on(engine).await;
    let who = account(&house, "ann@vendor.example").await;
    let seed = who.totp_secret.expose();
    // Without a code it is asked for, and nothing else has happened.
    let asked = sign_in(house.access(), &who.email, who.password.expose(), None).await;
    let Ok(SignInAnswer::OtpNeeded(proved)) = asked else { panic!("{asked:?}") };
    let now = code(seed, 0);
    let claims = serde_json::to_string(&proved.to_claims()).unwrap();
    let proved =
        drawbridge::access::accounts::PasswordProved::from_claims(serde_json::from_str(&claims).unwrap());
    let access = house.access();
    let in_two_steps = access
        .sign_in_with_otp(proved, secret(&now), "test".to_owned(), false, request("otp"))
        .await
        .unwrap();
    assert_eq!(in_two_steps.amr, ["pwd", "otp"]);
    assert!(in_two_steps.cookie.is_none());
    for spent in [now.clone(), format!("{now} "), format!("{} {}", &now[..3], &now[3..]), code(seed, -1)] {
        let refused = otp(&house, &who, &spent).await;
        assert!(matches!(refused, Err(SignInError::OtpRefused)), "{spent:?}: {refused:?}");
    }
    forget_failures(&house).await;
    otp(&house, &who, &code(seed, 1)).await.expect("a later step");
}

async fn s_12_one_step_of_tolerance(engine: Engine) {
    let house = House::on(engine).await;
    let who = account(&house, "ann@vendor.example").await;
    for far in [-3, 3, 10, -10] {
        let refused = otp(&house, &who, &code(who.totp_secret.expose(), far)).await;
        assert!(matches!(refused, Err(SignInError::OtpRefused)), "{far}: {refused:?}");
    }
    // The code of the step before, unless that step has just passed by.
    otp(&house, &who, &code(who.totp_secret.expose(), 0)).await.expect("now");
}

async fn s_13_codes_have_a_throttle_of_their_own(engine: Engine) {
    let house = House::on(engine).await;
    let who = account(&house, "ann@vendor.example").await;
    let mut tried = 0;
    // Five in a step of thirty seconds; a step may pass by meanwhile.
    let retry_after = loop {
        match otp(&house, &who, "000000").await {
            Err(SignInError::OtpRefused) => tried += 1,
            Err(SignInError::Throttled { retry_after }) => break retry_after,
            other => panic!("{other:?}"),
        }
        assert!(tried <= 10, "never throttled");
    };
    assert!(
        (5..=10).contains(&tried) && (1..=30).contains(&retry_after),
        "{tried} tries, then {retry_after} s"
    );
    // What was counted stays, whatever became of the sign-in (a roll-back would have undone it).
    let db = house.db().await;
    let mut tx = db.read().await.unwrap();
    let sql = "SELECT failures FROM sign_in_failure WHERE authenticator = 'totp'";
    assert_eq!(tx.row(sql, &[]).await.unwrap().unwrap().int(0).unwrap(), tried);
    drop(tx);
    // Passwords are counted apart.
    let asked = sign_in(house.access(), &who.email, who.password.expose(), None).await;
    assert!(matches!(asked, Ok(SignInAnswer::OtpNeeded(_))), "{asked:?}");
    let mut tx = db.write().await.unwrap();
    let sql =
        "UPDATE sign_in_failure SET failures = 10, in_step = 0, last_at = {now} WHERE authenticator = 'totp'";
    tx.execute(sql, &[]).await.unwrap();
    tx.commit().await.unwrap();
    let eleventh = otp(&house, &who, "000000").await;
    assert!(matches!(eleventh, Err(SignInError::Throttled { .. })), "{eleventh:?}");
}

/// A new account, set up as a person would: password, then a second factor. Its password is [`GOOD`].
async fn enrolled(house: &House, email: &str) -> (SignedIn, String, Vec<String>, Secret) {
    let (_, initial) = provisioned(house, email).await;
    let session = signed_in_first(house.access(), email, &initial).await;
    let who = known(house.access(), &session).await;
    let permit = house.permit(&who, "changeOwnPassword", false).await.unwrap();
    let asked = ChangePassword { current: secret(&initial), new: secret(GOOD), otp: None };
    let changed =
        house.access().change_own_password(permit, &who, asked, &request("password")).await.unwrap();
    let cookie = changed.cookie.unwrap();
    let who = house.access().authenticate_cookie(cookie.expose()).await.unwrap().known;
    let begun = begin(house, &who, StepUp::default()).await.unwrap();
    let seed = begun.secret.expose().to_owned();
    assert!(begun.otpauth_uri.expose().contains(&seed) && begun.qr_svg.expose().starts_with("<svg"));
    // A clock that is off is told, and a code of nothing is no more than that.
    let off = confirm(house, &who, &code(&seed, 9)).await;
    assert!(matches!(off, Err(ActError::ClockOff { seconds: 240..=300 })), "{off:?}");
    let wrong = confirm(house, &who, "00000x").await;
    assert!(matches!(wrong, Err(ActError::Invalid { member: "otp", .. })), "{wrong:?}");
    // A step may pass by between the code and its being looked at.
    let done = match confirm(house, &who, &code(&seed, -1)).await {
        Ok(done) => done,
        Err(_) => confirm(house, &who, &code(&seed, -1)).await.expect("confirmed"),
    };
    let codes = done.backup_codes.iter().map(|code| code.expose().to_owned()).collect();
    (session, seed, codes, done.cookie.expect("a new cookie"))
}

async fn s_14_backup_codes_count_once_each_and_new_ones_void_the_old(engine: Engine) {
    let house = House::on(engine).await;
    let email = "nora@vendor.example";
    let (_, seed, codes, cookie) = enrolled(&house, email).await;
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 8);
    let db = house.db().await;
    let stored = async || {
        let mut tx = db.read().await.unwrap();
        let rows = tx.rows("SELECT hash FROM backup_code", &[]).await.unwrap();
        rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(
        stored()
            .await
            .iter()
            .all(|hash| hash.len() == 64 && !codes.iter().any(|code| hash.contains(&code[..4])))
    );
    let by_code = async |otp: &str| {
        forget_failures(&house).await;
        sign_in(house.access(), email, GOOD, Some(otp)).await
    };
    let Ok(SignInAnswer::SignedIn(used)) = by_code(&codes[0]).await else { panic!("a backup code signs in") };
    assert_eq!(used.amr, ["pwd", "mfa"]);
    assert!(matches!(by_code(&codes[0]).await, Err(SignInError::OtpRefused)), "a second time");
    let loudly = codes[1].replace('-', " ").to_uppercase();
    assert!(matches!(by_code(&loudly).await, Ok(SignInAnswer::SignedIn(_))), "as people type it");
    let written = house.both_logs("platform.backup_code_used").await;
    assert_eq!((written[1].len(), &written[1][0]["details"]["left"]), (2, &serde_json::json!(6)));

    let who = house.access().authenticate_cookie(cookie.expose()).await.unwrap().known;
    forget_failures(&house).await;
    let fresh = renew(&house, &who, Some(GOOD), Some(&code(&seed, 0))).await.expect("eight new ones");
    assert_eq!((fresh.len(), stored().await.len()), (8, 16));
    assert!(matches!(by_code(&codes[2]).await, Err(SignInError::OtpRefused)), "the old ones are void");
    assert!(matches!(by_code(fresh[7].expose()).await, Ok(SignInAnswer::SignedIn(_))));
}

async fn s_15_changes_of_credentials_need_password_and_code(engine: Engine) {
    let house = House::on(engine).await;
    let who = account(&house, "ann@vendor.example").await;
    let (seed, password) = (who.totp_secret.expose(), who.password.expose());
    let session = known(house.access(), &signed_in(house.access(), &who, -1).await).await;
    let change = async |current: &str, otp: Option<&str>| {
        let permit = house.permit(&session, "changeOwnPassword", false).await?;
        let asked = ChangePassword { current: secret(current), new: secret(OTHER), otp: otp.map(secret) };
        house.access().change_own_password(permit, &session, asked, &request("password")).await
    };
    let step_up = |current: Option<&str>, otp: Option<&str>| StepUp {
        current: current.map(secret),
        otp: otp.map(secret),
    };
    let wrong = "000000";
    let fresh = code(seed, 0);
    for (current, otp) in [(password, None), (GOOD, Some(fresh.as_str())), (password, Some(wrong))] {
        let refused = change(current, otp).await;
        assert!(matches!(refused, Err(ActError::StepUp)), "{otp:?}: {refused:?}");
    }
    forget_failures(&house).await;
    for (current, otp) in [
        (None, None),
        (Some(password), None),
        (None, Some(fresh.as_str())),
        (Some(GOOD), Some(&fresh)),
        (Some(password), Some(wrong)),
    ] {
        let begun = begin(&house, &session, step_up(current, otp)).await;
        assert!(matches!(begun, Err(ActError::StepUp)), "enrolment {otp:?}: {begun:?}");
        let codes = renew(&house, &session, current, otp).await;
        assert!(matches!(codes, Err(ActError::StepUp)), "codes {otp:?}: {codes:?}");
    }
    forget_failures(&house).await;
    change(password, Some(&fresh)).await.expect("with both");
    // A reset never skips the second factor: it is enrolled anew before anything else.
    let admin = house.staff("admin@vendor.example").await;
    let operator = house.known(&admin.token).await;
    let target = session.session.principal.id().parse_user();
    let reset = async |user: drawbridge::domain::ids::PlatformUserId| {
        let permit = house.permit(&operator, "call", false).await.expect("may call");
        let reason = Reason::new(Some("lost the phone"));
        house.access().reset_factors(permit, &operator, user, reason, &request("reset")).await
    };
    assert_eq!(code_of(&reset(admin.id.clone()).await), "OWN_ACCOUNT");
    reset(target).await.expect("reset");
    let next = signed_in_first(house.access(), &who.email, OTHER).await;
    assert!(next.enrolment_required);
    let next = known(house.access(), &next).await;
    assert_eq!(code_of(&house.permit(&next, "call", false).await), "ENROLMENT_REQUIRED");
}

/// A short way from an identifier's text to the identifier.
trait ParseUser {
    fn parse_user(&self) -> drawbridge::domain::ids::PlatformUserId;
}

impl ParseUser for str {
    fn parse_user(&self) -> drawbridge::domain::ids::PlatformUserId {
        drawbridge::domain::ids::PlatformUserId::parse(self).expect("a platform user")
    }
}
