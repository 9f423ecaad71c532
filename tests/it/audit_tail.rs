//! The logs live: what comes, in which order, to whom, and when it ends.

use crate::support::{Door, Open, SOON, eventually};
use drawbridge::audit::tree::LogName;
use drawbridge::domain::OrgRole;
use serde_json::{Value, json};

/// One stream of events, as far as it was read.
struct Tail {
    open: Open,
    /// How much of what came has been taken apart.
    read: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: u64,
    entry: Value,
}

impl Tail {
    async fn begin(door: &Door, path: &str, token: &str, more: &str) -> Self {
        let mut open = Open::begin(&door.target(), "GET", path, token, more).await;
        assert!(open.read_until("\r\n\r\n").await, "a head");
        let head = String::from_utf8_lossy(&open.got).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && head.contains("text/event-stream"), "{head}");
        let read = head.find("\r\n\r\n").unwrap_or_default();
        Self { open, read }
    }

    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let text = String::from_utf8_lossy(&self.open.got).into_owned();
            if let Some(at) = text[self.read..].find("id: ")
                && let Some(end) = text[self.read + at..].find("\n\n")
            {
                let event = &text[self.read + at..self.read + at + end];
                self.read += at + end;
                let mut lines = event.lines();
                let id = lines.next()?.strip_prefix("id: ")?.parse().unwrap();
                assert_eq!(lines.next(), Some("event: entry"), "{event}");
                let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
                assert_eq!(lines.next(), None, "{event}");
                return Some(Event { id, entry: serde_json::from_str(data).unwrap() });
            }
            if tokio::time::timeout(SOON, self.open.read()).await.expect("an event or an end") == 0 {
                return None;
            }
        }
    }

    /// The next event that `wanted` likes; those before it are given too.
    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            let done = wanted(&event.entry);
            events.push(event);
            if done {
                return events;
            }
        }
    }
}

fn ids(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.id).collect()
}

async fn switch(door: &Door, allow: bool) {
    let path = format!("/api/v1/orgs/{}/support-access", door.org);
    let body = json!({ "allow_platform_impersonation": allow });
    door.call("PATCH", &path, &door.owner, Some(body)).await.expect(200);
}

#[tokio::test]
async fn entries_come_as_they_are_written_and_again_from_where_one_was() {
    let door = Door::open(|_| {}).await;
    let path = format!("/api/v1/orgs/{}/audit-log/tail", door.org);
    let mut tail = Tail::begin(&door, &path, &door.owner, "").await;
    let (token, imp) = door.mint().await;
    let request = door.get("/api/v1/cameras", &token).await.expect(200).header("x-request-id").to_owned();
    let events =
        tail.until(|entry| entry["request_id"] == request.as_str() && entry["stage"] == "outcome").await;
    assert!(ids(&events).windows(2).all(|pair| pair[1] == pair[0] + 1), "{:?}", ids(&events));
    assert!(events.iter().all(|event| event.entry["index"] == event.id && event.entry.get("salt").is_none()));
    let started = events.iter().find(|e| e.entry["event"] == "platform.impersonation_started").unwrap();
    assert_eq!(started.entry["impersonation_id"], imp.as_str());
    assert!(!format!("{events:?}").contains("pu_"), "the org's own lines: {events:?}");
    drop(tail);

    // Everything after the mint again, by the query and by what a browser says, which counts more.
    let rest: Vec<_> = events.iter().filter(|e| e.id > started.id).cloned().collect();
    let by_query = format!("{path}?after={}", started.id);
    let by_header = format!("Last-Event-ID: {}\r\n", started.id);
    for (path, more) in [(by_query.as_str(), ""), (&format!("{path}?after=0"), by_header.as_str())] {
        let mut tail = Tail::begin(&door, path, &door.owner, more).await;
        let again =
            tail.until(|entry| entry["request_id"] == request.as_str() && entry["stage"] == "outcome").await;
        assert_eq!(again, rest);
    }
    let filtered = format!("{path}?after=0&action=listCameras&impersonation_id={imp}");
    let mut tail = Tail::begin(&door, &filtered, &door.owner, "").await;
    let some = tail.until(|entry| entry["stage"] == "outcome").await;
    assert_eq!(some.len(), 2, "intent and outcome: {some:?}");
    assert!(some.iter().all(|event| event.entry["request_id"] == request.as_str()));

    for bad in ["?after=x", "?after=-1", "?after=99999", "?limit=5"] {
        door.get(&format!("{path}{bad}"), &door.owner).await.problem(400, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn staff_who_are_no_admins_see_their_own() {
    let door = Door::open(|_| {}).await;
    let engineer = door.engineer("two@vendor.example").await;
    // Their account and token are entries of theirs too: those are to be behind the end where the tails begin.
    let login = eventually("it is sequenced", async || {
        let lines = door.lines(&LogName::Platform).await;
        let at = lines.iter().rposition(|line| line["event"] == "platform.login")?;
        lines[at]["platform_user_name"].as_str()?.contains("two@").then_some(at)
    })
    .await;
    let path = "/api/v1/platform/audit-log/tail";
    let path = format!("{path}?after={login}");
    let mut admin = Tail::begin(&door, &path, &door.staff.token, "").await;
    let mut own = Tail::begin(&door, &path, &engineer, "").await;
    let (token, _) = door.mint().await;
    let foreign = door.get("/api/v1/cameras", &token).await.expect(200).header("x-request-id").to_owned();
    let refused = door.get("/api/v1/cameras", &engineer).await.expect(403).header("x-request-id").to_owned();
    let seen = own.until(|entry| entry["request_id"] == refused.as_str()).await;
    assert_eq!(seen.len(), 1, "nothing of others: {seen:?}");
    let all = admin.until(|entry| entry["request_id"] == refused.as_str()).await;
    assert!(all.iter().any(|event| event.entry["request_id"] == foreign.as_str()));
    assert!(all.iter().all(|event| event.entry.get("salt").is_none()), "{all:?}");
}

#[tokio::test]
async fn only_who_may_read_may_follow() {
    let door = Door::open(|_| {}).await;
    let path = format!("/api/v1/orgs/{}/audit-log/tail", door.org);
    let viewer = door.person("viewer@acme.example", OrgRole::Viewer, 3_600_000).await;
    let (impersonation, _) = door.mint().await;
    door.get(&path, &viewer).await.expect(403);
    door.get(&path, &impersonation).await.problem(403, "PLATFORM_ACCESS_DENIED");
    door.get(&path, &door.staff.token).await.problem(403, "PLATFORM_ACCESS_DENIED");
    for token in [&viewer, &door.owner, &impersonation] {
        door.get("/api/v1/platform/audit-log/tail", token).await.expect(403);
    }
    let admin = door.person("admin@acme.example", OrgRole::Admin, 3_600_000).await;
    let mut tail = Tail::begin(&door, &path, &admin, "").await;
    switch(&door, false).await;
    tail.until(|entry| entry["event"] == "org.support_access_changed").await;
}

/// The request is dropped from outside, idle as it is, and with it what reads the records.
#[tokio::test]
async fn it_ends_with_the_session() {
    let door = Door::open(|_| {}).await;
    let path = "/api/v1/platform/audit-log/tail";
    let token = door.new_staff_token().await;
    let mut tail = Tail::begin(&door, path, &token, "").await;
    door.call("POST", "/api/v1/platform/logout", &token, None).await.expect(200);
    while let Some(event) = tail.next().await {
        assert_ne!(event.entry["event"], "platform.logout", "its own end isn't told to it any more");
    }
    assert!(!tail.open.got.ends_with(b"0\r\n\r\n"), "it broke off, it did not end");

    // The owner's session is over by itself.
    let short = door.person("owner2@acme.example", OrgRole::Owner, 1_500).await;
    let path = format!("/api/v1/orgs/{}/audit-log/tail", door.org);
    let mut tail = Tail::begin(&door, &path, &short, "").await;
    while tail.next().await.is_some() {}
}
