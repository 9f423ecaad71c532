//! From an empty data folder to a minted impersonation, by what the pages and the runbook say and nothing else.

use super::accessible::look_at;
use super::sign_in;
use crate::support::{Answer, Browser, Held, SOON, Served, eventually, token_by_chain, totp};
use fantoccini::Locator;
use serde_json::{Value, json};
use std::path::Path;

const PASSWORD: &str = "ein Kamel im Regenmantel";
/// A configured gateway that nobody has set up, over TLS.
struct Empty {
    folder: tempfile::TempDir,
    held: Held,
    served: Served,
    client: reqwest::Client,
}

impl Empty {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let delivered = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (root, here) = (delivered.display(), folder.path().display());
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut held = Held::new();
        let (gateway, admin) = (held.gateway(), held.admin());
        let text = format!(
            "[server]\nlisten = \"{gateway}\"\nadmin_listen = \"{admin}\"\npublic_url = \"https://{gateway}\"\n\
             [server.tls]\ncert = \"{here}/cert.pem\"\nkey = \"{here}/key.pem\"\n\
             [upstream]\nurl = \"http://127.0.0.1:9\"\n[data]\ndir = \"{here}/data\"\n\
             [policy]\npolicies = \"{root}/policies\"\nschemas = \"{root}/schemas\"\n\
             [oauth2.clients.drawbridge-cli]\nredirect_uris = [\"http://127.0.0.1/callback\"]\n"
        );
        let config = folder.path().join("drawbridge.toml");
        std::fs::write(&config, text).unwrap();
        let mut served = held.serve(&config);
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .danger_accept_invalid_certs(true)
            .timeout(SOON)
            .build()
            .unwrap();
        served.ready(&held, &client).await;
        Self { folder, held, served, client }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.held.gateway())
    }

    async fn call(&self, method: &str, path: &str, token: &str, body: Value) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, self.url(path));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        Answer::of(request.send().await.unwrap_or_else(|e| panic!("{path}: {e:?}"))).await
    }

    /// What the gateway printed at its start.
    async fn setup_secret(&self) -> String {
        eventually("the setup secret is printed", async || {
            let log = self.served.log();
            let at = log.find("dbsetup_")?;
            Some(log[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_folder_to_an_impersonation() {
    let gateway = Empty::start().await;
    let browser = Browser::start().await;

    // Nothing is served but the setup.
    browser.open(&gateway.url("/platform/me")).await;
    look_at(&browser, "setup-required").await;
    assert_eq!(browser.text("dd code").await, "SETUP_REQUIRED");
    gateway.call("GET", "/api/v1/cameras", "", Value::Null).await.problem(503, "SETUP_REQUIRED");
    browser.follow("Set up this installation").await;
    look_at(&browser, "setup").await;

    // A wrong secret is told at its field.
    browser.fill("Setup secret", "dbsetup_wrong").await;
    browser.fill("Your e-mail", "First@Vendor.example").await;
    browser.press("Create the first account").await;
    assert!(browser.text("#secret-error").await.contains("not the setup secret"));
    browser.fill("Setup secret", &gateway.setup_secret().await).await;
    browser.press("Create the first account").await;
    let (email, initial) = (browser.text("#email").await, browser.text("#password").await);
    assert_eq!(initial.chars().count(), 16, "{initial}");
    look_at(&browser, "initial-password").await;

    // The first sign-in, the forced change: nothing else is reached.
    browser.follow("Sign in").await;
    sign_in(&browser, &email, &initial, || None).await;
    assert_eq!(browser.path().await, "/platform/me/password", "{}", browser.source().await);
    browser.open(&gateway.url("/platform/audit-log")).await;
    assert_eq!(browser.path().await, "/platform/me/password");
    assert!(!browser.has("nav").await, "nothing to go to yet");
    look_at(&browser, "forced-change").await;
    for (new, why) in
        [("too short", "12 characters"), ("password1234", "common"), (initial.as_str(), "initial")]
    {
        for (label, text) in
            [("Initial password", initial.as_str()), ("New password", new), ("New password again", new)]
        {
            browser.fill(label, text).await;
        }
        browser.press("Change password").await;
        assert!(browser.has("#new-error").await, "{new} is accepted ({why})");
    }
    look_at(&browser, "forced-change-refused").await;
    for (label, text) in
        [("Initial password", initial.as_str()), ("New password", PASSWORD), ("New password again", PASSWORD)]
    {
        browser.fill(label, text).await;
    }
    browser.press("Change password").await;

    // The second factor, from the secret on the page.
    assert_eq!(browser.path().await, "/platform/me/2fa", "{}", browser.source().await);
    browser.open(&gateway.url("/platform/me")).await;
    assert_eq!(browser.path().await, "/platform/me/2fa");
    look_at(&browser, "enrolment-begin").await;
    browser.press("Begin").await;
    // The page groups it, for who types it in.
    let secret = browser.text("#secret").await.replace(' ', "");
    let modules = browser.run("return document.querySelectorAll('.qr svg path, .qr svg rect').length").await;
    assert!(modules.as_u64().is_some_and(|n| n > 0), "no QR code");
    look_at(&browser, "enrolment").await;
    browser.fill("Code that the app shows now", "000000").await;
    browser.press("Confirm").await;
    assert!(browser.has("#otp-error").await, "{}", browser.source().await);
    look_at(&browser, "enrolment-refused").await;
    browser.fill("Code that the app shows now", &totp(&secret, 0)).await;
    browser.press("Confirm").await;
    assert_eq!(browser.heading().await, "Your backup codes", "{}", browser.source().await);
    let codes = browser.client.find_all(Locator::Css(".codes code")).await.unwrap();
    assert_eq!(codes.len(), 8);
    let backup = codes[0].text().await.unwrap();
    look_at(&browser, "backup-codes").await;
    browser.follow("I have kept them").await;
    let facts = browser.text("main").await;
    for fact in ["first@vendor.example", "platform-admin", "Enabled", "8 of 8"] {
        assert!(facts.contains(fact), "{fact} is not in {facts}");
    }

    // An org, and with a token of the chain an impersonation there.
    browser.follow("Orgs").await;
    browser.follow("Register an org").await;
    for (label, text) in
        [("Name", "Acme"), ("Slug", "acme"), ("Plan", "business"), ("Owner's e-mail", "owner@acme.example")]
    {
        browser.fill(label, text).await;
    }
    browser.press("Register").await;
    let org = browser.text("td code").await;
    let token = token_by_chain(&gateway.client, &gateway.url(""), &email, PASSWORD, Some(&backup)).await;
    let path = format!("/api/v1/platform/orgs/{org}/impersonate");
    let minted =
        gateway.call("POST", &path, &token, json!({ "reason": "cameras offline since 03:00" })).await;
    assert_eq!(minted.expect(201).json["role"], "admin");

    // What it was, in order.
    let log =
        gateway.call("GET", "/api/v1/platform/audit-log?limit=100", &token, Value::Null).await.expect(200);
    let events: Vec<&str> = log.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .filter(|e| e["decision"] != "deny")
        .filter_map(|e| e["event"].as_str())
        .filter(|e| e.starts_with("platform.") && *e != "platform.orgs_read")
        .collect();
    let expected = [
        "platform.setup_done",
        "platform.user_created",
        "platform.login",
        "platform.password_changed",
        "platform.2fa_enabled",
        "platform.org_created",
        "platform.backup_code_used",
        "platform.login",
        "platform.impersonation_started",
    ];
    assert_eq!(events, expected, "{:#?}", log.json["items"]);

    // The gate is shut for good.
    browser.open(&gateway.url("/platform/setup")).await;
    assert_eq!(browser.text("dd code").await, "SETUP_DONE");
    browser.close().await;
    drop(gateway.folder);
}
