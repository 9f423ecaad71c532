//! What an entry looks like: real ones of every event, against `schemas/audit-entry.schema.json`; and which events
//! there are at all.

use crate::oidc::{OURS, Visitor, provider};
use crate::support::idp::Forger;
use crate::support::{Answer, Door, Published, eventually, request};
use drawbridge::access::NewPerson;
use drawbridge::access::accounts::{SignIn, SignInAnswer};
use drawbridge::audit::tree::LogName;
use drawbridge::config::OAuth2Client;
use drawbridge::domain::{Event, OrgRole, RevokeReason, Secret};
use drawbridge::identity::Rotation;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// The names that requirements §3 asks for, at least. `org.member_*` is a family.
const REQUIRED: [&str; 25] = [
    "platform.login",
    "platform.login_failed",
    "platform.logout",
    "platform.password_changed",
    "platform.2fa_enabled",
    "platform.2fa_reset",
    "platform.backup_code_used",
    "platform.user_created",
    "platform.user_disabled",
    "platform.user_enabled",
    "platform.impersonation_started",
    "platform.impersonation_denied",
    "platform.impersonation_ended",
    "platform.impersonated_request",
    "platform.access_denied",
    "platform.orgs_read",
    "platform.org_created",
    "platform.setup_done",
    "platform.keys_rotated",
    "org.support_access_changed",
    "org.member_*",
    "token.created",
    "token.revoked",
    "policy.reloaded",
    "policy.rejected",
];

/// Those whose act doesn't exist yet, and why. This list may only shrink: a name that is written leaves it.
const NOT_YET: [(&str, &str); 0] = [];

/// Those that no request brings about, and the test that does.
const ELSEWHERE: [(&str, &str); 3] = [
    ("audit.expired", include_str!("retention.rs")),
    ("audit.change_refused", include_str!("../../src/audit/retention/tests/attempts.rs")),
    ("audit.retention_changed", include_str!("../../src/audit/retention/tests.rs")),
];

/// Names beyond the requirements' own that are written.
const MORE: [&str; 7] = [
    "org.request",
    "org.access_denied",
    "org.login",
    "org.login_failed",
    "org.logout",
    "org.user_created",
    "org.user_changed",
];

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/audit-entry.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What a line of one log has to be.
fn validator(log: &LogName) -> Validator {
    let mut schema = schema();
    let line = if *log == LogName::Platform { "platform_line" } else { "org_line" };
    schema["anyOf"] = json!([{ "$ref": format!("#/$defs/{line}") }]);
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Does everything that is recorded.
async fn everything(door: &Door, policies: &Path, forger: &Forger) {
    people(door, forger).await;
    let viewer = door.person("viewer@acme.example", OrgRole::Viewer, 3_600_000).await;
    let bot = door.bot("recorder", OrgRole::Operator).await;
    door.get("/api/v1/cameras", &bot).await.expect(200);
    door.call("POST", "/api/v1/cameras", &viewer, Some(json!({ "name": "x" }))).await.expect(403);
    door.get("/api/v1/platform/orgs?q=acme", &door.staff.token).await.expect(200);
    door.get("/api/v1/cameras", &door.staff.token).await.expect(403);
    let mint = format!("/api/v1/platform/orgs/{}/impersonate", door.org);
    door.call("POST", &mint, &door.staff.token, Some(json!({ "reason": "short" }))).await.expect(422);
    let (token, imp) = door.mint().await;
    door.get("/api/v1/cameras?site=3", &token).await.expect(200);
    door.get("/api/v1/billing/plan", &token).await.expect(403);
    door.end(&imp).await.expect(200);
    door.mint().await;
    let switch = format!("/api/v1/orgs/{}/support-access", door.org);
    for allow in [false, true] {
        let body = json!({ "allow_platform_impersonation": allow });
        door.call("PATCH", &switch, &door.owner, Some(body)).await.expect(200);
    }
    door.engineer("two@vendor.example").await;
    let users = door.get("/api/v1/platform/users?limit=50", &door.staff.token).await.expect(200);
    let second = users.json["items"].as_array().unwrap().iter().find(|u| u["email"] == "two@vendor.example");
    let id = second.unwrap()["id"].as_str().unwrap().to_owned();
    for act in ["disable", "enable"] {
        let path = format!("/api/v1/platform/users/{id}/{act}");
        let body = json!({ "reason": "left the company today" });
        door.call("PATCH", &path, &door.staff.token, Some(body)).await.expect(200);
    }
    let more = policies.join("more.cedar");
    std::fs::write(&more, "permit (principal, action").unwrap();
    door.reload().await;
    std::fs::write(&more, "// nothing more\n").unwrap();
    door.reload().await;
    credentials(door).await;
    keys_and_tokens(door).await;
    let token = door.new_staff_token().await;
    door.call("POST", "/api/v1/platform/logout", &token, None).await.expect(200);
}

/// Two people sign in with their provider, of whom one administers the other.
async fn people(door: &Door, forger: &Forger) {
    let member = "member@acme.example";
    let added = NewPerson { email: member.to_owned(), display_name: "Member".to_owned() };
    door.access().provision_org_user(added, door.org.clone(), OrgRole::Viewer).await.expect("a person");
    let (mut one, mut admin) = (Visitor::at(door), Visitor::at(door));
    one.sign_in(forger, |token| token.claim("nonce", "another")).await.expect(401);
    for _ in 0..2 {
        one.sign_in(forger, |token| token.person("one", member)).await.expect(303);
        one.send("POST", "/auth/logout", &OURS).await.expect(303);
    }
    admin.sign_in(forger, |token| token.person("admin", "admin@acme.example")).await.expect(303);
    let people = admin.get("/api/v1/users").await.expect(200);
    let id =
        people.json["items"].as_array().unwrap().iter().find(|p| p["email"] == member).unwrap()["id"].clone();
    let path = format!("/api/v1/users/{}", id.as_str().unwrap());
    admin.send_body("PATCH", &path, &OURS, Some(json!({ "active": false }))).await.expect(200);
}

/// New keys, and a token that a client gives back.
async fn keys_and_tokens(door: &Door) {
    door.access().rotate_keys(Rotation::default()).await.expect("new keys");
    let token = door.new_staff_token().await;
    let client = door.access().oauth().client("drawbridge-operator").expect("the client of these tokens");
    door.access().revoke_token(client, &token, &request("revoke")).await.expect("is revoked");
}

/// An account's credentials, from the first sign-in on.
async fn credentials(door: &Door) {
    let staff = &door.staff.token;
    let body = json!({ "email": "nora@vendor.example", "display_name": "Nora", "reason": "joins" });
    let made = door.call("POST", "/api/v1/platform/platform-users", staff, Some(body)).await.expect(201);
    let sign_in = async |password: &str, otp: Option<&str>| {
        let typed = SignIn {
            email: "nora@vendor.example".to_owned(),
            password: Secret::new(password),
            otp: otp.map(Secret::new),
            client_id: "console".to_owned(),
            cookie: true,
            request: request("sign-in"),
        };
        match door.access().sign_in(typed).await {
            Ok(SignInAnswer::SignedIn(session)) => session.cookie.map(|cookie| cookie.expose().to_owned()),
            _ => None,
        }
    };
    let renewed = |answer: &Answer| {
        let set = answer.header("set-cookie").to_owned();
        set.split_once('=').expect("a cookie").1.split(';').next().expect("a value").to_owned()
    };
    assert!(sign_in("not that one, surely", None).await.is_none());
    let initial = made.text("/initial_password");
    let cookie = sign_in(initial, None).await.expect("a session");
    let password = "seven blue lamps hum at night";
    let body = json!({ "current": initial, "new": password });
    let changed =
        door.by_cookie("POST", "/api/v1/platform/me/password", &cookie, Some(body)).await.expect(200);
    let cookie = renewed(&changed);
    let begun = door.by_cookie("POST", "/api/v1/platform/me/2fa", &cookie, Some(json!({}))).await.expect(200);
    let otp = crate::accounts::code(begun.text("/secret"), 0);
    let body = json!({ "otp": otp });
    let confirmed =
        door.by_cookie("POST", "/api/v1/platform/me/2fa/confirm", &cookie, Some(body)).await.expect(200);
    assert!(sign_in(password, Some(confirmed.text("/backup_codes/0"))).await.is_some());
    let path = format!("/api/v1/platform/users/{}", made.text("/id"));
    for act in ["initial-password", "2fa/reset"] {
        let body = Some(json!({ "reason": "lost everything on a train" }));
        door.call("POST", &format!("{path}/{act}"), staff, body).await.expect(200);
    }
    let org =
        json!({ "name": "Initech", "slug": "initech", "plan": "basic", "owner_email": "o@initech.example" });
    door.call("POST", "/api/v1/platform/orgs", staff, Some(org.clone())).await.expect(201);
    door.call("POST", "/api/v1/platform/orgs", staff, Some(org)).await.problem(409, "CONFLICT");
}

/// The row of an event in the document.
fn documented(event: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit-entry.md");
    let text = std::fs::read_to_string(path).unwrap();
    let row = text.lines().find(|line| line.starts_with(&format!("| `{event}` |")));
    row.unwrap_or_else(|| panic!("{event} has no row")).to_owned()
}

fn copy(from: &str, to: &Path) {
    std::fs::create_dir(to).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(from);
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// The names of the events that both logs export as OCSF; each of them is as OCSF publishes its class.
async fn as_ocsf(door: &Door) -> BTreeSet<String> {
    let published = Published::read();
    let mut names = BTreeSet::new();
    for (log, reader) in
        [("platform".to_owned(), &door.staff.token), (format!("orgs/{}", door.org), &door.owner)]
    {
        let path = format!("/api/v1/{log}/audit-log/export?format=ocsf");
        let answer = door.get(&path, reader).await.expect(200);
        for line in std::str::from_utf8(&answer.body).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(published.faults(&event), [] as [String; 0], "{event:#}");
            names.extend(event["unmapped"]["event"].as_str().map(str::to_owned));
        }
    }
    names
}

#[tokio::test]
async fn every_event_is_written_as_the_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    copy("policies", &policies);
    let forger = Forger::start().await;
    let door = Door::open(|config| {
        config.oidc.providers = vec![provider(config, "acme", &forger.issuer)];
        config.policy.policies.clone_from(&policies);
        let (id, redirect_uris) = ("drawbridge-operator".to_owned(), Vec::new());
        config.oauth2.clients.push(OAuth2Client { id, redirect_uris, secret_file: None });
    })
    .await;
    everything(&door, &policies, &forger).await;

    let (mut seen, mut logs) = (BTreeSet::new(), BTreeSet::new());
    for log in [LogName::Platform, LogName::Org(door.org.clone())] {
        let last = if log == LogName::Platform { "platform.logout" } else { "org.request" };
        let lines = eventually("all is sequenced", async || {
            let lines = door.lines(&log).await;
            lines.iter().any(|line| line["event"] == last).then_some(lines)
        })
        .await;
        let validator = validator(&log);
        for line in &lines {
            let faults: Vec<_> =
                validator.iter_errors(line).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(faults.is_empty(), "{log}: {faults:?}\n{line}");
            let event = line["event"].as_str().map(str::to_owned);
            logs.extend(event.iter().map(|event| (event.clone(), log == LogName::Platform)));
            seen.extend(event);
        }
        assert!(lines.iter().any(|line| line["stage"] == "outcome"), "{log}");
        if log != LogName::Platform {
            let text = format!("{lines:?}");
            assert!(!text.contains("pu_") && !text.contains("vendor.example"), "{text}");
        }
    }
    assert_eq!(as_ocsf(&door).await, seen, "the same events as OCSF");
    let mut otherwise: Vec<String> = Vec::new();
    for event in &seen {
        let [org, platform] = [false, true].map(|platform| logs.contains(&(event.clone(), platform)));
        let row = documented(event);
        let told = row.trim_end_matches(['|', ' ']).rsplit("| ").next().unwrap();
        if (told != "platform", told != "org") != (org, platform) {
            otherwise.push(format!("org {org}, platform {platform}: {row}"));
        }
    }
    assert!(otherwise.is_empty(), "the document tells otherwise: {otherwise:#?}");
    let later: BTreeSet<_> = NOT_YET.iter().map(|(name, _)| *name).collect();
    for name in REQUIRED {
        let family = name.strip_suffix('*');
        let written = seen.iter().any(|seen| family.map_or(seen == name, |family| seen.starts_with(family)));
        assert_ne!(written, later.contains(name), "{name}: written, or named in NOT_YET, one of the two");
    }
    for name in &seen {
        let required =
            REQUIRED.iter().any(|r| r.strip_suffix('*').map_or(r == name, |f| name.starts_with(f)));
        assert!(required || MORE.contains(&name.as_str()), "{name}: not in the lists of this test");
    }
    for event in Event::ALL {
        let name = event.as_str();
        let elsewhere = ELSEWHERE.iter().any(|(event, test)| *event == name && test.contains(name));
        assert!(
            seen.contains(name) || later.contains(name) || elsewhere,
            "{name} is declared, and nothing writes it"
        );
    }
}

#[test]
fn the_schema_names_what_the_code_names() {
    let schema = schema();
    let names = |of: &str| schema["$defs"][of]["enum"].as_array().unwrap().clone();
    assert_eq!(names("event"), Event::ALL.iter().map(|e| json!(e.as_str())).collect::<Vec<_>>());
    assert_eq!(
        names("revoke_reason"),
        RevokeReason::ALL.iter().map(|r| json!(r.as_str())).collect::<Vec<_>>()
    );
}

/// The document explains every member and every event, and its examples are what it says they are.
#[test]
fn the_document_tells_every_member_and_event() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit-entry.md");
    let text = std::fs::read_to_string(path).unwrap();
    let schema = schema();
    for of in ["entry", "outcome"] {
        for member in schema["$defs"][of]["properties"].as_object().unwrap().keys() {
            assert!(text.contains(&format!("| `{member}` |")), "{member} has no row");
        }
    }
    for event in Event::ALL {
        assert!(text.contains(&format!("| `{event}` |")), "{event} has no row");
    }
    let (mut platform, mut org) = (0, 0);
    for block in text.split("```json\n").skip(1) {
        let line: Value = serde_json::from_str(block.split("```").next().unwrap()).unwrap();
        let (platform_line, org_line) =
            (validator(&LogName::Platform), validator(&LogName::parse("org_x").unwrap()));
        assert!(platform_line.is_valid(&line) || org_line.is_valid(&line), "{line}");
        platform += usize::from(platform_line.is_valid(&line) && line.get("salt").is_some());
        org += usize::from(org_line.is_valid(&line));
    }
    assert!(platform >= 3 && org >= 1, "intent, outcome and act of the platform's, one of an org's");
}
