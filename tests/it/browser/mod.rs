//! The console in a real browser: a headless Chromium, driven over WebDriver, over TLS (so that `__Host-` cookies hold).

mod accessible;
mod dev_account;
mod from_nothing;
mod headers;
mod hostile;
mod provider;

use crate::support::{Browser, totp};

/// Signs in on the page that is open, whether the code is asked for at once or on a page of its own.
async fn sign_in(browser: &Browser, email: &str, password: &str, code: impl FnOnce() -> Option<String>) {
    browser.fill("E-mail", email).await;
    browser.fill("Password", password).await;
    browser.press("Sign in").await;
    if let Some(code) = code() {
        browser.fill("Code", &code).await;
        browser.press("Sign in").await;
    }
}

/// As the staff of `dev`, with the code that their authenticator shows now.
async fn sign_in_as(browser: &Browser, gateway: &crate::support::Gateway, who: &str) {
    let account = &gateway.told["accounts"][who];
    let text = |name: &str| account[name].as_str().unwrap_or_else(|| panic!("no {name} in {account}"));
    browser.open(&gateway.url("/platform/me")).await;
    assert_eq!(browser.path().await, "/platform/login");
    sign_in(browser, text("email"), text("password"), || Some(totp(text("totp_secret"), 0))).await;
    assert_eq!(browser.path().await, "/platform/me", "{}", browser.source().await);
}
