//! What operators see: metrics, access log, the process's own log.

use std::time::Duration;

/// A stage of a request, as in docs/life-of-a-request.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageName {
    /// Credential to principal.
    Authenticate,
    /// Facts and decision.
    Authorize,
    /// Durable entry.
    Record,
    /// Until the upstream's response head.
    Upstream,
    /// Arrival to end.
    Total,
}

/// All metrics of the process. Cheap to clone; every method is lock-free or nearly so.
#[derive(Clone)]
pub struct Metrics {
    _private: (),
}

impl Metrics {
    /// A decision: `code` is `permit` or the refusal's code.
    pub fn decision(&self, _code: &str) {
        unimplemented!()
    }
    /// How long a stage took.
    pub fn stage(&self, _stage: StageName, _took: Duration) {
        unimplemented!()
    }
}

/// One line of the access log.
#[derive(Debug, Clone)]
pub struct AccessLine {
    /// RFC 3339 is written from this.
    pub time_ms: i64,
    /// Request id.
    pub request_id: String,
    /// Client address.
    pub source_address: String,
    /// Method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// HTTP status; 0 when none was sent.
    pub status: u16,
    /// Code of a refusal.
    pub code: Option<String>,
    /// Cedar action.
    pub action: Option<String>,
    /// Principal id.
    pub principal: Option<String>,
    /// Org id.
    pub org: Option<String>,
    /// Impersonation id.
    pub impersonation: Option<String>,
    /// Deciding policies.
    pub policies: Vec<String>,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// Microseconds from arrival to end.
    pub duration_us: u64,
    /// `completed`, `cut`, `aborted`, `refused`, `upstream_error`.
    pub outcome: &'static str,
}

/// The access log: JSON lines, written by a thread of its own from a bounded queue; lines that don't fit are counted.
#[derive(Clone)]
pub struct AccessLog {
    _private: (),
}

impl AccessLog {
    /// Queues a line; never waits.
    pub fn write(&self, _line: AccessLine) {
        unimplemented!()
    }
    /// Whether anybody reads: build no line otherwise.
    #[must_use]
    pub fn enabled(&self) -> bool {
        unimplemented!()
    }
}
