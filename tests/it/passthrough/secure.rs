//! `dev --tls`: HTTP/2 and HTTP/1.1, whichever the client picks by ALPN (RFC 7301), in front of a plain service.

use super::{Service, callers, noise};
use crate::support::{Answer, GatewayBuilder, Wire};
use reqwest::{Client, ClientBuilder, Version};
use std::time::Duration;

fn client(shape: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    let plain = Client::builder().danger_accept_invalid_certs(true).timeout(Duration::from_secs(20));
    shape(plain.redirect(reqwest::redirect::Policy::none())).build().unwrap()
}

#[tokio::test]
async fn both_protocols_by_alpn() {
    let service = Service::answering(|head, body| {
        let proto = super::field(head, "x-forwarded-proto").unwrap_or_default();
        let cookies = super::field(head, "cookie").unwrap_or_default();
        let said = [format!("{proto}|{cookies}|").as_bytes(), body].concat();
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n",
            said.len()
        )
        .into_bytes();
        answer.extend(said);
        answer
    })
    .await;
    let gateway = GatewayBuilder::new().arg("--tls").arg("--upstream").arg(&service.url).start();
    assert!(gateway.url("/").starts_with("https://"));
    let body = noise(300_000);
    let both = [
        (client(|c| c), Version::HTTP_2),
        (client(ClientBuilder::http1_only), Version::HTTP_11),
        (client(ClientBuilder::http2_prior_knowledge), Version::HTTP_2),
    ];
    for (who, token) in &callers(&gateway).await {
        for (client, version) in &both {
            let name = format!("{version:?} as {who}");
            let request = client.post(gateway.url("/x?y")).bearer_auth(token).header("cookie", "a=1; b=2");
            let response = request.body(body.clone()).send().await.unwrap();
            assert_eq!(response.version(), *version, "{name}");
            let answer = Answer::of(response).await.expect(200);
            assert!(answer.body.starts_with(b"https|a=1; b=2|") && answer.body.ends_with(&body), "{name}");
            assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2, "{name}");

            let of = async |method: &str, path: &str, token: &str| {
                let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
                let request = client.request(method, gateway.url(path)).bearer_auth(token);
                Answer::of(
                    request.body(body.clone()).send().await.unwrap_or_else(|e| panic!("{name}: {e:?}")),
                )
                .await
            };
            // A refusal isn't lost while the client is still sending.
            let refused = of("POST", "/x", "nonsense").await.problem(401, "INVALID_TOKEN");
            assert!(refused.header("www-authenticate").starts_with("Bearer"), "{name}: {refused}");
            for path in ["/a//b", "/a/%2e%2e/b", "/a%2fb", "/a;b", "/a/%2541"] {
                of("GET", path, token).await.problem(400, "BAD_PATH");
            }
            of("TRACE", "/x", token).await.problem(405, "METHOD_NOT_ALLOWED");
            let elsewhere = client.get(gateway.url("/x")).header("host", "other.example").bearer_auth(token);
            Answer::of(elsewhere.send().await.unwrap()).await.problem(421, "UNKNOWN_HOST");
        }
    }
    // Clear text on the port of TLS is no HTTP at all.
    let mut wire = Wire::open(gateway.authority()).await;
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(wire.answer("GET").await.is_none());
}

#[tokio::test]
async fn http2_in_clear_text_is_off() {
    let service = Service::answering(|_, _| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let gateway = service.gateway();
    let request = client(ClientBuilder::http2_prior_knowledge).get(gateway.url("/"));
    request.bearer_auth(gateway.token("admin")).send().await.unwrap_err();
}
