//! What a hundred thousand live sessions take: bytes for each, by how much the process grows, and whether a
//! decision takes longer among them.

use super::fixture::Fixture;
use super::people::{SESSIONS, sign_in};
use super::steps::{ask, present};
use drawbridge::access::Known;
use drawbridge::gateway::authenticate::authenticate;
use futures_util::FutureExt as _;
use http::HeaderValue;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// How many are met first, so that pools and caches have their size.
const BEFORE: usize = 1_000;
/// Batches of each timing; the median counts.
const BATCHES: usize = 15;
/// Decisions in a batch.
const REPEAT: usize = 20_000;
/// From one session to the next, so that neighbours in memory don't follow each other.
const STRIDE: usize = 7_919;

/// Some lines.
pub(crate) async fn many(fixture: &Fixture) -> String {
    let people = sign_in(fixture, SESSIONS + BEFORE).await;
    let (before, people) = people.split_at(BEFORE);
    let now = fixture.parts.clock.now();
    let decide = |value: &HeaderValue| {
        let known = authenticate(&fixture.parts.access, &present(value)).now_or_never();
        let Some(Ok(Some(known))) = known else { panic!("not from memory") };
        black_box(ask(fixture, &fixture.parts.policy.snapshot(), &known.known, now).expect("permitted"));
    };
    for value in before {
        meet(fixture, value).await;
        decide(value);
    }
    let one = median(|_| decide(&before[0]));
    let at_start = resident();
    for value in people {
        meet(fixture, value).await;
    }
    let cold = resident();
    people.iter().for_each(decide);
    let warm = resident();
    let same = median(|_| decide(&before[0]));
    let all = median(|n| decide(&people[n * STRIDE % SESSIONS]));
    let each = |bytes: usize| bytes.saturating_sub(at_start) / SESSIONS;
    format!(
        "{SESSIONS} sessions of as many people: {} bytes each once known, {} bytes each once they asked\n\
         authenticate to forward, µs: {one:.2} for one session, {same:.2} for it among {SESSIONS}, \
         {all:.2} for each of them in turn",
        each(cold),
        each(warm),
    )
}

/// Its first request, up to the decision.
async fn meet(fixture: &Fixture, value: &HeaderValue) -> Arc<Known> {
    let met = authenticate(&fixture.parts.access, &present(value)).await;
    met.ok().flatten().expect("a person").known
}

/// µs of one call, given its number.
fn median(call: impl Fn(usize)) -> f64 {
    let mut took: Vec<f64> = (0..BATCHES)
        .map(|batch| {
            let begun = Instant::now();
            (0..REPEAT).for_each(|n| call(batch * REPEAT + n));
            begun.elapsed().as_secs_f64() * 1e6 / REPEAT as f64
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

/// Resident bytes of this process (proc(5), `VmRSS`).
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
