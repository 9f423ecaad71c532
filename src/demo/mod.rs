//! The demo customer API: a small video-management service that stands behind the gateway in
//! `drawbridge dev` and in tests (architecture §10 lists its routes).
//!
//! It does what an upstream of Drawbridge has to do and nothing more: it believes the identity headers,
//! because only the gateway reaches it, and it scopes every id by `x-drawbridge-org`. It does **not**
//! look at roles: who may do what is decided in front of it. Data is in memory and gone with the process.
//!
//! Main types: [`DemoOrgs`] (whose data is seeded), [`Demo`] (state and router), [`serve`].
//! Next: [`mod@data`] for what it holds, [`mod@caller`] for what it believes.

mod api;
mod caller;
mod data;
mod echo;
mod hits;
mod live;
mod page;

use crate::domain::ids::OrgId;
use crate::domain::{Clock, SystemClock};
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use axum::serve::ListenerExt;
use http::StatusCode;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The two orgs that are seeded with cameras, members and events. Any other org starts empty.
#[derive(Debug, Clone)]
pub struct DemoOrgs {
    /// The org that allows support access in `drawbridge dev`.
    pub acme: OrgId,
    /// The org that doesn't.
    pub globex: OrgId,
}

/// The demo's state. Cheap to clone; clones share their data.
#[derive(Clone)]
pub struct Demo {
    shared: Arc<Shared>,
}

struct Shared {
    /// A plain mutex: every access is a few map look-ups, never held over an `.await`.
    data: Mutex<data::Data>,
    hits: hits::Hits,
    clock: Arc<dyn Clock>,
    /// Cancelled at shutdown, so that event streams and WebSockets, which never end by themselves, end.
    stop: CancellationToken,
}

impl Demo {
    /// The demo with seeded data.
    #[must_use]
    pub fn new(orgs: &DemoOrgs, clock: Arc<dyn Clock>, stop: CancellationToken) -> Self {
        let data = Mutex::new(data::Data::seeded(orgs, clock.now()));
        Self { shared: Arc::new(Shared { data, hits: hits::Hits::default(), clock, stop }) }
    }

    /// All routes.
    pub fn router(&self) -> Router {
        let counted = Router::new()
            .route("/", get(page::show))
            .route("/api/v1/cameras", get(api::list_cameras).post(api::create_camera))
            .route(
                "/api/v1/cameras/{camera}",
                get(api::get_camera).patch(api::update_camera).delete(api::delete_camera),
            )
            .route("/api/v1/orgs/{org}/cameras", get(api::list_cameras_of))
            .route("/api/v1/events", get(live::list_events))
            .route("/api/v1/events/stream", get(live::stream_events))
            .route("/api/v1/live", get(live::websocket))
            .route("/api/v1/members", get(api::list_members).post(api::add_member))
            .route("/api/v1/members/{member}", axum::routing::patch(api::update_member))
            .route("/api/v1/billing/plan", get(api::get_plan).patch(api::set_plan))
            .route("/api/v1/transfer-ownership", post(api::transfer_ownership))
            .route("/api/v1/org", delete(api::delete_org))
            .route("/api/v1/echo", any(echo::echo))
            .fallback(nothing_here)
            .method_not_allowed_fallback(wrong_method)
            .layer(axum::middleware::from_fn_with_state(self.clone(), hits::count));
        Router::new()
            .route("/__hits", get(hits::show).delete(hits::reset))
            .merge(counted)
            .with_state(self.clone())
    }
}

/// Serves the demo on `listener` (port 0 is fine) until `stop` is cancelled; then what is under way ends.
///
/// # Errors
/// When the listener breaks for good.
pub async fn serve(listener: TcpListener, orgs: DemoOrgs, stop: CancellationToken) -> std::io::Result<()> {
    let demo = Demo::new(&orgs, Arc::new(SystemClock), stop.clone());
    // Without it, small answers wait for the client's delayed ACK. A socket that refuses the option still works.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, demo.router()).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// What the demo answers when it won't do something.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    /// No `x-drawbridge-org`.
    #[error("no `x-drawbridge-org` header: this request did not come through the gateway")]
    NoIdentity,
    /// Absent, or another org's: the two must look the same.
    #[error("there is nothing under this address for this org")]
    NotFound,
    /// The path exists with other methods.
    #[error("this address does not take that method")]
    WrongMethod,
    /// The body isn't what the route takes.
    #[error("{0}")]
    InvalidBody(String),
    /// The body couldn't be read to its end.
    #[error("the body broke off")]
    BrokenBody,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            Self::NoIdentity => (StatusCode::UNAUTHORIZED, "NO_IDENTITY"),
            Self::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::InvalidBody(_) => (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_BODY"),
            Self::BrokenBody => (StatusCode::BAD_REQUEST, "BROKEN_BODY"),
        };
        let body = serde_json::json!({ "error": { "code": code, "message": self.to_string() } });
        (status, axum::Json(body)).into_response()
    }
}

async fn nothing_here() -> Refusal {
    Refusal::NotFound
}

async fn wrong_method() -> Refusal {
    Refusal::WrongMethod
}

#[cfg(test)]
mod tests;
