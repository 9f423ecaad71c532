//! What a handler of the gateway's own API is given about the request: who called, and the permit.

use super::Known;
use crate::domain::ids::RequestId;
use crate::domain::{Millis, Org, Session};
use crate::policy::{Context, Permit};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;

/// The parts of a request that decisions and entries speak of.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// Identifier, ours.
    pub id: RequestId,
    /// When it arrived.
    pub time: Millis,
    /// Method.
    pub method: String,
    /// Canonical path.
    pub path: String,
    /// Names of the query's keys.
    pub query_keys: Vec<String>,
    /// The client.
    pub source_address: IpAddr,
    /// `User-Agent`, at most 512 bytes of it.
    pub user_agent: Option<String>,
}

impl RequestInfo {
    /// The context of a decision about this request at `now`; what only handlers know is zero.
    #[must_use]
    pub fn context(&self, now: Millis, session: &Session) -> Context<'_> {
        Context::of_request(now, self.source_address, &self.method, &self.path, session.started_at)
    }
}

/// A value that can be taken once, however often its handle is cloned.
#[derive(Debug)]
pub struct OneTime<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for OneTime<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> OneTime<T> {
    /// Holds `value`.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(Some(value))))
    }
    /// The value, the first time; then `None`.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.lock().take()
    }
}

/// Request extension for the handlers of `control`.
#[derive(Clone)]
pub struct Caller {
    /// Who (a stranger on public routes: `None`).
    pub known: Option<Arc<Known>>,
    /// The permit of the gate. Acts demand it by value.
    pub permit: OneTime<Permit>,
    /// The Cedar action of the route.
    pub action: Arc<str>,
    /// The org that the request is about, as it exists ([`Org::unknown`] where it doesn't).
    pub org: Option<Arc<Org>>,
    /// The request.
    pub request: Arc<RequestInfo>,
}

/// Extension of a handler's answer that is a refusal: what the gate has to write down of it.
#[derive(Debug, Clone)]
pub struct HandlerRefusal {
    /// Status.
    pub status: u16,
    /// Code.
    pub code: String,
    /// The act has written the entry.
    pub recorded: bool,
}
