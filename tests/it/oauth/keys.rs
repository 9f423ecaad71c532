//! Rotation, seen from outside: published before it signs, old ones served, and a key that somebody else has.

use super::{Flow, part};
use crate::support::{Answer, Door, Gateway, eventually};
use drawbridge::identity::Rotation;
use serde_json::Value;
use std::process::Command;

async fn kids(door: &Door) -> Vec<String> {
    let target = door.target();
    let url = format!("http://{}/.well-known/jwks.json", target.authority);
    let jwks = reqwest::Client::new().get(url).header("host", target.host).send().await.unwrap();
    let jwks = Answer::of(jwks).await.expect(200);
    let keys = jwks.json["keys"].as_array().unwrap_or_else(|| panic!("{jwks}")).clone();
    for key in &keys {
        // S-30: public halves, each with its use, algorithm and id.
        assert!(["d", "p", "q", "dp", "dq", "qi", "k"].iter().all(|member| key[*member].is_null()), "{key}");
        assert!(key["use"] == "sig" && key["alg"].is_string() && key["kid"].is_string(), "{key}");
    }
    assert!(jwks.header("cache-control").contains("max-age=300"), "{jwks}");
    let mut kids: Vec<_> = keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
    kids.sort();
    kids.dedup();
    assert_eq!(kids.len(), keys.len(), "unique: {jwks}");
    kids
}

fn kid(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn s_30_a_new_key_is_published_before_it_signs_and_an_old_one_served_after() {
    let door = Door::open(|_| {}).await;
    let old = door.new_staff_token().await;
    assert_eq!(kids(&door).await.len(), 2);
    let next = door.access().rotate_keys(Rotation::default()).await.unwrap();
    let published = kids(&door).await;
    assert!(next.keys.iter().all(|(_, kid)| published.contains(kid)), "{published:?}");
    assert_eq!(kid(&door.new_staff_token().await), kid(&old), "it signs already");
    let now = door.access().rotate_keys(Rotation { now: true, forget_old: false }).await.unwrap();
    let new = door.new_staff_token().await;
    assert!(now.keys.iter().any(|(_, id)| *id == kid(&new)), "it doesn't sign yet");
    for token in [&old, &new] {
        door.get("/api/v1/platform/me", token).await.expect(200);
        assert!(kids(&door).await.contains(&kid(token)));
    }
    let log = door.both_logs("&event=platform.keys_rotated").await;
    assert_eq!((log[0].len(), log[1].len()), (0, 2), "{log:?}");
}

#[tokio::test]
async fn s_30_what_a_forgotten_key_signed_is_refused_though_it_was_proved_before() {
    let door = Door::open(|_| {}).await;
    let old = door.new_staff_token().await;
    door.get("/api/v1/platform/me", &old).await.expect(200);
    door.access().rotate_keys(Rotation { now: true, forget_old: true }).await.unwrap();
    door.get("/api/v1/platform/me", &old).await.problem(401, "INVALID_TOKEN");
    assert_eq!(kids(&door).await.len(), 2);
    let new = door.new_staff_token().await;
    door.get("/api/v1/platform/me", &new).await.expect(200);
}

/// The operator's command beside a running gateway, which takes the keys up by itself: at once when it meets one.
#[tokio::test]
async fn s_30_the_command_rotates_beside_a_running_gateway() {
    let gateway = Gateway::demo();
    let flow = Flow::at(&gateway);
    let old = flow.token("staff", -1).await;
    let config = gateway.data.join("drawbridge.toml");
    let text = format!(
        "[server]\npublic_url = \"{}\"\n[upstream]\nurl = \"{}\"\n[data]\ndir = \"{}\"\n[policy]\npolicies = \"{}\"\nschemas = \"{}\"\n",
        gateway.url(""),
        gateway.upstream_url(""),
        gateway.data.display(),
        gateway.policies().display(),
        gateway.schemas().display()
    );
    std::fs::write(&config, text).unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
        let output = command.args(words).arg("--config").arg(&config).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let rotated: Value =
        serde_json::from_str(&run(&["keys", "rotate", "--now", "--format", "json"])).unwrap();
    let new: Vec<_> = rotated["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(new.len(), 2, "{rotated}");
    // A token that the command signs with the new key is known at once: the gateway looks.
    let issued = run(&["token", "issue", "--platform-user", "staff2@drawbridge.example"]);
    assert!(new.contains(&part(issued.trim(), 0)["kid"]), "{issued}");
    gateway.get("/api/v1/platform/me", issued.trim()).await.expect(200);
    gateway.get("/api/v1/platform/me", &old).await.expect(200);
    let token = flow.token("staff", 0).await;
    assert!(new.contains(&part(&token, 0)["kid"]));
    run(&["keys", "rotate", "--forget-old"]);
    eventually("the old keys are forgotten", async || {
        (gateway.get("/api/v1/platform/me", &old).await.status == 401).then_some(())
    })
    .await;
}
