//! The answer to a head that can't be parsed. Pingora's parser gives up before any filter runs and writes an
//! empty 400 of its own; it is replaced on its way to the socket, so that these refusals too are a problem
//! document with a code and a request id.

use super::refusal::Refusal;
use crate::domain::ids::RequestId;
use crate::domain::problem::{PROBLEM_JSON, Problem};
use std::io::Write as _;

/// Bytes and fields at which Pingora's parser gives up.
const MOST: (usize, usize) = (1_048_575, 256);

/// The whole answer, after which the connection is closed. `bytes`, `lines`: of what was read of the head.
pub(super) fn answer(bytes: usize, lines: usize) -> Vec<u8> {
    let (reason, refusal) = if bytes > MOST.0 || lines > MOST.1 {
        let detail = "the request's head has too many bytes or fields; send less";
        ("Request Header Fields Too Large", Refusal::own(431, "HEADERS_TOO_LARGE", detail))
    } else {
        let detail = "the request's head can't be read; compare it with RFC 9112";
        ("Bad Request", Refusal::bad_request(detail))
    };
    let request_id = RequestId::random();
    tracing::debug!(%request_id, code = refusal.code.as_str(), "a head that can't be parsed");
    let document = Problem {
        status: refusal.status,
        code: refusal.code.as_str(),
        detail: &refusal.detail,
        request_id: &request_id,
        revoke_reason: None,
        member: None,
    };
    let body = document.body();
    let mut answer = Vec::with_capacity(512);
    // Writing to a vector can't fail.
    let _ = write!(
        answer,
        "HTTP/1.1 {} {reason}\r\ncontent-type: {PROBLEM_JSON}\r\ncache-control: no-store\r\n\
         x-request-id: {request_id}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        refusal.status,
        body.len()
    );
    answer.extend_from_slice(&body);
    answer
}
