//! The gateway's own routes: from a Pingora session to the axum router in this process and back.
//!
//! The handler runs as a task of the control plane's runtime, so that a client that leaves, or a cut, never
//! stops a transaction midway. While it runs the request is exempt from cuts: who ends their own session
//! gets the answer. A streamed answer is cut like any other stream.

use super::admit::body_too_large;
use super::context::{Context, End};
use super::record::HandlerRecorder;
use super::refusal::Refusal;
use crate::access::{Caller, HandlerRefusal, OneTime};
use crate::policy::Permit;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{ErrorType, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tower::ServiceExt;

/// The gateway's own API in this process.
#[derive(Clone)]
pub(super) struct Bridge {
    /// The routes.
    pub(super) router: axum::Router,
    /// Where handlers run.
    pub(super) runtime: Handle,
    /// Bytes of a body.
    pub(super) body_limit: usize,
    /// How long a handler may take to begin its answer.
    pub(super) timeout: Duration,
}

impl Bridge {
    /// The whole body; `None` when the client has left.
    ///
    /// # Errors
    /// `413 BODY_TOO_LARGE`.
    pub(super) async fn body(
        &self,
        session: &mut Session,
        ctx: &mut Context,
    ) -> Result<Option<Bytes>, Refusal> {
        read_body(session, ctx, self.body_limit).await
    }

    /// Serves a permitted request.
    ///
    /// # Errors
    /// A refusal, when no answer has begun.
    pub(super) async fn serve(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        permit: Permit,
        body: Bytes,
    ) -> Result<(), Refusal> {
        let request = request(session, ctx, permit, body);
        ctx.progress.served = true;
        ctx.slot.set_exempt(true);
        let answered = self.call(session, ctx, request).await;
        ctx.slot.set_exempt(false);
        if let Some(response) = answered?
            && let Err(e) = write(session, ctx, response).await
        {
            tracing::debug!(request_id = %ctx.request_id, error = %e, "the client left before its answer");
            ctx.progress.end = Some(End::Aborted);
        }
        Ok(())
    }

    /// The handler's answer; `None` when the client has left.
    async fn call(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        request: Request<Body>,
    ) -> Result<Option<Response<Body>>, Refusal> {
        let (router, recorder) = (self.router.clone(), HandlerRecorder::of(ctx));
        let mut task = self.runtime.spawn(async move {
            let Ok(response) = router.oneshot(request).await;
            let refused = response.extensions().get::<HandlerRefusal>().cloned();
            if let (Some(recorder), Some(refused)) = (recorder, refused) {
                recorder.record(&refused).await?;
            }
            Ok(response)
        });
        let mut deadline = std::pin::pin!(tokio::time::sleep(self.timeout));
        let mut watching = true;
        loop {
            tokio::select! {
                biased;
                done = &mut task => return match done {
                    Ok(answered) => answered.map(Some),
                    Err(e) => {
                        tracing::error!(request_id = %ctx.request_id, error = %e, "a handler failed");
                        Err(Refusal::own(500, "INTERNAL_ERROR", "the gateway failed; tell its operator the request id"))
                    }
                },
                left = session.read_body_or_idle(true), if watching => {
                    // Bytes of a next request: this one is answered, and the connection closed.
                    if left.is_err_and(|e| *e.etype() == ErrorType::ConnectError) {
                        watching = false;
                        session.set_keepalive(None);
                    } else {
                        ctx.progress.end = Some(End::Aborted);
                        return Ok(None);
                    }
                }
                () = &mut deadline => {
                    tracing::error!(request_id = %ctx.request_id, "a handler takes too long");
                    return Err(Refusal {
                        retry_after: Some(1),
                        ..Refusal::own(
                            503,
                            "STORE_UNAVAILABLE",
                            "the gateway's records take too long; look at the state before you repeat this",
                        )
                    });
                }
            }
        }
    }
}

/// The whole body; `None` when the client has left.
async fn read_body(session: &mut Session, ctx: &mut Context, limit: usize) -> Result<Option<Bytes>, Refusal> {
    let too_large = || body_too_large(limit as u64);
    let admitted = ctx.admitted.as_ref();
    if admitted.and_then(|a| a.content_length).is_some_and(|n| n > limit as u64) {
        return Err(too_large());
    }
    if session.is_body_done() {
        return Ok(Some(Bytes::new()));
    }
    if admitted.is_some_and(|a| a.expects_continue) {
        let _ = session.write_continue_response().await;
    }
    let mut body = BytesMut::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(piece)) => {
                ctx.progress.bytes_in += piece.len() as u64;
                if body.len() + piece.len() > limit {
                    return Err(too_large());
                }
                body.extend_from_slice(&piece);
            }
            Ok(None) => return Ok(Some(body.freeze())),
            Err(e) => {
                tracing::debug!(request_id = %ctx.request_id, error = %e, "the client left before its body's end");
                ctx.progress.end = Some(End::Aborted);
                session.set_keepalive(None);
                return Ok(None);
            }
        }
    }
}

/// The request as handlers see it: without what belongs to the connection, and without headers that only
/// the gateway says. Who calls stands in the [`Caller`] and nowhere else.
fn request(session: &Session, ctx: &Context, permit: Permit, body: Bytes) -> Request<Body> {
    let mut parts = session.req_header().as_owned_parts();
    strip_hop_headers(&mut parts.headers);
    if let Some(admitted) = &ctx.admitted {
        for name in &admitted.strip {
            parts.headers.remove(name);
        }
    }
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(Caller {
        known: ctx.known.clone(),
        permit: OneTime::new(permit),
        action: ctx.action.clone().unwrap_or_else(|| Arc::from("")),
        org: ctx.org.clone(),
        request: Arc::new(ctx.request_info()),
    });
    request
}

/// RFC 9110 §7.6.1.
fn strip_hop_headers(headers: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
}

async fn write(session: &mut Session, ctx: &mut Context, response: Response<Body>) -> Result<()> {
    let (mut parts, body) = response.into_parts();
    strip_hop_headers(&mut parts.headers);
    let bodiless = ctx.method == http::Method::HEAD
        || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut head = ResponseHeader::build_no_case(parts.status, Some(parts.headers.len() + 4))?;
    for (name, value) in &parts.headers {
        head.append_header(name, value)?;
    }
    if let Some(id) = &ctx.request_id_value {
        head.insert_header("x-request-id", id.clone())?;
    }
    if let Some(intent) = &ctx.intent {
        head.insert_header("audit-receipt", intent.receipt())?;
    }
    if !bodiless && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        match axum::body::HttpBody::size_hint(&body).exact() {
            Some(length) => head.insert_header(header::CONTENT_LENGTH, length)?,
            None if session.req_header().version == Version::HTTP_11 => {
                head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
            }
            // HTTP/1.0 ends with the connection, HTTP/2 with its own frame.
            None => {}
        }
    }
    ctx.progress.status = parts.status.as_u16();
    session.write_response_header(Box::new(head), bodiless).await?;
    if !bodiless {
        stream(session, ctx, body).await?;
    }
    session.write_response_body(None, true).await
}

/// Passes a body on, piece by piece, until it ends or the client leaves.
async fn stream(session: &mut Session, ctx: &mut Context, mut body: Body) -> Result<()> {
    let mut watching = true;
    loop {
        tokio::select! {
            biased;
            frame = body.frame() => {
                let Some(frame) = frame else { return Ok(()) };
                let frame = frame.map_err(|e| {
                    pingora::Error::because(ErrorType::InternalError, "while a handler streamed", e)
                })?;
                if let Ok(data) = frame.into_data() {
                    ctx.progress.bytes_out += data.len() as u64;
                    session.write_response_body(Some(data), false).await?;
                }
            }
            left = session.read_body_or_idle(true), if watching => {
                match left {
                    Err(e) if *e.etype() == ErrorType::ConnectError => watching = false,
                    Err(e) => return Err(e),
                    Ok(_) => return pingora::Error::e_explain(ErrorType::ConnectionClosed, "the client left"),
                }
                session.set_keepalive(None);
            }
        }
    }
}
