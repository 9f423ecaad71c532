//! The gate: Pingora's phases, one line a step, in the order of architecture §1.

use super::admit::{Admission, body_too_large};
use super::bridge::Bridge;
use super::context::{Context, End};
use super::cut::take_slot;
use super::failure::{from_error, is_timeout, over_by_now, stop};
use super::forward::{dress, forward};
use super::open::OpenRequests;
use super::problem;
use super::refusal::Refusal;
use super::relay::relay;
use super::settings::{GateSettings, HostHeader, Limits, Timeouts};
use super::steps::Way;
use super::upstream::Upstream;
use crate::access::Access;
use crate::audit::AuditWriter;
use crate::console::Site;
use crate::domain::{Clock, fail_point};
use crate::identity::Assertions;
use crate::policy::PolicyEngine;
use crate::telemetry::{AccessLog, Metrics, StageName};
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
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
    pub(super) access: Arc<Access>,
    pub(super) policy: Arc<PolicyEngine>,
    pub(super) audit: AuditWriter,
    assertions: Arc<Assertions>,
    pub(super) metrics: Metrics,
    pub(super) access_log: AccessLog,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) admission: Admission,
    pub(super) bridge: Bridge,
    pub(super) open: OpenRequests,
    upstream: Arc<Upstream>,
    host_header: HostHeader,
    own_cookies: Vec<String>,
    pub(super) site: Site,
    limits: Limits,
    pub(super) timeouts: Timeouts,
    retries: usize,
}

/// The data plane. Cheap to clone; each worker has one.
#[derive(Clone)]
pub struct Gate {
    pub(super) shared: Arc<Shared>,
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
                open: OpenRequests::new(parts.metrics.open_requests().clone(), &settings.limits),
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
                site: settings.site,
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
}

#[async_trait]
impl ProxyHttp for Gate {
    /// Boxed, because Pingora hands it from future to future by value, and it is a kilobyte.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        Box::new(Context::new(self.shared.clone(), take_slot()))
    }

    /// No compression and no other module: bodies pass byte for byte.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<Context>) -> Result<bool> {
        match self.steps(session, ctx).await {
            Ok(Way::Upstream) => Ok(false),
            Ok(Way::Answered) => Ok(true),
            Err(refusal) => {
                self.refuse(session, ctx, refusal).await;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _session: &mut Session, ctx: &mut Box<Context>) -> Result<Box<HttpPeer>> {
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
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        // The second check, before the first byte of every try.
        if ctx.slot.is_cancelled() {
            return Err(stop(ctx, over_by_now(ctx)));
        }
        if ctx.known.as_ref().is_some_and(|known| !self.shared.access.may_still_go(known)) {
            return Err(stop(ctx, Refusal::view_stale()));
        }
        let Some(passport) = ctx.passport.take() else {
            return Error::e_explain(ErrorType::InternalError, "no permit, nothing is forwarded");
        };
        fail_point("gate.sending");
        let shared = &self.shared;
        let sent = Instant::now();
        let dressed = dress(
            ctx,
            &passport,
            &shared.assertions,
            &shared.host_header,
            &shared.own_cookies,
            ctx.time_at(sent),
            request,
        );
        ctx.passport = Some(passport);
        dressed?;
        ctx.progress.attempts += 1;
        ctx.progress.forwarded = true;
        ctx.progress.sent = Some(sent);
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Box<Context>,
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
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        let status = response.status.as_u16();
        if status >= 200 || status == 101 {
            if relay(response, session.req_header().version) {
                session.set_keepalive(None);
            }
            fail_point("gate.answered");
            ctx.progress.status = status;
            if let Some(sent) = ctx.progress.sent {
                self.shared.metrics.stage(StageName::Upstream, sent.elapsed());
            }
            if let Some(id) = &ctx.request_id_value {
                response.insert_header("x-request-id", id.clone())?;
            }
            // An upstream can't forge one.
            response.remove_header("audit-receipt");
            if let Some(intent) = &ctx.intent {
                response.insert_header("audit-receipt", intent.receipt())?;
            }
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Box<Context>,
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
        ctx: &mut Box<Context>,
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
        ctx: &mut Box<Context>,
        mut e: Box<Error>,
    ) -> Box<Error> {
        // Nothing has left yet, so any method may be tried again.
        e.set_retry(!ctx.is_impersonated() && !is_timeout(&e));
        e
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, ctx: &mut Box<Context>) -> FailToProxy {
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

    async fn logging(&self, _session: &mut Session, e: Option<&Error>, ctx: &mut Box<Context>) {
        ctx.progress.end.get_or_insert(match e.map(Error::esource) {
            None => End::Completed,
            Some(ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset) => End::UpstreamError,
            Some(ErrorSource::Downstream) => End::Aborted,
        });
    }

    /// Said in `fail_to_proxy`, without the client's leaving as an error.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Box<Context>, _e: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Box<Context>,
        _e: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
