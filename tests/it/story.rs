//! The story of the README, told through the front door.

use crate::support::{Gateway, GatewayBuilder, eventually};

#[tokio::test]
async fn refused_let_in_seen_in_both_logs_shut_out() {
    let gateway = Gateway::demo();
    let staff = gateway.token("staff");
    gateway.get("/api/v1/cameras", staff).await.problem(403, "PLATFORM_ACCESS_DENIED");

    let minted = gateway.try_mint("staff", "acme").await.expect(201);
    assert_eq!(minted.json["role"], "admin");
    assert_eq!(minted.json["expires_in"], 1800);
    assert_eq!(minted.json["org_id"], gateway.org("acme"));
    let (token, id) = (minted.text("/token").to_owned(), minted.text("/impersonation_id").to_owned());

    let seen = gateway.get("/api/v1/cameras", &token).await.expect(200);
    let request_id = seen.header("x-request-id").to_owned();
    assert_eq!(gateway.hits().await, std::slice::from_ref(&request_id));

    let filter = format!("&request_id={request_id}");
    let org = gateway.org_log("acme", "owner", &filter).await;
    let platform = gateway.platform_log(&filter).await;
    assert_eq!((org.len(), platform.len()), (1, 1), "{org:#?}\n{platform:#?}");
    assert_eq!(org[0]["event"], "platform.impersonated_request");
    assert_eq!(org[0]["actor_type"], "platform_admin_impersonating");
    assert_eq!(org[0]["impersonation_id"], id.as_str());
    assert_eq!(org[0]["decision"], "permit");
    assert_eq!(org[0]["reason"], serde_json::Value::Null);
    assert!(!org[0].to_string().contains("pu_"), "the person leaks to the customer: {}", org[0]);
    assert_eq!(platform[0]["reason"], "cameras offline since 03:00");
    assert_eq!(platform[0]["ticket_ref"], "INC-7");
    assert!(platform[0]["actor"].as_str().unwrap().starts_with("pu_"));

    let switched = gateway.switch("owner", "acme", false).await.expect(200);
    assert_eq!(switched.json["ended"], 1);
    assert_eq!(switched.json["allow_platform_impersonation"], false);
    let after = gateway.get("/api/v1/cameras", &token).await.problem(401, "IMPERSONATION_REVOKED");
    assert_eq!(after.json["revoke_reason"], "support_access_disabled");
    assert!(after.header("www-authenticate").starts_with("Bearer"));
    gateway.try_mint("staff", "acme").await.problem(403, "IMPERSONATION_BLOCKED");
    assert_eq!(gateway.hits().await.len(), 1, "nothing else reached the API");
}

#[tokio::test]
async fn it_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut first = GatewayBuilder::new().data(&data).start();
    let (acme, authority) = (first.org("acme").to_owned(), first.authority().to_owned());
    let (token, _) = first.mint("staff", "acme").await;
    first.get("/api/v1/cameras", &token).await.expect(200);
    first.signal("-INT");
    assert_eq!(first.wait(), Some(0), "{}", first.log());

    let second = GatewayBuilder::new().data(&data).arg("--listen").arg(&authority).start();
    assert_eq!(second.org("acme"), acme);
    second.get("/api/v1/cameras", &token).await.expect(200);
    // The outcome of the last one is written behind its answer.
    let completed = |entries: &[serde_json::Value]| entries.iter().all(|e| e["outcome"] == "completed");
    let entries = eventually("both requests have their outcome", async || {
        let entries = second.platform_log("&event=platform.impersonated_request").await;
        completed(&entries).then_some(entries)
    })
    .await;
    assert_eq!(entries.len(), 2, "{entries:#?}");
}

#[tokio::test]
async fn a_disabled_colleague_is_named_to_the_vendor_and_not_to_the_customer() {
    let gateway = Gateway::demo();
    let (_, grant) = gateway.mint("staff2", "acme").await;
    let id = async |token: &str| {
        let me = gateway.get("/api/v1/platform/me", gateway.token(token)).await.expect(200);
        me.text("/id").to_owned()
    };
    let (first, second) = (id("staff").await, id("staff2").await);
    let path = format!("/api/v1/platform/users/{second}/disable");
    let body =
        serde_json::json!({ "reason": "left the company", "ticket_ref": "HR-1", "cause": "departure" });
    let disabled = gateway.call("PATCH", &path, gateway.token("staff"), Some(body)).await.expect(200);
    assert_eq!(disabled.json["ended"], 1);

    let filter = format!("&event=platform.impersonation_ended&impersonation_id={grant}");
    let platform = gateway.platform_log(&filter).await;
    assert_eq!(platform[0]["actor"], first.as_str(), "{platform:#?}");
    assert_eq!(platform[0]["platform_user_id"], second.as_str());
    let org = gateway.org_log("acme", "owner", &filter).await;
    assert_eq!(org[0]["revoke_reason"], "platform_user_disabled");
    let told = org[0].to_string();
    for secret in ["staff2@", "pu_", "departure", "left the company", "HR-1", "Second Staff"] {
        assert!(!told.contains(secret), "`{secret}` leaks to the customer: {told}");
    }
}
