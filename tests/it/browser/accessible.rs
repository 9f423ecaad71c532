//! Every page looked at by a script, in light and dark, wide and at 320 CSS pixels.

use super::sign_in_as;
use crate::support::{Browser, GatewayBuilder};

const SCRIPT: &str = include_str!("accessible.js");
/// The narrowest window that has to do (WCAG 1.4.10).
const NARROW: u32 = 320;
const WIDE: u32 = 1100;

/// Asserts that nothing is wrong with the page that is shown.
pub(super) async fn look_at(browser: &Browser, name: &str) {
    for (width, dark) in [(WIDE, false), (WIDE, true), (NARROW, false), (NARROW, true)] {
        browser.look(width, dark).await;
        let scheme = if dark { "dark" } else { "light" };
        let faults = browser.run(SCRIPT).await;
        browser.shoot(&format!("{name}-{width}-{scheme}")).await;
        assert_eq!(faults, serde_json::json!([]), "{name}, {width} wide, {scheme}");
    }
    browser.look(WIDE, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_signed_in_admin() {
    let gateway = GatewayBuilder::new().arg("--tls").start();
    let browser = Browser::start().await;
    browser.open(&gateway.url("/platform/login")).await;
    look_at(&browser, "login").await;
    sign_in_as(&browser, &gateway, "staff").await;
    gateway.get("/api/v1/cameras", gateway.token("staff")).await.problem(403, "PLATFORM_ACCESS_DENIED");
    for (name, path) in [
        ("me", "/platform/me"),
        ("password", "/platform/me/password"),
        ("second-factor", "/platform/me/2fa"),
        ("orgs", "/platform/orgs"),
        ("orgs-none", "/platform/orgs?q=nowhere"),
        ("org-new", "/platform/orgs/new"),
        ("admins", "/platform/admins"),
        ("admin-new", "/platform/admins/new"),
        ("audit-log", "/platform/audit-log"),
        ("audit-log-filtered", "/platform/audit-log?decision=deny&event="),
        ("audit-log-wrong", "/platform/audit-log?from=noon"),
        ("problem", "/platform/nowhere"),
        ("problem-setup-done", "/platform/setup"),
        ("signed-out", "/platform/signed-out"),
    ] {
        browser.open(&gateway.url(path)).await;
        look_at(&browser, name).await;
    }
    browser.open(&gateway.url("/platform/admins")).await;
    browser.follow("Manage Second Staff").await;
    look_at(&browser, "admin").await;
    browser.close().await;
}

/// The script finds what it is there to find.
#[tokio::test(flavor = "multi_thread")]
async fn the_script_sees_what_is_wrong() {
    let browser = Browser::start().await;
    let page = "<!doctype html><html><body><h3>a</h3><input id=x><a href=/></a><p style='color:#999;background:#fff'>grey</p>\
                <div style='width:3000px'>wide</div><button style='outline:none;height:9px'>b</button></body></html>";
    let encoded: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
    browser.open(&format!("data:text/html,{}", encoded.replace('+', "%20"))).await;
    let faults = browser.run(SCRIPT).await.to_string();
    for fault in [
        "no language",
        "no title",
        "not one h1",
        "a heading is left out",
        "not one main",
        "no skip link",
        "no label: input#x",
        "no name: <a href",
        "contrast 2.85",
        "wider than",
        "too small: button",
        "focus isn't seen on button",
    ] {
        assert!(faults.contains(fault), "{fault} is not in {faults}");
    }
    browser.close().await;
}
