//! Whose account it is: `(iss, sub)` and nothing else; an address counts once, verified, for somebody who waits for it.

use super::{Change, Visitor, door, entries, person, provider};
use crate::support::Door;
use crate::support::idp::{Forger, IdToken};
use drawbridge::access::{NewOrg, NewPerson};
use drawbridge::config::OidcProvider;
use drawbridge::domain::OrgRole;
use drawbridge::domain::ids::OrgId;
use serde_json::{Value, json};

const OWNER: &str = "owner@acme.example";
const ADMIN: &str = "admin@acme.example";

/// A second org; whether it takes everybody whom its provider vouches for.
async fn globex(door: &Door, auto_add_new_users: bool) -> OrgId {
    let org = NewOrg {
        slug: "globex".to_owned(),
        name: "Globex".to_owned(),
        plan: "business".to_owned(),
        owner_email: "owner@globex.example".to_owned(),
        allow_platform_impersonation: false,
        auto_add_new_users,
    };
    door.access().provision_org(org).await.expect("an org")
}

/// An operator adds somebody to an org; their id.
async fn added(door: &Door, email: &str, org: &OrgId, role: OrgRole) -> String {
    let person = NewPerson { email: email.to_owned(), display_name: "Somebody Added".to_owned() };
    let id = door.access().provision_org_user(person, org.clone(), role).await.expect("a person");
    id.as_str().to_owned()
}

/// Somebody new: nobody's role, no rights.
#[track_caller]
fn is_new(me: &Value, others: &[&str], what: &str) {
    let id = me["id"].as_str().expect("an id");
    assert!(!others.contains(&id), "{what}: became somebody else: {me}");
    assert_eq!(me["active"], false, "{what}: {me}");
    for (member, none) in [("site_admin", json!(false)), ("orgs", json!([]))] {
        assert!(me.get(member).is_none_or(|is| *is == none), "{what}: {me}");
    }
}

#[tokio::test]
async fn s_45_who_was_added_is_linked_once_by_a_verified_address() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let owner = added(&door, OWNER, &door.org, OrgRole::Owner).await;
    let me = person(&door, &forger, |t| t.person("one", OWNER)).await;
    let role = json!([{ "org_id": door.org, "role": "owner" }]);
    assert_eq!((&me["id"], &me["orgs"], &me["active"]), (&json!(owner), &role, &json!(true)), "{me}");
    assert_eq!(me["site_admin"], false, "{me}");
    // The address is taken: whoever else has it is somebody else.
    let second = person(&door, &forger, |t| t.person("two", OWNER)).await;
    is_new(&second, &[&owner], "the same address again");
    // It changes, and so does the name: the account stays.
    for (email, name) in
        [("moved@acme.example", "First Moved"), (ADMIN, "First Admin"), ("first@other.example", "First")]
    {
        let me = person(&door, &forger, |t| t.person("one", email).claim("name", name)).await;
        assert_eq!((&me["id"], &me["orgs"]), (&json!(owner), &role), "{me}");
        assert_eq!((&me["email"], &me["display_name"]), (&json!(email), &json!(name)), "{me}");
        assert_eq!(me["site_admin"], false, "a later address makes nobody an admin: {me}");
    }
    // An address that has become free is nobody's key to the account either.
    let third = person(&door, &forger, |t| t.person("three", OWNER)).await;
    is_new(&third, &[&owner, second["id"].as_str().unwrap()], "the address that the owner had");
    assert_eq!(entries(&door, "org.user_created", 3).await.len(), 3);
}

#[tokio::test]
async fn s_45_an_address_that_isnt_verified_links_and_promotes_nobody() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let owner = added(&door, OWNER, &door.org, OrgRole::Owner).await;
    let unverified: [(&str, Change); 9] = [
        ("false", |t| t.claim("email_verified", false)),
        ("absent", |t| t.without("email_verified")),
        ("null", |t| t.claim("email_verified", Value::Null)),
        ("a text", |t| t.claim("email_verified", "true")),
        ("a number", |t| t.claim("email_verified", 1)),
        ("a list", |t| t.claim("email_verified", json!([true]))),
        ("an object", |t| t.claim("email_verified", json!({ "value": true }))),
        ("another claim", |t| t.without("email_verified").claim("verified_email", true)),
        ("an empty text", |t| t.claim("email_verified", "")),
    ];
    for (number, (what, change)) in unverified.into_iter().enumerate() {
        for email in [OWNER, ADMIN] {
            let sub = format!("{email} {number}");
            let me = person(&door, &forger, |t| change(t.person(&sub, email))).await;
            is_new(&me, &[&owner], what);
            // Nor later, when it is.
            let later = person(&door, &forger, |t| t.person(&sub, email)).await;
            assert_eq!(later["id"], me["id"], "{what}: {later}");
            is_new(&later, &[&owner], what);
        }
    }
    // Who has it verified is still let in.
    let me = person(&door, &forger, |t| t.person("owner", OWNER)).await;
    assert_eq!(me["id"], owner, "{me}");
    let me = person(&door, &forger, |t| t.person("admin", ADMIN)).await;
    assert_eq!(
        (&me["active"], &me["site_admin"], &me["orgs"]),
        (&json!(true), &json!(true), &json!([])),
        "{me}"
    );
}

#[tokio::test]
async fn s_45_the_same_subject_at_two_providers_is_two_people() {
    let (a, b) = (Forger::start().await, Forger::start().await);
    let door = Door::open(|config| {
        let named = [("a", &a.issuer), ("b", &b.issuer)];
        config.oidc.providers = named.map(|(id, issuer)| provider(config, id, issuer)).into();
    })
    .await;
    let mut ids = Vec::new();
    for (id, forger) in [("a", &a), ("b", &b), ("a", &a), ("b", &b)] {
        let mut visitor = Visitor::at(&door);
        let begun = visitor.begin(id).await;
        visitor.back_with(&begun, forger, forger.right(begun.nonce())).await.expect(303);
        ids.push(visitor.who().await["id"].clone());
    }
    assert!(ids[0] != ids[1] && ids[0] == ids[2] && ids[1] == ids[3], "{ids:?}");
}

#[tokio::test]
async fn s_45_a_provider_speaks_for_its_orgs_only() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let globex = globex(&door, false).await;
    // One address in two orgs that no provider speaks for together: two people, of whom each provider finds its own.
    let both = "both@acme.example";
    let id = added(&door, both, &door.org, OrgRole::Viewer).await;
    let elsewhere = added(&door, both, &globex, OrgRole::Owner).await;
    assert_ne!(elsewhere, id);
    let other = added(&door, "other@globex.example", &globex, OrgRole::Owner).await;
    let me = person(&door, &forger, |t| t.person("two", "other@globex.example")).await;
    is_new(&me, &[&id, &elsewhere, &other], "a member of the other org");
    let me = person(&door, &forger, |t| t.person("one", both)).await;
    assert_eq!(me["id"], id, "{me}");
    assert_eq!(me["orgs"], json!([{ "org_id": door.org, "role": "viewer" }]), "{me}");
    // An operator's command finds each where their provider speaks, and nobody else's.
    assert_eq!(added(&door, both, &door.org, OrgRole::Viewer).await, id);
    assert_eq!(added(&door, both, &globex, OrgRole::Owner).await, elsewhere);
}

#[tokio::test]
async fn s_45_odd_spellings_are_nobody_elses_address() {
    let forger = Forger::start().await;
    let door = Door::open(|config| {
        let mut known = provider(config, "acme", &forger.issuer);
        known.admin_emails.push("kim@acme.example".to_owned());
        config.oidc.providers = vec![known];
    })
    .await;
    let owner = added(&door, OWNER, &door.org, OrgRole::Owner).await;
    let kate = added(&door, "kate@acme.example", &door.org, OrgRole::Admin).await;
    let odd = [
        "owner@acme.example@evil.example",
        "owner@evil.example@acme.example",
        "@owner@acme.example",
        "owner@@acme.example",
        "owner@acme.example\n",
        "owner@acme.example\r\nx@evil.example",
        "owner@acme.example\0",
        "owner\0@acme.example",
        "\towner@acme.example",
        " owner@acme.example",
        "owner@acme.example ",
        "owner@acme.example\u{a0}",
        "\u{feff}owner@acme.example",
        "owner\u{200b}@acme.example",
        "owner@acme.example.",
        "<owner@acme.example>",
        "\"owner\"@acme.example",
        "Owner <owner@acme.example>",
        "owner@acme.example,x@evil.example",
        "owner+x@acme.example",
        "o.wner@acme.example",
        "owner@acme\u{3002}example",
        "\u{ff4f}wner@acme.example",
        "\u{43e}wner@acme.example",
        "admin@acme.example@evil.example",
        "admin@acme.example\n",
        "\u{430}dmin@acme.example",
        // KELVIN SIGN: its lower case is the letter k.
        "\u{212a}im@acme.example",
        "\u{212a}ate@acme.example",
        "%6fwner@acme.example",
        "owner%40acme.example",
    ];
    for (number, email) in odd.into_iter().enumerate() {
        let sub = format!("odd {number}");
        let me = person(&door, &forger, |t| t.person(&sub, email)).await;
        is_new(&me, &[&owner, &kate], &format!("{email:?}"));
    }
    // What isn't a text is no address.
    for (number, odd) in [json!([OWNER]), json!({ "value": OWNER }), json!(5)].into_iter().enumerate() {
        let mut visitor = Visitor::at(&door);
        let answer =
            visitor.sign_in(&forger, |t| t.claim("sub", format!("typed {number}")).claim("email", odd)).await;
        match answer.status {
            401 => {}
            303 => is_new(&visitor.who().await, &[&owner, &kate], "no text"),
            _ => panic!("{answer}"),
        }
    }
    // Upper case is the same address: mail servers don't tell them apart, and neither do operators.
    let me = person(&door, &forger, |t| t.person("capitals", "Owner@ACME.example")).await;
    assert_eq!(me["id"], owner, "{me}");
    let again = person(&door, &forger, |t| t.person("small", OWNER)).await;
    is_new(&again, &[&owner, &kate], "the address once more");
}

/// Two browsers at once: one person for one subject, one link for one address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_45_first_sign_ins_at_once_make_no_second_person() {
    let forger = Forger::start().await;
    let door = door(&forger).await;
    let owner = added(&door, OWNER, &door.org, OrgRole::Owner).await;
    let same = || person(&door, &forger, |t| t.person("same", "same@acme.example"));
    let found: Vec<_> = futures_util::future::join_all([same(), same(), same(), same()]).await;
    assert!(found.iter().all(|me| me["id"] == found[0]["id"]), "{found:#?}");
    let subs = ["one", "two", "three", "four"];
    let rivals = subs.map(|sub| person(&door, &forger, move |t| t.person(sub, OWNER)));
    let rivals = futures_util::future::join_all(rivals).await;
    assert_eq!(rivals.iter().filter(|me| me["id"] == owner).count(), 1, "{rivals:#?}");
}

/// Requirements §6: an org may take everybody whom its provider vouches for, as a viewer.
#[tokio::test]
async fn an_org_that_takes_everybody_makes_them_active_viewers() {
    let (a, b) = (Forger::start().await, Forger::start().await);
    let door = Door::open(|config| {
        let both = ["acme", "globex"].map(str::to_owned).to_vec();
        let of_both = OidcProvider { orgs: both, ..provider(config, "acme", &a.issuer) };
        config.oidc.providers = vec![of_both, provider(config, "b", &b.issuer)];
    })
    .await;
    let before = person(&door, &a, |t| t.person("before", "before@acme.example")).await;
    let owner = added(&door, OWNER, &door.org, OrgRole::Owner).await;
    let globex = globex(&door, true).await;
    let viewer = json!([{ "org_id": globex, "role": "viewer" }]);
    // Whatever is known of their address: the provider vouches for them.
    for (sub, verified) in [("one", true), ("two", false)] {
        let token = |t: IdToken| t.person(sub, "new@acme.example").claim("email_verified", verified);
        let me = person(&door, &a, token).await;
        let got = (&me["active"], &me["site_admin"], &me["orgs"]);
        assert_eq!(got, (&json!(true), &json!(false), &viewer), "{me}");
    }
    // New ones only: neither who had signed in nor whom an operator had added.
    let me = person(&door, &a, |t| t.person("before", "before@acme.example")).await;
    assert_eq!(me["id"], before["id"], "{me}");
    is_new(&me, &[], "who was there before");
    let me = person(&door, &a, |t| t.person("owner", OWNER)).await;
    let role = json!([{ "org_id": door.org, "role": "owner" }]);
    assert_eq!((&me["id"], &me["orgs"]), (&json!(owner), &role), "{me}");
    // By its own providers only.
    let mut visitor = Visitor::at(&door);
    let begun = visitor.begin("b").await;
    visitor.back_with(&begun, &b, b.right(begun.nonce())).await.expect(303);
    is_new(&visitor.who().await, &[], "of a provider that isn't bound to it");
}
