//! A day of somebody who has an account: sign in, look, sign out.

use super::sign_in_as;
use crate::support::{Browser, GatewayBuilder};
use fantoccini::Locator;

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_look_and_sign_out() {
    let gateway = GatewayBuilder::new().arg("--tls").start();
    let browser = Browser::start().await;
    sign_in_as(&browser, &gateway, "staff").await;
    assert_eq!(browser.heading().await, "My account");
    let facts = browser.text("main").await;
    for fact in ["staff@drawbridge.example", "First Staff", "platform-admin, sre", "Enabled"] {
        assert!(facts.contains(fact), "{fact} is not in {facts}");
    }
    let cookie = browser.client.get_named_cookie("__Host-drawbridge-platform").await.expect("the cookie");
    assert_eq!((cookie.secure(), cookie.http_only()), (Some(true), Some(true)));
    assert_eq!(cookie.path(), Some("/"));

    browser.follow("Orgs").await;
    browser.fill("Name, slug or owner", "acme").await;
    browser.press("Search").await;
    let orgs = browser.text("table").await;
    assert!(orgs.contains("Acme Corporation") && !orgs.contains("Globex"), "{orgs}");

    browser.follow("Audit log").await;
    let events = browser.client.find_all(Locator::Css(".entry h2")).await.unwrap();
    let mut names = Vec::new();
    for event in events {
        names.push(event.text().await.unwrap());
    }
    assert!(names.contains(&"platform.login".to_owned()), "{names:?}");
    assert!(names.contains(&"platform.orgs_read".to_owned()), "{names:?}");

    browser.press("Sign out").await;
    assert_eq!(browser.heading().await, "You are signed out");
    assert!(browser.client.get_all_cookies().await.unwrap().is_empty());
    // Not in the browser alone: the value itself is over.
    let value = format!("__Host-drawbridge-platform={}", cookie.value());
    let old =
        gateway.client.get(gateway.url("/api/v1/platform/me")).header("cookie", value).send().await.unwrap();
    assert_eq!(old.status(), 401);
    browser.open(&gateway.url("/platform/me")).await;
    assert_eq!(browser.path().await, "/platform/login");
    browser.close().await;
}

/// An org by its form; an account by its form, and everything that is done to it.
#[tokio::test(flavor = "multi_thread")]
async fn an_admin_manages_accounts_and_orgs() {
    let gateway = GatewayBuilder::new().arg("--tls").start();
    let browser = Browser::start().await;
    sign_in_as(&browser, &gateway, "staff").await;

    browser.follow("Orgs").await;
    browser.follow("Register an org").await;
    for (label, text) in [
        ("Name", "Initech"),
        ("Slug", "acme"),
        ("Plan", "business"),
        ("Owner's e-mail", "owner@initech.example"),
    ] {
        browser.fill(label, text).await;
    }
    browser.press("Register").await;
    assert!(browser.text(".note.error").await.contains("already"), "{}", browser.source().await);
    browser.fill("Slug", "initech").await;
    browser.press("Register").await;
    assert!(browser.text("table").await.contains("Initech"));

    browser.follow("Accounts").await;
    browser.follow("New account").await;
    browser.fill("E-mail", "grace@vendor").await;
    browser.fill("Name", "Grace <b>Hopper</b>").await;
    browser.fill("Reason", "joins the night shift").await;
    browser.press("Create account").await;
    let (email, password) = (browser.text("#email").await, browser.text("#password").await);
    assert_eq!((email.as_str(), password.chars().count()), ("grace@vendor", 16));
    browser.follow("Back to the accounts").await;
    assert!(!browser.source().await.contains(&password), "it is shown once");
    browser.follow("Manage Grace <b>Hopper</b>").await;

    // Within the section of that heading.
    let reason = async |id: &str, text: &str| {
        let field = browser.client.find(Locator::Id(id)).await.unwrap();
        field.send_keys(text).await.unwrap();
    };
    reason("reissue-reason", "lost the first one").await;
    browser.press("Issue initial password").await;
    assert_ne!(browser.text("#password").await, password);
    browser.follow("Back to the accounts").await;
    browser.follow("Manage Grace <b>Hopper</b>").await;
    reason("reset-reason", "phone is gone").await;
    browser.press("Reset second factor").await;
    assert!(browser.text(".note.good").await.contains("reset"));
    reason("reason", "left us ticket=HR-9").await;
    browser.fill("Approved by", "nobody@vendor").await;
    browser.press("Disable account").await;
    assert!(browser.text("#approved_by-error").await.contains("names no other active platform admin"));
    browser.fill("Approved by", "").await;
    browser.press("Disable account").await;
    assert!(browser.text(".note.good").await.contains("disabled"), "{}", browser.source().await);
    assert!(browser.text("main").await.contains("Disabled since"));
    reason("enable-reason", "came back").await;
    browser.press("Enable account").await;
    assert!(browser.text("main").await.contains("Active"));

    let events = gateway.platform_log("").await;
    let of_grace: Vec<_> = events
        .iter()
        .filter(|e| e["details"]["target_email"] == "grace@vendor" || e["email"] == "grace@vendor")
        .filter_map(|e| e["event"].as_str())
        .collect();
    for event in ["platform.2fa_reset", "platform.user_disabled"] {
        assert!(
            events.iter().any(|e| e["event"] == event && e["decision"] == "permit"),
            "{event}: {of_grace:?}"
        );
    }
    browser.close().await;
}

/// One's own password and codes, with the password and a code each time.
#[tokio::test(flavor = "multi_thread")]
async fn own_credentials_need_proof() {
    let gateway = GatewayBuilder::new().arg("--tls").start();
    let browser = Browser::start().await;
    sign_in_as(&browser, &gateway, "staff").await;
    let account = gateway.told["accounts"]["staff"].clone();
    let (password, secret) =
        (account["password"].as_str().unwrap(), account["totp_secret"].as_str().unwrap());
    browser.follow("Second factor").await;
    let fill = async |id: &str, text: &str| {
        let field = browser.client.find(Locator::Id(id)).await.unwrap();
        field.send_keys(text).await.unwrap();
    };
    fill("codes-current", "not my password").await;
    fill("codes-otp", "000000").await;
    browser.press("Make new codes").await;
    assert!(browser.text(".note.error").await.contains("password or the code is wrong"));
    fill("codes-current", password).await;
    fill("codes-otp", &crate::support::totp(secret, 1)).await;
    browser.press("Make new codes").await;
    assert_eq!(browser.heading().await, "Your backup codes", "{}", browser.source().await);
    let codes = browser.client.find_all(Locator::Css(".codes code")).await.unwrap();
    assert_eq!(codes.len(), 8);
    let code = codes[0].text().await.unwrap();
    super::accessible::look_at(&browser, "backup-codes").await;
    browser.follow("I have kept them").await;

    browser.follow("Change password").await;
    browser.fill("Present password", password).await;
    browser.fill("New password", "drawbridge staff one").await;
    browser.fill("New password again", "something else entirely").await;
    browser.fill("Code of your authenticator", &code).await;
    browser.press("Change password").await;
    assert!(browser.text("#again-error").await.contains("not the new password"));
    let old = browser.client.get_named_cookie("__Host-drawbridge-platform").await.unwrap();
    for (label, text) in [
        ("Present password", password),
        ("New password", "ein Kamel im Regenmantel"),
        ("New password again", "ein Kamel im Regenmantel"),
        ("Code of your authenticator", &code),
    ] {
        browser.fill(label, text).await;
    }
    browser.press("Change password").await;
    assert_eq!(browser.path().await, "/platform/me", "{}", browser.source().await);
    // S-17: the session goes on under another value.
    let new = browser.client.get_named_cookie("__Host-drawbridge-platform").await.unwrap();
    assert_ne!(old.value(), new.value());
    assert!(browser.text("main").await.contains("7 of 8"));
    browser.close().await;
}
