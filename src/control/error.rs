//! From an act's error to the answer: one exhaustive match.

use crate::access::{ActError, HandlerRefusal};
use crate::domain::RevokeReason;
use crate::domain::ids::RequestId;
use crate::domain::problem::{PROBLEM_JSON, Problem, challenge};
use crate::store::StoreError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An answer that is a problem.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) request_id: RequestId,
    pub(super) fault: Fault,
    /// The act itself ended in this fault, and not what its handler does before.
    pub(super) by_act: bool,
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum Fault {
    /// The act said so.
    Act(ActError),
    /// The body isn't what the route takes.
    Body(String),
    /// A parameter of the query isn't.
    Query(String),
    /// The records can't be read.
    Store(StoreError),
    /// It will be there in a moment.
    NotYet(&'static str),
}

/// Status, code, detail, offending member, seconds for `Retry-After`.
struct Answer {
    status: u16,
    code: String,
    detail: String,
    member: Option<&'static str>,
    retry_after: Option<u32>,
    revoke_reason: Option<RevokeReason>,
}

impl Answer {
    fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        let (code, detail) = (code.to_owned(), detail.into());
        Self { status, code, detail, member: None, retry_after: None, revoke_reason: None }
    }
}

fn answer(fault: &Fault) -> Answer {
    match fault {
        Fault::Act(ActError::Refused(denial)) => Answer::new(
            denial.status,
            &denial.code,
            denial
                .help
                .as_deref()
                .unwrap_or("the policies in force don't permit this; ask the owner of the policies"),
        ),
        Fault::Act(ActError::NotFound(what)) => {
            Answer::new(404, "NOT_FOUND", format!("there is no such {what}; check the identifier"))
        }
        Fault::Act(ActError::Invalid { member, fault }) => {
            Answer { member: Some(member), ..Answer::new(422, "INVALID_BODY", format!("`{member}` {fault}")) }
        }
        Fault::Act(ActError::RateLimited { retry_after }) => Answer {
            retry_after: Some(*retry_after),
            ..Answer::new(
                429,
                "RATE_LIMITED",
                format!("too many impersonations were asked for; wait {retry_after} s"),
            )
        },
        Fault::Act(ActError::Store(error)) | Fault::Store(error) => store(error),
        Fault::Act(ActError::Token(error)) => {
            tracing::error!(error = error as &dyn std::error::Error, "a token can't be signed");
            Answer {
                retry_after: Some(1),
                ..Answer::new(503, "STORE_UNAVAILABLE", "no token can be signed now; try again later")
            }
        }
        Fault::Act(ActError::NoPermit) => {
            tracing::error!("an act was reached without its permit");
            Answer::new(
                500,
                "POLICY_ERROR",
                "the request reached its handler without a permit; tell the operator of the gateway",
            )
        }
        Fault::Body(detail) => Answer::new(422, "INVALID_BODY", detail.as_str()),
        Fault::Query(detail) => Answer::new(400, "BAD_REQUEST", detail.as_str()),
        Fault::NotYet(detail) => {
            Answer { retry_after: Some(1), ..Answer::new(503, "AUDIT_UNAVAILABLE", *detail) }
        }
    }
}

fn store(error: &StoreError) -> Answer {
    tracing::error!(error = error as &dyn std::error::Error, "the records can't be used");
    let (code, detail) = match error {
        StoreError::Full(_) | StoreError::ReadOnly(_) | StoreError::Io(_) => (
            "AUDIT_UNAVAILABLE",
            "this can't be written to the records and the audit log now; what takes access away is in force on this gateway all the same. Try again later",
        ),
        StoreError::Unknown(_) => (
            "STORE_UNAVAILABLE",
            "the database didn't say whether this was done; look how it stands, then try again",
        ),
        StoreError::Open(_)
        | StoreError::Conflict(_)
        | StoreError::Unreachable(_)
        | StoreError::Retry(_)
        | StoreError::Database(_)
        | StoreError::Corrupt(_) => {
            ("STORE_UNAVAILABLE", "the gateway's records can't be used now; try again later")
        }
    };
    Answer { retry_after: Some(1), ..Answer::new(503, code, detail) }
}

impl ApiError {
    /// Whether the act has written an entry of it.
    fn recorded(&self) -> bool {
        self.by_act
            && matches!(
                self.fault,
                Fault::Act(ActError::Refused(_) | ActError::RateLimited { .. } | ActError::NotFound("org"))
            )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let answer = answer(&self.fault);
        let body = Problem {
            status: answer.status,
            code: &answer.code,
            detail: &answer.detail,
            request_id: &self.request_id,
            revoke_reason: answer.revoke_reason,
            member: answer.member,
        }
        .body();
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response =
            (status, [(header::CONTENT_TYPE, PROBLEM_JSON), (header::CACHE_CONTROL, "no-store")], body)
                .into_response();
        response.extensions_mut().insert(HandlerRefusal {
            status: answer.status,
            recorded: self.recorded(),
            code: answer.code.clone(),
        });
        if answer.status == 401
            && let Ok(value) = HeaderValue::from_str(&challenge(&answer.code, true))
        {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        if let Some(seconds) = answer.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
