//! A service that fails: what the client hears, what is recorded, and that no answer seems whole that isn't.

use super::{Service, ask, callers, target};
use crate::support::{Gateway, GatewayBuilder, Wire, eventually};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

/// The outcome of an impersonated request, when it has one.
async fn outcome(gateway: &Gateway, request_id: &str) -> String {
    eventually("the request has an outcome", async || {
        let entries = gateway.platform_log(&format!("&request_id={request_id}")).await;
        entries.first()?["outcome"].as_str().map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gateway = GatewayBuilder::new().arg("--upstream").arg(url).start();
    for (who, token) in &callers(&gateway).await {
        for method in ["GET", "POST"] {
            let answer = gateway.call(method, "/a", token, None).await.problem(502, "UPSTREAM_UNREACHABLE");
            assert!(!answer.to_string().contains("refused (os"), "{answer}");
            if who.contains("impersonation") {
                assert_eq!(outcome(&gateway, answer.header("x-request-id")).await, "not_forwarded");
            }
        }
    }
}

#[tokio::test]
async fn it_breaks_off_before_its_answer() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let service = Service::start(move |mut wire| {
        let counted = counted.clone();
        async move {
            let Some((head, _)) = wire.request().await else { return };
            counted.fetch_add(1, Ordering::SeqCst);
            match target(&head).as_str() {
                "/reset" => wire.reset(),
                "/close" => {}
                "/half" => wire.send("HTTP/1.1 200 OK\r\nContent-Le").await,
                "/garbage" => wire.send("hello there\r\n\r\n").await,
                "/fields" => wire.send("HTTP/1.1 200 OK\r\nno colon\r\n\r\n").await,
                other => panic!("{other}"),
            }
        }
    })
    .await;
    let gateway = service.gateway();
    for (who, token) in &callers(&gateway).await {
        for path in ["/reset", "/close", "/half", "/garbage", "/fields"] {
            for method in ["GET", "POST"] {
                let before = tries.load(Ordering::SeqCst);
                let body = (method == "POST").then(|| json!({}));
                let answer = gateway.call(method, path, token, body).await;
                let answer = answer.problem(502, "UPSTREAM_UNREACHABLE");
                let tried = tries.load(Ordering::SeqCst) - before;
                assert!((1..=3).contains(&tried), "{method} {path} as {who}: {tried} tries");
                if who.contains("impersonation") {
                    assert_eq!(tried, 1, "{method} {path} as {who}");
                    let id = answer.header("x-request-id");
                    assert_eq!(outcome(&gateway, id).await, "upstream_error", "{method} {path}");
                } else if method == "POST" {
                    assert_eq!(tried, 1, "{method} {path}: what isn't idempotent is sent once");
                }
            }
        }
    }
}

#[tokio::test]
async fn it_dies_in_the_middle_of_a_body() {
    let service = Service::start(|mut wire| async move {
        let Some((head, _)) = wire.request().await else { return };
        let (framing, piece) = match target(&head).as_str() {
            "/length" | "/length/reset" => ("Content-Length: 10", "hello"),
            _ => ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
        };
        wire.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{piece}")).await;
        if target(&head).ends_with("reset") {
            // The piece is on its way already.
            tokio::task::yield_now().await;
            wire.reset();
        }
    })
    .await;
    let gateway = service.gateway();
    for (who, token) in &callers(&gateway).await {
        for path in ["/length", "/chunks", "/length/reset", "/chunks/reset"] {
            let mut wire = Wire::open(gateway.authority()).await;
            wire.send(ask(&gateway, &format!("GET {path}"), token, "")).await;
            let Some(answer) = wire.answer("GET").await else { panic!("{path} as {who}: no answer at all") };
            if answer.status == 502 {
                // The reset overtook the piece.
                assert!(path.ends_with("reset"), "{path} as {who}: {answer}");
                continue;
            }
            assert!(!wire.whole, "{path} as {who}: it seems whole: {answer}");
            assert!(wire.rest().await.is_empty(), "{path} as {who}: the connection goes on");
            if who.contains("impersonation") {
                assert_eq!(
                    outcome(&gateway, answer.header("x-request-id")).await,
                    "upstream_error",
                    "{path}"
                );
            }
        }
    }
}
