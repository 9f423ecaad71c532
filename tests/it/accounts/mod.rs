//! Accounts of the vendor's staff, by the numbers of facts/security.md: S-01 to S-17, S-58, and the setup gate.
//! (S-10, and what needs no records of S-01 to S-14, stands beside the code in `src/identity`.)

mod passwords;
mod races;
mod second_factor;
mod secrets;
mod sessions;
mod setup;

use crate::support::{House, request};
use drawbridge::access::accounts::{SeededAccount, SignIn, SignInAnswer, SignInError, SignedIn};
use drawbridge::access::{Access, Known, NewPerson};
use drawbridge::domain::{Clock as _, Secret, SystemClock};
use std::sync::Arc;

/// A password that nothing is wrong with.
const GOOD: &str = "seven blue lamps hum at night";
/// Another.
const OTHER: &str = "the heron waits for no ferry";

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn person(email: &str) -> NewPerson {
    NewPerson { email: email.to_owned(), display_name: "Somebody Else".to_owned() }
}

/// The code of an authenticator app that nobody here wrote, some steps from now.
pub(crate) fn code(totp_secret: &str, steps: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(totp_secret).expect("base32");
    let app = totp_rs::Builder::new().with_secret(secret).build().expect("a secret of 160 bits");
    let now = u64::try_from(SystemClock.now() / 1000).expect("after 1970");
    app.generate(now.checked_add_signed(steps * 30).expect("a time")).to_string()
}

/// An account that is fully set up.
async fn account(house: &House, email: &str) -> SeededAccount {
    house.access().seed_account(person(email), vec!["platform-admin".to_owned()]).await.expect("an account")
}

fn typed(email: &str, password: &str, otp: Option<&str>) -> SignIn {
    SignIn {
        email: email.to_owned(),
        password: secret(password),
        otp: otp.map(secret),
        client_id: "test".to_owned(),
        cookie: true,
        request: request("sign-in"),
    }
}

async fn sign_in(
    access: &Arc<Access>,
    email: &str,
    password: &str,
    otp: Option<&str>,
) -> Result<SignInAnswer, SignInError> {
    access.sign_in(typed(email, password, otp)).await
}

/// A browser's session of a seeded account, by a code that many steps from now.
async fn signed_in(access: &Arc<Access>, who: &SeededAccount, steps: i64) -> SignedIn {
    // A code of the step before is two steps old when a step passes by meanwhile.
    for last in [false, true] {
        let otp = code(who.totp_secret.expose(), steps);
        match sign_in(access, &who.email, who.password.expose(), Some(&otp)).await {
            Ok(SignInAnswer::SignedIn(signed_in)) => return signed_in,
            Err(SignInError::OtpRefused) if steps < 0 && !last => {}
            other => panic!("{other:?}"),
        }
    }
    unreachable!("the last try returns or fails")
}

/// Without a second factor: of an account that is new.
async fn signed_in_first(access: &Arc<Access>, email: &str, password: &str) -> SignedIn {
    match sign_in(access, email, password, None).await {
        Ok(SignInAnswer::SignedIn(signed_in)) => signed_in,
        other => panic!("{other:?}"),
    }
}

/// Whose session a cookie is.
async fn known(access: &Access, signed_in: &SignedIn) -> Arc<Known> {
    let value = signed_in.cookie.as_ref().expect("a cookie");
    access.authenticate_cookie(value.expose()).await.expect("one of ours").known
}

/// Forgets all failures, as a day would.
async fn forget_failures(house: &House) {
    let mut tx = house.db().await.write().await.expect("a transaction");
    tx.execute("DELETE FROM sign_in_failure", &[]).await.expect("nothing left");
    tx.commit().await.expect("a commit");
}

/// A platform admin with a token, and an account that they made: its e-mail and initial password.
async fn provisioned(house: &House, email: &str) -> (crate::support::Staff, String) {
    let admin = house.staff("admin@vendor.example").await;
    let who = house.known(&admin.token).await;
    let permit = house.permit(&who, "createPlatformUser", false).await.expect("may create");
    let new = drawbridge::access::accounts::NewAccount {
        email: email.to_owned(),
        display_name: "Nora New".to_owned(),
        role: Some("sre".to_owned()),
        reason: drawbridge::access::Reason::new(Some("joins the team")),
    };
    let made = house.access().create_platform_user(permit, &who, new, &request("create")).await;
    (admin, made.expect("an account").initial.password.expose().to_owned())
}
