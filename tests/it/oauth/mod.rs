//! Signing in by OAuth 2.0, over real sockets: S-25 to S-41 of the security facts, by name.

mod chain;
mod codes;
mod endpoints;
mod keys;
mod login;
mod others;
mod sign_in_doc;

use crate::support::{Answer, Gateway, totp};
use serde_json::Value;
use std::collections::HashMap;

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:49152/callback";
const CLIENT: &str = "drawbridge-cli";

/// Fields of a form.
type Fields<'a> = Vec<(&'a str, &'a str)>;

/// An authorization request that is in order.
fn asking() -> Fields<'static> {
    vec![
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT),
        ("state", "a b&c"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The parameters of a URL's query.
fn query(url: &str) -> HashMap<String, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The value of a hidden field.
fn hidden(page: &Answer, name: &str) -> String {
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let rest = text
        .split(&format!(r#"name="{name}" value=""#))
        .nth(1)
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// What a browser or a client does at a gateway.
struct Flow<'g> {
    gateway: &'g Gateway,
}

impl<'g> Flow<'g> {
    fn at(gateway: &'g Gateway) -> Self {
        Self { gateway }
    }

    async fn get(&self, path: &str) -> Answer {
        self.gateway.get(path, "").await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, fields, &[]).await
    }

    async fn post_with(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let mut request = self.gateway.client.post(self.gateway.url(path));
        request = request.header("content-type", "application/x-www-form-urlencoded").body(encoded(fields));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    fn account(&self, who: &str, member: &str) -> &'g str {
        let pointer = format!("/accounts/{who}/{member}");
        self.gateway.told.pointer(&pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    /// From a client's request to the sign-in page: the sealed request.
    async fn begin(&self, asking: &[(&str, &str)]) -> String {
        let sent_on = self.get(&format!("/oauth2/authorize?{}", encoded(asking))).await.expect(302);
        let to = sent_on.header("location");
        assert!(to.starts_with("/platform/login?authorization="), "{to}");
        self.get(to).await.expect(200);
        query(to)["authorization"].clone()
    }

    /// Types e-mail, password and code into the form. Each step of an authenticator counts once: `step` tells them
    /// apart, −1 before 0 before 1.
    async fn sign_in(&self, who: &str, step: i64, authorization: &str) -> Answer {
        let otp = totp(self.account(who, "totp_secret"), step);
        let mut fields = vec![
            ("email", self.account(who, "email")),
            ("password", self.account(who, "password")),
            ("otp", otp.as_str()),
        ];
        if !authorization.is_empty() {
            fields.push(("authorization", authorization));
        }
        self.post("/platform/login", &fields).await
    }

    /// Where the browser ends up at the client.
    async fn answer(&self, who: &str, step: i64) -> String {
        let authorization = self.begin(&asking()).await;
        let signed_in = self.sign_in(who, step, &authorization).await.expect(303);
        let callback = signed_in.header("location");
        assert!(callback.starts_with("/oauth2/authorize/callback?ticket="), "{callback}");
        self.get(callback).await.expect(302).header("location").to_owned()
    }

    async fn code(&self, who: &str, step: i64) -> String {
        query(&self.answer(who, step).await)["code"].clone()
    }

    /// Redeems a code as the client does.
    async fn redeem(&self, code: &str) -> Answer {
        self.redeem_with(code, &[]).await
    }

    /// The same with some fields otherwise; an empty one is left out.
    async fn redeem_with(&self, code: &str, change: &[(&str, &str)]) -> Answer {
        let mut fields = HashMap::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("client_id", CLIENT),
            ("code_verifier", VERIFIER),
        ]);
        fields.extend(change.iter().copied());
        let fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        self.post("/oauth2/token", &fields).await
    }

    async fn token(&self, who: &str, step: i64) -> String {
        let code = self.code(who, step).await;
        self.redeem(&code).await.expect(200).text("/access_token").to_owned()
    }
}

/// The answer is an OAuth error (RFC 6749 §5.2).
#[track_caller]
fn oauth_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.json["error"].as_str()), (status, Some(error)), "{answer}");
    assert_eq!(answer.header("cache-control"), "no-store", "{answer}");
    assert!(answer.text("/error_description").len() > 10, "{answer}");
}

/// A part of a token, read without verifying it.
fn part(token: &str, n: usize) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(n).expect("three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
