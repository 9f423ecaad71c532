//! Events as a list, events as a stream (SSE), and a WebSocket that echoes.

use super::Demo;
use super::caller::Caller;
use super::data::{Event, KINDS};
use crate::domain::rfc3339;
use axum::Json;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::response::sse::{Event as SseEvent, Sse};
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::IntervalStream;

/// Time between two events of a stream.
const EVERY: Duration = Duration::from_millis(500);

/// `GET /api/v1/events`, newest first.
pub(super) async fn list_events(State(demo): State<Demo>, caller: Caller) -> Json<Value> {
    Json(json!({ "items": demo.shared.data.lock().of(&caller.org).events, "next": null }))
}

/// `GET /api/v1/events/stream`: one event at once, then one each half second, for as long as the client stays.
pub(super) async fn stream_events(
    State(demo): State<Demo>,
    caller: Caller,
) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = demo.shared.stop.clone();
    let events = IntervalStream::new(ticks)
        .enumerate()
        .map(move |(n, _)| {
            let event = made_up(&demo, &caller.org, n);
            let sse = SseEvent::default().id(n.to_string()).event("camera");
            Ok(sse.json_data(&event).unwrap_or_else(|_| SseEvent::default().comment("unprintable")))
        })
        .take_until(stop.cancelled_owned());
    Sse::new(events)
}

/// The n-th event of a stream: the org's cameras in turn.
fn made_up(demo: &Demo, org: &str, n: usize) -> Event {
    let mut data = demo.shared.data.lock();
    let cameras = &data.of(org).cameras;
    let camera = cameras.keys().nth(n % cameras.len().max(1)).cloned().unwrap_or_default();
    Event {
        id: format!("evt_live_{n}"),
        time: rfc3339(demo.shared.clock.now()),
        camera,
        kind: KINDS.get(n % KINDS.len()).copied().unwrap_or("motion"),
    }
}

/// `GET /api/v1/live`: text and binary messages come back as they are.
pub(super) async fn websocket(State(demo): State<Demo>, _: Caller, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| echo(socket, demo))
}

async fn echo(mut socket: WebSocket, demo: Demo) {
    loop {
        let message = tokio::select! {
            () = demo.shared.stop.cancelled() => break,
            message = socket.recv() => message,
        };
        let Some(Ok(message)) = message else { break };
        let answered = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await,
            // Pings are answered by the library.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => break,
        };
        if answered.is_err() {
            break;
        }
    }
}
