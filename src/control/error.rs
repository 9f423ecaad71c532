//! From an act's error to the answer: one exhaustive match.

use crate::access::federation::FederationError;
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
    /// A form of another site's page.
    ForeignOrigin,
    /// Nobody was signed in with a provider.
    Federation(FederationError),
    /// It will be there in a moment.
    NotYet(&'static str),
}

/// A fault as an answer tells it; stands in the answer's extensions, for pages.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) member: Option<&'static str>,
    pub(super) retry_after: Option<u32>,
    pub(super) request_id: RequestId,
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
        Fault::Act(ActError::Throttled { retry_after }) => Answer {
            retry_after: Some(*retry_after),
            ..Answer::new(
                429,
                "RATE_LIMITED",
                format!("too many passwords or codes were wrong; wait {retry_after} s"),
            )
        },
        Fault::Act(ActError::Busy) => Answer {
            retry_after: Some(1),
            ..Answer::new(
                429,
                "RATE_LIMITED",
                "too many passwords are being checked at once; try again in a second",
            )
        },
        Fault::Act(ActError::StepUp) => Answer::new(
            403,
            "STEP_UP_REQUIRED",
            "send your password as it is now (`current`) and, with a second factor, a fresh code (`otp`); \
             one that was used already doesn't count again",
        ),
        Fault::Act(ActError::ClockOff { seconds }) => {
            Answer { member: Some("otp"), ..Answer::new(422, "INVALID_BODY", clock_off(*seconds)) }
        }
        Fault::Act(ActError::Conflict(what)) => {
            Answer::new(409, "CONFLICT", format!("{what} is there already; take another"))
        }
        Fault::Act(ActError::SetupDone) => Answer::new(
            409,
            "SETUP_DONE",
            "this installation is set up; sign in, or ask a platform admin for an account",
        ),
        Fault::Act(ActError::SetupSecret) => Answer::new(
            401,
            "UNAUTHENTICATED",
            "the setup secret is wrong; the gateway prints it at its start, unless `secret_file` of [setup] names a file",
        ),
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
        Fault::ForeignOrigin => Answer::new(
            403,
            "ORIGIN_NOT_ALLOWED",
            "the form was sent by another site's page; open the gateway's own sign-in page and try there",
        ),
        Fault::Federation(error) => federation(error),
        Fault::NotYet(detail) => {
            Answer { retry_after: Some(1), ..Answer::new(503, "AUDIT_UNAVAILABLE", *detail) }
        }
    }
}

/// What the provider said stands in the process log and in the entry; the person is told what they can do.
fn federation(error: &FederationError) -> Answer {
    let (status, code) = error.answer();
    let detail = match error {
        FederationError::Act(ActError::Store(error)) => return store(error),
        FederationError::UnknownProvider => "there is no such provider; choose one on /auth/login",
        FederationError::Expired => {
            "this sign-in was begun in another browser, took longer than ten minutes, or is over; sign in again on \
             /auth/login"
        }
        FederationError::Declined(_) => {
            "your provider didn't sign you in; sign in again on /auth/login, or ask your administrator whether you may"
        }
        FederationError::NoOrg => {
            "your provider is bound to no org that is registered here; your administrator can ask the vendor"
        }
        FederationError::Provider(_) if status == 502 => {
            "your provider can't be reached from here now; try again later"
        }
        FederationError::Provider(_) => {
            "what your provider answered can't be trusted, so nobody was signed in; try again on /auth/login, and tell \
             your administrator if it stays so"
        }
        FederationError::Busy | FederationError::Act(_) => {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a sign-in with a provider can't be finished"
            );
            "nobody can sign in now; try again later"
        }
    };
    Answer { retry_after: (status >= 500).then_some(5), ..Answer::new(status, code, detail) }
}

fn clock_off(seconds: i64) -> String {
    let (way, by) = if seconds > 0 { ("ahead of", seconds) } else { ("behind", -seconds) };
    format!(
        "`otp` would be right at another time: the clock of your authenticator is about {by} s {way} ours; \
         set it, for example by the network's time, and send a new code"
    )
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
    /// What it is told as.
    pub(super) fn told(&self) -> Told {
        let Answer { status, code, detail, member, retry_after, .. } = answer(&self.fault);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Told { status, code, detail, member, retry_after, request_id: self.request_id.clone() }
    }

    /// What the gate has to know of it.
    pub(super) fn refusal(&self) -> HandlerRefusal {
        let Answer { status, code, .. } = answer(&self.fault);
        HandlerRefusal { status, code, recorded: self.recorded() }
    }

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
        response.extensions_mut().insert(Told {
            status,
            code: answer.code.clone(),
            detail: answer.detail.clone(),
            member: answer.member,
            retry_after: answer.retry_after,
            request_id: self.request_id.clone(),
        });
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
