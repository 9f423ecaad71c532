//! Bodies pass both ways byte for byte, whatever their size and framing, and piece by piece.

use super::{Service, ask, callers, field, noise, target};
use crate::support::Wire;
use std::sync::Arc;
use tokio::sync::Notify;

const LARGE: usize = 10 * 1024 * 1024;

fn chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + body.len() / size * 8 + 16);
    for piece in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[tokio::test]
async fn sizes_from_nothing_to_ten_megabytes_both_ways() {
    // Sends back what it got, framed as it got it.
    let service = Service::answering(|head, body| {
        let coded = field(head, "transfer-encoding").is_some();
        let framing = match coded {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {}", body.len()),
        };
        let mut answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").into_bytes();
        answer.extend(if coded { chunks(body, 70_000) } else { body.to_vec() });
        answer
    })
    .await;
    let gateway = service.gateway();
    let all = noise(LARGE);
    for (who, token) in &callers(&gateway).await {
        for length in [0, 1, 4095, 65_537, LARGE] {
            let body = &all[..length];
            for coded in [false, true] {
                let framing = match coded {
                    true => "Transfer-Encoding: chunked\r\n".to_owned(),
                    false => format!("Content-Length: {length}\r\n"),
                };
                let mut wire = Wire::open(gateway.authority()).await;
                wire.send(ask(&gateway, "POST /back", token, &framing)).await;
                wire.send(if coded { chunks(body, 16_000) } else { body.to_vec() }).await;
                let answer = wire.answer("POST").await.unwrap().expect(200);
                assert!(wire.whole && answer.body == body, "{length} bytes, coded {coded}, as {who}");
                assert_eq!(answer.headers.contains_key("transfer-encoding"), coded, "{length} as {who}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_waits_for_the_rest() {
    let proceed = Arc::new(Notify::new());
    let told = proceed.clone();
    let service = Service::start(move |mut wire| {
        let told = told.clone();
        async move {
            while let Some(head) = wire.request_head().await {
                if target(&head) == "/up" {
                    // The first piece of an upload is here before the client sends the second.
                    let first = wire.some().await;
                    assert!(!first.is_empty());
                    told.notify_one();
                    let rest = wire.some().await;
                    let got = first.len() + rest.len();
                    wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{got:08}")).await;
                } else {
                    wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                    for _ in 0..5 {
                        wire.send("9\r\ndata: 1\n\n\r\n").await;
                        told.notified().await;
                    }
                    wire.send("0\r\n\r\n").await;
                }
            }
        }
    })
    .await;
    let gateway = service.gateway();
    for (who, token) in &callers(&gateway).await {
        let mut wire = Wire::open(gateway.authority()).await;
        wire.send(ask(&gateway, "POST /up", token, "Content-Length: 6\r\n") + "abc").await;
        proceed.notified().await;
        wire.send("def").await;
        let answer = wire.answer("POST").await.unwrap().expect(200);
        assert_eq!(answer.body, b"00000006", "as {who}");

        let events = gateway.client.get(gateway.url("/events")).bearer_auth(token);
        let mut events = events.header("accept", "text/event-stream").send().await.unwrap();
        for _ in 0..5 {
            // The next one is sent only when this one has come.
            assert_eq!(events.chunk().await.unwrap().unwrap(), "data: 1\n\n", "as {who}");
            proceed.notify_one();
        }
        assert_eq!(events.chunk().await.unwrap(), None, "as {who}");
    }
}

#[tokio::test]
async fn trailers_of_an_answer_do_no_harm() {
    let service = Service::answering(|_, _| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n".to_vec()
    })
    .await;
    let gateway = service.gateway();
    for (who, token) in &callers(&gateway).await {
        let mut wire = Wire::open(gateway.authority()).await;
        for _ in 0..2 {
            wire.send(ask(&gateway, "GET /", token, "TE: trailers\r\n")).await;
            let answer = wire.answer("GET").await.unwrap().expect(200);
            assert_eq!((answer.body.as_slice(), wire.whole), (&b"hello"[..], true), "as {who}");
        }
    }
}

#[tokio::test]
async fn old_clients_and_services_are_understood() {
    let service = Service::start(|mut wire| async move {
        while let Some((head, _)) = wire.request().await {
            let old = target(&head) == "/old";
            wire.send(if old {
                "HTTP/1.0 200 OK\r\n\r\nold"
            } else {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnew\r\n0\r\n\r\n"
            })
            .await;
            if old {
                return;
            }
        }
    })
    .await;
    let gateway = service.gateway();
    for (who, token) in &callers(&gateway).await {
        let mut wire = Wire::open(gateway.authority()).await;
        wire.send(ask(&gateway, "GET /old", token, "")).await;
        assert_eq!(wire.answer("GET").await.unwrap().expect(200).body, b"old", "as {who}");
        // HTTP/1.0 knows no chunks: the body ends with the connection.
        let mut wire = Wire::open(gateway.authority()).await;
        wire.send(ask(&gateway, "GET /new", token, "").replace("HTTP/1.1", "HTTP/1.0")).await;
        let answer = wire.answer("GET").await.unwrap().expect(200);
        assert_eq!(answer.body, b"new", "as {who}: {answer}");
        assert!(!answer.headers.contains_key("transfer-encoding"), "as {who}: {answer}");
    }
}
