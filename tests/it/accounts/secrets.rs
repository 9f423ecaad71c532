//! S-58: what is secret is in no log, no entry and no table, as it is.

use super::*;
use crate::support::Door;
use drawbridge::config::AccessLogTo;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use tracing::instrument::WithSubscriber as _;

/// Fails when `secret` stands in any file of a folder, as it is.
pub(super) fn not_in_files(folder: &Path, secret: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            not_in_files(&path, secret);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} stands in {}", path.display());
    }
}

/// A process log that is kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A life of an account, with everything that goes wrong on the way; all that was secret in it.
async fn a_life(house: &House) -> Vec<String> {
    let mut secrets = Vec::new();
    let access = house.access();
    let email = "nora@vendor.example";
    let (_, initial) = provisioned(house, email).await;
    let mistaken = "typed into the wrong field";
    assert!(sign_in(access, mistaken, "a wrong password of nobody", None).await.is_err());
    assert!(sign_in(access, email, "a wrong password of nora", None).await.is_err());
    secrets.extend(
        [mistaken, "a wrong password of nobody", "a wrong password of nora", GOOD].map(str::to_owned),
    );
    let session = signed_in_first(access, email, &initial).await;
    secrets.push(session.cookie.as_ref().unwrap().expose().to_owned());
    secrets.push(initial.clone());
    let who = known(access, &session).await;
    let permit = house.permit(&who, "changeOwnPassword", false).await.unwrap();
    let asked = drawbridge::access::accounts::ChangePassword {
        current: secret(&initial),
        new: secret(GOOD),
        otp: None,
    };
    let changed = access.change_own_password(permit, &who, asked, &request("password")).await.unwrap();
    let cookie = changed.cookie.unwrap();
    secrets.push(cookie.expose().to_owned());
    let who = access.authenticate_cookie(cookie.expose()).await.unwrap().known;
    let permit = house.permit(&who, "beginEnrolment", false).await.unwrap();
    let begun = access.begin_enrolment(permit, &who, Default::default(), &request("2fa")).await.unwrap();
    let seed = begun.secret.expose().to_owned();
    for otp in ["135790".to_owned(), code(&seed, 7), code(&seed, 0)] {
        let permit = house.permit(&who, "confirmEnrolment", false).await.unwrap();
        let confirmed = access.confirm_enrolment(permit, &who, secret(&otp), &request("confirm")).await;
        let Ok(confirmed) = confirmed else { continue };
        for shown in &confirmed.backup_codes {
            secrets.extend([shown.expose().to_owned(), shown.expose().replace('-', "")]);
        }
        secrets.push(confirmed.cookie.unwrap().expose().to_owned());
        let backup = confirmed.backup_codes[0].expose().to_owned();
        assert!(sign_in(access, email, GOOD, Some(&backup)).await.is_ok());
    }
    assert!(secrets.len() > 20, "{}", secrets.len());
    secrets.push(seed);
    secrets
}

#[tokio::test]
async fn s_58_no_secret_is_written_down() {
    let house = House::open().await;
    let kept = Kept::default();
    let writer = kept.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let secrets = async {
        tracing::trace!("the log is kept");
        a_life(&house).await
    }
    .with_subscriber(subscriber)
    .await;
    let log = String::from_utf8_lossy(&kept.0.lock().unwrap()).into_owned();
    assert!(log.contains("the log is kept"), "{log}");
    let mut entries = String::new();
    for event in [
        "platform.login",
        "platform.login_failed",
        "platform.password_changed",
        "platform.2fa_enabled",
        "platform.backup_code_used",
        "platform.user_created",
    ] {
        let written = house.both_logs(event).await;
        assert!(!written[1].is_empty(), "no {event}");
        entries.push_str(&format!("{written:?}"));
    }
    let data = house.folder.path().join("data");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "{secret} is in the process log");
        assert!(!entries.contains(secret.as_str()), "{secret} is in an entry");
        not_in_files(&data, secret);
    }
    // The test sees what is there.
    assert!(std::panic::catch_unwind(|| not_in_files(&data, "nora@vendor.example")).is_err());
}

/// The same of what comes over HTTP: bodies that are right, wrong and malformed, and cookies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_58_bodies_and_cookies_are_in_no_access_log_and_no_entry() {
    let logs = tempfile::tempdir().unwrap();
    let file = logs.path().join("access.log");
    let to = file.clone();
    let door = Door::open(move |config| config.log.access = AccessLogTo::File(to)).await;
    let who = door.access().seed_account(person("ann@vendor.example"), vec!["sre".to_owned()]).await.unwrap();
    let session = signed_in(door.access(), &who, -1).await;
    let cookie = session.cookie.unwrap().expose().to_owned();
    let (password, seed) = (who.password.expose(), who.totp_secret.expose());
    let post = async |path: &str, body: Value| door.by_cookie("POST", path, &cookie, Some(body)).await;
    let path = "/api/v1/platform/me/password";
    let wrong = "not the current password";
    let refused = post(path, json!({ "current": wrong, "new": OTHER, "otp": "975310" })).await;
    refused.problem(403, "STEP_UP_REQUIRED");
    let odd = post(path, json!({ "current": [wrong], "new": OTHER })).await.problem(422, "INVALID_BODY");
    assert!(!odd.to_string().contains(wrong), "{odd}");
    post(path, json!({ "current": password, "new": OTHER, "otp": "975310" }))
        .await
        .problem(403, "STEP_UP_REQUIRED");
    let otp = code(seed, 0);
    let codes = post("/api/v1/platform/me/2fa/backup-codes", json!({ "current": password, "otp": otp }))
        .await
        .expect(200);
    assert_eq!(codes.header("cache-control"), "no-store");
    let backup = codes.text("/backup_codes/0").to_owned();
    let changed = post(path, json!({ "current": password, "new": OTHER, "otp": backup })).await.expect(200);
    let renewed = changed.header("set-cookie").split(['=', ';']).nth(1).unwrap().to_owned();
    let lines = crate::support::eventually("the access log", async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        (text.matches("/me/password").count() >= 4).then_some(text)
    })
    .await;
    let entries = format!("{:?}", door.both_logs("").await);
    assert!(
        entries.contains("platform.backup_code_used") && entries.contains("STEP_UP_REQUIRED"),
        "{entries}"
    );
    for secret in
        [cookie.as_str(), &renewed, password, seed, wrong, OTHER, "975310", &backup, &backup.replace('-', "")]
    {
        assert!(!lines.contains(secret), "{secret} is in the access log");
        assert!(!entries.contains(secret), "{secret} is in an entry");
    }
}
