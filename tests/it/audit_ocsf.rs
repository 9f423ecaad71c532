//! A log as events of OCSF: over HTTP, and by the command.

use crate::support::{Gateway, Published, audit, eventually};
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// What `class` of events may look like.
fn schema(class: &str) -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/ocsf-{class}.schema.json"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The events on these lines, each as its class is; their places rise.
fn events(lines: &str, log: &str) -> Vec<Value> {
    let (activity, authentication) = (schema("api-activity"), schema("authentication"));
    let published = Published::read();
    assert!(lines.is_empty() || lines.ends_with('\n'), "{lines}");
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in &events {
        let schema = if event["class_uid"] == 3002 { &authentication } else { &activity };
        let faults: Vec<String> =
            schema.iter_errors(event).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(faults.is_empty(), "{faults:?} in {event:#}");
        assert_eq!(published.faults(event), [] as [String; 0], "{event:#}");
        assert_eq!(event["metadata"]["log_name"], log);
        assert!(!event.to_string().contains("\"salt\""), "{event}");
    }
    assert!(events.windows(2).all(|pair| sequence(&pair[0]) < sequence(&pair[1])), "{events:#?}");
    events
}

fn sequence(event: &Value) -> u64 {
    event["metadata"]["sequence"].as_u64().unwrap()
}

/// Requests under a grant, until the outcome of each has its place.
async fn requests(gateway: &Gateway, token: &str, n: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for _ in 0..n {
        let answer = gateway.get("/api/v1/cameras", token).await.expect(200);
        ids.insert(answer.header("x-request-id").to_owned());
    }
    eventually("their outcomes are in both logs", async || {
        for (log, reader) in logs(gateway) {
            let lines = export(gateway, &log, reader, "").await;
            if !ids.iter().all(|id| lines.contains(&format!("\"{id}\""))) {
                return None;
            }
        }
        Some(())
    })
    .await;
    ids
}

fn logs(gateway: &Gateway) -> [(String, &'static str); 2] {
    [(format!("orgs/{}", gateway.org("acme")), "owner"), ("platform".to_owned(), "staff")]
}

async fn export(gateway: &Gateway, log: &str, reader: &str, more: &str) -> String {
    let path = format!("/api/v1/{log}/audit-log/export?format=ocsf{more}");
    let answer = gateway.get(&path, gateway.token(reader)).await.expect(200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// How often each of `ids` is a request of an event.
fn told(events: &[Value], ids: &BTreeSet<String>) -> Vec<usize> {
    let of = |event: &Value, id: &String| event["http_request"]["uid"] == id.as_str();
    ids.iter().map(|id| events.iter().filter(|event| of(event, id)).count()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_of_their_class_one_for_a_request_and_can_be_gone_on_with() {
    let gateway = Gateway::demo();
    let (token, imp) = gateway.mint("staff", "acme").await;
    // More than are read at once.
    let first = requests(&gateway, &token, 120).await;
    let mut begun = Vec::new();
    for (log, reader) in logs(&gateway) {
        let name = log.rsplit('/').next().unwrap();
        let events = events(&export(&gateway, &log, reader, "").await, name);
        assert_eq!(told(&events, &first), vec![1; first.len()], "{log}: one event for a request");
        for event in events.iter().filter(|event| told(std::slice::from_ref(event), &first).contains(&1)) {
            assert_eq!((&event["status"], &event["class_uid"]), (&"Success".into(), &6003.into()), "{event}");
            assert_eq!(event["unmapped"]["impersonation_id"], imp.as_str());
            assert_eq!(event["http_response"]["code"], 200);
        }
        begun.push(events);
    }
    let second = requests(&gateway, &token, 3).await;
    for ((log, reader), mut begun) in logs(&gateway).into_iter().zip(begun) {
        let name = log.rsplit('/').next().unwrap();
        let after = format!("&after={}", begun.last().map(sequence).unwrap() + 1);
        let rest = events(&export(&gateway, &log, reader, &after).await, name);
        assert_eq!(
            (told(&rest, &first), told(&rest, &second)),
            (vec![0; first.len()], vec![1; second.len()])
        );
        begun.extend(rest);
        let whole = events(&export(&gateway, &log, reader, "").await, name);
        assert_eq!(whole[..begun.len()], begun[..], "{log}: nothing twice, nothing missing");
    }
    let path = format!("/api/v1/{}/audit-log/export?format=", logs(&gateway)[0].0);
    gateway.get(&format!("{path}csv"), gateway.token("owner")).await.problem(400, "BAD_REQUEST");
    let path = format!("{path}ocsf&after=1000000");
    gateway.get(&path, gateway.token("owner")).await.problem(400, "BAD_REQUEST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_writes_them_and_goes_on() {
    let gateway = Gateway::demo();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.ocsf");
    let (name, url, org) = (file.display().to_string(), gateway.url(""), gateway.org("acme"));
    let read = || events(&std::fs::read_to_string(&file).unwrap(), org);
    let owner = gateway.token("owner");
    let (token, _) = gateway.mint("staff", "acme").await;
    let first = requests(&gateway, &token, 2).await;

    let begin = ["export", "--url", &url, "--as", "ocsf", "--out", &name];
    let (code, out, err) = audit(owner, &begin).await;
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    let begun = read();
    assert_eq!(told(&begun, &first), [1, 1]);
    assert_eq!(audit(owner, &begin).await.0, Some(64), "what is there isn't written over");

    // Broken off within a line, within a character even: that line comes again. The log needn't be named again.
    let text = std::fs::read(&file).unwrap();
    std::fs::write(&file, [&text[..], b"{\"metadata\":{\"product\":\"\xc3"].concat()).unwrap();
    let second = requests(&gateway, &token, 2).await;
    let (code, _, err) = audit(owner, &[&begin[..], &["--resume"]].concat()).await;
    assert_eq!(code, Some(0), "{err}");
    let whole = read();
    assert_eq!(whole[..begun.len()], begun[..]);
    assert_eq!((told(&whole, &first), told(&whole, &second)), (vec![1, 1], vec![1, 1]));

    // From the records themselves, and only with what is of this log.
    let third = requests(&gateway, &token, 1).await;
    let data = gateway.data.display().to_string();
    let resume = ["export", "--data", &data, "--as", "ocsf", "--out", &name, "--resume"];
    let (code, _, err) = audit("", &[&resume[..], &["--platform"]].concat()).await;
    assert!(code == Some(64) && err.contains("a file of their own"), "{err}");
    assert_eq!(read(), whole, "nothing was written");
    let (code, _, err) = audit("", &resume).await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(told(&read(), &third), [1]);
    std::fs::write(&file, "{\"index\":1}\n").unwrap();
    let (code, _, err) = audit("", &resume).await;
    assert!(code == Some(64) && err.contains("isn't an export that was begun"), "{err}");
}
