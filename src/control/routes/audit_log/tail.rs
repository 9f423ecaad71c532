//! Live tails: a log as server-sent events while it grows (WHATWG HTML, §9.2).
//!
//! The records are read by a task of the control plane's runtime, which a few events' room separates from the
//! connection: who reads slowly slows that task and nothing else, and who leaves, or is cut, ends it.

use super::{filter, platform_log};
use crate::audit::query::Log;
use crate::audit::{Follow, Look};
use crate::control::ControlState;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::{Call, Query};
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Filters, and where to begin.
const PARAMETERS: &[&str] =
    &["actor", "action", "event", "impersonation_id", "decision", "request_id", "ticket_ref", "after"];
/// Events that may wait for a slow reader.
const ROOM: usize = 64;
/// How often a silent stream shows that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /api/v1/orgs/{org}/audit-log/tail`.
pub(in crate::control::routes) async fn of_org(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let org = call.org()?.id.clone();
    tail(&state, &call, Log::Org(org), &headers, raw.as_deref()).await
}

/// `GET /api/v1/platform/audit-log/tail`: the whole log for platform admins, their own entries for others.
pub(in crate::control::routes) async fn of_platform(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let log = platform_log(&call)?;
    tail(&state, &call, log, &headers, raw.as_deref()).await
}

/// The last entry that the reader has: what its browser says when it connects again, else what the query says.
fn after(call: &Call, query: &Query, headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let (name, text) = match headers.get("last-event-id") {
        Some(value) => ("Last-Event-ID", Some(value.to_str().unwrap_or_default())),
        None => ("after", query.get("after")),
    };
    text.map(|text| {
        text.parse().map_err(|_| {
            call.fault(Fault::Query(format!("`{name}` must be the index of an entry, as an event's id is")))
        })
    })
    .transpose()
}

async fn tail(
    state: &ControlState,
    call: &Call,
    log: Log,
    headers: &HeaderMap,
    raw: Option<&str>,
) -> Result<Response, ApiError> {
    let query = Query::read(call, raw, PARAMETERS)?;
    let after = after(call, &query, headers)?;
    let follow = Follow::begin(&state.audit, log, filter(call, &query)?, after).await;
    let follow = follow.map_err(|e| call.fault(Fault::Store(e)))?.map_err(|size| {
        call.fault(Fault::Query(format!(
            "this log has {size} entries: there is none to go on after; leave `after` out to begin at its end"
        )))
    })?;
    let (tell, told) = mpsc::channel(ROOM);
    tokio::spawn(run(follow, tell));
    Ok(stream(told))
}

/// The answer: what is told, and a comment whenever nothing has been for a while.
fn stream(told: mpsc::Receiver<Result<Event, Infallible>>) -> Response {
    let alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
    Sse::new(ReceiverStream::new(told)).keep_alive(alive).into_response()
}

/// Tells what is there and what comes, until nobody listens.
async fn run(mut follow: Follow, tell: mpsc::Sender<Result<Event, Infallible>>) {
    loop {
        let Look { entries, at_end, .. } = match follow.look().await {
            Ok(look) => look,
            Err(error) => {
                // The stream ends; the reader connects again, and goes on where it was.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a live tail can't read the records"
                );
                return;
            }
        };
        for (index, line) in entries {
            let event = Event::default().id(index.to_string()).event("entry").data(line);
            if tell.send(Ok(event)).await.is_err() {
                return;
            }
        }
        if at_end {
            tokio::select! {
                () = tell.closed() => return,
                () = follow.grown() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_shows_that_it_is_there() {
        let (tell, told) = mpsc::channel(ROOM);
        let mut body = stream(told).into_body();
        let mut next = async || body.frame().await.map(|frame| frame.unwrap().into_data().unwrap());
        let begun = Instant::now();
        for n in 1..=3 {
            assert_eq!(next().await.unwrap(), ": keep-alive\n\n");
            assert_eq!(begun.elapsed().as_secs(), n * KEEP_ALIVE.as_secs());
        }
        // An event is told at once, and is a sign too.
        tokio::time::advance(KEEP_ALIVE / 2).await;
        let begun = Instant::now();
        tell.send(Ok(Event::default().id("7").event("entry").data("{}"))).await.unwrap();
        assert_eq!(next().await.unwrap(), "id: 7\nevent: entry\ndata: {}\n\n");
        assert_eq!(begun.elapsed().as_secs(), 0);
        assert_eq!(next().await.unwrap(), ": keep-alive\n\n");
        assert_eq!(begun.elapsed().as_secs(), KEEP_ALIVE.as_secs());
        drop(tell);
        assert!(next().await.is_none());
    }
}
