//! What is known of one request, from its head to its end. Its end writes the outcome (see `outcome`),
//! whatever the path: an answer, an error, a cut, a panic, a dropped runtime.

use super::admit::Admitted;
use super::cut::Slot;
use super::forward::Passport;
use super::gate::Shared;
use super::open::Open;
use super::refusal::{Code, DecidedBy, Refusal};
use crate::access::{Known, RequestInfo};
use crate::audit::OpenIntent;
use crate::domain::ids::RequestId;
use crate::domain::{Millis, Org, Principal};
use crate::policy::{Duty, Permit};
use crate::telemetry::StageName;
use http::{HeaderValue, Method, Uri};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

/// See the module.
pub struct Context {
    /// The gateway: what the outcome is written with.
    pub(super) shared: Arc<Shared>,
    /// What the wrapper around the request watches.
    pub(super) slot: Arc<Slot>,
    /// Ours, never the client's.
    pub(super) request_id: RequestId,
    /// The same, as it is sent.
    pub(super) request_id_value: Option<HeaderValue>,
    /// Arrival, for durations.
    pub(super) arrived: Instant,
    /// When the running stage began: each begins where the last one ended.
    stage_began: Instant,
    /// Arrival, for people.
    pub(super) time: Millis,
    /// Method.
    pub(super) method: Method,
    /// Target; empty until the head has been looked at.
    pub(super) uri: Uri,
    /// The client.
    pub(super) source: IpAddr,
    /// The connection from the client is encrypted.
    pub(super) tls: bool,
    /// What `admit` found.
    pub(super) admitted: Option<Admitted>,
    /// Who.
    pub(super) known: Option<Arc<Known>>,
    /// … by the console's cookie, which a browser sends by itself.
    pub(super) by_cookie: bool,
    /// Their session was over before this request began.
    pub(super) over: bool,
    /// Where.
    pub(super) org: Option<Arc<Org>>,
    /// What.
    pub(super) action: Option<Arc<str>>,
    /// Deciding policies and the hash of their set.
    pub(super) decided_by: Option<DecidedBy>,
    /// What must be written down of a permitted request.
    pub(super) duty: Duty,
    /// Its place among what is open to the upstream; free again when the context goes, on every path.
    pub(super) open: Option<Open>,
    /// Without it nothing is forwarded; `forward` takes it.
    pub(super) permit: Option<Permit>,
    /// Made from the permit.
    pub(super) passport: Option<Passport>,
    /// Durable before the first upstream byte; closed by the outcome.
    pub(super) intent: Option<OpenIntent>,
    /// Code of the refusal, if it was refused.
    pub(super) code: Option<Code>,
    /// Refused after the permit, in an upstream phase: what `fail_to_proxy` answers.
    pub(super) stopped: Option<Box<Refusal>>,
    /// How far it got.
    pub(super) progress: Progress,
}

/// How far a request got.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Upstream tries.
    pub attempts: u32,
    /// A byte may have reached the upstream.
    pub forwarded: bool,
    /// A handler of the gateway's own API has it.
    pub served: bool,
    /// When it was sent to the upstream.
    pub sent: Option<Instant>,
    /// Status that the client was sent, 0 before.
    pub status: u16,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// How it ended, once `logging` has run.
    pub end: Option<End>,
}

/// How a request ended that wasn't cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It has its whole answer.
    Completed,
    /// The upstream failed.
    UpstreamError,
    /// The client left or failed.
    Aborted,
}

impl Context {
    /// Of a request that has just arrived.
    pub(super) fn new(shared: Arc<Shared>, slot: Arc<Slot>) -> Self {
        let request_id = RequestId::random();
        let arrived = Instant::now();
        Self {
            time: shared.clock.now(),
            request_id_value: HeaderValue::from_str(request_id.as_str()).ok(),
            request_id,
            arrived,
            stage_began: arrived,
            shared,
            slot,
            method: Method::GET,
            uri: Uri::default(),
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            tls: false,
            admitted: None,
            known: None,
            by_cookie: false,
            over: false,
            org: None,
            action: None,
            decided_by: None,
            duty: Duty::None,
            open: None,
            permit: None,
            passport: None,
            intent: None,
            code: None,
            stopped: None,
            progress: Progress::default(),
        }
    }

    /// Counts how long the running stage took; the next one begins.
    pub(super) fn stage_ends(&mut self, stage: StageName) {
        let now = Instant::now();
        self.shared.metrics.stage(stage, now.duration_since(self.stage_began));
        self.stage_began = now;
    }

    /// The time of day at an instant of this request, without another look at the clock.
    pub(super) fn time_at(&self, instant: Instant) -> Millis {
        let since = instant.duration_since(self.arrived).as_millis();
        self.time.saturating_add(Millis::try_from(since).unwrap_or(Millis::MAX))
    }

    /// Whether the request carries a session cookie, good or not.
    pub(super) fn has_cookie(&self) -> bool {
        self.admitted.as_ref().is_some_and(|a| a.cookie.is_some())
    }

    /// Whether the principal acts by a grant.
    pub(super) fn is_impersonated(&self) -> bool {
        self.known.as_ref().is_some_and(|k| matches!(k.session.principal, Principal::Impersonation(_)))
    }

    /// `User-Agent`, at most 512 bytes of it.
    pub(super) fn user_agent(&self) -> Option<String> {
        let value = self.admitted.as_ref()?.user_agent.as_ref()?.as_bytes();
        Some(String::from_utf8_lossy(value.get(..512).unwrap_or(value)).into_owned())
    }

    /// Names of the query's keys, at most 64, never their values.
    pub(super) fn query_keys(&self) -> Vec<String> {
        query_keys(self.uri.query().unwrap_or_default())
    }

    /// For the handlers of the gateway's own API.
    pub(super) fn request_info(&self) -> RequestInfo {
        RequestInfo {
            id: self.request_id.clone(),
            time: self.time,
            method: self.method.as_str().to_owned(),
            path: self.uri.path().to_owned(),
            query_keys: self.query_keys(),
            source_address: self.source,
            user_agent: self.user_agent(),
        }
    }
}

fn query_keys(query: &str) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for pair in query.split('&').filter(|p| !p.is_empty()).take(64) {
        let key = pair.split('=').next().unwrap_or(pair);
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
        let key: String = key.chars().take(128).collect();
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::query_keys;

    #[test]
    fn keys_never_values() {
        assert_eq!(query_keys("a=secret&b&a=2&c%20d=e=f&&=x"), ["a", "b", "c d", ""]);
        assert!(query_keys("").is_empty());
    }
}
