//! One revocation: an impersonation with streams open on every gateway and requests hammering all but the one
//! that revokes, then its end, and when what was over.

use super::cluster::{Cluster, Gateway, Operator};
use super::support::{Open, Target, websocket};
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// How an impersonation is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Staff,
    Customer,
    Switch,
    Disable,
}

/// All kinds, with their names.
pub(crate) const KINDS: [(Kind, &str); 4] = [
    (Kind::Staff, "end by staff"),
    (Kind::Customer, "end by customer"),
    (Kind::Switch, "owner's switch"),
    (Kind::Disable, "disable"),
];

/// What is wrong with the last gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// Its process stands still until the answer has come.
    Stopped,
    /// It doesn't reach the database until its streams are closed.
    CutOff,
}

/// When what was over, counted from the sending of the revoking call.
pub(crate) struct Measured {
    pub(crate) answer: Duration,
    /// When the last request that was let in had been sent; none was under way at a call so quick.
    pub(crate) last_admitted: Option<Duration>,
    /// How often the call was answered 503 before it was answered 200.
    pub(crate) repeats: usize,
    /// Requests sent after the answer and let in. There must be none.
    pub(crate) late: usize,
    /// Ends of the streams that nothing was sent on.
    pub(crate) idle: Vec<Duration>,
    /// Ends of the streams with traffic.
    pub(crate) busy: Vec<Duration>,
    /// Ends of the streams on the gateway in trouble; of a stopped one from its waking.
    pub(crate) troubled: Vec<Duration>,
}

/// A stream that has ended.
struct Ended {
    at: Instant,
    busy: bool,
    gateway: usize,
}

/// Sendings of requests that were let in.
type Admitted = Arc<Mutex<Vec<Instant>>>;

/// Connections that hammer a gateway.
const HAMMERS: usize = 2;
/// Requests let in before the revocation.
const BEFORE: usize = 20;
/// Between two messages on a busy WebSocket.
const PACE: Duration = Duration::from_millis(2);

/// Runs it. `n` is new each time.
pub(crate) async fn run(
    cluster: &Cluster,
    n: usize,
    kind: Kind,
    trouble: Trouble,
    client: &reqwest::Client,
) -> Measured {
    let last = cluster.gateways.len() - 1;
    // In turn; one in trouble revokes nothing.
    let revoker = n % if trouble == Trouble::None { last + 1 } else { last };
    let operator = cluster.operator(&format!("{trouble:?}-{n}")).await;
    let calls = Calls { client, gateway: &cluster.gateways[revoker], cluster };
    let (token, id) = calls.mint(&operator).await;

    let (mut streams, mut hammers, admitted) = (JoinSet::new(), JoinSet::new(), Admitted::default());
    for (at, gateway) in cluster.gateways.iter().enumerate() {
        open(&gateway.target, at, &token, &mut streams).await;
        if at != revoker {
            for _ in 0..HAMMERS {
                hammers.spawn(hammer(gateway.target.clone(), token.clone(), admitted.clone()));
            }
        }
    }
    while admitted.lock().unwrap().len() < BEFORE {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    let troubled = &cluster.gateways[last];
    match trouble {
        Trouble::None => {}
        Trouble::Stopped => troubled.signal(Signal::STOP),
        Trouble::CutOff => troubled.database.block(true),
    }
    let called = Instant::now();
    let mut repeats = 0;
    while !calls.end(kind, &operator, &id).await {
        repeats += 1;
    }
    let answered = Instant::now();
    if trouble == Trouble::Stopped {
        troubled.signal(Signal::CONT);
    }
    let ended = streams.join_all().await;
    troubled.database.block(false);
    // Whoever is still asking has been refused for a while, or waits for a gateway that is cut off.
    hammers.shutdown().await;
    if kind == Kind::Switch {
        calls.switch(true).await.expect("the switch is on again");
    }
    if trouble != Trouble::None {
        troubled.is_ready().await;
    }

    let admitted = admitted.lock().unwrap();
    let since = |from: Instant| move |end: &Ended| end.at.saturating_duration_since(from);
    let well = |busy: bool| {
        move |end: &&Ended| end.busy == busy && (end.gateway != last || trouble == Trouble::None)
    };
    let from = if trouble == Trouble::Stopped { answered } else { called };
    Measured {
        answer: answered - called,
        repeats,
        last_admitted: admitted.iter().filter_map(|sent| sent.checked_duration_since(called)).max(),
        late: admitted.iter().filter(|sent| **sent > answered).count(),
        idle: ended.iter().filter(well(false)).map(since(called)).collect(),
        busy: ended.iter().filter(well(true)).map(since(called)).collect(),
        troubled: ended
            .iter()
            .filter(|end| end.gateway == last && trouble != Trouble::None)
            .map(since(from))
            .collect(),
    }
}

/// An idle and a busy WebSocket and an event stream. Each ends with its connection: nothing comes after that.
async fn open(target: &Target, gateway: usize, token: &str, streams: &mut JoinSet<Ended>) {
    let mut idle = websocket(target, token).await;
    streams.spawn(async move {
        while let Some(Ok(_)) = idle.next().await {}
        Ended { at: Instant::now(), busy: false, gateway }
    });
    let mut events = Open::begin(target, "GET", "/api/v1/events/stream", token, "").await;
    assert!(events.read_until("data:").await, "no event comes");
    streams.spawn(async move {
        events.read_to_end().await;
        Ended { at: Instant::now(), busy: false, gateway }
    });
    let mut busy = websocket(target, token).await;
    streams.spawn(async move {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while busy.send(Message::text("x")).await.is_ok() && matches!(busy.next().await, Some(Ok(_))) {
            pace.tick().await;
        }
        Ended { at: Instant::now(), busy: true, gateway }
    });
}

/// One request after the other, on a connection kept alive as long as it lasts.
async fn hammer(target: Target, token: String, admitted: Admitted) {
    const PATH: &str = "/api/v1/cameras";
    let again =
        format!("GET {PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n", target.host);
    loop {
        let mut sent = Instant::now();
        let mut connection = Open::begin(&target, "GET", PATH, &token, "").await;
        while let Some((status, _)) = connection.answer().await {
            if status == 200 {
                admitted.lock().unwrap().push(sent);
            }
            sent = Instant::now();
            if connection.send(again.as_bytes()).await.is_err() {
                break;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Calls to the gateway that revokes.
struct Calls<'a> {
    client: &'a reqwest::Client,
    gateway: &'a Gateway,
    cluster: &'a Cluster,
}

impl Calls<'_> {
    /// `None`: 503, to be asked again.
    async fn call(&self, method: reqwest::Method, path: &str, token: &str, body: Value) -> Option<Value> {
        let target = &self.gateway.target;
        let request = self
            .client
            .request(method, format!("http://{}{path}", target.authority))
            .header("host", &target.host)
            .bearer_auth(token)
            .body(body.to_string());
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        if status == reqwest::StatusCode::SERVICE_UNAVAILABLE {
            return None;
        }
        assert!(status.is_success(), "{path}: {status} {text}");
        Some(serde_json::from_str(&text).unwrap())
    }

    /// A new grant: token and id.
    async fn mint(&self, operator: &Operator) -> (String, String) {
        let path = format!("/api/v1/platform/orgs/{}/impersonate", self.cluster.org);
        let why = json!({ "reason": "cameras offline since 03:00", "ticket_ref": "INC-7" });
        let minted = self.call(reqwest::Method::POST, &path, &operator.token, why).await.expect("a grant");
        let text = |name: &str| minted[name].as_str().expect("a text").to_owned();
        (text("token"), text("impersonation_id"))
    }

    /// The revoking call; whether it was answered 200.
    async fn end(&self, kind: Kind, operator: &Operator, id: &str) -> bool {
        let org = &self.cluster.org;
        let answer = match kind {
            Kind::Staff => {
                let which = json!({ "impersonation_id": id });
                let path = "/api/v1/platform/end-impersonation";
                self.call(reqwest::Method::POST, path, &operator.token, which).await
            }
            Kind::Customer => {
                let path = format!("/api/v1/orgs/{org}/impersonations/{id}");
                self.call(reqwest::Method::DELETE, &path, &self.cluster.owner, json!({})).await
            }
            Kind::Switch => self.switch(false).await,
            Kind::Disable => {
                let path = format!("/api/v1/platform/users/{}/disable", operator.id);
                let why = json!({ "reason": "left the company" });
                self.call(reqwest::Method::PATCH, &path, &self.cluster.admin.token, why).await
            }
        };
        answer.is_some()
    }

    async fn switch(&self, allow: bool) -> Option<Value> {
        let path = format!("/api/v1/orgs/{}/support-access", self.cluster.org);
        let setting = json!({ "allow_platform_impersonation": allow });
        self.call(reqwest::Method::PATCH, &path, &self.cluster.owner, setting).await
    }
}
