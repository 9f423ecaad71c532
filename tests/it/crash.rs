//! `kill -9` at any moment, again and again on one data folder: whatever the upstream saw stands in both logs,
//! and what was answered holds. `DRAWBRIDGE_CRASHES` sets how often (25; 1,000 before a release), half of the
//! moments fall under load, half among mints, ends and turns of the owner's switch. Every second one is at a fail
//! point, that is exactly between two effects; the others are at any time.

use crate::support::{Answer, Chance, Gateway, GatewayBuilder, Recorder, audit, eventually, number};
use drawbridge::domain::FAIL_POINTS;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Clients that send at the same time.
const CLIENTS: usize = 8;
/// Crashes that a grant lives through.
const LIVES: usize = 6;
/// Load lasts up to so many milliseconds before a crash.
const LOAD_MS: u64 = 150;
/// Not every load passes every fail point.
const PATIENCE: Duration = Duration::from_secs(2);

/// A gateway on one address and data folder, to be killed and started again.
struct Phoenix<'a> {
    data: &'a Path,
    /// Names the fail point at which it is to end, once it is there.
    end_at: PathBuf,
    upstream: String,
    authority: Option<String>,
}

impl Phoenix<'_> {
    fn rise(&mut self) -> Gateway {
        let listen = self.authority.as_deref().unwrap_or("127.0.0.1:0");
        let builder = GatewayBuilder::new().data(self.data).arg("--listen").arg(listen);
        drop(std::fs::remove_file(&self.end_at));
        let builder = builder.env("DRAWBRIDGE_TEST_END_AT", self.end_at.to_str().unwrap());
        let gateway = builder.arg("--upstream").arg(&self.upstream).start();
        self.authority = Some(gateway.authority().to_owned());
        gateway
    }

    /// Kills the process at some moment.
    async fn kill(&self, pid: u32, random: &mut Chance, ends: &mut Ends) {
        if random.below(2) == 0 {
            let point = FAIL_POINTS[usize::try_from(random.below(FAIL_POINTS.len() as u64)).unwrap()];
            let passings = 1 + random.below(if point.starts_with("sequencer") { 2 } else { 40 });
            let order = self.end_at.with_extension("new");
            std::fs::write(&order, format!("{point} {passings}\n")).unwrap();
            std::fs::rename(&order, &self.end_at).unwrap();
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE {
                if is_gone(pid) {
                    *ends.entry(point).or_default() += 1;
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } else {
            // The one timed wait: the moment of the crash is what is tried.
            tokio::time::sleep(Duration::from_micros(random.below(LOAD_MS * 1000))).await;
        }
        *ends.entry("at any time").or_default() += 1;
        std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    }
}

/// Crashes by their place.
type Ends = BTreeMap<&'static str, usize>;

/// Whether a child has ended (it is a zombie until it is waited for).
fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('Z') || rest.is_empty())
}

/// Sends under a grant until the gateway is gone; the ids of requests that were answered 200. On a machine that is busy
/// with other things an entry may take too long to become durable: refused, and nothing was forwarded.
async fn hammer(client: reqwest::Client, url: String, token: String) -> Vec<String> {
    let mut answered = Vec::new();
    for n in 0_u64.. {
        let request = if n.is_multiple_of(3) { client.post(&url).body("a body") } else { client.get(&url) };
        let Ok(answer) = request.bearer_auth(&token).send().await else { break };
        if answer.status() == 503 {
            continue;
        }
        assert_eq!(answer.status(), 200);
        answered.push(answer.headers()["x-request-id"].to_str().unwrap().to_owned());
    }
    answered
}

/// Ends a grant by its owner; `None` when nobody answers any more.
async fn end(gateway: &Gateway, staff: &str, id: &str) -> Option<Answer> {
    try_call(gateway, "POST", "/api/v1/platform/end-impersonation", staff, json!({ "impersonation_id": id }))
        .await
}

async fn try_call(gateway: &Gateway, method: &str, path: &str, token: &str, body: Value) -> Option<Answer> {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = gateway.client.request(method, gateway.url(path)).bearer_auth(token).body(body.to_string());
    let answer = Answer::of(request.send().await.ok()?).await;
    // A body that broke off is no answer.
    (!answer.json.is_null()).then_some(answer)
}

fn requests(items: &[Value]) -> BTreeMap<String, Value> {
    let requests: Vec<_> = items.iter().filter(|i| i["event"] == "platform.impersonated_request").collect();
    let by_id: BTreeMap<String, Value> =
        requests.iter().map(|i| (i["request_id"].as_str().unwrap().to_owned(), (*i).clone())).collect();
    assert_eq!(by_id.len(), requests.len(), "a request stands in a log twice");
    by_id
}

/// What must be true of a grant's requests after any crash; how many there are, and how many ended as `unknown`.
async fn examine(gateway: &Gateway, grant: &str, upstream: &Recorder, answered: &[String]) -> (usize, usize) {
    let filter = format!("&impersonation_id={grant}");
    let org = requests(&gateway.org_log("acme", "owner", &filter).await);
    let platform = requests(&gateway.platform_log(&filter).await);
    let ids: BTreeSet<&String> = org.keys().collect();
    assert_eq!(ids, platform.keys().collect(), "the logs differ");

    let seen: Vec<String> =
        upstream.seen().into_iter().filter(|s| s.impersonation == grant).map(|s| s.request_id).collect();
    let seen_once: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(seen.len(), seen_once.len(), "a request came to the upstream twice");
    let unrecorded: Vec<_> = seen_once.difference(&ids).collect();
    assert!(unrecorded.is_empty(), "the upstream saw what no log tells: {unrecorded:?}");
    for id in answered {
        assert!(seen_once.contains(id), "{id} was answered from nowhere");
    }

    let mut unknown = 0;
    for (id, item) in &platform {
        let outcome = item["outcome"].as_str().unwrap_or_else(|| panic!("no outcome: {item}"));
        assert_eq!(org[id]["outcome"], outcome, "the logs differ on the outcome of {id}");
        assert_eq!(org[id]["impersonation_seq"], item["impersonation_seq"]);
        assert_eq!(item["count"], 1);
        match outcome {
            "completed" | "cut" | "aborted" => {
                assert!(seen_once.contains(id), "{outcome}, never sent: {item}");
            }
            "not_forwarded" => assert!(!seen_once.contains(id), "was forwarded after all: {item}"),
            "unknown" => unknown += 1,
            other => panic!("an outcome that nothing here explains, {other}: {item}"),
        }
    }
    let mut numbers: Vec<i64> = platform.values().map(|i| i["impersonation_seq"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    let expected: Vec<i64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "running numbers of {grant} with gaps or repeats");
    (platform.len(), unknown)
}

/// Both logs' trees are whole, as an operator is told beside the gateway: every entry has one place, none is counted
/// twice or missing, and each is bound to its other half.
async fn verified(data: &Path) {
    let (code, out, err) = audit("", &["verify", "--data", &data.display().to_string()]).await;
    assert_eq!(code, Some(0), "the records of {} don't verify:\n{out}{err}", data.display());
    assert!(out.lines().filter(|line| line.starts_with("OK  ")).count() >= 2, "{out}{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_upstream_saw_is_in_both_logs_whenever_the_gateway_dies() {
    let mut random = Chance::new("crash under load");
    let crashes = number("DRAWBRIDGE_CRASHES", 25).div_ceil(2);
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::start().await;
    let data = folder.path().join("data");
    let end_at = folder.path().join("end-at");
    let mut phoenix = Phoenix { data: &data, end_at, upstream: upstream.url(), authority: None };
    let mut gateway = phoenix.rise();
    let (mut requests, mut unknown, mut ends) = (0, 0, Ends::new());
    for first in (0..crashes).step_by(LIVES) {
        let mut grants = Vec::new();
        for staff in ["staff", "staff2"] {
            grants.push((staff, gateway.mint(staff, "acme").await, Vec::new()));
        }
        let mut found = Vec::new();
        for _ in first..crashes.min(first + LIVES) {
            let mut clients = JoinSet::new();
            for n in 0..CLIENTS {
                let (client, url) = (gateway.client.clone(), gateway.url("/some/thing"));
                let token = grants[n % grants.len()].1.0.clone();
                clients.spawn(async move { (n, hammer(client, url, token).await) });
            }
            phoenix.kill(gateway.pid(), &mut random, &mut ends).await;
            gateway.kill();
            for (n, answered) in clients.join_all().await {
                let grants_len = grants.len();
                grants[n % grants_len].2.extend(answered);
            }
            gateway = phoenix.rise();
            found.clear();
            for (_, (_, id), answered) in &grants {
                found.push(examine(&gateway, id, &upstream, answered).await);
            }
        }
        requests += found.iter().map(|(all, _)| all).sum::<usize>();
        unknown += found.iter().map(|(_, unknown)| unknown).sum::<usize>();
        for (staff, (_, id), _) in &grants {
            end(&gateway, gateway.token(staff), id).await.expect("it answers").expect(200);
        }
        verified(&data).await;
    }
    println!(
        "{crashes} crashes {ends:?}, {requests} requests, {unknown} closed as unknown, {} seen",
        upstream.seen().len()
    );
    assert!(upstream.seen().len() <= requests, "the upstream saw more than is recorded");
    assert!(crashes < 10 || unknown > 0, "no crash ever fell between an intent and its outcome");
}

/// What a client was told, until nobody answered any more.
#[derive(Default)]
struct Ledger {
    /// Grants by id: the token, and whether an end of it was answered 200.
    grants: BTreeMap<String, (String, bool)>,
    /// Events with the ids of their requests.
    told: BTreeSet<(&'static str, String)>,
    /// What the last answer said that the switch is, unless a turn of it was under way.
    switch: Option<bool>,
}

impl Ledger {
    fn note(&mut self, event: &'static str, answer: &Answer) {
        self.told.insert((event, answer.header("x-request-id").to_owned()));
    }

    /// Mints in acme, and ends every second grant.
    async fn staff(mut self, gateway: &Gateway) -> Self {
        let path = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
        let body = json!({ "reason": "cameras offline since 03:00", "ticket_ref": "INC-7" });
        loop {
            let staff = gateway.token("staff");
            let Some(minted) = try_call(gateway, "POST", &path, staff, body.clone()).await else {
                return self;
            };
            if minted.status == 201 {
                self.note("platform.impersonation_started", &minted);
                let (id, token) =
                    (minted.text("/impersonation_id").to_owned(), minted.text("/token").to_owned());
                self.grants.insert(id, (token, false));
            }
            let live = self.grants.iter().filter(|(_, (_, ended))| !ended).map(|(id, _)| id.clone());
            let live: Vec<String> = live.collect();
            if minted.status == 201 && live.len() % 2 == 1 {
                continue;
            }
            for id in live {
                let Some(ended) = end(gateway, staff, &id).await else { return self };
                let ended = ended.expect(200);
                self.grants.get_mut(&id).unwrap().1 = true;
                if ended.json["revoke_reason"] == "ended_by_actor" {
                    self.note("platform.impersonation_ended", &ended);
                }
            }
        }
    }

    /// Turns the owner's switch to and fro.
    async fn owner(mut self, gateway: &Gateway) -> Self {
        let path = format!("/api/v1/orgs/{}/support-access", gateway.org("acme"));
        for n in 0_u32.. {
            let allow = n % 2 == 1;
            let body = json!({ "allow_platform_impersonation": allow });
            self.switch = None;
            let owner = gateway.token("owner");
            let Some(answer) = try_call(gateway, "PATCH", &path, owner, body).await else { break };
            let answer = answer.expect(200);
            // The first turn may find it where it is to be: then there is nothing to tell.
            if n > 0 {
                self.note("org.support_access_changed", &answer);
            }
            self.switch = Some(allow);
            if n % 3 == 0 {
                tokio::task::yield_now().await;
            }
        }
        self
    }

    /// What was answered holds in `gateway`, which is another process by now.
    async fn holds(&self, gateway: &Gateway) {
        if let Some(allow) = self.switch {
            let path = format!("/api/v1/orgs/{}/support-access", gateway.org("acme"));
            let now = gateway.get(&path, gateway.token("owner")).await.expect(200);
            assert_eq!(now.json["allow_platform_impersonation"], allow, "a turn that was answered is undone");
        }
        for (id, (token, ended)) in &self.grants {
            let answer = eventually("the log is written", async || {
                Some(gateway.get("/some/thing", token).await).filter(|answer| answer.status != 503)
            })
            .await;
            match (ended, answer.status) {
                (true, _) => drop(answer.problem(401, "IMPERSONATION_REVOKED")),
                (false, 200) => {}
                // An end was under way, or the owner's.
                (false, _) => drop(answer.problem(401, "IMPERSONATION_REVOKED")),
            }
            let filter = format!("&impersonation_id={id}");
            let count = async |event: &str| {
                let filter = format!("{filter}&event={event}");
                let org = gateway.org_log("acme", "owner", &filter).await;
                let platform = gateway.platform_log(&filter).await;
                assert_eq!(org.len(), platform.len(), "{event} of {id} isn't in both logs");
                platform.len()
            };
            assert_eq!(count("platform.impersonation_started").await, 1, "{id}");
            let ends = count("platform.impersonation_ended").await;
            assert_eq!(ends, usize::from(gateway.get("/some/thing", token).await.status != 200), "{id}");
        }
        for (event, request) in &self.told {
            let filter = format!("&event={event}&request_id={request}");
            assert_eq!(gateway.platform_log(&filter).await.len(), 1, "{event} of {request} isn't recorded");
            assert_eq!(gateway.org_log("acme", "owner", &filter).await.len(), 1, "{event} of {request}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mints_ends_and_the_switch_hold_once_they_are_answered() {
    let mut random = Chance::new("crash among acts");
    let crashes = number("DRAWBRIDGE_CRASHES", 25) / 2;
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::start().await;
    let data = folder.path().join("data");
    let end_at = folder.path().join("end-at");
    let mut phoenix = Phoenix { data: &data, end_at, upstream: upstream.url(), authority: None };
    let mut gateway = phoenix.rise();
    let (mut minted, mut ended, mut turned, mut ends) = (0, 0, 0, Ends::new());
    for n in 0..crashes {
        // In turn: staff alone, the owner alone, both at once.
        let (staff, owner) = (n % 3 != 1, n % 3 != 0);
        let acting = async {
            tokio::join!(
                async { if staff { Ledger::default().staff(&gateway).await } else { Ledger::default() } },
                async { if owner { Ledger::default().owner(&gateway).await } else { Ledger::default() } },
            )
        };
        let killing = phoenix.kill(gateway.pid(), &mut random, &mut ends);
        let ((staff, owner), ()) = tokio::join!(acting, killing);
        gateway.kill();
        gateway = phoenix.rise();
        staff.holds(&gateway).await;
        owner.holds(&gateway).await;
        minted += staff.grants.len();
        ended += staff.grants.values().filter(|(_, ended)| *ended).count();
        turned += owner.told.len();
        // The next round begins with the door open and nobody inside.
        gateway.switch("owner", "acme", false).await.expect(200);
        gateway.switch("owner", "acme", true).await.expect(200);
        if (n + 1) % LIVES == 0 || n + 1 == crashes {
            verified(&data).await;
        }
    }
    println!("{crashes} crashes {ends:?}, {minted} mints, {ended} ends, {turned} turns of the switch");
    assert!(crashes < 10 || (minted > 0 && ended > 0 && turned > 0), "nothing was ever done before a crash");
}
