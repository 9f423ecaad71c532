//! Errors after the permit: whose fault they are, and what the client is told.

use super::context::Context;
use super::refusal::Refusal;
use pingora::{Error, ErrorSource, ErrorType};

/// Stops a request after its permit; `fail_to_proxy` answers with `refusal`.
pub(super) fn stop(ctx: &mut Context, refusal: Refusal) -> Box<Error> {
    let status = refusal.status;
    ctx.stopped = Some(Box::new(refusal));
    Error::explain(ErrorType::HTTPStatus(status), "stopped after its permit")
}

/// What a request gets whose session ended between its permit and its first byte, or may have ended.
pub(super) fn over_by_now(ctx: &Context) -> Refusal {
    match &ctx.known {
        None => Refusal::unauthenticated(),
        Some(known) if known.cancellation.is_unproven() => Refusal::view_stale(),
        Some(known) => Refusal::over(&known.session, ctx.end_reason()),
    }
}

pub(super) fn is_timeout(e: &Error) -> bool {
    matches!(
        e.etype(),
        ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
    )
}

/// What the client is told of an error: whose fault it is, without details. `None`: it isn't there any more.
pub(super) fn from_error(e: &Error) -> Option<Refusal> {
    match e.esource() {
        ErrorSource::Downstream => match e.etype() {
            ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::ConnectionClosed
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::ConnectError
            | ErrorType::H2Error => None,
            _ => {
                Some(Refusal::bad_request("the request is malformed; compare it with RFC 9110 and RFC 9112"))
            }
        },
        ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset if is_timeout(e) => {
            Some(Refusal::own(
                504,
                "UPSTREAM_TIMEOUT",
                "the service behind the gateway takes too long; try again later",
            ))
        }
        ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset => Some(Refusal::own(
            502,
            "UPSTREAM_UNREACHABLE",
            "the service behind the gateway can't be reached or broke off; try again later",
        )),
    }
}
