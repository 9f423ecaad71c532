//! A customer's person signs in with their provider, in a browser: from the list of providers to their own page.

use super::accessible::look_at;
use crate::support::idp::{CLIENT, RealProvider, SECRET};
use crate::support::{Browser, Door, SOON};
use drawbridge::app::Sockets;
use drawbridge::config::{OidcProvider, Tls};
use fantoccini::Locator;
use serde_json::json;
use std::net::TcpListener;

/// A gateway over TLS with this provider; its URL.
async fn gateway(issuer: &str) -> (Door, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let door = Door::open_on(Sockets::Inherited { gateway: listener, admin: None }, |config| {
        let file = |name: &str, text: &str| {
            let path = config.data.dir.with_file_name(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let tls = Tls {
            cert: file("cert.pem", &made.cert.pem()),
            key: file("key.pem", &made.signing_key.serialize_pem()),
        };
        let secret = file("acme.secret", SECRET);
        config.server.tls = Some(tls);
        config.server.public_url = url.parse().unwrap();
        config.oidc.providers = vec![OidcProvider {
            id: "acme".to_owned(),
            name: "Acme".to_owned(),
            issuer: issuer.to_owned(),
            listed: true,
            client_id: CLIENT.to_owned(),
            client_secret_file: Some(secret),
            orgs: vec!["acme".to_owned()],
            admin_emails: vec!["admin@acme.example".to_owned()],
            session_ends_with_provider: false,
        }];
    })
    .await;
    (door, url)
}

/// From the list of providers to the provider's page.
async fn to_provider(browser: &Browser) {
    let link = browser.client.find(Locator::LinkText("Sign in with Acme")).await;
    link.unwrap_or_else(|e| panic!("{e}")).click().await.unwrap();
    let wait = browser.client.wait().at_most(SOON);
    wait.for_element(Locator::Css("input[name=login]")).await.expect("the provider's page");
}

/// At the provider's pages, and back.
async fn at_provider(browser: &Browser, login: &str) {
    for (field, text) in [("login", login), ("password", "any")] {
        let field = browser.client.find(Locator::Css(&format!("input[name={field}]"))).await.unwrap();
        field.send_keys(text).await.unwrap();
    }
    browser.client.find(Locator::Css("button[type=submit]")).await.unwrap().click().await.unwrap();
    let wait = browser.client.wait().at_most(SOON);
    wait.for_element(Locator::Css("input[value=consent]")).await.expect("what the client may see");
    browser.client.find(Locator::Css("button[type=submit]")).await.unwrap().click().await.unwrap();
    back(browser).await;
}

async fn back(browser: &Browser) {
    let wait = browser.client.wait().at_most(SOON);
    wait.for_element(Locator::Css("footer")).await.expect("a page of the gateway");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_sign_in_with_their_provider() {
    let mut idp = RealProvider::start();
    let (door, url) = gateway(&idp.issuer).await;
    let claims = |email: &str, name: &str| json!({ "email": email, "email_verified": true, "name": name });
    idp.serve(
        &url,
        &json!({
            "admin": claims("admin@acme.example", "First Admin"),
            "new": claims("new@acme.example", "First New"),
        }),
    );
    let browser = Browser::start().await;

    // Whoever isn't signed in is sent to the list of providers.
    browser.open(&format!("{url}/profile")).await;
    assert_eq!(browser.path().await, "/auth/login");
    look_at(&browser, "providers").await;
    to_provider(&browser).await;
    at_provider(&browser, "admin").await;
    assert_eq!(browser.path().await, "/profile", "{}", browser.source().await);
    let page = browser.text("main").await;
    for fact in ["First Admin", "admin@acme.example", "Active", "Site admin"] {
        assert!(page.contains(fact), "{fact} is not in {page}");
    }
    look_at(&browser, "profile").await;

    // Signed out here; the provider still knows who it was.
    browser.press("Sign out").await;
    assert_eq!(browser.path().await, "/auth/signed-out", "{}", browser.source().await);
    look_at(&browser, "signed-out-person").await;
    browser.open(&format!("{url}/profile")).await;
    assert_eq!(browser.path().await, "/auth/login");

    // Somebody else at the same machine, of whom nobody has heard.
    browser.client.delete_all_cookies().await.unwrap();
    to_provider(&browser).await;
    at_provider(&browser, "new").await;
    let page = browser.text("main").await;
    assert!(page.to_lowercase().contains("inactive") && page.contains("First New"), "{page}");
    look_at(&browser, "profile-inactive").await;

    // Who changes their mind at the provider is told so, and finds the way back.
    browser.press("Sign out").await;
    browser.client.delete_all_cookies().await.unwrap();
    browser.open(&format!("{url}/auth/login")).await;
    to_provider(&browser).await;
    browser.client.find(Locator::LinkText("[ Cancel ]")).await.unwrap().click().await.unwrap();
    back(&browser).await;
    assert_eq!(browser.text("dd code").await, "SIGN_IN_FAILED", "{}", browser.source().await);
    look_at(&browser, "sign-in-failed").await;
    browser.follow("Sign in").await;
    assert_eq!(browser.path().await, "/auth/login");
    browser.close().await;
    drop(door);
}
