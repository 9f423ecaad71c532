//! WebSockets to a service that isn't the demo, and who may open them.

use super::callers;
use crate::support::{Gateway, GatewayBuilder, eventually};
use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A service that sends messages back, and says goodbye with a code of its own; how many it has met.
async fn service() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let met = Arc::new(AtomicUsize::new(0));
    let counted = met.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    if message.to_text().is_ok_and(|text| text == "bye") {
                        let frame = CloseFrame { code: CloseCode::Library(4321), reason: "so long".into() };
                        drop(socket.close(Some(frame)).await);
                    } else if message.is_text() || message.is_binary() {
                        socket.send(message).await.unwrap();
                    }
                }
            });
        }
    });
    (url, met)
}

async fn open(gateway: &Gateway, token: &str, origin: Option<&str>) -> Result<Socket, (u16, String)> {
    let mut request = format!("ws://{}/socket?a=b", gateway.authority()).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => {
            let body = answer.body().as_deref().unwrap_or_default();
            let problem: serde_json::Value = serde_json::from_slice(body).unwrap();
            assert_eq!(answer.headers()["x-request-id"], *problem["request_id"].as_str().unwrap());
            Err((answer.status().as_u16(), problem["code"].as_str().unwrap().to_owned()))
        }
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn messages_pass_both_ways_and_the_goodbye_too() {
    let (url, _) = service().await;
    let gateway = GatewayBuilder::new().arg("--upstream").arg(url).start();
    for (who, token) in &callers(&gateway).await {
        let mut socket = open(&gateway, token, None).await.unwrap();
        for length in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
            let sent = Message::binary(super::noise(length));
            socket.send(sent.clone()).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap() == sent, "{length} bytes as {who}");
        }
        let text = Message::text("gr\u{fc}\u{df}e \u{1f309}");
        socket.send(text.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), text);
        socket.send(Message::text("bye")).await.unwrap();
        let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!("no goodbye") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4321, "so long"), "as {who}");
        // The goodbye is answered, and then the connection ends.
        assert!(socket.next().await.is_none_or(|last| last.is_err()));
        if who.contains("impersonation") {
            // The intent is written at the handshake, the outcome at the close.
            let entries = eventually("the socket has an outcome", async || {
                let entries = gateway.platform_log("&event=platform.impersonated_request").await;
                entries[0]["outcome"].is_string().then_some(entries)
            })
            .await;
            assert_eq!(entries.len(), 1);
            assert_eq!((&entries[0]["status"], &entries[0]["path"]), (&101.into(), &"/socket".into()));
            assert_eq!(entries[0]["outcome"], "completed", "{entries:#?}");
        }
    }
}

#[tokio::test]
async fn s_24_only_known_origins_open_sockets() {
    let (url, met) = service().await;
    let gateway = GatewayBuilder::new().arg("--upstream").arg(url).start();
    let callers = callers(&gateway).await;
    let own = gateway.url("");
    let capitals = own.to_uppercase();
    for (who, token) in &callers {
        for origin in [None, Some(own.as_str()), Some(&capitals)] {
            let before = met.load(Ordering::SeqCst);
            open(&gateway, token, origin).await.unwrap_or_else(|e| panic!("{origin:?} as {who}: {e:?}"));
            assert_eq!(met.load(Ordering::SeqCst), before + 1);
        }
        let before = met.load(Ordering::SeqCst);
        let near = [format!("{own}.evil.example"), format!("{own}0"), own.replace("http:", "https:")];
        let far = ["https://evil.example", "null", "http://127.0.0.1", "file://", ""];
        for origin in near.iter().map(String::as_str).chain(far) {
            let refused = open(&gateway, token, Some(origin)).await.map(drop).unwrap_err();
            assert_eq!(refused, (403, "ORIGIN_NOT_ALLOWED".to_owned()), "{origin} as {who}");
        }
        assert_eq!(met.load(Ordering::SeqCst), before, "as {who}: the service was reached");
    }
    // Each attempt under the impersonation stands in both logs.
    for log in [
        gateway.platform_log("&decision=deny").await,
        gateway.org_log("acme", "owner", "&decision=deny").await,
    ] {
        let codes: Vec<_> = log.iter().filter(|e| e["code"] == "ORIGIN_NOT_ALLOWED").collect();
        assert_eq!(codes.len(), 8, "{log:#?}");
    }
    // A stranger learns nothing of origins.
    let refused = open(&gateway, "nonsense", Some("https://evil.example")).await.map(drop).unwrap_err();
    assert_eq!(refused, (401, "INVALID_TOKEN".to_owned()));
}
