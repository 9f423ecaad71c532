//! What people write into requests comes out on the log's page as it was written, and does nothing there.

use super::sign_in_as;
use crate::support::{Browser, GatewayBuilder, eventually};
use serde_json::json;

const REASON: &str = "=cmd()\r\n\u{1b}[31mred\u{0}\u{202e}gpj <script>document.title='no'</script> <img src=x onerror=alert(1)>";

#[tokio::test(flavor = "multi_thread")]
async fn the_log_s_page_shows_every_byte_and_runs_none() {
    let gateway = GatewayBuilder::new().arg("--tls").start();
    let token = gateway.token("staff");
    let mint = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    let body = json!({ "reason": REASON, "ticket_ref": "</code><h1>T</h1>" });
    gateway.call("POST", &mint, token, Some(body)).await.expect(201);
    let path = "/api/v1/%3Cscript%3Ealert(1)%3C%2Fscript%3E%0D%0A%E2%80%AE";
    let odd = gateway.client.get(gateway.url(path)).bearer_auth(token);
    odd.header("user-agent", "<script>alert(2)</script>\" onload=\"x").send().await.unwrap();
    eventually("both are in the log", async || {
        let all = gateway.platform_log("").await;
        (all.iter().any(|e| e["reason"].is_string() && e["event"] == "platform.impersonation_started")
            && all.iter().any(|e| e["user_agent"].as_str().is_some_and(|u| u.contains("alert(2)"))))
        .then_some(())
    })
    .await;

    let raw = gateway.client.get(gateway.url("/platform/audit-log")).bearer_auth(token);
    let html = raw.header("accept", "text/html").send().await.unwrap().text().await.unwrap();
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<h1>T"), "{html}");
    for unseen in ['\r', '\0', '\u{1b}', '\u{202e}'] {
        assert!(!html.contains(unseen), "{unseen:?} in\n{html}");
    }

    let browser = Browser::start().await;
    sign_in_as(&browser, &gateway, "staff").await;
    browser.follow("Audit log").await;
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)").await;
    let text = browser.text("main").await;
    for shown in [
        r"=cmd()\u{d}\u{a}\u{1b}[31mred\u{0}\u{202e}gpj <script>document.title='no'</script> <img src=x onerror=alert(1)>",
        "</code><h1>T</h1>",
        "<script>alert(2)</script>\" onload=\"x",
        "%3Cscript%3E",
    ] {
        assert!(text.contains(shown), "{shown} is not in\n{text}");
    }
    let run = browser.run(
        "return [document.scripts.length, document.images.length, document.querySelectorAll('h1').length]",
    );
    assert_eq!(run.await, json!([0, 0, 1]));
    assert_eq!(browser.client.title().await.unwrap(), "Audit log · Drawbridge");

    // The filter, and pages by cursor: none twice, none left out.
    browser
        .open(&gateway.url("/platform/audit-log?event=platform.impersonation_started&decision=permit"))
        .await;
    let shown = browser.run("return [...document.querySelectorAll('.entry h2')].map(h => h.innerText)").await;
    assert_eq!(shown, json!(["platform.impersonation_started"]));
    for _ in 0..30 {
        gateway.get("/api/v1/platform/orgs", token).await.expect(200);
    }
    let total = gateway.platform_log("&event=platform.orgs_read").await.len();
    browser.open(&gateway.url("/platform/audit-log?event=platform.orgs_read")).await;
    let mut seen = 0;
    loop {
        seen += browser.run("return document.querySelectorAll('.entry').length").await.as_u64().unwrap();
        if !browser.has("a[rel=next]").await {
            break;
        }
        browser.follow("Older entries").await;
    }
    assert_eq!(usize::try_from(seen).unwrap(), total);
    browser.follow("Newest").await;
    assert!(!browser.has("main nav a:not([rel])").await);
    browser.close().await;
}
