//! Site admins administer the people of their provider: deactivated, somebody is out with their very next request.

use super::{OURS, Visitor, door, entries, provider};
use crate::records_restored::door_with;
use crate::support::idp::Forger;
use crate::support::{Answer, Door, eventually, postgres};
use drawbridge::access::NewPerson;
use drawbridge::config::OidcProvider;
use drawbridge::domain::OrgRole;
use serde_json::json;

const ADMIN: &str = "admin@acme.example";
const VIEWER: &str = "viewer@acme.example";

/// Somebody signs in with a provider.
async fn signed_in<'d>(door: &'d Door, id: &str, forger: &Forger, email: &str) -> Visitor<'d> {
    let mut visitor = Visitor::at(door);
    let begun = visitor.begin(id).await;
    let token = forger.right(begun.nonce()).person(email, email);
    visitor.back_with(&begun, forger, token).await.expect(303);
    visitor
}

async fn set(admin: &mut Visitor<'_>, person: &str, active: bool) -> Answer {
    let body = json!({ "active": active });
    admin.send_body("PATCH", &format!("/api/v1/users/{person}"), &OURS, Some(body)).await
}

#[tokio::test]
async fn who_is_deactivated_is_out_with_the_next_request() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let person = NewPerson { email: VIEWER.to_owned(), display_name: VIEWER.to_owned() };
    door.access().provision_org_user(person, door.org.clone(), OrgRole::Viewer).await.expect("a person");
    let mut admin = signed_in(&door, "acme", &forger, ADMIN).await;
    let mut one = signed_in(&door, "acme", &forger, VIEWER).await;
    let mut two = signed_in(&door, "acme", &forger, VIEWER).await;
    let token = door.access().issue_org_token(VIEWER, 3_600_000).await.expect("a token");
    let token = token.token.expose().to_owned();
    for visitor in [&mut one, &mut two] {
        visitor.get("/api/v1/cameras").await.expect(200);
    }
    door.get("/api/v1/cameras", &token).await.expect(200);
    let id = one.me().await.text("/id").to_owned();

    set(&mut admin, &id, false).await.expect(200);
    for visitor in [&mut one, &mut two] {
        let answer = visitor.get("/api/v1/cameras").await;
        assert!(matches!(answer.status, 401 | 403), "{answer}");
    }
    let answer = door.get("/api/v1/cameras", &token).await;
    assert!(matches!(answer.status, 401 | 403), "{answer}");
    // Signing in again changes nothing of it.
    let mut again = signed_in(&door, "acme", &forger, VIEWER).await;
    again.get("/api/v1/cameras").await.problem(403, "ACCOUNT_INACTIVE");
    // Activated, they are in again; what was ended stays so.
    set(&mut admin, &id, true).await.expect(200);
    again.get("/api/v1/cameras").await.expect(200);
    for visitor in [&mut one, &mut two] {
        visitor.get("/api/v1/cameras").await.expect(401);
    }
    door.get("/api/v1/cameras", &token).await.expect(401);
    let changed = entries(&door, "org.user_changed", 2).await;
    assert_eq!(
        (&changed[0]["details"]["active"], &changed[1]["details"]["active"]),
        (&json!(true), &json!(false))
    );
}

#[tokio::test]
async fn a_site_admin_administers_the_people_of_the_own_provider() {
    let (a, b) = (Forger::start().await, Forger::start().await);
    let door = Door::open(|config| {
        let named = [("a", &a.issuer), ("b", &b.issuer)];
        config.oidc.providers = named.map(|(id, issuer)| provider(config, id, issuer)).into();
    })
    .await;
    let mut admin = signed_in(&door, "a", &a, ADMIN).await;
    let mut new = signed_in(&door, "a", &a, "new@acme.example").await;
    let mut other = signed_in(&door, "b", &b, ADMIN).await;
    new.get("/api/v1/users").await.problem(403, "ACCOUNT_INACTIVE");
    let mine = admin.get("/api/v1/users").await.expect(200);
    let theirs = other.get("/api/v1/users").await.expect(200);
    let ids = |list: &Answer| -> Vec<String> {
        let items = list.json["items"].as_array().expect("items").iter();
        items.map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!((ids(&mine).len(), ids(&theirs).len()), (2, 1), "{mine} {theirs}");
    let new_id = ids(&mine).remove(0);
    // Another provider's person isn't there; one's own account and those of bots aren't for this.
    set(&mut other, &new_id, true).await.expect(404);
    set(&mut admin, &ids(&theirs)[0], false).await.expect(404);
    set(&mut admin, "usr_00000000000000000000000000000000", true).await.expect(404);
    let own = ids(&mine)[1].clone();
    let answer = set(&mut admin, &own, false).await;
    assert!((400..500).contains(&answer.status), "{answer}");
    new.get("/api/v1/cameras").await.problem(403, "ACCOUNT_INACTIVE");
    set(&mut admin, &new_id, true).await.expect(200);
    new.me().await.expect(200);
    // Active isn't an admin.
    new.get("/api/v1/users").await.expect(403);
    set(&mut new, &own, false).await.expect(403);
    admin.me().await.expect(200);
}

/// Whom an operator has added becomes a site admin at the first sign-in like anybody; and one makes another.
#[tokio::test]
async fn a_site_admin_makes_another_and_takes_it_back() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let person = NewPerson { email: ADMIN.to_owned(), display_name: ADMIN.to_owned() };
    door.access().provision_org_user(person, door.org.clone(), OrgRole::Owner).await.expect("a person");
    let mut admin = signed_in(&door, "acme", &forger, ADMIN).await;
    assert_eq!(admin.me().await.expect(200).json["site_admin"], true);
    let mut other = signed_in(&door, "acme", &forger, "new@acme.example").await;
    let listed = admin.get("/api/v1/users").await.expect(200);
    let path = format!("/api/v1/users/{}", listed.text("/items/0/id"));
    let mut change = async |body| admin.send_body("PATCH", &path, &OURS, Some(body)).await;
    change(json!({})).await.problem(422, "INVALID_BODY");
    change(json!({ "active": true, "site_admin": true })).await.expect(200);
    other.get("/api/v1/users").await.expect(200);
    change(json!({ "site_admin": false })).await.expect(200);
    other.get("/api/v1/users").await.expect(403);
    other.me().await.expect(200);
}

/// Of two who deactivate each other at once, one is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn site_admins_who_deactivate_each_other_leave_one() {
    let server = postgres::shared();
    let database = server.database();
    let forger = Forger::start().await;
    let door = door_with(server, &database, |config| {
        let mut known = provider(config, "acme", &forger.issuer);
        known.admin_emails.push("second@acme.example".to_owned());
        config.oidc.providers = vec![known];
    })
    .await;
    let mut one = signed_in(&door, "acme", &forger, ADMIN).await;
    let mut two = signed_in(&door, "acme", &forger, "second@acme.example").await;
    let [first, second] = [one.me().await, two.me().await].map(|me| me.expect(200).text("/id").to_owned());
    let (a, b) = tokio::join!(set(&mut one, &second, false), set(&mut two, &first, false));
    let done = [&a, &b].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1, "{a} {b}");
}

/// What the configuration takes from a provider is closed to its people, on gateways that run already too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_that_is_taken_from_a_provider_is_closed_to_its_people() {
    let server = postgres::shared();
    let database = server.database();
    let forger = Forger::start().await;
    let folder = tempfile::tempdir().unwrap();
    let bound = async |orgs: &[&str]| {
        door_with(server, &database, |config| {
            config.data.master_key_file = folder.path().join("master.key");
            let orgs = orgs.iter().map(|org| (*org).to_owned()).collect();
            let known = provider(config, "acme", &forger.issuer);
            config.oidc.providers = vec![OidcProvider { orgs, ..known }];
        })
        .await
    };
    let door = bound(&["acme"]).await;
    let person = NewPerson { email: VIEWER.to_owned(), display_name: VIEWER.to_owned() };
    door.access().provision_org_user(person, door.org.clone(), OrgRole::Viewer).await.expect("a person");
    let mut viewer = signed_in(&door, "acme", &forger, VIEWER).await;
    viewer.get("/api/v1/cameras").await.expect(200);
    let _other = bound(&["globex"]).await;
    eventually("the org is closed to them", async || {
        let mut viewer = Visitor { cookies: viewer.cookies.clone(), ..Visitor::at(&door) };
        (viewer.get("/api/v1/cameras").await.status != 200).then_some(())
    })
    .await;
    assert_eq!(viewer.me().await.expect(200).json["orgs"], json!([]));
    // Given back, it is open again: nothing was lost.
    let _again = bound(&["acme", "globex"]).await;
    eventually("the org is open again", async || {
        let mut viewer = Visitor { cookies: viewer.cookies.clone(), ..Visitor::at(&door) };
        (viewer.get("/api/v1/cameras").await.status == 200).then_some(())
    })
    .await;
}

/// Who signs in again leaves no session behind in that browser.
#[tokio::test]
async fn s_17_a_second_sign_in_ends_the_first() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let mut visitor = signed_in(&door, "acme", &forger, ADMIN).await;
    let mut before = Visitor { cookies: visitor.cookies.clone(), ..Visitor::at(&door) };
    visitor.sign_in(&forger, |token| token.person(ADMIN, ADMIN)).await.expect(303);
    visitor.me().await.expect(200);
    before.me().await.expect(401);
}
