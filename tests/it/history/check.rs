//! Whether a history keeps what is promised (docs/guarantees.md). Pure.
//!
//! A session is a register that is written once: live, then over. Its writes are calls that answered 200, so the
//! history is linearizable in this register exactly if no request that *began* after such an answer was admitted;
//! requests that overlap the call may go either way. Added to that: a refusal that says "over" is a read of the
//! second value, so nothing that began after it may read the first, unless the call is still under way (there an
//! impersonation is stricter than other sessions); a time that is over is a write by itself; and
//! at no moment may one member of staff be sure to hold more than five impersonations.
//!
//! What is always allowed: `503`, and no answer at all. So a run must also show that requests were admitted.

use super::record::{Answer, History, Kind, Micros, Outcome, Revocation, Session, Target};
use std::collections::HashMap;

/// Impersonations of one member of staff at once.
const CAP: usize = 5;
/// When a stream must have ended after the answer: the promise is one second; a machine under load gets more.
pub(crate) const STREAM_BOUND: Micros = 3_000_000;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Began after a call that ended its session had answered, and was let in (`forwarded`: the upstream saw it).
    AfterRevoked { request: u64, session: usize, late: Micros, forwarded: bool },
    /// Began after its session's time was over, and was let in.
    AfterExpiry { request: u64, session: usize, late: Micros },
    /// Began after another request was told that the session is over, and was let in.
    CameBack { request: u64, session: usize, late: Micros },
    /// A byte came on a stream long after its session had ended.
    StreamGoesOn { session: usize, late: Micros },
    /// More impersonations at once than there may be.
    TooMany { user: usize, at: Micros, live: usize },
}

/// Everything that is wrong with `history`.
pub(crate) fn check(history: &History) -> Vec<Violation> {
    let over = over_since(history);
    let mut violations = requests(history, &over);
    violations.extend(streams(history, &over));
    violations.extend(cap(history));
    violations
}

/// Whether `revocation` is about `session`, whenever that was made.
pub(crate) fn is_about(revocation: &Revocation, number: usize, session: &Session, all: &[Session]) -> bool {
    let grant = session.kind == Kind::Impersonation;
    match revocation.target {
        Target::One(one) => one == number,
        Target::Logout(own) => own == number || (grant && session.user == all[own].user),
        Target::Org(org) => grant && session.org == org,
        Target::Staff(user) => (grant || session.kind == Kind::Staff) && session.user == user,
    }
}

/// Since when each session is surely over by a call.
pub(crate) fn over_since(history: &History) -> Vec<Option<Micros>> {
    let mut over = vec![None; history.sessions.len()];
    for revocation in history.revocations.iter().filter(|r| r.answer == Answer::Done) {
        for (number, session) in history.sessions.iter().enumerate() {
            // One that was being made meanwhile may have come after it.
            if session.made.ended <= revocation.span.begun
                && is_about(revocation, number, session, &history.sessions)
            {
                let at = over[number].get_or_insert(revocation.span.ended);
                *at = revocation.span.ended.min(*at);
            }
        }
    }
    over
}

fn requests(history: &History, over: &[Option<Micros>]) -> Vec<Violation> {
    let told = told_over(history);
    let mut violations = Vec::new();
    for request in &history.requests {
        let (n, session, begun) = (request.n, request.session, request.span.begun);
        let forwarded = history.hits.contains(&n);
        if request.outcome != Outcome::Admitted && !forwarded {
            continue;
        }
        let after = |since: Option<Micros>| since.filter(|at| begun > *at).map(|at| begun - at);
        if let Some(late) = after(over[session]) {
            violations.push(Violation::AfterRevoked { request: n, session, late, forwarded });
        }
        if let Some(late) = after(Some(history.sessions[session].lives.1)) {
            violations.push(Violation::AfterExpiry { request: n, session, late });
        }
        if let Some(late) = after(told[session])
            && !is_pending(history, session, begun)
        {
            violations.push(Violation::CameBack { request: n, session, late });
        }
    }
    violations
}

/// Whether a call was under way that takes this session away, so that one gateway may know and another not yet.
/// Impersonations have no such time: each of their requests asks the records.
fn is_pending(history: &History, number: usize, at: Micros) -> bool {
    let session = &history.sessions[number];
    session.kind != Kind::Impersonation
        && history.revocations.iter().any(|r| {
            r.answer == Answer::Done
                && r.span.begun <= at
                && at <= r.span.ended
                && is_about(r, number, session, &history.sessions)
        })
}

/// All that bears on a violation, for people.
pub(crate) fn explain(history: &History, violation: &Violation) -> String {
    let session = match violation {
        Violation::AfterRevoked { session, .. }
        | Violation::AfterExpiry { session, .. }
        | Violation::CameBack { session, .. }
        | Violation::StreamGoesOn { session, .. } => *session,
        Violation::TooMany { .. } => return format!("{violation:?}"),
    };
    let of = &history.sessions[session];
    let about: Vec<_> =
        history.revocations.iter().filter(|r| is_about(r, session, of, &history.sessions)).collect();
    let requests: Vec<_> = history.requests.iter().filter(|r| r.session == session).collect();
    let last = requests.len().saturating_sub(60);
    format!("{violation:?}\n  {of:?}\n  {about:#?}\n  {:#?}", &requests[last..])
}

/// Since when each session was said to be over. Not of those that a call without an answer was about: that one may
/// be in force on the gateway that took it and nowhere else.
fn told_over(history: &History) -> Vec<Option<Micros>> {
    let mut told: Vec<Option<Micros>> = vec![None; history.sessions.len()];
    for request in &history.requests {
        if let Outcome::Refused { status: 401, .. } = request.outcome {
            let at = told[request.session].get_or_insert(request.span.ended);
            *at = request.span.ended.min(*at);
        }
    }
    for revocation in history.revocations.iter().filter(|r| r.answer == Answer::Unsure) {
        for (number, session) in history.sessions.iter().enumerate() {
            if is_about(revocation, number, session, &history.sessions) {
                told[number] = None;
            }
        }
    }
    told
}

fn streams(history: &History, over: &[Option<Micros>]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for stream in &history.streams {
        let Some(over) = over[stream.session] else { continue };
        // A process that stands still can't cut; it has to when it goes on.
        let paused = history.pauses.iter().filter(|(gateway, pause)| {
            *gateway == stream.gateway && pause.from < over + STREAM_BOUND && pause.to > over
        });
        let from = paused.map(|(_, pause)| pause.to).max().unwrap_or(over).max(over);
        if stream.last_byte > from + STREAM_BOUND {
            violations
                .push(Violation::StreamGoesOn { session: stream.session, late: stream.last_byte - over });
        }
    }
    violations
}

/// Until when each impersonation is sure to be live: nothing had begun yet that might end it.
fn surely_live_until(history: &History, number: usize, session: &Session) -> Micros {
    let about = |r: &&Revocation| {
        r.answer != Answer::Refused
            && r.span.ended >= session.made.begun
            && is_about(r, number, session, &history.sessions)
    };
    let revoked = history.revocations.iter().filter(about).map(|r| r.span.begun).min();
    revoked.unwrap_or(Micros::MAX).min(session.lives.0)
}

fn cap(history: &History) -> Vec<Violation> {
    // Of each member of staff: moments at which one more, or one less, is sure to be live.
    let mut moments: HashMap<usize, Vec<(Micros, i32)>> = HashMap::new();
    for (number, session) in history.sessions.iter().enumerate() {
        if session.kind != Kind::Impersonation {
            continue;
        }
        let (from, to) = (session.made.ended, surely_live_until(history, number, session));
        if from < to {
            moments.entry(session.user).or_default().extend([(from, 1), (to, -1)]);
        }
    }
    let mut violations = Vec::new();
    for (user, mut moments) in moments {
        // At one moment, ends come first.
        moments.sort_unstable();
        let mut live: i32 = 0;
        for (at, step) in moments {
            live += step;
            let count = usize::try_from(live).unwrap_or_default();
            if step > 0 && count > CAP {
                violations.push(Violation::TooMany { user, at, live: count });
            }
        }
    }
    violations
}
