//! A gateway in this process with a demo API behind it: for settings that `dev` doesn't take (a grant of
//! a second) and credentials that it doesn't print.

use super::eventually;
use super::house::{House, Staff};
use super::http::Answer;
use super::raw::Target;
use drawbridge::access::NewPerson;
use drawbridge::app::{Running, Sockets, start};
use drawbridge::audit::tree::LogName;
use drawbridge::config::Config;
use drawbridge::demo::DemoOrgs;
use drawbridge::domain::OrgRole;
use drawbridge::domain::ids::OrgId;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The name by which it is called.
const HOST: &str = "gateway.test";

pub(crate) struct Door {
    running: Running,
    pub(crate) org: OrgId,
    pub(crate) owner: String,
    pub(crate) staff: Staff,
    client: reqwest::Client,
    _demo: tokio_util::sync::DropGuard,
    _folder: std::sync::Arc<tempfile::TempDir>,
}

impl Door {
    pub(crate) async fn open(adjust: impl FnOnce(&mut Config)) -> Self {
        Self::open_on(Sockets::Own, adjust).await
    }

    /// On sockets whose address is known before.
    pub(crate) async fn open_on(sockets: Sockets, adjust: impl FnOnce(&mut Config)) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let upstream = format!("http://{}", listener.local_addr().expect("an address"));
        let house = House::open_with(|config| {
            config.upstream.url = upstream.parse().expect("an origin");
            config.server.listen = ([127, 0, 0, 1], 0).into();
            config.server.admin_listen = ([127, 0, 0, 1], 0).into();
            config.server.public_url = format!("http://{HOST}").parse().expect("an origin");
            adjust(config);
        })
        .await;
        let staff = house.staff("one@vendor.example").await;
        let House { parts, org, owner, folder, .. } = house;
        let stop = CancellationToken::new();
        let orgs = DemoOrgs { acme: org.clone(), globex: OrgId::random() };
        tokio::spawn(drawbridge::demo::serve(listener, orgs, stop.clone()));
        let running = start(parts, sockets).await.expect("it starts");
        let client = reqwest::Client::new();
        Self { running, org, owner, staff, client, _demo: stop.drop_guard(), _folder: folder }
    }

    pub(crate) fn target(&self) -> Target {
        Target { authority: self.running.address.to_string(), host: HOST.to_owned() }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("http://{}{path}", self.running.address);
        let mut request = self.client.request(method, url).header("host", HOST).bearer_auth(token);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    /// Asks until the answer's status isn't `unlike`. What is under way when a session ends is cut: such a
    /// request has no answer, and the next one tells.
    pub(crate) async fn until_not(&self, unlike: u16, path: &str, token: &str) -> Answer {
        let url = format!("http://{}{path}", self.running.address);
        eventually(&format!("{path} isn't answered by {unlike}"), async || {
            let request = self.client.get(&url).header("host", HOST).bearer_auth(token);
            let answer = Answer::of(request.send().await.ok()?).await;
            (answer.status != unlike).then_some(answer)
        })
        .await
    }

    /// The acts behind it.
    pub(crate) fn access(&self) -> &std::sync::Arc<drawbridge::access::Access> {
        &self.running.parts().access
    }

    /// A request of a page of its own, with the console's cookie.
    pub(crate) async fn by_cookie(
        &self,
        method: &str,
        path: &str,
        cookie: &str,
        body: Option<Value>,
    ) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("http://{}{path}", self.running.address);
        let name = drawbridge::console::Cookie::Staff.name(false);
        let mut request = self.client.request(method, url).header("host", HOST);
        request =
            request.header("cookie", format!("{name}={cookie}")).header("origin", format!("http://{HOST}"));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, token, None).await
    }

    /// What the admin listener says is open to the upstream.
    pub(crate) async fn open_requests(&self) -> usize {
        let url = format!("http://{}/metrics", self.running.admin);
        let text = self.client.get(url).send().await.expect("metrics").text().await.expect("a text");
        let value = text.lines().find_map(|line| line.strip_prefix("drawbridge_open_requests "));
        value.unwrap_or_else(|| panic!("no gauge in {text}")).parse().expect("a number")
    }

    /// Whether a request reached the upstream.
    pub(crate) async fn upstream_saw(&self, request_id: &str) -> bool {
        let url = format!("{}/__hits", self.running.parts().config.upstream.url);
        let hits = self.client.get(url).send().await.expect("the demo answers").text().await.expect("a text");
        assert!(hits.contains("request_ids"), "{hits}");
        hits.contains(request_id)
    }

    /// Mints; token and impersonation.
    pub(crate) async fn mint(&self) -> (String, String) {
        let path = format!("/api/v1/platform/orgs/{}/impersonate", self.org);
        let body = json!({ "reason": "cameras offline since 03:00" });
        let minted = self.call("POST", &path, &self.staff.token, Some(body)).await.expect(201);
        (minted.text("/token").to_owned(), minted.text("/impersonation_id").to_owned())
    }

    /// The staff member ends one of their impersonations.
    pub(crate) async fn end(&self, id: &str) -> Answer {
        let body = json!({ "impersonation_id": id });
        self.call("POST", "/api/v1/platform/end-impersonation", &self.staff.token, Some(body)).await
    }

    /// The staff member signs in again.
    pub(crate) async fn new_staff_token(&self) -> String {
        let issued = self.running.parts().access.issue_platform_token("one@vendor.example", 3_600_000).await;
        issued.expect("a token").token.expose().to_owned()
    }

    /// Asks the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.running.admin);
        Answer::of(self.client.get(url).send().await.expect("an answer")).await
    }

    /// A person of the org, with a token that counts `ttl_ms`.
    pub(crate) async fn person(&self, email: &str, role: OrgRole, ttl_ms: i64) -> String {
        let access = &self.running.parts().access;
        let person = NewPerson { email: email.to_owned(), display_name: email.to_owned() };
        access.provision_org_user(person, self.org.clone(), role).await.expect("a person");
        access.issue_org_token(email, ttl_ms).await.expect("a token").token.expose().to_owned()
    }

    /// A bot of the org with an API token; the token.
    pub(crate) async fn bot(&self, name: &str, role: OrgRole) -> String {
        let access = &self.running.parts().access;
        let bot = access.provision_bot(name, self.org.clone(), role).await.expect("a bot");
        let issued = access.issue_bot_token(&bot, "test", 3_600_000).await.expect("a token");
        issued.token.expose().to_owned()
    }

    /// As `SIGHUP` does.
    pub(crate) async fn reload(&self) {
        self.running.reload().await;
    }

    /// Every line of a log that has its place, first to last.
    pub(crate) async fn lines(&self, log: &LogName) -> Vec<Value> {
        let reader = &self.running.parts().reader;
        let Some(head) = reader.head(log).await.expect("a head") else { return Vec::new() };
        let mut lines = Vec::new();
        loop {
            let leaves = reader.leaves(&head, lines.len() as u64, 500).await.expect("leaves");
            if leaves.is_empty() {
                return lines;
            }
            let read = |line: Option<String>| serde_json::from_str(&line.expect("a line")).expect("JSON");
            lines.extend(leaves.into_iter().map(|leaf| read(leaf.line)));
        }
    }

    /// Vendor staff who is no admin; their token.
    pub(crate) async fn engineer(&self, email: &str) -> String {
        let access = &self.running.parts().access;
        let person = NewPerson { email: email.to_owned(), display_name: email.to_owned() };
        access.provision_platform_user(person, vec!["engineer".to_owned()]).await.expect("an account");
        let issued = access.issue_platform_token(email, 3_600_000).await.expect("a token");
        issued.token.expose().to_owned()
    }

    /// Entries of the org's log and of the platform's.
    pub(crate) async fn both_logs(&self, filter: &str) -> [Vec<Value>; 2] {
        let org = format!("/api/v1/orgs/{}/audit-log?limit=500{filter}", self.org);
        let platform = format!("/api/v1/platform/audit-log?limit=500{filter}");
        let org = self.get(&org, &self.owner).await.expect(200);
        let platform = self.get(&platform, &self.staff.token).await.expect(200);
        [org, platform].map(|page| page.json["items"].as_array().expect("items").clone())
    }
}
