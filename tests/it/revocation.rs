//! Ending a grant under load: what begins after the 200 of the call that ends it is refused and doesn't
//! reach the upstream, and the logs hold exactly what did.
//!
//! Every request has a path of its own, so that one that is cut without an answer is found in the log too.
//! `DRAWBRIDGE_CONNECTIONS` sets how many connections hammer (32).

use crate::support::{Chance, Gateway, Open, Target, eventually, number};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::task::JoinSet;

/// One request of the hammer.
struct Hit {
    begun: Instant,
    path: String,
    /// Status and `x-request-id`; `None` when it was cut before its answer's end.
    answer: Option<(u16, String)>,
}

/// Requests on one kept-alive connection after the other until enough of them were refused.
async fn hammer(target: Target, token: String, name: String, answered: Arc<AtomicUsize>) -> Vec<Hit> {
    let (mut hits, mut open, mut refused): (Vec<Hit>, Option<Open>, _) = (Vec::new(), None, 0);
    while refused < 5 {
        let path = format!("/api/v1/cameras/{name}_{}", hits.len());
        let begun = Instant::now();
        let answer = match &mut open {
            None => {
                let connection = open.insert(Open::begin(&target, "GET", &path, &token, "").await);
                connection.answer().await
            }
            Some(open) => {
                let head = format!(
                    "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
                    target.host
                );
                match open.send(head.as_bytes()).await {
                    Ok(()) => open.answer().await,
                    Err(_) => None,
                }
            }
        };
        match &answer {
            None => open = None,
            Some((401, _)) => refused += 1,
            Some(_) => drop(answered.fetch_add(1, Ordering::Relaxed)),
        }
        hits.push(Hit { begun, path, answer });
    }
    hits
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Switch,
    Customer,
    Own,
    OwnToken,
    Disable,
}

/// Ends the grant; everything begun after this is begun after the 200.
async fn end(gateway: &Gateway, way: Way, token: &str, id: &str) -> Instant {
    let acme = gateway.org("acme");
    let named = Some(json!({ "impersonation_id": id }));
    let own_end = "/api/v1/platform/end-impersonation";
    let answer = match way {
        Way::Switch => gateway.switch("owner", "acme", false).await,
        Way::Customer => {
            let path = format!("/api/v1/orgs/{acme}/impersonations/{id}");
            gateway.call("DELETE", &path, gateway.token("admin"), None).await
        }
        Way::Own => gateway.call("POST", own_end, gateway.token("staff2"), named).await,
        Way::OwnToken => gateway.call("POST", own_end, token, None).await,
        Way::Disable => {
            let me = gateway.get("/api/v1/platform/me", gateway.token("staff2")).await.expect(200);
            let path = format!("/api/v1/platform/users/{}/disable", me.text("/id"));
            let body = json!({ "reason": "left the company" });
            gateway.call("PATCH", &path, gateway.token("staff"), Some(body)).await
        }
    };
    answer.expect(200);
    Instant::now()
}

fn by_path(log: &[Value]) -> BTreeMap<&str, &Value> {
    log.iter().map(|e| (e["path"].as_str().expect("a path"), e)).collect()
}

async fn hammered(gateway: &Gateway, way: Way, connections: usize, before: usize) {
    let (token, id) = gateway.mint("staff2", "acme").await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut hammers = JoinSet::new();
    for n in 0..connections {
        let name = format!("{way:?}_{n}");
        hammers.spawn(hammer(gateway.target(), token.clone(), name, answered.clone()));
    }
    eventually("the hammers are at work", async || {
        (answered.load(Ordering::Relaxed) >= before).then_some(())
    })
    .await;
    let ended = end(gateway, way, &token, &id).await;
    let hits: Vec<Hit> = hammers.join_all().await.into_iter().flatten().collect();

    let filter = format!("&event=platform.impersonated_request&impersonation_id={id}");
    let logs = eventually("every intent has its outcome", async || {
        let logs = [gateway.org_log("acme", "owner", &filter).await, gateway.platform_log(&filter).await];
        let open = |e: &Value| e["decision"] == "permit" && e["outcome"].is_null();
        logs.iter().all(|log| !log.iter().any(open)).then_some(logs)
    })
    .await;
    let upstream: BTreeSet<String> = gateway.hits().await.into_iter().collect();
    let told = [by_path(&logs[0]), by_path(&logs[1])];

    let (mut after, mut cut) = (0, 0);
    for hit in &hits {
        if hit.begun > ended {
            after += 1;
            assert!(
                hit.answer.as_ref().is_none_or(|(status, _)| *status == 401),
                "{way:?}: {:?}",
                hit.answer
            );
            for log in &told {
                let decision = log.get(hit.path.as_str()).map(|e| &e["decision"]);
                assert!(decision.is_none_or(|d| d == "deny"), "{way:?}: begun after the end: {decision:?}");
            }
        }
        match &hit.answer {
            None => cut += 1,
            Some((401, request)) => {
                assert!(!upstream.contains(request), "{way:?}: 401, but it was forwarded");
            }
            Some((status, request)) => {
                assert_eq!(*status, 404, "the demo has no such camera");
                assert!(upstream.contains(request));
            }
        }
    }
    assert!(after >= connections, "{after} requests after the end");

    for log in &logs {
        let permitted = || log.iter().filter(|e| e["decision"] == "permit");
        let mut numbers: Vec<i64> = permitted().map(|e| e["impersonation_seq"].as_i64().unwrap()).collect();
        numbers.sort_unstable();
        let last = i64::try_from(numbers.len()).unwrap();
        assert!(numbers.iter().copied().eq(1..=last), "{way:?}: the running numbers have gaps");
        let forwarded: BTreeMap<String, &Value> = permitted()
            .filter(|e| e["outcome"] != "not_forwarded")
            .map(|e| (e["request_id"].as_str().unwrap().to_owned(), &e["outcome"]))
            .collect();
        for request in &upstream {
            assert!(
                forwarded.contains_key(request),
                "{way:?}: {request} is at the upstream and not in the log"
            );
        }
        for (request, outcome) in forwarded.iter().filter(|(request, _)| !upstream.contains(*request)) {
            // Cut between the last check and the upstream's reading of it.
            assert_eq!(**outcome, "cut", "{way:?}: {request} is in the log and not at the upstream");
        }
        let first_after = log.iter().filter(|e| e["decision"] == "deny").count();
        assert!(first_after >= connections);
    }
    let filter = format!("&event=platform.impersonation_ended&impersonation_id={id}");
    for log in [gateway.org_log("acme", "owner", &filter).await, gateway.platform_log(&filter).await] {
        assert_eq!(log.len(), 1);
        let permitted = logs[0].iter().filter(|e| e["decision"] == "permit").count();
        assert_eq!(log[0]["impersonation_seq"], permitted, "the end tells the last number");
    }
    let outcomes = logs[1].iter().fold(BTreeMap::new(), |mut counts: BTreeMap<String, usize>, e| {
        *counts.entry(format!("{} {}", e["stage"], e["outcome"])).or_default() += 1;
        counts
    });
    eprintln!(
        "{way:?}: {} requests on {connections} connections, {after} begun after the 200, {cut} cut, \
         {} at the upstream; {outcomes:?}",
        hits.len(),
        upstream.len()
    );
    gateway.client.delete(gateway.upstream_url("/__hits")).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_begun_after_the_end_reaches_the_upstream() {
    let connections = number("DRAWBRIDGE_CONNECTIONS", 32);
    let mut chance = Chance::new("nothing_begun_after_the_end_reaches_the_upstream");
    let gateway = Gateway::demo();
    for way in [Way::Own, Way::OwnToken, Way::Customer, Way::Switch, Way::Disable] {
        let before = 100 + usize::try_from(chance.below(300)).unwrap();
        hammered(&gateway, way, connections, before).await;
        if matches!(way, Way::Switch) {
            gateway.switch("owner", "acme", true).await.expect(200);
        }
    }
}
