//! Customers' people sign in through an OpenID Connect provider: S-43 to S-45 of the security facts, by name.

mod accounts;
mod answers;
mod forged;
mod mixed_up;
mod people;
mod provider;
mod published;
mod real;
mod sessions;

use crate::support::idp::{CLIENT, Forger, IdToken, SECRET};
use crate::support::{Answer, Door, eventually};
use drawbridge::config::{Config, OidcProvider};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

const SESSION: &str = "drawbridge-user";
const SIGN_IN: &str = "drawbridge-sign-in";
/// A page of the gateway itself sends it.
pub(crate) const OURS: [(&str, &str); 1] = [("origin", "http://gateway.test")];
const REDIRECT: &str = "http://gateway.test/auth/oidc/callback";

/// A provider as the gateway knows it: bound to Acme, and `admin@acme.example` is one of its admins.
pub(crate) fn provider(config: &Config, id: &str, issuer: &str) -> OidcProvider {
    // The file is as an editor leaves it.
    let secret = config.data.dir.with_file_name(format!("{id}.secret"));
    std::fs::write(&secret, format!("{SECRET}\n")).expect("a file");
    OidcProvider {
        id: id.to_owned(),
        name: format!("Sign-in of {id}"),
        issuer: issuer.to_owned(),
        listed: true,
        client_id: CLIENT.to_owned(),
        client_secret_file: Some(secret),
        orgs: vec!["acme".to_owned()],
        admin_emails: vec!["admin@acme.example".to_owned()],
        session_ends_with_provider: false,
    }
}

/// A gateway with this provider.
async fn door(forger: &Forger) -> Door {
    Door::open(|config| config.oidc.providers = vec![provider(config, "acme", &forger.issuer)]).await
}

/// What is done to the right token.
type Change = fn(IdToken) -> IdToken;

/// A sign-in that has begun.
struct Begun {
    /// What the provider was asked.
    asked: HashMap<String, String>,
    /// Where the browser was sent.
    to: url::Url,
}

impl Begun {
    fn state(&self) -> &str {
        &self.asked["state"]
    }

    fn nonce(&self) -> &str {
        &self.asked["nonce"]
    }
}

/// Somebody with a browser.
pub(crate) struct Visitor<'d> {
    door: &'d Door,
    client: reqwest::Client,
    address: IpAddr,
    cookies: BTreeMap<String, String>,
}

impl<'d> Visitor<'d> {
    /// Each comes from an address of their own: refusals of one address are counted together.
    pub(crate) fn at(door: &'d Door) -> Self {
        static VISITORS: AtomicU32 = AtomicU32::new(2);
        let number = VISITORS.fetch_add(1, Ordering::Relaxed);
        let address = IpAddr::from(Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 0, 0).to_bits() + number));
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .local_address(address)
            .build()
            .expect("an HTTP client");
        Self { door, client, address, cookies: BTreeMap::new() }
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send_body(method, path, headers, None).await
    }

    /// Sends a request with what cookies there are, and keeps those of the answer.
    pub(crate) async fn send_body(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let target = self.door.target();
        let request = self.client.request(method, format!("http://{}{path}", target.authority));
        let mut request = request.header("host", target.host);
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = Answer::of(request.send().await.expect("an answer")).await;
        for set in answer.headers.get_all("set-cookie") {
            let (pair, attributes) = set.to_str().expect("a text").split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            if value.is_empty() || attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[]).await
    }

    /// Begins to sign in with a provider.
    async fn begin(&mut self, provider: &str) -> Begun {
        let answer = self.get(&format!("/auth/oidc/start/{provider}")).await.expect(302);
        let to = url::Url::parse(answer.header("location")).unwrap_or_else(|e| panic!("{e}: {answer}"));
        Begun { asked: to.query_pairs().into_owned().collect(), to }
    }

    /// Comes back from the provider with these parameters.
    async fn back(&mut self, parameters: &[(&str, &str)]) -> Answer {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        self.get(&format!("/auth/oidc/callback?{query}")).await
    }

    /// Comes back with the code of `token`, as the provider sends people.
    async fn back_with(&mut self, begun: &Begun, forger: &Forger, token: IdToken) -> Answer {
        let code = forger.code(token);
        self.back(&[("code", &code), ("state", begun.state()), ("iss", &forger.issuer)]).await
    }

    /// The whole of a sign-in with the provider `acme`, by a token that `change` makes of the right one.
    pub(crate) async fn sign_in(
        &mut self,
        forger: &Forger,
        change: impl FnOnce(IdToken) -> IdToken,
    ) -> Answer {
        let begun = self.begin("acme").await;
        self.back_with(&begun, forger, change(forger.right(begun.nonce()))).await
    }

    /// Who the gateway says that this is.
    async fn me(&mut self) -> Answer {
        self.get("/api/v1/me").await
    }

    /// Who this is. Whoever isn't active is told nothing else: then the log says it.
    async fn who(&mut self) -> Value {
        let me = self.me().await;
        if me.status == 200 {
            return me.json;
        }
        me.problem(403, "ACCOUNT_INACTIVE");
        let address = self.address.to_string();
        let logins = entries(self.door, "org.login", 1).await;
        let own = logins.iter().find(|entry| entry["source_address"] == address);
        let own = own.unwrap_or_else(|| panic!("nobody signed in from {address}: {logins:#?}"));
        json!({ "id": own["resource"], "active": false })
    }
}

/// Somebody new signs in with `acme`, by a token that `change` makes of the right one; what the gateway says of them.
async fn person(door: &Door, forger: &Forger, change: impl FnOnce(IdToken) -> IdToken) -> Value {
    let mut visitor = Visitor::at(door);
    visitor.sign_in(forger, change).await.expect(303);
    visitor.who().await
}

/// The entries of an event in the platform's log, newest first, once there are `count`.
async fn entries(door: &Door, event: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} × {event}"), async || {
        let [_, platform] = door.both_logs(&format!("&event={event}")).await;
        (platform.len() >= count).then_some(platform)
    })
    .await
}
