//! What happened, as the test's own process saw it: each call with the moments of its first byte sent and its
//! answer read, on one monotonic clock.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Microseconds of CLOCK_MONOTONIC since the first look at it.
pub(crate) type Micros = u64;

/// Now.
pub(crate) fn now() -> Micros {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    // Not 0, so that a test can speak of a time before.
    u64::try_from(origin.elapsed().as_micros()).unwrap_or(u64::MAX) + 1_000
}

/// From the first byte sent to the last byte of the answer read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begun: Micros,
    pub(crate) ended: Micros,
}

/// What a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Impersonation,
    Staff,
    Person,
    Bot,
}

/// A session: one sign-in, API token or impersonation.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) kind: Kind,
    /// Number of the member of staff, person or bot.
    pub(crate) user: usize,
    /// Number of the org that an impersonation is in.
    pub(crate) org: usize,
    /// The call that made it.
    pub(crate) made: Span,
    /// It lives until then at least, and at most, if nobody ends it.
    pub(crate) lives: (Micros, Micros),
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 2xx, by the upstream or by a route of the gateway that gives what only the session may see.
    Admitted,
    Refused {
        status: u16,
        code: String,
    },
    /// No whole answer.
    Broken,
}

/// One request under a session.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Its number, which the upstream is told in the query.
    pub(crate) n: u64,
    pub(crate) session: usize,
    pub(crate) gateway: usize,
    pub(crate) span: Span,
    pub(crate) outcome: Outcome,
}

/// Whose access a call takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// This session alone.
    One(usize),
    /// A staff session, and every impersonation of whoever signs out.
    Logout(usize),
    /// Every impersonation in an org.
    Org(usize),
    /// Every session and impersonation of a member of staff.
    Staff(usize),
}

/// How a revoking call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200.
    Done,
    /// 4xx: it changed nothing.
    Refused,
    /// 5xx or none: it may have been done or not, or be in force on one gateway only.
    Unsure,
}

/// A call that takes access away.
#[derive(Debug, Clone)]
pub(crate) struct Revocation {
    pub(crate) kind: &'static str,
    pub(crate) target: Target,
    pub(crate) span: Span,
    pub(crate) answer: Answer,
}

/// An event stream or WebSocket that was open.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) session: usize,
    pub(crate) gateway: usize,
    /// Before its first byte.
    pub(crate) opened: Micros,
    /// When its last byte came.
    pub(crate) last_byte: Micros,
    /// When it was seen to be closed; none if the test left it.
    pub(crate) closed: Option<Micros>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) from: Micros,
    pub(crate) to: Micros,
}

/// All that happened in a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) sessions: Vec<Session>,
    pub(crate) requests: Vec<Request>,
    pub(crate) revocations: Vec<Revocation>,
    pub(crate) streams: Vec<Stream>,
    /// When a gateway's process stood still.
    pub(crate) pauses: Vec<(usize, Stretch)>,
    /// When nothing was broken.
    pub(crate) calm: Vec<Stretch>,
    /// Each fault that was made.
    pub(crate) faults: Vec<String>,
    /// Numbers of the requests that the upstream saw.
    pub(crate) hits: BTreeSet<u64>,
}

/// A history in the making, shared by all who act.
#[derive(Default)]
pub(crate) struct Recorder {
    history: Mutex<History>,
    numbers: AtomicU64,
}

impl Recorder {
    /// A number for the next request.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Adds to it; `add` must be quick.
    pub(crate) fn note<T>(&self, add: impl FnOnce(&mut History) -> T) -> T {
        add(&mut self.history.lock())
    }

    /// A session's number.
    pub(crate) fn session(&self, session: Session) -> usize {
        self.note(|h| {
            h.sessions.push(session);
            h.sessions.len() - 1
        })
    }

    /// All so far.
    pub(crate) fn history(&self) -> History {
        self.history.lock().clone()
    }
}
