use super::{event, lines};
use crate::audit::entry::{ActorType, Entry, Stage};
use crate::audit::tree::LogName;
use crate::audit::{fixtures, line};
use crate::domain::ids::OrgId;
use crate::domain::{Event, RevokeReason};
use jsonschema::Validator;
use published::Published;
use serde_json::{Value, json};

mod published;

fn schema(name: &str) -> Validator {
    let path = format!("{}/schemas/ocsf-{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// What is wrong with `event`, by the schema of its class.
fn faults(event: &Value) -> Vec<String> {
    let name = match event["class_uid"].as_u64() {
        Some(3002) => "authentication",
        _ => "api-activity",
    };
    schema(name).iter_errors(event).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// Each event in each log, of each kind of actor, at each stage that it may have.
fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    for event in Event::ALL {
        for actor_type in [
            ActorType::PlatformAdminImpersonating,
            ActorType::PlatformUser,
            ActorType::OrgUser,
            ActorType::Bot,
            ActorType::System,
        ] {
            for stage in [Stage::Intent, Stage::Refused, Stage::Act, Stage::Use] {
                let mut entry = fixtures::intent("imp_a", "org_acme");
                entry.event = *event;
                entry.stage = stage;
                entry.actor_type = actor_type;
                entry.status = (stage != Stage::Intent).then_some(200);
                entry.impersonation_seq = (stage == Stage::Intent).then_some(3);
                if stage == Stage::Refused {
                    (entry.decision, entry.status) = (Some("deny"), Some(403));
                    entry.code = Some("OWNER_ONLY".to_owned());
                    entry.count = 7;
                }
                if stage == Stage::Act {
                    entry.resource = Some("pu_bob".to_owned());
                    entry.details = serde_json::from_str(r#"{"slot":2}"#).unwrap();
                    entry.revoke_reason =
                        (*event == Event::ImpersonationEnded).then_some(RevokeReason::Expired);
                }
                if actor_type == ActorType::System {
                    entry.source_address = None;
                    entry.method = None;
                    entry.path = None;
                    entry.action = None;
                    entry.token_id = None;
                    entry.user_agent = None;
                }
                all.push(entry);
            }
        }
    }
    all
}

fn items(entry: &Entry) -> [Value; 2] {
    let part = line::part(entry);
    [
        line::org(entry, &part, None).unwrap().body,
        line::platform(entry, &part, None, Some("5a17")).unwrap().body,
    ]
    .map(|line| serde_json::from_str(&line).unwrap())
}

#[test]
fn every_kind_of_entry_is_an_event_of_its_class() {
    let published = Published::read();
    let ours = ["api-activity", "authentication"].map(schema);
    let mut checked = 0;
    for entry in entries() {
        for mut item in items(&entry) {
            for outcome in [None, Some("completed"), Some("cut"), Some("unknown")] {
                if let (Some(outcome), Stage::Intent) = (outcome, entry.stage) {
                    for (key, value) in [
                        ("outcome", json!(outcome)),
                        ("status", json!(200)),
                        ("bytes_in", json!(1)),
                        ("bytes_out", json!(2)),
                        ("latency_ms", json!(3)),
                        ("attempts", json!(1)),
                        ("cut_by", json!("ended_by_customer")),
                    ] {
                        item[key] = value;
                    }
                }
                item["index"] = json!(17);
                item["log"] = json!("org_acme");
                let event = event(&item);
                assert_eq!(published.faults(&event), [] as [String; 0], "{item}\n{event}");
                let ours = if event["class_uid"] == 3002 { &ours[1] } else { &ours[0] };
                assert!(ours.is_valid(&event), "{:?} {item}\n{event}", faults(&event));
                checked += 1;
            }
        }
    }
    assert_eq!(checked, Event::ALL.len() * 5 * 4 * 2 * 4);
}

#[test]
fn the_schema_notices_what_is_wrong() {
    let good = event(&items(&fixtures::intent("imp_a", "org_acme"))[1]);
    assert_eq!(faults(&good), [] as [String; 0]);
    let broken: [(&str, &str, Value); 9] = [
        ("", "type_uid", json!(600_301)),
        ("", "activity_id", json!(5)),
        ("", "class_uid", json!(6001)),
        ("", "reason", json!("not an attribute")),
        ("", "time", json!("2026-11-21T19:20:31.118Z")),
        ("/metadata", "version", json!("1.0.0")),
        ("/src_endpoint", "ip", json!("unknown")),
        ("/actor/user", "type_id", json!(7)),
        ("/http_request", "http_method", json!("get")),
    ];
    for (place, key, value) in broken {
        let mut bad = good.clone();
        bad.pointer_mut(place).unwrap()[key] = value;
        assert_ne!(faults(&bad), [] as [String; 0], "{place} {key}");
    }
    for key in ["actor", "api", "src_endpoint", "metadata", "time", "severity_id", "type_uid"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(key);
        assert_ne!(faults(&bad), [] as [String; 0], "without {key}");
    }
}

/// What our own schemas can't tell, since they list only what is filled: the published definitions do.
#[test]
fn the_published_definitions_notice_what_is_wrong() {
    let published = Published::read();
    let good = event(&items(&fixtures::intent("imp_a", "org_acme"))[1]);
    assert_eq!(published.faults(&good), [] as [String; 0]);
    let broken: [(&str, &str, Value, &str); 16] = [
        ("", "type_uid", json!(600_301), "type_uid"),
        ("", "activity_id", json!(5), "activity_id"),
        ("", "activity_name", json!("Look"), "activity_name"),
        ("", "class_uid", json!(6001), "class"),
        ("", "category_name", json!("Application"), "category_name"),
        ("", "reason", json!("not an attribute"), "reason"),
        ("", "time", json!("2026-11-21T19:20:31.118Z"), "time"),
        ("", "device", json!({ "hostname": "of a profile that isn't named" }), "device"),
        ("", "resources", json!({ "uid": "not a list" }), "resources"),
        ("/metadata", "version", json!("1.7.0"), "version"),
        ("/metadata/product", "name", json!(7), "name"),
        ("/src_endpoint", "ip", json!("unknown"), "ip"),
        ("/actor", "invoked_by", json!("deprecated"), "invoked_by"),
        ("/actor/user", "type_id", json!(7), "type_id"),
        ("/actor/user", "org", json!({ "ou_name": "neither name nor uid" }), "org"),
        ("/http_request", "http_method", json!("get"), "http_method"),
    ];
    for (place, key, value, named) in broken {
        let mut bad = good.clone();
        bad.pointer_mut(place).unwrap()[key] = value;
        let faults = published.faults(&bad);
        assert!(faults.iter().any(|fault| fault.contains(named)), "{place} {key}: {faults:?}");
    }
    for key in
        ["actor", "api", "src_endpoint", "metadata", "time", "severity_id", "type_uid", "activity_name"]
    {
        let mut bad = good.clone();
        if key == "activity_name" {
            (bad["activity_id"], bad["type_uid"]) = (json!(99), json!(600_399));
        }
        bad.as_object_mut().unwrap().remove(key);
        assert_ne!(published.faults(&bad), [] as [String; 0], "without {key}");
    }
    let [_, item] = items(&Entry { event: Event::PlatformLogin, ..fixtures::intent("imp_a", "org_acme") });
    let mut bad = event(&item);
    bad.as_object_mut().unwrap().remove("service");
    assert_ne!(published.faults(&bad), [] as [String; 0], "neither service nor dst_endpoint");
}

#[test]
fn a_request_of_staff_is_told_with_person_reason_and_ticket() {
    let mut item = items(&fixtures::intent("imp_a", "org_acme"))[1].clone();
    for (key, value) in [("outcome", json!("completed")), ("status", json!(200)), ("latency_ms", json!(12))] {
        item[key] = value;
    }
    let event = event(&item);
    assert_eq!((&event["type_uid"], &event["activity_name"]), (&json!(600_302), &json!("Read")));
    assert_eq!(event["actor"]["user"]["uid"], "pu_ann");
    assert_eq!(event["api"]["operation"], "listCameras");
    assert_eq!(event["src_endpoint"]["ip"], "203.0.113.7");
    assert_eq!(event["time"], 1_709_210_096_789_i64);
    assert_eq!(event["metadata"]["uid"], item["id"]);
    assert_eq!(event["http_response"], json!({ "code": 200, "latency": 12 }));
    assert_eq!((&event["status"], &event["severity"]), (&json!("Success"), &json!("Informational")));
    assert_eq!(event["unmapped"]["reason"], "looking into incident 7");
    assert_eq!(event["unmapped"]["ticket_ref"], "T-1");
    assert_eq!(event["unmapped"]["impersonation_id"], "imp_a");
    assert_eq!(event["unmapped"]["policies"], json!(["impersonation-scope"]));
    assert!(!event.to_string().contains("5a17"), "the salt: {event}");
}

#[test]
fn how_it_went_is_told() {
    let item = |stage: &str, more: Value| {
        let mut item = json!({ "event": "org.request", "stage": stage, "time": "2026-11-21T19:20:31.118Z" });
        for (key, value) in more.as_object().unwrap() {
            item[key] = value.clone();
        }
        event(&item)["status_id"].clone()
    };
    for (stage, more, status) in [
        ("intent", json!({}), 0),
        ("intent", json!({ "outcome": "unknown" }), 0),
        ("intent", json!({ "outcome": "completed", "status": 204 }), 1),
        ("intent", json!({ "outcome": "completed", "status": 404 }), 2),
        ("intent", json!({ "outcome": "cut", "status": 200 }), 2),
        ("intent", json!({ "outcome": "not_forwarded" }), 2),
        ("refused", json!({ "decision": "deny", "code": "OWNER_ONLY", "status": 403 }), 2),
        ("act", json!({ "status": 200 }), 1),
        ("use", json!({ "decision": "permit" }), 1),
    ] {
        assert_eq!(item(stage, more.clone()), status, "{stage} {more}");
    }
}

#[test]
fn sign_ins_are_authentication() {
    let published = Published::read();
    let [_, item] = items(&Entry { event: Event::PlatformLogin, ..fixtures::intent("imp_a", "org_acme") });
    let signed_in = event(&item);
    assert_eq!(signed_in["type_uid"], 300_201);
    let failed = event(&json!({
        "event": "platform.login_failed", "stage": "refused", "time": "2026-11-21T19:20:31.118Z",
        "actor": "pu_ann", "actor_name": "Ann", "source_address": "2001:db8::1",
    }));
    assert_eq!(faults(&failed), [] as [String; 0]);
    assert_eq!((&failed["type_uid"], &failed["status"]), (&json!(300_201), &json!("Failure")));
    assert_eq!(failed["user"], json!({ "uid": "pu_ann", "name": "Ann" }));
    // The gateway writes down what nobody did who is known.
    let mut nobody = Entry::system(Event::PlatformLoginFailed, Stage::Refused, 1_709_210_096_789);
    nobody.source_address = Some("203.0.113.7".to_owned());
    let [_, item] = items(&nobody);
    let failed = event(&item);
    assert_eq!(faults(&failed), [] as [String; 0]);
    assert_eq!(published.faults(&failed), [] as [String; 0]);
    assert_eq!(failed["user"], json!({ "name": "unknown", "type_id": 0, "type": "Unknown" }));
}

/// Its intent may have expired before it.
#[test]
fn an_outcome_alone_is_an_event_too() {
    let published = Published::read();
    for impersonation in [json!("imp_a"), Value::Null] {
        let outcome = event(&json!({
            "id": "aud_1", "request_id": "req_1", "time": "2026-11-21T19:20:31.118Z", "stage": "outcome",
            "impersonation_id": impersonation, "outcome": "completed", "status": 200, "bytes_in": 0,
            "bytes_out": 7, "latency_ms": 3, "attempts": 1, "cut_by": null, "index": 4, "log": "org_acme",
        }));
        assert_eq!(published.faults(&outcome), [] as [String; 0], "{outcome}");
        assert_eq!(faults(&outcome), [] as [String; 0], "{outcome}");
    }
}

#[test]
fn a_page_is_lines() {
    let org = LogName::Org(OrgId::parse("org_acme").unwrap());
    let items = items(&fixtures::intent("imp_a", "org_acme"));
    let lines = lines(&org, &items).unwrap();
    assert_eq!(lines.matches('\n').count(), 2);
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["metadata"]["log_name"], "org_acme");
        assert_eq!(faults(&event), [] as [String; 0]);
    }
}
