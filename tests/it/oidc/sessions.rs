//! The session that a sign-in begins: how long it lives, where its cookie counts, and what ends it.

use super::{OURS, SESSION, Visitor, door, entries, provider};
use crate::support::idp::Forger;
use crate::support::{Answer, Door, eventually};
use drawbridge::access::NewPerson;
use drawbridge::config::OidcProvider;
use drawbridge::domain::OrgRole;
use std::time::Duration;

/// Active at once.
const ADMIN: &str = "admin@acme.example";
const WEEK: i64 = 7 * 24 * 3_600;

/// For how many seconds the browser keeps the session's cookie.
fn max_age(answer: &Answer) -> i64 {
    let sets = answer.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
    let set = sets.into_iter().find(|set| set.starts_with(SESSION)).unwrap_or_else(|| panic!("{answer}"));
    let age = set.split("; ").find_map(|part| part.strip_prefix("Max-Age="));
    age.unwrap_or_else(|| panic!("no Max-Age in {set}")).parse().expect("a number")
}

/// Somebody of Acme has signed in.
async fn member<'d>(door: &'d Door, forger: &Forger, email: &str, role: OrgRole) -> Visitor<'d> {
    let person = NewPerson { email: email.to_owned(), display_name: email.to_owned() };
    door.access().provision_org_user(person, door.org.clone(), role).await.expect("a person");
    let mut visitor = Visitor::at(door);
    visitor.sign_in(forger, |t| t.person(email, email)).await.expect(303);
    visitor
}

#[tokio::test]
async fn a_session_lives_a_week_or_as_long_as_the_providers_token() {
    let forger = Forger::start().await;
    let week = door(&forger).await;
    // However long the provider's token lives.
    for exp in [60, 3_600, 2 * WEEK] {
        let answer = Visitor::at(&week).sign_in(&forger, |t| t.at("exp", exp)).await.expect(303);
        assert!((WEEK - 10..=WEEK).contains(&max_age(&answer)), "{exp}: {answer}");
    }
    let capped = Door::open(|config| {
        let known = provider(config, "acme", &forger.issuer);
        config.oidc.providers = vec![OidcProvider { session_ends_with_provider: true, ..known }];
    })
    .await;
    for (exp, most) in [(600, 600), (3_600, 3_600), (2 * WEEK, WEEK)] {
        let answer = Visitor::at(&capped).sign_in(&forger, |t| t.at("exp", exp)).await.expect(303);
        assert!((most - 10..=most).contains(&max_age(&answer)), "{exp}: {answer}");
    }
    // The gateway ends it, whatever the browser keeps.
    let mut visitor = Visitor::at(&capped);
    let answer = visitor.sign_in(&forger, |t| t.at("exp", 3).person("admin", ADMIN)).await.expect(303);
    assert!((0..=3).contains(&max_age(&answer)), "{answer}");
    let ended = eventually("the session ends", async || {
        let mut visitor = Visitor { cookies: visitor.cookies.clone(), ..Visitor::at(&capped) };
        let answer = visitor.me().await;
        // Using it doesn't make it longer.
        (answer.status != 200).then_some(answer)
    });
    let ended = ended.await.expect(401);
    assert!(["TOKEN_EXPIRED", "SESSION_ENDED"].contains(&ended.text("/code")), "{ended}");
}

#[tokio::test]
async fn a_session_lives_as_long_as_is_configured() {
    let forger = Forger::start().await;
    let door = Door::open(|config| {
        config.oidc.providers = vec![provider(config, "acme", &forger.issuer)];
        config.oidc.session = Duration::from_secs(2);
    })
    .await;
    let mut visitor = Visitor::at(&door);
    let answer = visitor.sign_in(&forger, |t| t.person("admin", ADMIN)).await.expect(303);
    assert!((0..=2).contains(&max_age(&answer)), "{answer}");
    let ended = async || {
        let mut visitor = Visitor { cookies: visitor.cookies.clone(), ..Visitor::at(&door) };
        (visitor.me().await.status == 401).then_some(())
    };
    eventually("the session ends", ended).await;
}

#[tokio::test]
async fn the_cookie_opens_the_customers_api_from_our_own_pages() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let mut owner = member(&door, &forger, "owner@acme.example", OrgRole::Owner).await;
    let mut viewer = member(&door, &forger, "viewer@acme.example", OrgRole::Viewer).await;
    owner.get("/api/v1/cameras").await.expect(200);
    viewer.get("/api/v1/cameras").await.expect(200);
    let create = "/api/v1/cameras";
    let ours = [("origin", "http://gateway.test"), ("sec-fetch-site", "same-origin")];
    let made = owner.send("POST", create, &ours).await;
    assert!(!matches!(made.status, 401 | 403), "{made}");
    let refused = viewer.send("POST", create, &ours).await;
    assert!(refused.status == 403 && refused.json["code"] != "ORIGIN_NOT_ALLOWED", "{refused}");
    for foreign in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://gateway.test.evil.example")],
        &[("origin", "https://gateway.test")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "http://gateway.test")],
    ] {
        for (method, path) in [("POST", create), ("DELETE", "/api/v1/cameras/1"), ("POST", "/auth/logout")] {
            let answer = owner.send(method, path, foreign).await;
            assert_eq!(
                (answer.status, answer.json["code"].as_str()),
                (403, Some("ORIGIN_NOT_ALLOWED")),
                "{method} {path} {foreign:?}: {answer}"
            );
        }
    }
    owner.me().await.expect(200);
}

#[tokio::test]
async fn the_cookies_value_is_no_credential_elsewhere() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let owner = member(&door, &forger, "owner@acme.example", OrgRole::Owner).await;
    let value = owner.cookies[SESSION].clone();
    let mut bare = Visitor::at(&door);
    let bearer = format!("Bearer {value}");
    bare.send("GET", "/api/v1/me", &[("authorization", &bearer)]).await.problem(401, "INVALID_TOKEN");
    bare.send("GET", "/api/v1/me", &[("drawbridge-token", &value)]).await.expect(401);
    bare.get(&format!("/api/v1/me?access_token={value}")).await.expect(401);
    // Nor is it a session of the vendor's staff.
    for name in ["drawbridge-platform", SESSION] {
        bare.cookies = [(name.to_owned(), value.clone())].into();
        for path in ["/api/v1/platform/me", "/api/v1/platform/orgs", "/platform/me"] {
            let answer = bare.get(path).await;
            assert!(matches!(answer.status, 302 | 401 | 403), "{name} {path}: {answer}");
        }
    }
    // Nor is a sign-in that is under way one.
    let mut begun = Visitor::at(&door);
    begun.begin("acme").await;
    let sealed = begun.cookies[super::SIGN_IN].clone();
    begun.cookies.insert(SESSION.to_owned(), sealed);
    begun.me().await.expect(401);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let mut owner = member(&door, &forger, "owner@acme.example", OrgRole::Owner).await;
    let mut elsewhere = Visitor::at(&door);
    elsewhere.sign_in(&forger, |t| t.person("owner@acme.example", "owner@acme.example")).await.expect(303);
    let kept = owner.cookies.clone();
    let answer = owner.send("POST", "/auth/logout", &OURS).await.expect(303);
    assert_eq!(answer.header("location"), "/auth/signed-out");
    assert!(!owner.cookies.contains_key(SESSION), "{answer}");
    owner.get("/auth/signed-out").await.expect(200);
    let mut thief = Visitor { cookies: kept, ..Visitor::at(&door) };
    thief.me().await.expect(401);
    // A cookie that counts no more keeps nobody from signing in.
    thief.get("/auth/login").await.expect(200);
    thief.sign_in(&forger, |t| t.person("owner@acme.example", "owner@acme.example")).await.expect(303);
    thief.me().await.expect(200);
    elsewhere.me().await.expect(200);
    let entry = entries(&door, "org.logout", 1).await.remove(0);
    assert!(entry["actor"].is_string(), "{entry}");
    // Whoever isn't signed in isn't either afterwards.
    let nobody = Visitor::at(&door).send("POST", "/auth/logout", &OURS).await;
    assert!(matches!(nobody.status, 303 | 401), "{nobody}");
}

/// A sign-in is a new session, whatever cookie the browser came with (S-17).
#[tokio::test]
async fn s_17_a_session_that_was_planted_is_not_taken_over() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let mut visitor = Visitor::at(&door);
    let planted = format!("dbs_{}", "a".repeat(43));
    visitor.cookies.insert(SESSION.to_owned(), planted.clone());
    visitor.sign_in(&forger, |t| t.person("admin", ADMIN)).await.expect(303);
    assert_ne!(visitor.cookies[SESSION], planted);
    let first = visitor.cookies[SESSION].clone();
    visitor.sign_in(&forger, |t| t.person("admin", ADMIN)).await.expect(303);
    assert_ne!(visitor.cookies[SESSION], first);
}

/// An account that waits for its activation is no prison: its browser reaches everything that a stranger's does.
#[tokio::test]
async fn who_is_inactive_reaches_the_sign_in() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let mut visitor = Visitor::at(&door);
    visitor.sign_in(&forger, |token| token).await.expect(303);
    let page = visitor.get("/profile").await.expect(200);
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let sheet =
        page.split_once("rel=\"stylesheet\" href=\"").expect("a style sheet").1.split('"').next().unwrap();
    visitor.get(sheet).await.expect(200);
    visitor.get("/auth/login").await.expect(200);
    visitor.get("/auth/signed-out").await.expect(200);
    visitor.sign_in(&forger, |t| t.person("admin", ADMIN)).await.expect(303);
    visitor.me().await.expect(200);
}

/// A provider that isn't listed is found by its short name, and named to nobody else.
#[tokio::test]
async fn a_provider_may_be_unlisted() {
    let forger = Forger::start().await;
    let door = Door::open(|config| {
        let known = provider(config, "acme", &forger.issuer);
        config.oidc.providers = vec![OidcProvider { listed: false, ..known }];
    })
    .await;
    let mut visitor = Visitor::at(&door);
    let page = visitor.get("/auth/login?return_to=/app").await.expect(200);
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(!text.contains("acme") && text.contains("name=\"provider\""), "{text}");
    assert!(text.contains("name=\"return_to\" value=\"/app\""), "{text}");
    let found = visitor.get("/auth/login?return_to=/app&provider=%20Acme").await.expect(303);
    assert_eq!(found.header("location"), "/auth/oidc/start/acme?return_to=%2Fapp");
    let unknown = visitor.get("/auth/login?provider=%3Cb%3Eacne").await.expect(404);
    let text = String::from_utf8_lossy(&unknown.body).into_owned();
    assert!(text.contains("acne") && !text.contains("<b>"), "{text}");
}
