//! `docs/runbooks/*.md`: their commands are run as they are printed, and the log holds what they say it holds.

use crate::support::{Gateway, token_by_chain, totp};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const PASSWORD: &str = "ein Kamel im Regenmantel";
const EMAIL: &str = "grace@vendor.example";

/// The commands of a runbook, block by block.
fn blocks(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// Runs commands with these variables; what they print.
fn run(gateway: &Gateway, commands: &[String], variables: &[(&str, &str)]) -> String {
    let output = Command::new("sh")
        .args(["-eu", "-c", &commands.concat()])
        .env("GATEWAY", gateway.url(""))
        .env("ADMIN_TOKEN", gateway.token("staff"))
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}\n{}", commands.concat(), gateway.log());
    out.into_owned()
}

/// The JSON documents in what was printed.
fn documents(printed: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(printed)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|e| panic!("{e}: {printed}"))
}

/// Follows the first runbook: the account's token, its backup codes, and its password.
async fn set_up(gateway: &Gateway) -> (String, Vec<String>) {
    let blocks = blocks("set-up-your-account.md");
    let person = [("EMAIL", EMAIL), ("NAME", "Second Staff")];
    let initial = run(gateway, &blocks[..1], &person).trim().to_owned();
    assert_eq!(initial.chars().count(), 16, "{initial}");
    let token = token_by_chain(&gateway.client, &gateway.url(""), EMAIL, &initial, None).await;
    let variables = [("TOKEN", token.as_str()), ("INITIAL", &initial), ("NEW_PASSWORD", PASSWORD)];
    let answers = documents(&run(gateway, &blocks[1..], &variables));
    let codes = answers[1]["backup_codes"].as_array().unwrap_or_else(|| panic!("{answers:?}"));
    assert_eq!((codes.len(), &answers[2]["two_factor"]), (8, &Value::from("enabled")), "{answers:?}");
    (token, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

/// Events of the platform log that concern somebody, oldest first; refusals and lists left out.
async fn events(gateway: &Gateway, after: usize) -> Vec<String> {
    let all = gateway.platform_log("").await;
    let names =
        all.iter().rev().skip(after).filter(|e| e["decision"] != "deny").filter_map(|e| e["event"].as_str());
    names.filter(|name| *name != "platform.orgs_read").map(str::to_owned).collect()
}

async fn written(gateway: &Gateway) -> usize {
    gateway.platform_log("").await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn set_up_your_account() {
    let gateway = Gateway::demo();
    let before = written(&gateway).await;
    set_up(&gateway).await;
    let expected =
        ["platform.user_created", "platform.login", "platform.password_changed", "platform.2fa_enabled"];
    assert_eq!(events(&gateway, before).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_an_admin() {
    let gateway = Gateway::demo();
    let (token, _) = set_up(&gateway).await;
    let mint = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    let reason = serde_json::json!({ "reason": "cameras offline since 03:00" });
    let grant = gateway.call("POST", &mint, &token, Some(reason)).await.expect(201).text("/token").to_owned();
    let before = written(&gateway).await;
    let answers = documents(&run(&gateway, &blocks("revoke-an-admin.md"), &[("EMAIL", EMAIL)]));
    assert_eq!(answers[0]["ended"], 1, "{answers:?}");
    assert_eq!(answers[1]["items"][0]["ticket_ref"], "HR-9", "{answers:?}");
    assert!(answers[2]["items"].as_array().is_some_and(|items| !items.is_empty()), "{answers:?}");
    assert_eq!(events(&gateway, before).await, ["platform.user_disabled", "platform.impersonation_ended"]);
    gateway.get("/api/v1/platform/me", &token).await.problem(401, "ACCOUNT_DISABLED");
    gateway.get("/api/v1/cameras", &grant).await.problem(401, "IMPERSONATION_REVOKED");
}

#[tokio::test(flavor = "multi_thread")]
async fn break_glass() {
    let gateway = Gateway::demo();
    let variables = [("TOKEN", gateway.token("staff")), ("ORG", "acme"), ("INCIDENT", "INC-7")];
    let answers = documents(&run(&gateway, &blocks("break-glass.md"), &variables));
    let started = &answers.last().unwrap()["items"];
    assert_eq!(started.as_array().map(Vec::len), Some(1), "{answers:?}");
    assert_eq!(started[0]["reason"], "BREAKGLASS — INC-7");
    let grant = format!("&impersonation_id={}", started[0]["impersonation_id"].as_str().unwrap());
    let logs = [gateway.platform_log(&grant).await, gateway.org_log("acme", "owner", &grant).await];
    for log in logs {
        let told: Vec<_> = log.iter().rev().map(|entry| entry["event"].as_str().unwrap()).collect();
        let expected = [
            "platform.impersonation_started",
            "platform.impersonated_request",
            "platform.impersonation_ended",
        ];
        assert_eq!(told, expected, "{log:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_second_factor() {
    let gateway = Gateway::demo();
    let (_, codes) = set_up(&gateway).await;
    let blocks = blocks("lost-second-factor.md");
    let before = written(&gateway).await;
    let token = token_by_chain(&gateway.client, &gateway.url(""), EMAIL, PASSWORD, Some(&codes[0])).await;
    let variables = [("TOKEN", token.as_str()), ("PASSWORD", PASSWORD), ("BACKUP_CODE", &codes[1])];
    let secret = run(&gateway, &blocks[..1], &variables).trim().to_owned();
    let confirm = Some(serde_json::json!({ "otp": totp(&secret, 1) }));
    gateway.call("POST", "/api/v1/platform/me/2fa/confirm", &token, confirm).await.expect(200);
    let expected =
        ["platform.backup_code_used", "platform.login", "platform.backup_code_used", "platform.2fa_enabled"];
    assert_eq!(events(&gateway, before).await, expected);
    // And by an admin: the old session is over, the next one reaches the enrolment only.
    let before = written(&gateway).await;
    run(&gateway, &blocks[1..], &[("EMAIL", EMAIL)]);
    assert_eq!(events(&gateway, before).await, ["platform.2fa_reset"]);
    gateway.get("/api/v1/platform/me", &token).await.problem(401, "SESSION_ENDED");
    let token = token_by_chain(&gateway.client, &gateway.url(""), EMAIL, PASSWORD, None).await;
    gateway.get("/api/v1/platform/me", &token).await.problem(403, "ENROLMENT_REQUIRED");
}
