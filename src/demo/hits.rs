//! `/__hits`: which requests reached the upstream. Tests and the reader of the README ask it whether a
//! refusal really stopped at the gateway.

use super::Demo;
use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// The newest ids are kept up to here, so that a long benchmark doesn't eat the machine; the count goes on.
const KEPT: usize = 1_000_000;

/// Counts requests and keeps their ids. A mutex, since count and ids have to agree.
#[derive(Default)]
pub(super) struct Hits(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    count: u64,
    request_ids: VecDeque<String>,
}

/// Counts a request before anything else is done with it, also one without `x-request-id` (it has no id to list).
pub(super) async fn count(State(demo): State<Demo>, request: Request, next: Next) -> Response {
    let id = request.headers().get("x-request-id").map(|id| id.as_bytes().escape_ascii().to_string());
    demo.shared.hits.record(id);
    next.run(request).await
}

/// `GET /__hits`
pub(super) async fn show(State(demo): State<Demo>) -> Json<Value> {
    let seen = demo.shared.hits.0.lock();
    Json(json!({ "count": seen.count, "request_ids": seen.request_ids }))
}

/// `DELETE /__hits`
pub(super) async fn reset(State(demo): State<Demo>) -> StatusCode {
    *demo.shared.hits.0.lock() = Seen::default();
    StatusCode::NO_CONTENT
}

impl Hits {
    fn record(&self, id: Option<String>) {
        let mut seen = self.0.lock();
        seen.count = seen.count.saturating_add(1);
        let Some(id) = id else { return };
        if seen.request_ids.len() >= KEPT {
            seen.request_ids.pop_front();
        }
        seen.request_ids.push_back(id);
    }
}
