//! Reading the logs: who may, what filters and pages give, and that nobody changes an entry or finds a
//! secret in one.

use crate::support::{Answer, Door, Gateway, Open, eventually};
use drawbridge::store::{Db, DbOptions};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PLATFORM: &str = "/api/v1/platform/audit-log";

fn org_log(gateway: &Gateway, org: &str) -> String {
    format!("/api/v1/orgs/{}/audit-log", gateway.org(org))
}

/// Some of everything in both logs; the grant's token and id.
async fn happenings(gateway: &Gateway) -> (String, String) {
    let (token, _) = gateway.mint("staff", "acme").await;
    gateway.get("/api/v1/cameras", &token).await.expect(200);
    gateway.get("/api/v1/cameras/cam_acme_1", &token).await.expect(200);
    gateway.get("/api/v1/billing/plan", &token).await.problem(403, "OWNER_ONLY");
    gateway.try_mint("staff2", "globex").await.problem(403, "IMPERSONATION_BLOCKED");
    gateway.get("/api/v1/cameras", gateway.token("staff2")).await.problem(403, "PLATFORM_ACCESS_DENIED");
    gateway.switch("owner", "acme", false).await.expect(200);
    gateway.switch("owner", "acme", true).await.expect(200);
    let fresh = gateway.mint("staff", "acme").await;
    gateway.get("/api/v1/cameras", &fresh.0).await.expect(200);
    eventually("outcomes are written", async || {
        let items = gateway.platform_log("&event=platform.impersonated_request&decision=permit").await;
        (items.len() == 3 && items.iter().all(|e| e["outcome"] == "completed")).then_some(())
    })
    .await;
    fresh
}

#[tokio::test]
async fn each_log_has_its_readers() {
    let gateway = Gateway::demo();
    let (impersonation, _) = gateway.mint("staff", "acme").await;
    let (acme, globex) = (org_log(&gateway, "acme"), org_log(&gateway, "globex"));
    let nobody = "/api/v1/orgs/org_00000000000000000000000000/audit-log".to_owned();
    let table = [
        (&acme, "owner", 200, ""),
        (&acme, "admin", 200, ""),
        (&acme, "viewer", 403, "POLICY_DENIED"),
        (&acme, "bot", 403, "POLICY_DENIED"),
        (&acme, "globex_owner", 403, "ORG_MISMATCH"),
        (&acme, "staff", 403, "PLATFORM_ACCESS_DENIED"),
        (&acme, "impersonation", 403, "PLATFORM_ACCESS_DENIED"),
        (&acme, "stranger", 401, "UNAUTHENTICATED"),
        (&globex, "globex_owner", 200, ""),
        (&globex, "owner", 403, "ORG_MISMATCH"),
        (&globex, "impersonation", 403, "IMPERSONATION_OUT_OF_SCOPE"),
        (&nobody, "owner", 403, "ORG_MISMATCH"),
        (&PLATFORM.to_owned(), "staff", 200, ""),
        (&PLATFORM.to_owned(), "owner", 403, "PLATFORM_ACCESS_DENIED"),
        (&PLATFORM.to_owned(), "admin", 403, "PLATFORM_ACCESS_DENIED"),
        (&PLATFORM.to_owned(), "bot", 403, "PLATFORM_ACCESS_DENIED"),
        (&PLATFORM.to_owned(), "impersonation", 403, "PLATFORM_ACCESS_DENIED"),
        (&PLATFORM.to_owned(), "stranger", 401, "UNAUTHENTICATED"),
    ];
    for (path, who, status, code) in table {
        let token = match who {
            "impersonation" => &impersonation,
            "stranger" => "",
            other => gateway.token(other),
        };
        let answer = gateway.get(path, token).await;
        let got = (answer.status, answer.json["code"].as_str().unwrap_or(""));
        assert_eq!(got, (status, code), "{who} on {path}: {answer}");
        if status == 200 && *path != PLATFORM {
            let org = path.split('/').nth(4).unwrap();
            let items = answer.json["items"].as_array().unwrap();
            assert!(!items.is_empty() && items.iter().all(|e| e["org_id"] == org), "another org's: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_who_are_no_admins_read_their_own_entries() {
    let door = Door::open(|_| {}).await;
    door.mint().await;
    let engineer = door.engineer("engineer@vendor.example").await;
    door.get("/api/v1/cameras", &engineer).await.problem(403, "PLATFORM_ACCESS_DENIED");
    let me = door.get("/api/v1/platform/me", &engineer).await.expect(200).text("/id").to_owned();
    let items = door.get(PLATFORM, &engineer).await.expect(200).json["items"].clone();
    let items = items.as_array().unwrap();
    assert!(items.iter().any(|e| e["event"] == "platform.access_denied"));
    for entry in items {
        assert!(entry["actor"] == *me || entry["platform_user_id"] == *me, "somebody else's: {entry}");
    }
    door.get("/api/v1/platform/users", &engineer).await.problem(403, "PLATFORM_ACCESS_DENIED");
}

#[tokio::test]
async fn filters_give_what_they_name() {
    let gateway = Gateway::demo();
    let (_, id) = happenings(&gateway).await;
    for (log, who) in [(org_log(&gateway, "acme"), "owner"), (PLATFORM.to_owned(), "staff")] {
        let token = gateway.token(who);
        let all = gateway.log_items(&log, token, "").await;
        let middle = &all[all.len() / 2];
        for (parameter, member, value) in [
            ("actor", "actor", middle["actor"].as_str().unwrap()),
            ("action", "action", "listCameras"),
            ("event", "event", "platform.impersonated_request"),
            ("impersonation_id", "impersonation_id", &id),
            ("decision", "decision", "deny"),
            ("request_id", "request_id", middle["request_id"].as_str().unwrap()),
            ("ticket_ref", "ticket_ref", "INC-7"),
            ("event", "event", "no.such.event"),
        ] {
            let found = gateway.log_items(&log, token, &format!("&{parameter}={value}")).await;
            let expected: Vec<_> = all.iter().filter(|e| e[member] == value).cloned().collect();
            assert_eq!(found, expected, "{parameter}={value} on {log}");
            // The customer's log knows no tickets: they are the vendor's.
            let none = value == "no.such.event" || (member == "ticket_ref" && who == "owner");
            assert_eq!(found.is_empty(), none, "{parameter}={value} on {log}");
        }
        let time = middle["time"].as_str().unwrap();
        for (parameter, keep) in [("from", true), ("to", false)] {
            let found = gateway.log_items(&log, token, &format!("&{parameter}={time}")).await;
            let kept = |e: &&Value| {
                let other = e["time"].as_str().unwrap();
                if keep { other >= time } else { other <= time }
            };
            let expected: Vec<_> = all.iter().filter(kept).cloned().collect();
            assert_eq!(found, expected, "{parameter}={time} on {log}");
        }
        let both = gateway.log_items(&log, token, &format!("&decision=permit&impersonation_id={id}")).await;
        assert!(
            !both.is_empty()
                && both.iter().all(|e| e["decision"] == "permit" && e["impersonation_id"] == *id)
        );
        for wrong in [
            "limit=0",
            "limit=501",
            "limit=x",
            "limit=-1",
            "cursor=x",
            "cursor=",
            "cursor=AAAA",
            "from=yesterday",
            "to=2026-13-01T00:00:00Z",
            "unknown=1",
            "event=a&event=b",
            "cursor=b3JnX2F1ZGl0Oi0x",
        ] {
            gateway.get(&format!("{log}?{wrong}"), token).await.problem(400, "BAD_REQUEST");
        }
    }
    // A cursor is its own log's.
    let page = gateway.get(&format!("{PLATFORM}?limit=1"), gateway.token("staff")).await.expect(200);
    let foreign = format!("{}?cursor={}", org_log(&gateway, "acme"), page.text("/next"));
    gateway.get(&foreign, gateway.token("owner")).await.problem(400, "BAD_REQUEST");
}

#[tokio::test]
async fn pages_stay_what_they_were_while_the_log_grows() {
    let gateway = Gateway::demo();
    let (token, _) = happenings(&gateway).await;
    for (log, who) in [(org_log(&gateway, "acme"), "owner"), (PLATFORM.to_owned(), "staff")] {
        let reader = gateway.token(who);
        let ids = |items: &[Value]| items.iter().map(|e| e["id"].clone()).collect::<Vec<_>>();
        let before = ids(&gateway.log_items(&log, reader, "").await);
        let (mut read, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = gateway.get(&format!("{log}?limit=2{cursor}"), reader).await.expect(200);
            read.extend(ids(page.json["items"].as_array().unwrap()));
            // Both logs grow between two pages, and outcomes join items that were read.
            gateway.get("/api/v1/cameras", &token).await.expect(200);
            match page.json["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(read, before, "{log}: nothing is skipped, nothing comes twice");
        let after = ids(&gateway.log_items(&log, reader, "").await);
        assert!(after.len() > before.len() && after.ends_with(&before));
    }
}

#[tokio::test]
async fn nobody_changes_an_entry() {
    let gateway = Gateway::demo();
    let (impersonation, id) = gateway.mint("staff", "acme").await;
    let mut asked = BTreeSet::new();
    for log in [org_log(&gateway, "acme"), PLATFORM.to_owned()] {
        for method in ["DELETE", "PUT", "PATCH", "POST"] {
            for who in ["owner", "admin", "viewer", "bot", "staff", "impersonation"] {
                let token = if who == "impersonation" { &impersonation } else { gateway.token(who) };
                let answer = gateway.call(method, &log, token, Some(json!({}))).await;
                let answer = answer.problem(405, "METHOD_NOT_ALLOWED");
                assert!(answer.header("allow").contains("GET"), "{who} {method} {log}: {answer}");
            }
            asked.insert((log.clone(), method));
            gateway.call(method, &log, "", None).await.problem(401, "UNAUTHENTICATED");
            let entry = format!("{log}/aud_1");
            gateway
                .call(method, &entry, gateway.token("owner"), None)
                .await
                .problem(404, "ROUTE_NOT_DECLARED");
        }
    }
    // Under a grant each attempt is told by itself, in both logs.
    let filter = format!("&decision=deny&impersonation_id={id}");
    for log in [gateway.platform_log(&filter).await, gateway.org_log("acme", "owner", &filter).await] {
        for (path, method) in &asked {
            let told =
                |e: &Value| e["path"] == *path && e["method"] == *method && e["code"] == "METHOD_NOT_ALLOWED";
            assert!(log.iter().any(told), "{method} {path} isn't in the log");
        }
    }
    // Staff's own are counted: the first of a kind at once, its repeats within a second.
    eventually("each attempt of staff is counted", async || {
        let log = gateway.platform_log("&event=platform.access_denied&decision=deny").await;
        let alike = log.iter().filter(|e| e["code"] == "METHOD_NOT_ALLOWED");
        let counted: u64 = alike.map(|e| e["count"].as_u64().unwrap()).sum();
        (counted == asked.len() as u64).then_some(())
    })
    .await;
}

/// Both audit logs as they are kept, one entry a line: the API would escape them anew.
async fn kept_lines(gateway: &Gateway) -> String {
    let db = Db::open(DbOptions { exclusive: false, ..DbOptions::new(&gateway.data) }).await.unwrap();
    let mut tx = db.read().await.unwrap();
    let sql = "SELECT body FROM platform_audit UNION ALL SELECT body FROM org_audit";
    let rows = tx.rows(sql, &[]).await.unwrap();
    rows.iter().map(|row| format!("{}\n", row.text(0).unwrap())).collect()
}

#[tokio::test]
async fn hostile_bytes_stay_in_their_line_and_no_token_in_any() {
    let gateway = Gateway::demo();
    let reason = "cameras\r\n{\"event\":\"forged\"}\n\u{2028}\u{85}\u{1b}[31m\u{0}\u{202e}\",\"actor\":\"x";
    let path = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    let body = json!({ "reason": reason, "ticket_ref": "INC\n7\u{1b}[2J" });
    let minted = gateway.call("POST", &path, gateway.token("staff"), Some(body)).await.expect(201);
    let (token, id) = (minted.text("/token").to_owned(), minted.text("/impersonation_id"));
    let target = gateway.target();
    let agent = "User-Agent: \"},{\"event\":\"forged\"} \\n \t \u{ff}\u{2028}\r\n";
    for (path, more) in [
        ("/api/v1/cameras/%22%7D%0A%7B", agent),
        ("/api/v1/cameras/%E2%80%A8?%0Aforged=1&a%22b=2", agent),
        ("/api/v1/cameras", "User-Agent: \u{1b}[31m red \r\n"),
        ("/api/v1/cameras", "User-Agent: \u{80}\u{9f} 🚪 {\"a\":1}\r\n"),
        (
            "/api/v1/cameras",
            &format!("Cookie: t={token}\r\nX-Other: {token}\r\nReferer: http://x/?t={token}\r\n"),
        ),
    ] {
        let mut open = Open::begin(&target, "GET", path, &token, more).await;
        drop(open.answer().await);
    }
    for secret in ["access_token", "token", "t"] {
        gateway.get(&format!("/api/v1/cameras?{secret}={token}"), &token).await;
        gateway.get(&format!("/api/v1/cameras?{secret}={token}"), "").await.problem(401, "UNAUTHENTICATED");
    }
    // What stands in a query is the client's own: a short secret too.
    let passphrase = "open-sesame-4711";
    for who in [&token, gateway.token("owner")] {
        gateway.get(&format!("/api/v1/cameras?passphrase={passphrase}"), who).await.expect(200);
    }
    let refused = gateway.client.get(gateway.url("/api/v1/cameras")).bearer_auth(&token);
    let other = gateway.token("owner");
    let refused = Answer::of(refused.header("x-drawbridge-token", other).send().await.unwrap()).await;
    refused.problem(400, "AMBIGUOUS_CREDENTIALS");

    let filter = format!("&impersonation_id={id}");
    let platform = gateway.platform_log(&filter).await;
    let org = gateway.org_log("acme", "owner", &filter).await;
    assert!(platform.len() >= 6, "{platform:#?}");
    assert!(platform.iter().chain(&org).all(|e| e["event"] != "forged"));
    let all_entries =
        format!("{:?}{:?}", gateway.platform_log("").await, gateway.org_log("acme", "owner", "").await);

    let access = eventually("the access log is written", async || {
        let bytes = std::fs::read(gateway.data.join("access.log")).unwrap();
        let text = String::from_utf8(bytes).expect("UTF-8");
        (text.lines().filter(|line| line.contains(id)).count() >= 5).then_some(text)
    })
    .await;
    assert!(access.ends_with('\n'));
    for line in access.split_terminator('\n') {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(line["request_id"].as_str().is_some_and(|r| r.starts_with("req_")), "{line}");
    }
    let (log, kept) = (gateway.log(), kept_lines(&gateway).await);
    assert!(kept.contains("\\u202e") && kept.contains("\\u2028"), "the hostile reason is in no line: {kept}");
    for text in [&access, &log, &kept] {
        let raw = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{2028}' | '\u{85}' | '\u{202e}');
        assert_eq!(text.chars().find(|c| raw(*c)), None, "control characters reach a log raw");
    }

    let mut secrets = vec![token.clone(), passphrase.to_owned()];
    for name in ["staff", "staff2", "owner", "admin", "viewer", "globex_owner", "bot"] {
        secrets.push(gateway.token(name).to_owned());
    }
    // A token is its signature: no piece of it may be found either.
    let needles: Vec<_> = secrets.iter().map(|s| s.rsplit('.').next().unwrap().as_bytes()).collect();
    let mut searched = 0;
    for entry in std::fs::read_dir(&gateway.data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.ends_with("dev.env") {
            continue;
        }
        searched += 1;
        let bytes = std::fs::read(&path).unwrap();
        for needle in &needles {
            let found = memchr::memmem::find(&bytes, needle).is_some();
            assert!(!found, "a token is in {}", path.display());
        }
    }
    assert!(searched >= 3, "access log, database, write-ahead log");
    for needle in needles {
        let needle = std::str::from_utf8(needle).unwrap();
        assert!(!log.contains(needle) && !all_entries.contains(needle), "a token is in a log");
    }
}
