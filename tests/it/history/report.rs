//! A history in numbers.

use super::check::over_since;
use super::node::ms;
use super::record::{Answer, History, Micros, Outcome, Revocation};
use std::collections::BTreeMap;

/// Requests that had every right to be let in: their session was alive all the time, and nothing was broken.
pub(crate) struct Calm {
    pub(crate) asked: usize,
    pub(crate) admitted: usize,
}

/// How it was in the calm stretches, for sessions that nothing ended before the request did.
pub(crate) fn calm(history: &History) -> Calm {
    let mut first_end: Vec<Micros> = history.sessions.iter().map(|s| s.lives.0).collect();
    for (number, session) in history.sessions.iter().enumerate() {
        let possible = |r: &&Revocation| r.answer != Answer::Refused && r.span.ended >= session.made.begun;
        for revocation in history.revocations.iter().filter(possible) {
            if super::check::is_about(revocation, number, session, &history.sessions) {
                first_end[number] = first_end[number].min(revocation.span.begun);
            }
        }
    }
    let mut calm = Calm { asked: 0, admitted: 0 };
    for request in &history.requests {
        let quiet = history.calm.iter().any(|c| c.from <= request.span.begun && request.span.ended <= c.to);
        if quiet && request.span.ended < first_end[request.session] {
            calm.asked += 1;
            calm.admitted += usize::from(request.outcome == Outcome::Admitted);
        }
    }
    calm
}

/// Median and 99th percentile.
pub(crate) fn quantiles(mut all: Vec<Micros>) -> String {
    all.sort_unstable();
    let at = |hundredths: usize| all.get((all.len() * hundredths / 100).min(all.len().saturating_sub(1)));
    match (at(50), at(99), all.last()) {
        (Some(p50), Some(p99), Some(max)) => {
            format!("p50 {}, p99 {}, max {} ({})", ms(*p50), ms(*p99), ms(*max), all.len())
        }
        _ => "none".to_owned(),
    }
}

/// For people, on stderr.
pub(crate) fn print(title: &str, history: &History) {
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let (mut admitted, mut broken, mut by_gateway) = (0, 0, BTreeMap::<usize, usize>::new());
    for request in &history.requests {
        *by_gateway.entry(request.gateway).or_default() += 1;
        match &request.outcome {
            Outcome::Admitted => admitted += 1,
            Outcome::Broken => broken += 1,
            Outcome::Refused { status, code } => *refused.entry(format!("{status} {code}")).or_default() += 1,
        }
    }
    let mut kinds: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut answers: BTreeMap<&str, Vec<Micros>> = BTreeMap::new();
    for revocation in &history.revocations {
        *kinds.entry((revocation.kind, format!("{:?}", revocation.answer))).or_default() += 1;
        if revocation.answer == Answer::Done && revocation.kind != "by_record" {
            answers.entry(revocation.kind).or_default().push(revocation.span.ended - revocation.span.begun);
        }
    }
    let over = over_since(history);
    let (mut cut, mut last_bytes) = (Vec::new(), Vec::new());
    for stream in &history.streams {
        if let (Some(over), Some(closed)) = (over[stream.session], stream.closed)
            && stream.opened < over
        {
            cut.push(closed.saturating_sub(over));
            last_bytes.push(stream.last_byte.saturating_sub(over));
        }
    }
    let calm = calm(history);
    let all: Vec<Micros> = answers.values().flatten().copied().collect();
    eprintln!(
        "{title}: {} requests, {admitted} admitted, {broken} without an answer",
        history.requests.len()
    );
    eprintln!("  by gateway: {by_gateway:?}; refused: {refused:?}");
    let took: Vec<String> = history.calm.iter().map(|c| ms(c.to - c.from)).collect();
    eprintln!("  in calm ({took:?}): {} of {} admitted", calm.admitted, calm.asked);
    eprintln!("  sessions: {}, calls that take away: {kinds:?}", history.sessions.len());
    eprintln!("  from call to answer: {}", quantiles(all));
    eprintln!("  streams: {}, closed after the answer: {}", history.streams.len(), quantiles(cut));
    eprintln!("  last byte after the answer: {}", quantiles(last_bytes));
    eprintln!("  faults: {:?}", history.faults);
}
