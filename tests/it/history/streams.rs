//! What stands open in a run: event streams and WebSockets, busy and idle, until they are cut or it is too late.

use super::check::STREAM_BOUND;
use super::node::PUBLIC;
use super::record::{Kind, Micros, Stream, now};
use super::workload::{Stop, pause, stopped};
use super::world::{Held, World};
use crate::support::{Chance, Open, Target};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at whether a stream should be gone.
const LOOK: Duration = Duration::from_millis(100);
/// A stream whose session lives on is left after so long.
const LONG_ENOUGH: Micros = 6_000_000;

const EVENTS: (&str, &str) = ("/api/v1/events/stream", "Accept: text/event-stream\r\n");
/// Nothing is sent on it, so nothing comes: the test opens it and waits.
const SOCKET: (&str, &str) = (
    "/api/v1/live",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
);

/// Keeps something open through one gateway, one after the other.
pub(crate) async fn listener(world: Arc<World>, gateway: usize, mut chance: Chance, stop: Stop) {
    while !stopped(&stop) {
        let grants_only = chance.below(4) > 0;
        let wanted = |held: &Held| match held.kind {
            Kind::Impersonation => true,
            Kind::Person | Kind::Bot => !grants_only,
            Kind::Staff => false,
        };
        let Some(held) = world.live(&mut chance, wanted) else {
            pause(20).await;
            continue;
        };
        let what = if chance.below(2) == 0 { EVENTS } else { SOCKET };
        match listen(&world, gateway, &held, what, &stop).await {
            Some(stream) => world.record.note(|h| h.streams.push(stream)),
            None => pause(50).await,
        }
    }
}

/// One stream; `None` if it was refused.
async fn listen(
    world: &World,
    gateway: usize,
    held: &Held,
    (path, more): (&str, &str),
    stop: &Stop,
) -> Option<Stream> {
    let authority = world.fleet.node(gateway).address.to_string();
    let target = Target { authority, host: PUBLIC.to_owned() };
    let opened = now();
    let opening = Open::try_begin(&target, "GET", path, &held.token, more);
    let mut stream = tokio::time::timeout(Duration::from_secs(2), opening).await.ok()?.ok()?;
    let (mut last_byte, mut gone_since) = (opened, None);
    loop {
        match tokio::time::timeout(LOOK, stream.read()).await {
            Ok(0) => {
                let closed = Some(now());
                let session = held.number;
                let noted = Stream { session, gateway, opened, last_byte, open_until: last_byte, closed };
                return (!stream.got.is_empty()).then_some(noted);
            }
            Ok(_) => last_byte = now(),
            Err(_) => {}
        }
        let refused: [&[u8]; 2] = [b"HTTP/1.1 4", b"HTTP/1.1 5"];
        if refused.iter().any(|status| stream.got.starts_with(status)) {
            return None;
        }
        let now = now();
        if gone_since.is_none() && !world.is_live(held.number) {
            gone_since = Some(now);
        }
        let too_late = gone_since.is_some_and(|since| now > since + STREAM_BOUND + 1_000_000);
        let lives_on = gone_since.is_none() && (stopped(stop) || now > opened + LONG_ENOUGH);
        if too_late || lives_on {
            let noted =
                Stream { session: held.number, gateway, opened, last_byte, open_until: now, closed: None };
            return (!stream.got.is_empty()).then_some(noted);
        }
    }
}
