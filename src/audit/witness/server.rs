//! A witness' HTTP interface (C2SP [tlog-witness](https://c2sp.org/tlog-witness)): `add-checkpoint`, and the last
//! checkpoint of each log for whoever watches.

use super::notary::Notary;
use super::request::Request;
use super::rule::Refusal;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

/// A request with 63 hashes and a note with many signatures fits in.
const MAX_BODY: usize = 64 * 1024;

/// The routes of `notary`.
pub fn router(notary: Notary) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add))
        .route("/{origin_hash}/checkpoint", get(last))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(notary)
}

async fn add(State(notary): State<Notary>, body: String) -> Response {
    let Some(request) = Request::parse(&body) else {
        return (StatusCode::BAD_REQUEST, "malformed: see https://c2sp.org/tlog-witness\n").into_response();
    };
    match notary.add(request).await {
        Ok(line) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], line).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Conflict { known } => {
            let size = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            return (StatusCode::CONFLICT, size, format!("{known}\n")).into_response();
        }
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::UnknownLog(_) => StatusCode::NOT_FOUND,
        Refusal::Unsigned(_) => StatusCode::FORBIDDEN,
        Refusal::Inconsistent(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Storage(error) => {
            tracing::error!(%error, "nothing is cosigned");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    (status, format!("{refusal}\n")).into_response()
}

async fn last(State(notary): State<Notary>, Path(hash): Path<String>) -> Response {
    match notary.last_by_hash(&hash).await {
        Ok(Some(checkpoint)) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], checkpoint.note).into_response()
        }
        Ok(None) => (StatusCode::NOT_FOUND, "never cosigned\n").into_response(),
        Err(error) => refused(&Refusal::Storage(error)),
    }
}
