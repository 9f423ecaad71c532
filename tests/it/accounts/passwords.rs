//! S-01 to S-09: passwords, initial ones, guessing.

use super::*;
use crate::support::{Door, Engine, code as code_of, on_both_engines};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use drawbridge::access::ActError;
use drawbridge::access::accounts::{ChangePassword, Changed};
use serde_json::json;
use std::time::Instant;

on_both_engines!(
    s_05_a_password_has_no_clock,
    s_06_an_initial_password_counts_once_and_for_a_day,
    s_07_kept_by_argon2id_and_rehashed_when_weaker,
    s_08_one_throttle_for_an_account_in_every_spelling,
);

async fn change(
    house: &House,
    who: &Known,
    current: &str,
    new: &str,
    otp: Option<&str>,
) -> Result<Changed, ActError> {
    let permit = house.permit(who, "changeOwnPassword", false).await?;
    let asked = ChangePassword { current: secret(current), new: secret(new), otp: otp.map(secret) };
    house.access().change_own_password(permit, who, asked, &request("password")).await
}

#[tokio::test]
async fn s_01_s_03_s_04_what_may_be_a_password_and_what_may_not() {
    let house = House::open().await;
    let (_, initial) = provisioned(&house, "nora.newcomer@vendor.example").await;
    let session = signed_in_first(house.access(), "nora.newcomer@vendor.example", &initial).await;
    assert!(session.password_change_required && session.enrolment_required);
    let who = known(house.access(), &session).await;
    for bad in [
        "elevenchars",
        "\u{1f980}\u{1f309}\u{1f511}\u{1f9ed}\u{1fab5}\u{1f40e}\u{1f50b}\u{1f4ce}\u{1f327}\u{1f3bb}\u{1f968}",
        "password1234",
        "drawbridge2026",
        "Nora.Newcomer99",
        "qwertyuiopasdf",
        "aaaaaaaaaaaaaaaa",
        initial.as_str(),
    ] {
        let refused = change(&house, &who, &initial, bad, None).await;
        assert!(matches!(refused, Err(ActError::Invalid { member: "new", .. })), "{bad}: {refused:?}");
    }
    let plain = "only lower case and blanks x";
    assert_eq!(plain.len(), 28);
    change(&house, &who, &initial, plain, None).await.expect("no kinds of characters are asked for");
}

#[tokio::test]
async fn s_02_every_character_of_a_long_password_counts() {
    let house = House::open().await;
    let (_, initial) = provisioned(&house, "nora@vendor.example").await;
    let long: String =
        "Zq7 ".chars().chain("0123456789abcdefghijklmnop-".chars().cycle()).take(128).collect();
    let session = signed_in_first(house.access(), "nora@vendor.example", &initial).await;
    let who = known(house.access(), &session).await;
    change(&house, &who, &initial, &long, None).await.expect("128 characters");
    let flipped = |at: usize| -> String {
        long.chars().enumerate().map(|(n, c)| if n == at { '!' } else { c }).collect()
    };
    for wrong in [
        flipped(72),
        flipped(127),
        long.to_lowercase(),
        format!("{long} "),
        format!(" {long}"),
        long[..72].to_owned(),
    ] {
        let refused = sign_in(house.access(), "nora@vendor.example", &wrong, None).await;
        assert!(matches!(refused, Err(SignInError::Refused)), "{wrong}: {refused:?}");
    }
    let session = signed_in_first(house.access(), "nora@vendor.example", &long).await;
    assert!(!session.password_change_required && session.enrolment_required);
}

async fn s_05_a_password_has_no_clock(engine: Engine) {
    let house = House::on(engine).await;
    let who = account(&house, "ann@vendor.example").await;
    let mut tx = house.db().await.write().await.unwrap();
    let long_ago = (400_i64 * 86_400_000).into();
    tx.execute("UPDATE platform_credential SET password_set_at = password_set_at - $1", &[long_ago])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let session = signed_in(house.access(), &who, 0).await;
    assert!(!session.password_change_required && !session.enrolment_required);
}

async fn s_06_an_initial_password_counts_once_and_for_a_day(engine: Engine) {
    let house = House::on(engine).await;
    let email = "nora@vendor.example";
    let (admin, initial) = provisioned(&house, email).await;
    assert_eq!(initial.chars().count(), 16);
    let session = signed_in_first(house.access(), email, &initial).await;
    let refused = sign_in(house.access(), email, &initial, None).await;
    assert!(matches!(refused, Err(SignInError::Refused)), "a second time: {refused:?}");

    // Nothing but the change may be done with it, and it isn't chosen again.
    let who = known(house.access(), &session).await;
    for action in ["getPlatformMe", "listOrgs", "beginEnrolment", "call"] {
        let refused = house.permit(&who, action, false).await;
        assert_eq!(code_of(&refused), "PASSWORD_CHANGE_REQUIRED", "{action}");
    }
    let same = change(&house, &who, &initial, &initial, None).await;
    assert!(matches!(same, Err(ActError::Invalid { member: "new", .. })), "{same:?}");
    let changed = change(&house, &who, &initial, GOOD, None).await.expect("changed");
    let cookie = changed.cookie.expect("a new cookie");
    let who = house.access().authenticate_cookie(cookie.expose()).await.unwrap().known;
    for action in ["getPlatformMe", "listOrgs", "renewBackupCodes", "call"] {
        assert_eq!(code_of(&house.permit(&who, action, false).await), "ENROLMENT_REQUIRED", "{action}");
    }
    house.permit(&who, "beginEnrolment", false).await.expect("enrolment is next");

    // Another admin issues a new one; nobody does for themselves.
    let operator = house.known(&admin.token).await;
    let issue = async |user: &drawbridge::domain::ids::PlatformUserId| {
        let permit = house.permit(&operator, "call", false).await.expect("may call");
        let reason = drawbridge::access::Reason::new(Some("forgot it"));
        house
            .access()
            .new_initial_password(permit, &operator, user.clone(), reason, &request("initial"))
            .await
    };
    assert_eq!(code_of(&issue(&admin.id).await), "OWN_ACCOUNT");
    let issued = issue(&session.user).await.expect("a new one");
    assert!(matches!(sign_in(house.access(), email, GOOD, None).await, Err(SignInError::Refused)));
    let mut tx = house.db().await.write().await.unwrap();
    tx.execute(
        "UPDATE platform_credential SET initial_expires_at = {now} WHERE initial_expires_at IS NOT NULL",
        &[],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let late = sign_in(house.access(), email, issued.password.expose(), None).await;
    assert!(matches!(late, Err(SignInError::Refused)), "after a day: {late:?}");
    let again = issue(&session.user).await.expect("another one");
    signed_in_first(house.access(), email, again.password.expose()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_06_nobody_chooses_an_initial_password() {
    let door = Door::open(|_| {}).await;
    let path = "/api/v1/platform/platform-users";
    let create = async |body| door.call("POST", path, &door.staff.token, Some(body)).await;
    let chosen =
        json!({ "email": "n@v.example", "display_name": "N", "initial_password": "i choose this one" });
    let refused = create(chosen).await.problem(422, "INVALID_BODY");
    assert!(refused.text("/detail").contains("initial_password"), "{refused}");
    let made = create(json!({ "email": "N@V.example", "display_name": "Nora", "role": "support" }))
        .await
        .expect(201);
    assert_eq!((made.text("/email"), made.text("/roles/0")), ("n@v.example", "support"));
    assert_eq!(
        (made.text("/initial_password").chars().count(), made.header("cache-control")),
        (16, "no-store")
    );
    create(json!({ "email": "n@V.EXAMPLE", "display_name": "Nora" })).await.problem(409, "CONFLICT");
    create(json!({ "email": "no address", "display_name": "Nora" })).await.problem(422, "INVALID_BODY");
    create(json!({ "email": "m@v.example", "display_name": "M", "role": "owner" }))
        .await
        .problem(422, "INVALID_BODY");
    let engineer = door.engineer("e@v.example").await;
    let body = json!({ "email": "x@v.example", "display_name": "X" });
    door.call("POST", path, &engineer, Some(body)).await.problem(403, "PLATFORM_ACCESS_DENIED");
}

async fn s_07_kept_by_argon2id_and_rehashed_when_weaker(engine: Engine) {
    let house = House::on(engine).await;
    let who = account(&house, "ann@vendor.example").await;
    let db = house.db().await;
    let kept = async || {
        let mut tx = db.read().await.unwrap();
        let row = tx.row("SELECT password_hash FROM platform_credential", &[]).await.unwrap().unwrap();
        row.text(0).unwrap().to_owned()
    };
    assert!(kept().await.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"), "{}", kept().await);
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(4_096, 1, 1, None).unwrap());
    let weak = weak.hash_password_with_salt(who.password.expose().as_bytes(), &[9; 16]).unwrap().to_string();
    let mut tx = db.write().await.unwrap();
    tx.execute("UPDATE platform_credential SET password_hash = $1", &[weak.as_str().into()]).await.unwrap();
    tx.commit().await.unwrap();
    let wrong = sign_in(house.access(), &who.email, GOOD, None).await;
    assert!(matches!(wrong, Err(SignInError::Refused)));
    assert_eq!(kept().await, weak, "a wrong one rehashes nothing");
    signed_in(house.access(), &who, 0).await;
    assert!(kept().await.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"), "{}", kept().await);
    signed_in(house.access(), &who, 1).await;
}

/// Changes what is kept of failures.
async fn set_failures(house: &House, sql: &'static str) {
    let mut tx = house.db().await.write().await.unwrap();
    tx.execute(sql, &[]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn s_08_one_throttle_for_an_account_in_every_spelling(engine: Engine) {
    let house = House::on(engine).await;
    let who = account(&house, "ann@vendor.example").await;
    let spellings =
        ["ann@vendor.example", "ANN@vendor.example", " Ann@Vendor.Example", "ann@VENDOR.example "];
    for nobody in ["nobody@vendor.example", "ann@vendor.example"] {
        for n in 0..10 {
            let email = if nobody.starts_with("ann") { spellings[n % 4] } else { nobody };
            let refused = sign_in(house.access(), email, GOOD, None).await;
            assert!(matches!(refused, Err(SignInError::Refused)), "{email} {n}: {refused:?}");
        }
        // As if the tenth had been answered just now, however long it took here.
        set_failures(&house, "UPDATE sign_in_failure SET last_at = {now}").await;
        let eleventh = sign_in(house.access(), nobody, GOOD, None).await;
        let Err(SignInError::Throttled { retry_after }) = eleventh else { panic!("{nobody}: {eleventh:?}") };
        assert_eq!(retry_after, 1, "{nobody}");
    }
    // The right one waits too, and a wait that is over lets it in and begins anew.
    let otp = code(who.totp_secret.expose(), 0);
    let right = sign_in(house.access(), &who.email, who.password.expose(), Some(&otp)).await;
    assert!(matches!(right, Err(SignInError::Throttled { .. })), "{right:?}");
    set_failures(&house, "UPDATE sign_in_failure SET last_at = last_at - 1000").await;
    signed_in(house.access(), &who, 0).await;
    for n in 0..10 {
        let refused = sign_in(house.access(), &who.email, GOOD, None).await;
        assert!(matches!(refused, Err(SignInError::Refused)), "{n}: {refused:?}");
    }
    // Twice as long each time, up to a quarter of an hour.
    set_failures(&house, "UPDATE sign_in_failure SET failures = 99, last_at = {now}").await;
    let Err(SignInError::Throttled { retry_after }) = sign_in(house.access(), &who.email, GOOD, None).await
    else {
        panic!("a hundredth attempt")
    };
    assert!((880..=900).contains(&retry_after), "{retry_after}");
    let failures = house.both_logs("platform.login_failed").await;
    assert!(failures[0].is_empty() && failures[1].len() >= 20, "{failures:#?}");
    let told = format!("{failures:?}");
    assert!(!told.contains("nobody@vendor.example"), "an address that is nobody's may be a password: {told}");
}

/// Who is turned away because too many sign in at once has not tried: nothing is counted against them (a flood on other
/// accounts would lock them out), and the records are not written to.
#[tokio::test]
async fn s_08_turned_away_is_not_tried() {
    let house = House::on(Engine::Sqlite).await;
    let who = account(&house, "ann@vendor.example").await;
    let access = house.access();
    let strangers: Vec<String> = (0..300).map(|n| format!("nobody{n}@vendor.example")).collect();
    let flood = strangers.iter().map(|email| sign_in(access, email, GOOD, None));
    let own = (0..30).map(|_| sign_in(access, &who.email, who.password.expose(), None));
    let (flood, own) =
        tokio::join!(futures_util::future::join_all(flood), futures_util::future::join_all(own));
    let busy = |answers: &[Result<SignInAnswer, SignInError>]| {
        answers.iter().filter(|a| matches!(a, Err(SignInError::Busy))).count()
    };
    assert!(busy(&flood) > 100, "{}", busy(&flood));
    assert_eq!(busy(&own), own.len(), "the queue was full of strangers");
    let mut tx = house.db().await.read().await.unwrap();
    let sql = "SELECT count(*), sum(failures) FROM sign_in_failure";
    let row = tx.row(sql, &[]).await.unwrap().unwrap();
    let tried = i64::try_from(flood.len() - busy(&flood)).unwrap();
    assert_eq!((row.int(0).unwrap(), row.int(1).unwrap()), (tried, tried));
    drop(tx);
    signed_in(access, &who, 0).await;
}

/// How often each kind is asked; 200 for the figure of the standard.
fn samples() -> usize {
    std::env::var("DRAWBRIDGE_TEST_TIMINGS").ok().and_then(|n| n.parse().ok()).unwrap_or(40)
}

/// Two-sided p of Mann and Whitney's test, by the normal approximation.
fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    let above =
        |x: &f64| b.iter().map(|y| if x > y { 1.0 } else { f64::from(u8::from(x == y)) * 0.5 }).sum::<f64>();
    let u: f64 = a.iter().map(above).sum();
    #[expect(clippy::cast_precision_loss, reason = "some dozen samples")]
    let (n, m) = (a.len() as f64, b.len() as f64);
    let z = (u - n * m / 2.0).abs() / (n * m * (n + m + 1.0) / 12.0).sqrt();
    // The tail of the normal distribution (Abramowitz and Stegun 26.2.17).
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let poly = t
        * (0.319_381_53
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    2.0 * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * poly
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_09_unknown_wrong_and_disabled_answer_alike_and_as_fast() {
    let house = House::open().await;
    account(&house, "ann@vendor.example").await;
    let dora = account(&house, "dora@vendor.example").await;
    let admin = house.staff("admin@vendor.example").await;
    let dora_id = signed_in(house.access(), &dora, 0).await.user;
    house.disable(&admin.token, &dora_id).await.expect("disabled");
    house.staff("plain@vendor.example").await;
    let kinds = [
        ("nobody@vendor.example", GOOD),
        ("ann@vendor.example", GOOD),
        ("dora@vendor.example", dora.password.expose()),
        ("plain@vendor.example", GOOD),
    ];
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
    for _ in 0..samples() {
        for ((email, password), times) in kinds.iter().zip(&mut times) {
            forget_failures(&house).await;
            let begun = Instant::now();
            let refused = sign_in(house.access(), email, password, None).await;
            times.push(begun.elapsed().as_secs_f64());
            let Err(refused) = refused else { panic!("{email} is let in") };
            assert!(matches!(refused, SignInError::Refused), "{email}: {refused:?}");
        }
    }
    let (first, others) = times.split_first_mut().unwrap();
    let unknown = median(first);
    for ((email, _), times) in kinds.iter().skip(1).zip(others) {
        let (p, median) = (mann_whitney(first, times), median(times));
        let off = (median / unknown - 1.0).abs();
        eprintln!(
            "{email}: median {:.1} ms beside {:.1} ms of nobody, p = {p:.3}",
            median * 1e3,
            unknown * 1e3
        );
        assert!(p > 0.01 || off < 0.05, "{email}: p = {p}, medians {off:.3} apart");
    }
}
