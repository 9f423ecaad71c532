//! What people write into requests comes out on the log's page as it was written, and does nothing there.

use super::sign_in_as;
use crate::support::{Browser, Gateway, GatewayBuilder, Open, eventually};
use serde_json::{Value, json};

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

/// What acts in a terminal, turns text around or can't be seen; line feeds are the page's own.
fn acts(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// Reason, user agent and path of one request under an impersonation, as bytes of the page and of both exports.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_impersonated_request_brings_is_one_line_and_escaped() {
    let gateway = Gateway::demo();
    let (target, staff) = (gateway.target(), gateway.token("staff"));
    let mint = format!("/api/v1/platform/orgs/{}/impersonate", gateway.org("acme"));
    let minted = gateway.call("POST", &mint, staff, Some(json!({ "reason": REASON }))).await.expect(201);
    let (token, id) = (minted.text("/token").to_owned(), minted.text("/impersonation_id"));
    // HTTP itself has no way to send CR, LF and NUL raw in a head; escapes and the rest of Unicode it has.
    let path = "/api/v1/cameras/=cmd()%0D%0A%1B%5B31m%E2%80%AE%3Cscript%3Ealert(3)%3C%2Fscript%3E";
    let agent = "User-Agent: =cmd() \u{9b}31m \u{202e}gpj <script>alert(2)</script>\r\n";
    let mut open = Open::begin(&target, "GET", path, &token, agent).await;
    drop(open.answer().await);
    // What can't be a request isn't one.
    for (path, agent) in
        [(path, "User-Agent: a\0b\r\n"), (path, "User-Agent: a\u{1b}[31m\r\n"), ("/api/v1/\0", agent)]
    {
        let mut open = Open::begin(&target, "GET", path, &token, agent).await;
        assert_eq!(open.answer().await.map(|(status, _)| status), Some(400), "{path:?} {agent:?}");
    }
    let filter = format!("impersonation_id={id}&event=platform.impersonated_request");
    let entry = eventually("it is in the log", async || {
        let all = gateway.platform_log(&format!("&{filter}")).await;
        all.into_iter().find(|e| e["user_agent"].as_str().is_some_and(|agent| agent.contains("alert(2)")))
    })
    .await;
    assert_eq!(entry["reason"], REASON);

    let page = gateway.client.get(gateway.url(&format!("/platform/audit-log?{filter}"))).bearer_auth(staff);
    let html = page.header("accept", "text/html").send().await.unwrap().text().await.unwrap();
    assert_eq!(html.chars().find(|c| acts(*c)), None, "{html:?}");
    assert!(!html.contains("<script"), "{html}");
    let member = |name: &str| {
        let from = html.split(&format!("<dt><code>{name}</code></dt><dd class=\"break mono\">")).nth(1);
        from.unwrap_or_else(|| panic!("no {name} in {html}")).split("</dd>").next().unwrap()
    };
    let reason = r"=cmd()\u{d}\u{a}\u{1b}[31mred\u{0}\u{202e}gpj &#60;script&#62;document.title=&#39;no&#39;&#60;/script&#62; &#60;img src=x onerror=alert(1)&#62;";
    assert_eq!(member("reason"), reason);
    assert_eq!(
        member("user_agent"),
        r"=cmd() \u{9b}31m \u{202e}gpj &#60;script&#62;alert(2)&#60;/script&#62;"
    );
    assert_eq!(member("path"), path);

    for format in ["jsonl", "ocsf"] {
        let export = format!("/api/v1/platform/audit-log/export?format={format}");
        let text = eventually("it has its place in the log", async || {
            let answer = gateway.get(&export, staff).await.expect(200);
            let text = String::from_utf8(answer.body).unwrap();
            text.contains("alert(2)").then_some(text)
        })
        .await;
        assert_eq!(text.chars().find(|c| acts(*c)), None, "{format}");
        for line in text.lines() {
            serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e} in {format}: {line}"));
        }
    }
}
