//! The whole way, with a provider that nobody here wrote.

use super::{REDIRECT, Visitor, entries, provider};
use crate::support::idp::RealProvider;
use crate::support::{Answer, Door};
use reqwest::header::SET_COOKIE;
use serde_json::json;
use std::collections::BTreeMap;

/// Somebody at the provider's own pages.
struct AtProvider {
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

/// The value of the first attribute of this name.
fn attribute<'p>(page: &'p str, before: &str) -> &'p str {
    let rest = page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}")).1;
    rest.split('"').next().expect("a value")
}

impl AtProvider {
    fn new() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Self { client: client.expect("an HTTP client"), cookies: BTreeMap::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer =
            Answer::of(request.header("cookie", cookies.join("; ")).send().await.expect("an answer")).await;
        for set in answer.headers.get_all(SET_COOKIE) {
            let pair = set.to_str().expect("a text").split(';').next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    /// Through its forms, as `login`, until it sends the browser back; the query that it sends along.
    async fn sign_in(&mut self, login: &str, mut url: url::Url) -> String {
        let mut answer = self.send(self.client.get(url.clone())).await;
        for _ in 0..12 {
            let location = answer.header("location").to_owned();
            if let Some(query) = location.strip_prefix(&format!("{REDIRECT}?")) {
                return query.to_owned();
            }
            let request = if location.is_empty() {
                let page = String::from_utf8_lossy(&answer.body).into_owned();
                let prompt = attribute(&page, "name=\"prompt\" value=\"");
                let fields = [("prompt", prompt), ("login", login), ("password", "any")];
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                url = url.join(attribute(&page, "action=\"")).expect("a URL");
                let request = self.client.post(url.clone()).body(form);
                request.header("content-type", "application/x-www-form-urlencoded")
            } else {
                url = url.join(&location).expect("a URL");
                self.client.get(url.clone())
            };
            answer = self.send(request).await;
        }
        panic!("the provider never sends anybody back: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_43_npm_oidc_provider() {
    let mut idp = RealProvider::start();
    let door = Door::open(|config| config.oidc.providers = vec![provider(config, "acme", &idp.issuer)]).await;
    let claims = |email: &str, name: &str| json!({ "email": email, "email_verified": true, "name": name });
    idp.serve(
        "http://gateway.test",
        &json!({
            "admin": claims("admin@acme.example", "First Admin"),
            "owner": claims("owner@acme.example", "First Owner"),
            "new": claims("new@acme.example", "First New"),
        }),
    );
    let mut people = Vec::new();
    for (login, active, site_admin, role) in [
        ("admin", true, true, None),
        ("owner", true, false, Some("owner")),
        ("new", false, false, None),
        ("admin", true, true, None),
        ("owner", true, false, Some("owner")),
    ] {
        let mut visitor = Visitor::at(&door);
        let begun = visitor.begin("acme").await;
        let query = AtProvider::new().sign_in(login, begun.to).await;
        let answer = visitor.get(&format!("/auth/oidc/callback?{query}")).await.expect(303);
        assert_eq!(answer.header("location"), "/profile");
        let me = visitor.who().await;
        assert_eq!(me["active"], active, "{login}: {me}");
        if active {
            assert_eq!(me["email"], format!("{login}@acme.example"), "{me}");
            assert_eq!(me["site_admin"], site_admin, "{me}");
            assert_eq!(me.pointer("/orgs/0/role"), role.map(|role| json!(role)).as_ref(), "{me}");
        }
        people.push(me);
    }
    // Who came again is who they were, and has the provider's name for them.
    for (first, again, name) in [(0, 3, "First Admin"), (1, 4, "First Owner")] {
        assert_eq!(people[first]["id"], people[again]["id"], "{people:#?}");
        assert_eq!(people[again]["display_name"], name, "{people:#?}");
    }
    assert_eq!(entries(&door, "org.login", 5).await.len(), 5);
    assert_eq!(entries(&door, "org.user_created", 3).await.len(), 3);
}
