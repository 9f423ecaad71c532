//! The steps before a request is let out, one method each.

use super::admit::{Admitted, Head};
use super::authenticate::{authenticate, authenticate_cookie, expired};
use super::authorize::{Asking, Verdict, authorize};
use super::context::Context;
use super::gate::Gate;
use super::refusal::Refusal;
use super::{problem, record};
use crate::access::CredentialError;
use crate::domain::Org;
use crate::policy::{Duty, Permit, Routed};
use crate::telemetry::StageName;
use http::Method;
use pingora::protocols::http::v1::server::HttpSession;
use pingora::proxy::Session;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Where a request goes that was let in.
pub(super) enum Way {
    Upstream,
    Answered,
}

impl Gate {
    /// The steps before a request is let out, in their order.
    pub(super) async fn steps(&self, session: &mut Session, ctx: &mut Context) -> Result<Way, Refusal> {
        self.admit(session, ctx)?;
        self.setup_gate(ctx).await?;
        self.authenticate(ctx).await?;
        match self.authorize(ctx).await? {
            (permit, Served::Here) => {
                self.note_use(ctx);
                let bridge = &self.shared.bridge;
                let Some(body) = bridge.body(session, ctx).await? else { return Ok(Way::Answered) };
                // What the act itself records (`control`) has its entry in the act's transaction.
                if ctx.is_impersonated() && ctx.duty == Duty::Dual {
                    self.record(ctx).await?;
                }
                bridge.serve(session, ctx, permit, body).await.map(|()| Way::Answered)
            }
            (permit, Served::Upstream) => {
                let session = ctx.known.as_ref().map(|k| &k.cancellation);
                ctx.open = Some(self.shared.open.enter(session).map_err(|full| full.despite(&permit))?);
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
        let raw = session.as_http1().map(HttpSession::get_headers_raw_bytes);
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
        let alias = admitted.platform_host.then(|| alias(ctx.uri.path())).flatten();
        if admitted.websocket {
            session.set_read_timeout(Some(self.shared.timeouts.stream_idle));
        }
        ctx.admitted = Some(admitted);
        if let Some(path) = alias {
            let target = ctx.uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
            if let Ok(uri) = target.parse::<http::Uri>() {
                ctx.uri = uri.clone();
                session.req_header_mut().set_uri(uri);
            }
        }
        Ok(())
    }

    /// Nothing but the setup itself is served before there is a first platform admin.
    async fn setup_gate(&self, ctx: &Context) -> Result<(), Refusal> {
        if self.shared.access.is_set_up().await {
            return Ok(());
        }
        let snapshot = self.shared.policy.snapshot();
        match snapshot.route(ctx.method.as_str(), ctx.uri.path()) {
            Routed::Declared { action, .. } if action.before_setup => Ok(()),
            Routed::Declared { .. } | Routed::MethodNotAllowed { .. } | Routed::Undeclared { .. } => {
                Err(Refusal::setup_required())
            }
        }
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
        let presented = admitted.presented.as_ref().map_err(Clone::clone)?;
        let authenticated = match &admitted.cookie {
            Some(cookie) => authenticate_cookie(&self.shared.access, cookie).await?,
            None => authenticate(&self.shared.access, presented).await?,
        };
        ctx.by_cookie = admitted.cookie.is_some() && authenticated.is_some();
        let expired = authenticated.as_ref().and_then(|a| expired(a, ctx.time));
        let known = authenticated.map(|a| a.known);
        if let Some(known) = &known {
            // Before anything is decided or awaited, so that no end is missed from here on. What is over
            // already is refused below, with an answer and an entry, and not cut.
            ctx.over = known.cancellation.is_cancelled();
            if !ctx.over {
                ctx.slot.watch(&known.cancellation);
            }
        }
        let unproven = known.as_ref().is_some_and(|known| known.cancellation.is_unproven());
        ctx.known = known;
        ctx.stage_ends(StageName::Authenticate);
        if unproven {
            return Err(Refusal::view_stale());
        }
        expired.map_or(Ok(()), Err)
    }

    /// A browser's session that is used lives on, up to its absolute end; nobody waits for that to be written.
    fn note_use(&self, ctx: &Context) {
        if let (true, Some(known)) = (ctx.by_cookie, &ctx.known) {
            let (access, known) = (self.shared.access.clone(), known.clone());
            drop(self.shared.bridge.runtime.spawn(async move { access.touch(&known.session).await }));
        }
    }

    async fn authorize(&self, ctx: &mut Context) -> Result<(Permit, Served), Refusal> {
        let fault = ctx.admitted.as_ref().and_then(|admitted| fault(admitted, ctx));
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
                    over: ctx.over,
                    fault: fault.as_ref(),
                    by_cookie: ctx.by_cookie,
                },
                |id| fetched.take().filter(|o| o.id == *id).or_else(|| access.recall_org(id)),
            );
            ctx.action = answer.action;
            ctx.org = answer.org;
            if answer.as_stranger {
                ctx.known = None;
            }
            let (permit, served) = match answer.verdict {
                Verdict::NeedsOrg(id) => {
                    fetched = Some(access.org(&id).await.map_err(|e| match e {
                        CredentialError::Invalid | CredentialError::Stale | CredentialError::Unavailable => {
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
            ctx.stage_ends(StageName::Authorize);
            return Ok((permit, served));
        }
    }

    async fn record(&self, ctx: &mut Context) -> Result<(), Refusal> {
        // A cut waits for the commit that is under way, so that its intent is closed and not left open.
        ctx.slot.set_exempt(true);
        let recorded = record::intent(&self.shared.audit, ctx).await;
        ctx.slot.set_exempt(false);
        if ctx.intent.is_some() {
            ctx.stage_ends(StageName::Record);
        }
        recorded
    }

    /// Records and answers a refusal.
    pub(super) async fn refuse(&self, session: &mut Session, ctx: &mut Context, refusal: Refusal) {
        // Whoever is refused gets an answer, even if their session ends meanwhile.
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

/// What a short path on the host of vendor staff stands for.
fn alias(path: &str) -> Option<&'static str> {
    match path {
        "/authorize" => Some("/oauth2/authorize"),
        "/login" => Some("/platform/login"),
        "/token" => Some("/oauth2/token"),
        "/admin-console" => Some("/platform/me"),
        _ => None,
    }
}

/// Who answers a permitted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    Here,
    Upstream,
}

/// What the policies can't see but what is refused whatever they say.
fn fault(admitted: &Admitted, ctx: &Context) -> Option<Refusal> {
    if let Some(bad) = admitted.bad_path {
        return Some(Refusal::own(400, "BAD_PATH", format!("{bad}; send the path in its canonical form")));
    }
    // A browser sends a cookie by itself, whoever's page makes it send a request (ASVS 3.5.1).
    if ctx.by_cookie && !matches!(ctx.method, Method::GET | Method::HEAD) && !admitted.same_origin {
        return Some(Refusal::own(
            403,
            "ORIGIN_NOT_ALLOWED",
            "a browser's session counts for requests from the gateway's own pages only; open the page and try there",
        ));
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
/// refused is in the log by then. A body that is too large never reaches the handler.
fn refusal_is_recorded_elsewhere(ctx: &Context, refusal: &Refusal) -> bool {
    let permitted = ctx.decided_by.is_some() && refusal.policies.is_none();
    let before_the_handler = refusal.code.as_str() == "BODY_TOO_LARGE";
    ctx.known.is_none() || (permitted && !before_the_handler)
}
