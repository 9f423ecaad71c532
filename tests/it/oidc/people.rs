//! Site admins administer the people of their provider: deactivated, somebody is out with their very next request.

use super::{OURS, Visitor, door, entries, provider};
use crate::support::idp::Forger;
use crate::support::{Answer, Door};
use drawbridge::access::NewPerson;
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
