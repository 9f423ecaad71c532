//! What a mint gives and what it refuses, and how little a grant reaches (requirements §2).

use crate::support::{Answer, Engine, Gateway, on_both_engines};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

on_both_engines!(
    a_grant_says_what_it_is,
    refusals_come_in_their_order,
    one_key_one_grant,
    a_grant_reaches_one_org_and_leaves_nothing_behind,
    staff_have_no_standing_access,
);

async fn mint(gateway: &Gateway, org: &str, body: Value) -> Answer {
    let path = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org(org));
    gateway.call("POST", &path, gateway.token("staff"), Some(body)).await
}

fn part(token: &str, n: usize) -> Value {
    let part = token.split('.').nth(n).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

async fn a_grant_says_what_it_is(engine: Engine) {
    let gateway = Gateway::on(engine).await;
    let minted = gateway.try_mint("staff", "acme").await.expect(201);
    assert_eq!(minted.header("cache-control"), "no-store");
    let token = minted.text("/token");
    let claims = part(token, 1);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1800);
    let id = minted.text("/impersonation_id");
    for name in ["impersonation_id", "jti", "sub"] {
        assert_eq!(claims[name], id, "{name}: {claims}");
    }
    assert_eq!(claims["org_id"], gateway.org("acme"));
    assert_eq!((&claims["role"], &claims["scope"]), (&json!("admin"), &json!("impersonation")));
    assert!(claims["act"]["sub"].as_str().unwrap().starts_with("pu_"), "{claims}");
    assert_eq!(claims["act"]["iss"], claims["iss"]);
    let keys = gateway.get("/.well-known/jwks.json", "").await.expect(200);
    let kid = &part(token, 0)["kid"];
    assert!(keys.json["keys"].as_array().unwrap().iter().any(|key| key["kid"] == *kid), "{keys}");
    // A claim that is changed makes it nobody's.
    let mut wider = claims.clone();
    wider["role"] = "owner".into();
    let pieces: Vec<&str> = token.split('.').collect();
    let forged = format!("{}.{}.{}", pieces[0], URL_SAFE_NO_PAD.encode(wider.to_string()), pieces[2]);
    gateway.get("/api/v1/cameras", &forged).await.problem(401, "INVALID_TOKEN");
}

async fn refusals_come_in_their_order(engine: Engine) {
    let gateway = Gateway::on(engine).await;
    let good = json!({ "reason": "cameras offline since 03:00" });
    for thin in [
        json!({}),
        json!({ "reason": "" }),
        json!({ "reason": null }),
        json!({ "reason": "123456789" }),
        json!({ "reason": "   short     \t\n     " }),
        json!({ "reason": "\u{200b}".repeat(40) }),
        json!({ "reason": format!("a{}b", "\u{200b}\u{feff}\u{202e}\u{2060}\u{ad}".repeat(10)) }),
        json!({ "reason": "\u{0}\u{1b}\u{7f}".repeat(10) }),
    ] {
        mint(&gateway, "acme", thin.clone()).await.problem(422, "REASON_REQUIRED");
        mint(&gateway, "globex", thin).await.problem(422, "REASON_REQUIRED");
    }
    mint(&gateway, "globex", good.clone()).await.problem(403, "IMPERSONATION_BLOCKED");
    for wide in ["role", "org_id", "expires_in", "ttl", "platform_user_id", "slot", "scope"] {
        let mut body = good.clone();
        body[wide] = "owner".into();
        let refused = mint(&gateway, "acme", body).await.problem(422, "INVALID_BODY");
        assert!(refused.text("/detail").contains(wide), "{refused}");
    }
    for body in [
        json!([]),
        json!(["cameras offline since 03:00"]),
        json!("x"),
        json!({ "reason": 7 }),
        json!({ "reason": ["cameras offline"] }),
    ] {
        mint(&gateway, "acme", body).await.problem(422, "INVALID_BODY");
    }
    let long = json!({ "reason": "x".repeat(4_001) });
    mint(&gateway, "acme", long).await.problem(422, "INVALID_BODY");
    let nowhere = "/api/v1/platform/orgs/org_00000000000000000000000000/impersonate";
    let refused = gateway.call("POST", nowhere, gateway.token("staff"), Some(good.clone())).await;
    refused.problem(404, "NOT_FOUND");
    assert_eq!(
        gateway.get("/api/v1/platform/impersonations", gateway.token("staff")).await.json["items"],
        json!([])
    );

    for _ in 0..5 {
        assert_eq!(mint(&gateway, "acme", good.clone()).await.expect(201).json["role"], "admin");
    }
    mint(&gateway, "acme", json!({ "reason": "thin" })).await.problem(422, "REASON_REQUIRED");
    mint(&gateway, "globex", good.clone()).await.problem(403, "IMPERSONATION_BLOCKED");
    mint(&gateway, "acme", good).await.problem(409, "IMPERSONATION_LIMIT");
    // Every refused mint that the policies judged is in both logs, of each org its own.
    // Bodies that are none are recorded too, repeats of them counted together.
    let filter = "&event=platform.impersonation_denied";
    for (log, judged, malformed) in [
        (gateway.org_log("acme", "owner", filter).await, 10, true),
        (gateway.org_log("globex", "globex_owner", filter).await, 10, false),
        (gateway.platform_log(filter).await, 21, true),
    ] {
        let (bodies, denied): (Vec<_>, Vec<_>) = log.iter().partition(|e| e["code"] == "INVALID_BODY");
        assert_eq!((denied.len(), !bodies.is_empty()), (judged, malformed), "{log:#?}");
    }
}

async fn one_key_one_grant(engine: Engine) {
    let gateway = Gateway::on(engine).await;
    let path = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    let keyed = async |key: &str, reason: &str| {
        let request = gateway.client.post(gateway.url(&path)).bearer_auth(gateway.token("staff"));
        let body = json!({ "reason": reason }).to_string();
        Answer::of(request.header("idempotency-key", key).body(body).send().await.unwrap()).await
    };
    let first = keyed("k-1", "cameras offline").await.expect(201);
    assert_eq!(keyed("k-1", "cameras offline").await.expect(201).json, first.json);
    let other = keyed("k-1", "something else").await.problem(422, "INVALID_BODY");
    assert_eq!(other.json["member"], "Idempotency-Key");
    assert_ne!(keyed("k-2", "cameras offline").await.expect(201).json, first.json);
    keyed("", "cameras offline").await.problem(422, "INVALID_BODY");
    // A repeat after the end gives the grant that is over, not a new one.
    let end = json!({ "impersonation_id": first.text("/impersonation_id") });
    let ended = gateway.call("POST", "/api/v1/platform/end-impersonation", gateway.token("staff"), Some(end));
    ended.await.expect(200);
    let late = keyed("k-1", "cameras offline").await.expect(201);
    assert_eq!(late.json["impersonation_id"], first.json["impersonation_id"]);
    gateway.get("/api/v1/cameras", late.text("/token")).await.problem(401, "IMPERSONATION_REVOKED");
}

async fn a_grant_reaches_one_org_and_leaves_nothing_behind(engine: Engine) {
    let gateway = Gateway::on(engine).await;
    let (token, id) = gateway.mint("staff", "acme").await;
    let (other_token, other) = gateway.mint("staff2", "acme").await;
    let (acme, globex) = (gateway.org("acme"), gateway.org("globex"));
    let reason = || Some(json!({ "reason": "cameras offline since 03:00" }));
    let org = |org: &str, rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let refused = [
        ("POST", format!("/api/v1/platform/orgs/{acme}/impersonate"), reason(), "PLATFORM_ACCESS_DENIED"),
        ("POST", format!("/api/v1/platform/orgs/{globex}/impersonate"), reason(), "PLATFORM_ACCESS_DENIED"),
        ("GET", "/api/v1/platform/me".into(), None, "PLATFORM_ACCESS_DENIED"),
        ("GET", "/api/v1/platform/orgs".into(), None, "PLATFORM_ACCESS_DENIED"),
        ("GET", "/api/v1/platform/users".into(), None, "PLATFORM_ACCESS_DENIED"),
        ("GET", "/api/v1/platform/impersonations".into(), None, "PLATFORM_ACCESS_DENIED"),
        ("GET", "/api/v1/platform/audit-log".into(), None, "PLATFORM_ACCESS_DENIED"),
        ("POST", "/api/v1/platform/logout".into(), None, "PLATFORM_ACCESS_DENIED"),
        ("PATCH", "/api/v1/platform/users/x/disable".into(), reason(), "PLATFORM_ACCESS_DENIED"),
        ("PATCH", "/api/v1/platform/users/x/enable".into(), reason(), "PLATFORM_ACCESS_DENIED"),
        ("GET", org(acme, "audit-log"), None, "PLATFORM_ACCESS_DENIED"),
        ("GET", org(acme, "impersonations"), None, "PLATFORM_ACCESS_DENIED"),
        ("GET", org(globex, "cameras"), None, "IMPERSONATION_OUT_OF_SCOPE"),
        ("GET", org(globex, "audit-log"), None, "IMPERSONATION_OUT_OF_SCOPE"),
        ("PATCH", org(globex, "support-access"), None, "IMPERSONATION_OUT_OF_SCOPE"),
        ("GET", org("org_00000000000000000000000000", "cameras"), None, "IMPERSONATION_OUT_OF_SCOPE"),
        (
            "POST",
            "/api/v1/members".into(),
            Some(json!({ "email": "me", "role": "owner" })),
            "NO_STANDING_ACCESS",
        ),
        ("PATCH", "/api/v1/members/mem_1".into(), Some(json!({ "role": "owner" })), "NO_STANDING_ACCESS"),
        ("DELETE", org(acme, &format!("impersonations/{other}")), None, "NO_STANDING_ACCESS"),
        ("DELETE", org(acme, &format!("impersonations/{id}")), None, "NO_STANDING_ACCESS"),
        ("GET", org(acme, "support-access"), None, "OWNER_ONLY"),
        (
            "PATCH",
            org(acme, "support-access"),
            Some(json!({ "allow_platform_impersonation": true })),
            "OWNER_ONLY",
        ),
        ("GET", "/api/v1/billing/plan".into(), None, "OWNER_ONLY"),
        ("PATCH", "/api/v1/billing/plan".into(), Some(json!({ "plan": "free" })), "OWNER_ONLY"),
        ("POST", "/api/v1/transfer-ownership".into(), Some(json!({ "to": "mem_1" })), "OWNER_ONLY"),
        ("DELETE", "/api/v1/org".into(), None, "OWNER_ONLY"),
    ];
    let mut ids = Vec::new();
    for (method, path, body, code) in refused {
        let answer = gateway.call(method, &path, &token, body).await;
        assert_eq!(
            (answer.status, answer.json["code"].as_str()),
            (403, Some(code)),
            "{method} {path}: {answer}"
        );
        ids.push(answer.text("/request_id").to_owned());
    }
    // The org of the credential is the org, whatever a header says.
    let request = gateway.client.get(gateway.url("/api/v1/cameras")).bearer_auth(&token);
    let by_header = Answer::of(request.header("drawbridge-org", globex).send().await.unwrap()).await;
    assert!(by_header.expect(200).text("/items/0/id").starts_with("cam_acme"));
    // Nor does it end a colleague's.
    let end = Some(json!({ "impersonation_id": other }));
    let colleague_s = gateway.call("POST", "/api/v1/platform/end-impersonation", &token, end).await;
    ids.push(colleague_s.problem(404, "NOT_FOUND").text("/request_id").to_owned());
    gateway.get("/api/v1/cameras", &other_token).await.expect(200);

    assert_eq!(gateway.hits().await.len(), 2, "nothing that was refused reached the API");
    ids.sort();
    let filter = format!("&event=platform.impersonated_request&decision=deny&impersonation_id={id}");
    for log in [gateway.org_log("acme", "owner", &filter).await, gateway.platform_log(&filter).await] {
        let mut logged: Vec<_> = log.iter().map(|e| e["request_id"].as_str().unwrap().to_owned()).collect();
        logged.sort();
        assert_eq!(logged, ids, "each refusal is in the log");
    }
    assert!(
        gateway.org_log("globex", "globex_owner", &filter).await.is_empty(),
        "globex is told nothing of acme's visitor"
    );
}

async fn staff_have_no_standing_access(engine: Engine) {
    let gateway = Gateway::on(engine).await;
    let staff = gateway.token("staff");
    let acme = gateway.org("acme");
    let mut asked = Vec::new();
    for (method, path) in [
        ("GET", "/api/v1/cameras".to_owned()),
        ("POST", "/api/v1/cameras".to_owned()),
        ("DELETE", "/api/v1/cameras/x".to_owned()),
        ("GET", "/api/v1/members".to_owned()),
        ("GET", format!("/api/v1/orgs/{acme}/cameras")),
        ("GET", "/api/v1/events/stream".to_owned()),
        ("GET", "/api/v1/billing/plan".to_owned()),
        ("GET", format!("/api/v1/orgs/{acme}/audit-log")),
        ("PATCH", format!("/api/v1/orgs/{acme}/support-access")),
        ("GET", "/api/v1/cameras?org_id=acme".to_owned()),
    ] {
        let answer = gateway.call(method, &path, staff, None).await;
        assert_eq!(
            (answer.status, answer.json["code"].as_str()),
            (403, Some("PLATFORM_ACCESS_DENIED")),
            "{path}: {answer}"
        );
        asked.push(path);
    }
    let request = gateway.client.get(gateway.url("/api/v1/cameras")).bearer_auth(staff);
    let answer = Answer::of(request.header("drawbridge-org", acme).send().await.unwrap()).await;
    answer.problem(403, "PLATFORM_ACCESS_DENIED");
    assert!(gateway.hits().await.is_empty());
    let denied = gateway.platform_log("&event=platform.access_denied").await;
    for path in asked {
        let path = path.split('?').next().unwrap();
        assert!(denied.iter().any(|e| e["path"] == path), "{path} isn't in the platform log");
    }
}
