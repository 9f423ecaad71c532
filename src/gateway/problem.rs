//! Answers of the gateway itself: `application/problem+json` (RFC 9457), or a page where a page was asked for, on
//! connections that stay open.
//!
//! Pingora's own error answers close the connection (2.4 times the CPU of a refusal). Here head and body
//! are written, and then a bounded rest of the client's body is read: without that, HTTP/2 loses the answer.

use super::context::Context;
use super::refusal::Refusal;
use crate::console::{Cookie, Side, has_pages, problem_page};
use crate::domain::ids::RequestId;
use crate::domain::problem::{PROBLEM_JSON, Problem, challenge};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use std::time::Duration;

/// At most this much of an unread body is read for the sake of the connection.
const DRAIN_BYTES: usize = 1024 * 1024;
/// At most this long.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// What a refusal says.
fn problem<'a>(refusal: &'a Refusal, request_id: &'a RequestId) -> Problem<'a> {
    Problem {
        status: refusal.status,
        code: refusal.code.as_str(),
        detail: &refusal.detail,
        request_id,
        revoke_reason: refusal.revoke_reason,
        member: None,
    }
}

/// A refusal as a document.
fn document(refusal: &Refusal, request_id: &RequestId) -> Response<Bytes> {
    let mut document = Response::new(Bytes::from(problem(refusal, request_id).body()));
    *document.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::FORBIDDEN);
    let headers = document.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    document
}

/// Whether a browser asked for one of our pages, so that a refusal is a page too. Anything else gets the
/// document, also there: programs needn't say what they accept.
fn wants_page(request: &RequestHeader) -> bool {
    let html =
        |accept: &HeaderValue| accept.as_bytes().windows(9).any(|w| w.eq_ignore_ascii_case(b"text/html"));
    has_pages(request.uri.path()) && request.headers.get_all(header::ACCEPT).iter().any(html)
}

/// What is answered: head and body of a document or a page.
fn made(session: &Session, ctx: &Context, refusal: &Refusal) -> Response<Bytes> {
    let request = session.req_header();
    if !wants_page(request) {
        return document(refusal, &ctx.request_id);
    }
    let safe = matches!(request.method, Method::GET | Method::HEAD);
    let (site, side) = (ctx.shared.site, Side::of(request.uri.path()));
    let mut page = problem_page(site, side, &problem(refusal, &ctx.request_id), safe).map(Bytes::from);
    let session = if side == Side::Staff { Cookie::Staff } else { Cookie::Person };
    if refusal.status == 401
        && let Some(gone) = session.clear(site.https).filter(|_| ctx.has_cookie())
    {
        page.headers_mut().append(header::SET_COOKIE, gone);
    }
    page
}

/// The head of a refusal, but for its length.
fn head(answer: &http::response::Parts, refusal: &Refusal, ctx: &Context) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build_no_case(answer.status, Some(answer.headers.len() + 5))?;
    for (name, value) in &answer.headers {
        head.append_header(name, value)?;
    }
    if let Some(id) = &ctx.request_id_value {
        head.insert_header("x-request-id", id.clone())?;
    }
    if answer.status == StatusCode::UNAUTHORIZED {
        head.insert_header(
            header::WWW_AUTHENTICATE,
            challenge(refusal.code.as_str(), refusal.credential_given),
        )?;
    }
    if let Some(allow) = &refusal.allow {
        head.insert_header(header::ALLOW, allow.as_str())?;
    }
    if let Some(seconds) = refusal.retry_after {
        head.insert_header(header::RETRY_AFTER, seconds.to_string())?;
    }
    Ok(head)
}

/// Answers with a refusal.
pub(super) async fn answer(session: &mut Session, ctx: &mut Context, refusal: &Refusal) {
    ctx.progress.status = refusal.status;
    ctx.code = Some(refusal.code.clone());
    if let Err(e) = write(session, ctx, refusal).await {
        tracing::debug!(request_id = %ctx.request_id, error = %e, "the client left before its answer");
    }
}

async fn write(session: &mut Session, ctx: &mut Context, refusal: &Refusal) -> Result<()> {
    let (answer, body) = made(session, ctx, refusal).into_parts();
    ctx.progress.status = answer.status.as_u16();
    let mut head = head(&answer, refusal, ctx)?;
    head.insert_header(header::CONTENT_LENGTH, body.len())?;
    let bodiless = ctx.method == Method::HEAD;
    let rest = before_answer(session, ctx, refusal).await;
    session.write_response_header(Box::new(head), bodiless).await?;
    if bodiless {
        session.write_response_body(None, true).await?;
    } else {
        ctx.progress.bytes_out += body.len() as u64;
        session.write_response_body(Some(body), true).await?;
    }
    if rest {
        drained(session).await;
    }
    Ok(())
}

/// Deals with a body that the client may still be sending; whether some of it is to be read after the
/// answer, so that the answer isn't lost in a reset.
///
/// Over HTTP/1 a body is read *before* the answer where the connection is to go on: a client that has its
/// answer may send its next request, whose first bytes would be read together with the body's last ones.
/// Where the connection can't go on, the answer says so.
async fn before_answer(session: &mut Session, ctx: &Context, refusal: &Refusal) -> bool {
    // A wrong head may be wrong about where the next request begins.
    let faulty = ctx.admitted.is_none() && matches!(refusal.status, 400 | 405);
    if faulty {
        session.set_keepalive(None);
    }
    if session.is_body_done() {
        return false;
    }
    if session.is_http2() {
        return true;
    }
    let (expects_continue, length) = ctx
        .admitted
        .as_ref()
        .map_or((false, None), |admitted| (admitted.expects_continue, admitted.content_length));
    if expects_continue {
        // Who gets a final answer instead of `100 Continue` may send its body or not: only closing is clear.
        return false;
    }
    if faulty || length.is_some_and(|n| n > DRAIN_BYTES as u64) {
        return true;
    }
    // Pingora answers `Connection: close` by itself if some of it is left.
    !drained(session).await
}

/// Reads a bounded rest of the client's body; whether it has come to its end.
async fn drained(session: &mut Session) -> bool {
    let all = async {
        let mut read = 0;
        loop {
            match session.read_request_body().await {
                Ok(None) => return true,
                Ok(Some(bytes)) => read += bytes.len(),
                Err(_) => return false,
            }
            if read > DRAIN_BYTES {
                return false;
            }
        }
    };
    tokio::time::timeout(DRAIN_TIME, all).await.unwrap_or(false)
}
