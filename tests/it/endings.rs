//! Every way in which a grant ends: its reason in both logs, once, with the last running number, and what
//! the next request is told (requirements §2).

use crate::support::{Answer, Door, Engine, Gateway, eventually, on_both_engines};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use drawbridge::domain::parse_rfc3339;
use serde_json::{Value, json};
use std::time::Duration;

on_both_engines!(each_way_leaves_one_end_with_its_reason, signing_out_ends_every_grant,);

/// The one `impersonation_ended` of a grant in a log.
fn only_end<'a>(log: &'a [Value], reason: &str, last: i64) -> &'a Value {
    assert_eq!(log.len(), 1, "{log:#?}");
    let entry = &log[0];
    assert_eq!(entry["revoke_reason"], reason, "{entry}");
    assert_eq!(entry["impersonation_seq"], last, "{entry}");
    entry
}

async fn check(gateway: &Gateway, (token, id): &(String, String), reason: &str, last: i64) {
    for path in ["/api/v1/cameras", "/api/v1/me", "/api/v1/nothing/there", "/api/v1/platform/me"] {
        let next = gateway.get(path, token).await.problem(401, "IMPERSONATION_REVOKED");
        assert_eq!(next.json["revoke_reason"], reason, "{next}");
    }
    let filter = format!("&event=platform.impersonation_ended&impersonation_id={id}");
    let org = gateway.org_log("acme", "owner", &filter).await;
    let platform = gateway.platform_log(&filter).await;
    let entry = only_end(&platform, reason, last);
    assert!(entry["platform_user_id"].as_str().unwrap().starts_with("pu_"), "{entry}");
    assert_eq!(entry["reason"], "cameras offline since 03:00");
    let entry = only_end(&org, reason, last);
    assert!(!entry.to_string().contains("\"pu_"), "the person leaks to the customer: {entry}");
    assert_eq!(entry["reason"], Value::Null, "the reason is the vendor's: {entry}");
}

/// A grant under which three requests were forwarded.
async fn used(gateway: &Gateway, staff: &str) -> (String, String) {
    let grant = gateway.mint(staff, "acme").await;
    for _ in 0..3 {
        gateway.get("/api/v1/cameras", &grant.0).await.expect(200);
    }
    grant
}

async fn end_own(gateway: &Gateway, token: &str, id: Option<&str>) -> Answer {
    let body = id.map_or(json!({}), |id| json!({ "impersonation_id": id }));
    gateway.call("POST", "/api/v1/platform/end-impersonation", token, Some(body)).await
}

async fn end_by_customer(gateway: &Gateway, who: &str, id: &str) -> Answer {
    let path = format!("/api/v1/orgs/{}/impersonations/{id}", gateway.org("acme"));
    gateway.call("DELETE", &path, gateway.token(who), None).await
}

async fn each_way_leaves_one_end_with_its_reason(engine: Engine) {
    let gateway = Gateway::on(engine).await;
    let staff = gateway.token("staff").to_owned();

    let grant = used(&gateway, "staff").await;
    end_own(&gateway, gateway.token("staff2"), Some(&grant.1)).await.problem(404, "NOT_FOUND");
    let first = end_own(&gateway, &staff, Some(&grant.1)).await.expect(200);
    let repeat = end_own(&gateway, &staff, Some(&grant.1)).await.expect(200);
    assert_eq!(first.json, repeat.json, "a repeat gives the same answer");
    check(&gateway, &grant, "ended_by_actor", 3).await;

    // With its own token it gets its 200, and is over.
    let grant = used(&gateway, "staff").await;
    let ended = end_own(&gateway, &grant.0, None).await.expect(200);
    assert_eq!(ended.json["revoke_reason"], "ended_by_actor");
    check(&gateway, &grant, "ended_by_actor", 3).await;

    for who in ["owner", "admin"] {
        let grant = used(&gateway, "staff").await;
        for other in ["viewer", "bot", "globex_owner", "staff", "staff2"] {
            assert_eq!(end_by_customer(&gateway, other, &grant.1).await.status, 403, "{other}");
        }
        end_by_customer(&gateway, who, &grant.1).await.expect(200);
        check(&gateway, &grant, "ended_by_customer", 3).await;
    }

    let (one, two) = (used(&gateway, "staff").await, used(&gateway, "staff2").await);
    assert_eq!(gateway.switch("owner", "acme", false).await.expect(200).json["ended"], 2);
    check(&gateway, &one, "support_access_disabled", 3).await;
    check(&gateway, &two, "support_access_disabled", 3).await;
    gateway.switch("owner", "acme", true).await.expect(200);
    // Switching it on again brings nothing back.
    check(&gateway, &one, "support_access_disabled", 3).await;

    let grant = used(&gateway, "staff2").await;
    let users = gateway.get("/api/v1/platform/users", &staff).await.expect(200);
    let is_staff2 = |u: &&Value| u["email"] == "staff2@drawbridge.example";
    let staff2 = users.json["items"].as_array().unwrap().iter().find(is_staff2).unwrap()["id"].clone();
    let path = format!("/api/v1/platform/users/{}", staff2.as_str().unwrap());
    let body = json!({ "reason": "left the company", "cause": "departure" });
    let disabled = gateway.call("PATCH", &format!("{path}/disable"), &staff, Some(body)).await.expect(200);
    assert_eq!(disabled.json["ended"], 1);
    gateway.get("/api/v1/platform/me", gateway.token("staff2")).await.problem(401, "ACCOUNT_DISABLED");
    check(&gateway, &grant, "platform_user_disabled", 3).await;
    // Enabling the account brings neither its sessions nor its grants back.
    gateway.call("PATCH", &format!("{path}/enable"), &staff, Some(json!({}))).await.expect(200);
    gateway.get("/api/v1/platform/me", gateway.token("staff2")).await.problem(401, "SESSION_ENDED");
    check(&gateway, &grant, "platform_user_disabled", 3).await;
}

async fn signing_out_ends_every_grant(engine: Engine) {
    let gateway = Gateway::on(engine).await;
    let (one, two) = (used(&gateway, "staff2").await, used(&gateway, "staff2").await);
    let bystander = used(&gateway, "staff").await;
    let out =
        gateway.call("POST", "/api/v1/platform/logout", gateway.token("staff2"), None).await.expect(200);
    assert_eq!(out.json["ended"], 2);
    gateway.get("/api/v1/platform/me", gateway.token("staff2")).await.problem(401, "SESSION_ENDED");
    check(&gateway, &one, "logout", 3).await;
    check(&gateway, &two, "logout", 3).await;
    gateway.get("/api/v1/cameras", &bystander.0).await.expect(200);
}

/// `exp` of a token, in milliseconds.
fn expires_at(token: &str) -> i64 {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64url");
    serde_json::from_slice::<Value>(&claims).expect("JSON")["exp"].as_i64().expect("seconds") * 1000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_time_being_over_ends_it() {
    let door = Door::open(|config| config.impersonation.ttl = Duration::from_secs(3)).await;
    let (token, id) = door.mint().await;
    let first = door.get("/api/v1/cameras", &token).await;
    let refused = door.until_not(200, "/api/v1/cameras", &token).await.problem(401, "IMPERSONATION_EXPIRED");
    assert_eq!((first.status, &refused.json["revoke_reason"]), (200, &json!("expired")));
    let filter = format!("&event=platform.impersonation_ended&impersonation_id={id}");
    let logs = eventually("the end is recorded by itself", async || {
        let logs = door.both_logs(&filter).await;
        logs.iter().all(|log| !log.is_empty()).then_some(logs)
    })
    .await;
    let filter = format!("&event=platform.impersonated_request&decision=permit&impersonation_id={id}");
    let permitted = &door.both_logs(&filter).await[0];
    // At once, not when the gateway gets round to ending it.
    for entry in permitted {
        let time = parse_rfc3339(entry["time"].as_str().unwrap()).unwrap();
        assert!(time < expires_at(&token), "permitted after its time: {entry}");
    }
    let last = i64::try_from(permitted.len()).unwrap();
    for log in &logs {
        assert_eq!(only_end(log, "expired", last)["actor_type"], "system");
    }
    let again = door.get("/api/v1/cameras", &token).await.problem(401, "IMPERSONATION_EXPIRED");
    assert_eq!(again.json["revoke_reason"], "expired");
}
