//! Metadata, revocation, introspection, and the short paths of the vendor's own host.

use super::{CLIENT, Flow, encoded, oauth_error};
use crate::support::{Answer, Door, Gateway, raw_exchange};
use drawbridge::config::OAuth2Client;
use drawbridge::domain::OrgRole;
use serde_json::json;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn s_38_what_a_client_has_to_know() {
    let gateway = Gateway::demo();
    let metadata = gateway.get("/.well-known/oauth-authorization-server", "").await.expect(200);
    assert!(metadata.header("cache-control").contains("max-age="), "{metadata}");
    assert_eq!(metadata.text("/issuer"), gateway.url(""), "byte for byte");
    assert_eq!(metadata.json["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata.json["response_types_supported"], json!(["code"]));
    assert_eq!(metadata.json["grant_types_supported"], json!(["authorization_code"]));
    assert_eq!(metadata.json["authorization_response_iss_parameter_supported"], true);
    for (endpoint, method) in [
        ("authorization_endpoint", "GET"),
        ("token_endpoint", "POST"),
        ("revocation_endpoint", "POST"),
        ("introspection_endpoint", "POST"),
        ("jwks_uri", "GET"),
    ] {
        let at = metadata.text(&format!("/{endpoint}"));
        let path = at.strip_prefix(&gateway.url("")).unwrap_or_else(|| panic!("{at}"));
        let answer = gateway.call(method, path, "", None).await;
        assert!(![404, 405, 500].contains(&answer.status), "{at}: {answer}");
    }
    // Not offered: no ID token comes out of here.
    gateway.get("/.well-known/openid-configuration", "").await.problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn s_40_a_token_that_is_given_back_is_over() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let token = flow.token("staff", 0).await;
    let path = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    let body = json!({ "reason": "cameras offline since 03:00" });
    let minted = gateway.call("POST", &path, &token, Some(body)).await.expect(201);
    let revoke = async |token: &str| {
        let fields = [("token", token), ("client_id", CLIENT), ("token_type_hint", "access_token")];
        flow.post("/oauth2/revoke", &fields).await
    };
    for unknown in ["x", "a.b.c", "", &token[..token.len() - 2]] {
        let answer = revoke(unknown).await;
        // Without a token there is nothing to be answered about.
        assert_eq!(answer.status, if unknown.is_empty() { 400 } else { 200 }, "{unknown}: {answer}");
    }
    // Those of others aren't this client's to end.
    oauth_error(&revoke(minted.text("/token")).await, 400, "invalid_grant");
    oauth_error(&revoke(gateway.token("staff2")).await, 400, "invalid_grant");
    gateway.get("/api/v1/platform/me", &token).await.expect(200);
    revoke(&token).await.expect(200);
    gateway.get("/api/v1/platform/me", &token).await.problem(401, "SESSION_ENDED");
    let over =
        gateway.get("/api/v1/cameras", minted.text("/token")).await.problem(401, "IMPERSONATION_REVOKED");
    assert_eq!(over.text("/revoke_reason"), "logout");
    revoke(&token).await.expect(200);
    let log = gateway.platform_log("&event=token.revoked").await;
    assert_eq!((log.len(), &log[0]["details"]["client_id"]), (1, &json!(CLIENT)), "{log:?}");
    oauth_error(&flow.post("/oauth2/revoke", &[("token", &token)]).await, 401, "invalid_client");
}

/// A gateway that has a client with a secret.
async fn door() -> (Door, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reports.secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let door = Door::open(|config| {
        config.server.platform_host = Some("ops.gateway.test".to_owned());
        config.oauth2.clients = vec![
            OAuth2Client { id: "reports".to_owned(), redirect_uris: vec![], secret_file: Some(file) },
            OAuth2Client {
                id: CLIENT.to_owned(),
                redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
                secret_file: None,
            },
        ];
    })
    .await;
    (door, folder)
}

async fn ask(door: &Door, authorization: Option<&str>, fields: &[(&str, &str)]) -> Answer {
    let client = reqwest::Client::new();
    let url = format!("http://{}/oauth2/introspect", door.target().authority);
    let mut request = client.post(url).header("host", door.target().host);
    request = request.header("content-type", "application/x-www-form-urlencoded").body(encoded(fields));
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    Answer::of(request.send().await.unwrap()).await
}

fn basic(id: &str, secret: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test]
async fn s_41_introspection_tells_clients_with_a_secret_what_counts() {
    let (door, _folder) = door().await;
    let proved = basic("reports", SECRET);
    let token = door.staff.token.clone();
    for (header, id) in [
        (None, None),
        (None, Some(CLIENT)),
        (None, Some("reports")),
        (Some(basic("reports", "0123456789abcdef0123456789abcdeX")), None),
        (Some(basic(CLIENT, "")), None),
        (Some(format!("Bearer {token}")), Some(CLIENT)),
    ] {
        let mut fields = vec![("token", token.as_str())];
        fields.extend(id.map(|id| ("client_id", id)));
        let refused = ask(&door, header.as_deref(), &fields).await;
        oauth_error(&refused, 401, "invalid_client");
        assert!(refused.header("www-authenticate").starts_with("Basic "), "{refused}");
    }
    let active = ask(&door, Some(&proved), &[("token", &token)]).await.expect(200);
    assert_eq!(active.header("cache-control"), "no-store");
    assert_eq!((&active.json["active"], active.text("/scope")), (&json!(true), "platform"));
    assert_eq!(
        (active.text("/username"), active.text("/sub")),
        ("one@vendor.example", door.staff.id.as_str())
    );
    assert!(active.json["exp"].is_i64() && active.json["iat"].is_i64() && active.json["jti"].is_string());
    let (grant, imp) = door.mint().await;
    let delegated = ask(&door, Some(&proved), &[("token", &grant)]).await.expect(200);
    assert_eq!(
        (delegated.text("/scope"), delegated.text("/act/sub")),
        ("impersonation", door.staff.id.as_str())
    );
    door.end(&imp).await.expect(200);
    let logged_out = door.new_staff_token().await;
    door.call("POST", "/api/v1/platform/logout", &logged_out, None).await.expect(200);
    // Unknown, revoked, damaged: the same, and nothing else.
    for over in ["x", grant.as_str(), &logged_out, &token[..token.len() - 1]] {
        let answer = ask(&door, Some(&proved), &[("token", over)]).await.expect(200);
        assert_eq!(answer.json, json!({ "active": false }), "{over}");
    }
    oauth_error(&ask(&door, Some(&proved), &[]).await, 400, "invalid_request");
}

#[tokio::test]
async fn s_28_a_token_counts_up_to_its_second_and_not_beyond() {
    let (door, _folder) = door().await;
    let token = door.person("short@acme.example", OrgRole::Viewer, 2_000).await;
    door.get("/api/v1/me", &token).await.expect(200);
    door.until_not(200, "/api/v1/me", &token).await.problem(401, "TOKEN_EXPIRED");
    let answer = ask(&door, Some(&basic("reports", SECRET)), &[("token", &token)]).await.expect(200);
    assert_eq!(answer.json, json!({ "active": false }));
}

#[tokio::test]
async fn s_32_a_grant_is_an_admins_for_half_an_hour_whatever_is_asked_for() {
    let gateway = Gateway::demo();
    let path = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    for more in [
        json!({ "role": "owner" }),
        json!({ "expires_in": 3600 }),
        json!({ "may_act": {} }),
        json!({ "act": {} }),
    ] {
        let mut body = json!({ "reason": "cameras offline since 03:00" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway.call("POST", &path, gateway.token("staff"), Some(body)).await.problem(422, "INVALID_BODY");
    }
    let (grant, id) = gateway.mint("staff", "acme").await;
    let claims = super::part(&grant, 1);
    assert_eq!((&claims["role"], &claims["org_id"]), (&json!("admin"), &json!(gateway.org("acme"))));
    assert_eq!((&claims["impersonation_id"], &claims["scope"]), (&json!(id), &json!("impersonation")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1800);
    // It can't be exchanged for another.
    let flow = Flow::at(&gateway);
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("client_id", CLIENT),
        ("subject_token", grant.as_str()),
    ];
    oauth_error(&flow.post("/oauth2/token", &exchange).await, 400, "unsupported_grant_type");
    gateway
        .call("POST", &path, &grant, Some(json!({ "reason": "cameras offline since 03:00" })))
        .await
        .expect(403);
}

#[tokio::test]
async fn on_the_vendors_own_host_short_paths_lead_there_and_nowhere_else() {
    let (door, _folder) = door().await;
    let target = door.target();
    let get = async |host: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        Box::pin(raw_exchange(&target.authority, request.as_bytes())).await
    };
    let login = get("ops.gateway.test", "/login").await;
    assert!(login.starts_with("HTTP/1.1 200 ") && login.contains("name=\"password\""), "{login}");
    let bad = get("ops.gateway.test", "/authorize?client_id=other").await;
    assert!(bad.starts_with("HTTP/1.1 400 ") && bad.contains("client_id"), "{bad}");
    let body = "grant_type=password&client_id=drawbridge-cli";
    let request = format!(
        "POST /token HTTP/1.1\r\nHost: ops.gateway.test\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let token = Box::pin(raw_exchange(&target.authority, request.as_bytes())).await;
    assert!(token.contains("unsupported_grant_type"), "{token}");
    for path in ["/login", "/authorize", "/token", "/admin-console/x"] {
        let answer = get(&target.host, path).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
    }
}
