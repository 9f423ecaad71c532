//! The gate: Pingora's phases, one line a step, in the order of architecture §1.

use super::admit::{Admission, Head, body_too_large};
use super::authenticate::authenticate;
use super::authorize::{Asking, Verdict, authorize};
use super::bridge::Bridge;
use super::context::{Context, End};
use super::cut::take_slot;
use super::forward::{dress, forward};
use super::refusal::{Code, Refusal};
use super::settings::{GateSettings, HostHeader, Limits, Timeouts};
use super::upstream::Upstream;
use super::{problem, record};
use crate::access::{Access, CredentialError};
use crate::audit::AuditWriter;
use crate::domain::{Clock, Org};
use crate::identity::Assertions;
use crate::policy::{Permit, PolicyEngine};
use crate::telemetry::{AccessLog, Metrics, StageName};
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What the gate works with; all of it is shared by its workers.
pub struct Parts {
    /// Who and whether.
    pub access: Arc<Access>,
    /// What is permitted.
    pub policy: Arc<PolicyEngine>,
    /// The two logs.
    pub audit: AuditWriter,
    /// What the upstream is told, signed.
    pub assertions: Arc<Assertions>,
    /// Figures.
    pub metrics: Metrics,
    /// One line a request.
    pub access_log: AccessLog,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The gateway's own routes.
    pub own_routes: axum::Router,
    /// Where their handlers run.
    pub control: Handle,
}

/// What every request needs.
pub(super) struct Shared {
    access: Arc<Access>,
    policy: Arc<PolicyEngine>,
    pub(super) audit: AuditWriter,
    assertions: Arc<Assertions>,
    pub(super) metrics: Metrics,
    pub(super) access_log: AccessLog,
    pub(super) clock: Arc<dyn Clock>,
    admission: Admission,
    bridge: Bridge,
    upstream: Arc<Upstream>,
    host_header: HostHeader,
    own_cookies: Vec<String>,
    limits: Limits,
    timeouts: Timeouts,
    retries: usize,
}

/// The data plane. Cheap to clone; each worker has one.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

/// Where a request goes that was let in.
enum Way {
    Upstream,
    Answered,
}

impl Gate {
    /// From settings and parts. A name of the upstream is looked up on the control plane's runtime.
    #[must_use]
    pub fn new(settings: &GateSettings, parts: Parts) -> Self {
        let upstream = Arc::new(Upstream::new(settings));
        upstream.keep_looking_up(&parts.control);
        Self {
            shared: Arc::new(Shared {
                access: parts.access,
                policy: parts.policy,
                audit: parts.audit,
                assertions: parts.assertions,
                metrics: parts.metrics,
                access_log: parts.access_log,
                clock: parts.clock,
                admission: Admission::new(settings),
                bridge: Bridge {
                    router: parts.own_routes,
                    runtime: parts.control,
                    body_limit: settings.limits.control_body_bytes,
                    timeout: settings.timeouts.handler,
                },
                upstream,
                host_header: settings.upstream.host_header.clone(),
                own_cookies: settings.own_cookies.clone(),
                limits: settings.limits,
                timeouts: settings.timeouts,
                retries: settings.retries,
            }),
        }
    }

    /// How many upstream tries a request may have.
    pub(super) fn tries(&self) -> usize {
        self.shared.retries + 1
    }

    /// How long a request's head may take.
    pub(super) fn head_timeout(&self) -> Duration {
        self.shared.timeouts.head
    }

    /// Bytes of a request's head.
    pub(super) fn header_bytes(&self) -> usize {
        self.shared.limits.header_bytes
    }

    /// The steps before a request is let out, in their order.
    async fn steps(&self, session: &mut Session, ctx: &mut Context) -> Result<Way, Refusal> {
        self.admit(session, ctx)?;
        self.authenticate(ctx).await?;
        match self.authorize(ctx).await? {
            (permit, Served::Here) => {
                self.shared.bridge.serve(session, ctx, permit).await.map(|()| Way::Answered)
            }
            (permit, Served::Upstream) => {
                self.record(ctx).await?;
                ctx.permit = Some(permit);
                Ok(Way::Upstream)
            }
        }
    }

    fn admit(&self, session: &mut Session, ctx: &mut Context) -> Result<(), Refusal> {
        self.set_timeouts(session);
        let head = session.req_header();
        ctx.method = head.method.clone();
        ctx.uri = head.uri.clone();
        ctx.tls = session.digest().is_some_and(|d| d.ssl_digest.is_some());
        let peer = session
            .client_addr()
            .and_then(|a| a.as_inet())
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |a| a.ip().to_canonical());
        ctx.source = peer;
        let raw =
            session.as_http1().map(pingora::protocols::http::v1::server::HttpSession::get_headers_raw_bytes);
        let target = if session.is_http2() {
            head.uri.path_and_query().map_or(&b""[..], |t| t.as_str().as_bytes())
        } else {
            head.raw_path()
        };
        let admitted = self.shared.admission.admit(&Head {
            method: &head.method,
            version: head.version,
            target,
            uri: &head.uri,
            headers: &head.headers,
            raw: raw.as_deref(),
            odd_request_line: ctx.slot.line().is_odd(),
            peer,
        })?;
        ctx.source = admitted.source;
        if admitted.websocket {
            session.set_read_timeout(Some(self.shared.timeouts.stream_idle));
        }
        ctx.admitted = Some(admitted);
        Ok(())
    }

    /// Every wait for the client has an end; Pingora's own are infinite or a minute.
    fn set_timeouts(&self, session: &mut Session) {
        let t = &self.shared.timeouts;
        session.set_read_timeout(Some(t.client_body));
        session.set_write_timeout(Some(t.write));
        session.set_total_drain_timeout(Some(Duration::from_secs(1)));
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(t.keep_alive.as_secs().max(1)));
        }
    }

    async fn authenticate(&self, ctx: &mut Context) -> Result<(), Refusal> {
        let Some(admitted) = &ctx.admitted else { return Ok(()) };
        let begun = Instant::now();
        let presented = admitted.presented.as_ref().map_err(Clone::clone)?;
        let known = authenticate(&self.shared.access, presented, ctx.time).await?;
        if let Some(known) = &known {
            // Before anything is decided or awaited, so that no end is missed from here on.
            ctx.slot.watch(&known.cancellation);
        }
        ctx.known = known;
        self.shared.metrics.stage(StageName::Authenticate, begun.elapsed());
        Ok(())
    }

    async fn authorize(&self, ctx: &mut Context) -> Result<(Permit, Served), Refusal> {
        let begun = Instant::now();
        let fault = ctx.admitted.as_ref().and_then(fault);
        let mut fetched: Option<Arc<Org>> = None;
        loop {
            let access = &self.shared.access;
            let answer = authorize(
                &self.shared.policy.snapshot(),
                &Asking {
                    method: ctx.method.as_str(),
                    path: ctx.uri.path(),
                    known: ctx.known.as_deref(),
                    org_header: ctx.admitted.as_ref().and_then(|a| a.org.as_ref()),
                    source: ctx.source,
                    now: ctx.time,
                    fault: fault.as_ref(),
                },
                |id| fetched.take().filter(|o| o.id == *id).or_else(|| access.recall_org(id)),
            );
            ctx.action = answer.action;
            ctx.org = answer.org;
            let (permit, served) = match answer.verdict {
                Verdict::NeedsOrg(id) => {
                    fetched = Some(access.org(&id).await.map_err(|e| match e {
                        CredentialError::Invalid | CredentialError::Unavailable => {
                            Refusal::store_unavailable()
                        }
                    })?);
                    continue;
                }
                Verdict::Refuse(refusal) => return Err(*refusal),
                Verdict::Forward(permit) => (permit, Served::Upstream),
                Verdict::Serve(permit) => (permit, Served::Here),
            };
            ctx.decided_by = Some((permit.policies().clone(), permit.policy_hash().clone()));
            ctx.duty = permit.duty();
            self.shared.metrics.decision("permit");
            self.shared.metrics.stage(StageName::Authorize, begun.elapsed());
            return Ok((permit, served));
        }
    }

    async fn record(&self, ctx: &mut Context) -> Result<(), Refusal> {
        let begun = Instant::now();
        record::intent(&self.shared.audit, ctx).await?;
        if ctx.intent.is_some() {
            self.shared.metrics.stage(StageName::Record, begun.elapsed());
        }
        Ok(())
    }

    /// Records and answers a refusal.
    async fn refuse(&self, session: &mut Session, ctx: &mut Context, refusal: Refusal) {
        // Nothing goes out under it any more: the end of its session must not take its answer away, for
        // which the log is waited for.
        ctx.slot.set_exempt(true);
        self.shared.metrics.decision(refusal.code.as_str());
        if let Some(by) = &refusal.policies {
            ctx.decided_by = Some(by.clone());
        }
        let refusal = if refusal_is_recorded_elsewhere(ctx, &refusal) {
            refusal
        } else {
            record::refusal(&self.shared.audit, ctx, refusal).await
        };
        problem::answer(session, ctx, &refusal).await;
    }
}

/// Who answers a permitted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    Here,
    Upstream,
}

/// What the policies can't see but what is refused whatever they say.
fn fault(admitted: &super::admit::Admitted) -> Option<Refusal> {
    if let Some(bad) = admitted.bad_path {
        return Some(Refusal::own(400, "BAD_PATH", format!("{bad}; send the path in its canonical form")));
    }
    admitted.foreign_origin.then(|| {
        Refusal::own(
            403,
            "ORIGIN_NOT_ALLOWED",
            "WebSockets may not be opened from this origin; the operator can allow it",
        )
    })
}

/// A handler's own failure after its permit is no refusal by the gate, and what the intent's transaction
/// refused is in the log by then.
fn refusal_is_recorded_elsewhere(ctx: &Context, refusal: &Refusal) -> bool {
    let permitted = ctx.decided_by.is_some() && refusal.policies.is_none();
    permitted || ctx.known.is_none()
}

#[async_trait]
impl ProxyHttp for Gate {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.shared.clone(), take_slot())
    }

    /// No compression and no other module: bodies pass byte for byte.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        match self.steps(session, ctx).await {
            Ok(Way::Upstream) => Ok(false),
            Ok(Way::Answered) => Ok(true),
            Err(refusal) => {
                self.refuse(session, ctx, refusal).await;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _session: &mut Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
        if let Some(permit) = ctx.permit.take() {
            ctx.passport = Some(forward(permit, ctx.known.as_deref()));
        }
        let streaming = ctx.admitted.as_ref().is_some_and(|a| a.websocket || a.event_stream);
        self.shared
            .upstream
            .peer(ctx.is_impersonated(), streaming)
            .ok_or_else(|| Error::explain(ErrorType::ConnectNoRoute, "the upstream has no address").into_up())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        // The second check, before the first byte of every try.
        if ctx.slot.is_cancelled() {
            return Err(stop(ctx, over_by_now(ctx)));
        }
        let Some(passport) = ctx.passport.take() else {
            return Error::e_explain(ErrorType::InternalError, "no permit, nothing is forwarded");
        };
        let shared = &self.shared;
        let dressed = dress(
            ctx,
            &passport,
            &shared.assertions,
            &shared.host_header,
            &shared.own_cookies,
            shared.clock.now(),
            request,
        );
        ctx.passport = Some(passport);
        dressed?;
        ctx.progress.attempts += 1;
        ctx.progress.forwarded = true;
        ctx.progress.sent = Some(Instant::now());
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Context,
    ) -> Result<()> {
        if let Some(piece) = body {
            ctx.progress.bytes_in += piece.len() as u64;
            if let Some(most) = self.shared.limits.body_bytes
                && ctx.progress.bytes_in > most
            {
                // As the client's fault: an HTTP/2 upstream would go on waiting otherwise.
                return Err(stop(ctx, body_too_large(most)).into_down());
            }
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        let status = response.status.as_u16();
        if status >= 200 || status == 101 {
            ctx.progress.status = status;
            if let Some(sent) = ctx.progress.sent {
                self.shared.metrics.stage(StageName::Upstream, sent.elapsed());
            }
            if let Some(id) = &ctx.request_id_value {
                response.insert_header("x-request-id", id.clone())?;
            }
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        if let Some(piece) = body {
            ctx.progress.bytes_out += piece.len() as u64;
        }
        Ok(None)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut e: Box<Error>,
        ctx: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        let once = ctx.is_impersonated() || ctx.stopped.is_some();
        let repeatable = session.req_header().method.is_idempotent() && !session.retry_buffer_truncated();
        if once || !repeatable {
            e.set_retry(false);
        } else {
            e.retry.decide_reuse(client_reused);
        }
        e
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Context,
        mut e: Box<Error>,
    ) -> Box<Error> {
        // Nothing has left yet, so any method may be tried again.
        e.set_retry(!ctx.is_impersonated() && !is_timeout(&e));
        e
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, ctx: &mut Context) -> FailToProxy {
        let refusal = match ctx.stopped.take() {
            Some(refusal) => Some(*refusal),
            None => from_error(e),
        };
        let begun = session.response_written().is_some_and(|r| !r.status.is_informational());
        tracing::debug!(request_id = %ctx.request_id, error = %e, answered = !begun, "not proxied");
        let mut status = 0;
        if let (Some(refusal), false) = (&refusal, begun) {
            status = refusal.status;
            if *e.esource() == ErrorSource::Upstream {
                tracing::warn!(request_id = %ctx.request_id, code = refusal.code.as_str(), error = %e, "the upstream failed");
            }
            self.shared.metrics.decision(refusal.code.as_str());
            session.set_keepalive(None);
            problem::answer(session, ctx, refusal).await;
        } else if ctx.code.is_none() {
            ctx.code = refusal.map(|r| r.code);
        }
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    async fn logging(&self, _session: &mut Session, e: Option<&Error>, ctx: &mut Context) {
        ctx.progress.end.get_or_insert(match e.map(Error::esource) {
            None => End::Completed,
            Some(ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset) => End::UpstreamError,
            Some(ErrorSource::Downstream) => End::Aborted,
        });
    }

    /// Said in `fail_to_proxy`, without the client's leaving as an error.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Context, _e: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Context,
        _e: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// Stops a request after its permit; `fail_to_proxy` answers with `refusal`.
fn stop(ctx: &mut Context, refusal: Refusal) -> Box<Error> {
    let status = refusal.status;
    ctx.stopped = Some(Box::new(refusal));
    Error::explain(ErrorType::HTTPStatus(status), "stopped after its permit")
}

/// What a request gets whose session ended between its permit and its first byte.
fn over_by_now(ctx: &Context) -> Refusal {
    ctx.known
        .as_ref()
        .map_or_else(Refusal::unauthenticated, |known| Refusal::over(&known.session, ctx.end_reason()))
}

fn is_timeout(e: &Error) -> bool {
    matches!(
        e.etype(),
        ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
    )
}

/// What the client is told of an error: whose fault it is, without details. `None`: it isn't there any more.
fn from_error(e: &Error) -> Option<Refusal> {
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
            Some(Refusal {
                code: Code::Own("UPSTREAM_TIMEOUT"),
                ..Refusal::own(
                    504,
                    "UPSTREAM_TIMEOUT",
                    "the service behind the gateway takes too long; try again later",
                )
            })
        }
        ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset => Some(Refusal::own(
            502,
            "UPSTREAM_UNREACHABLE",
            "the service behind the gateway can't be reached or broke off; try again later",
        )),
    }
}
