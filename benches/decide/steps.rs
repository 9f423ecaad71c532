//! The timed steps: what a request of a known session does between its head and its forwarding.

use super::fixture::Fixture;
use drawbridge::access::Known;
use drawbridge::domain::ids::OrgId;
use drawbridge::gateway::admit::Once;
use drawbridge::gateway::authenticate::{Presented, authenticate};
use drawbridge::gateway::authorize::{Asking, Verdict, authorize};
use drawbridge::gateway::forward::{Passport, forward};
use drawbridge::identity::{AssertionFor, AssertionSlot, Tokens};
use drawbridge::policy::{PreparedSlot, Snapshot};
use futures_util::FutureExt as _;
use http::HeaderValue;
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

/// What is timed: its name, how often in one measurement, and the work.
type Step<'a> = (String, u32, Box<dyn Fn() + 'a>);

/// Alternating batches of each step; a figure is the median of its batches.
const BATCHES: usize = 15;
/// Repetitions in a batch.
const REPEAT: u32 = 20_000;
/// Repetitions of what takes a hundred microseconds.
const REPEAT_SLOW: u32 = 300;

/// Times in µs, one line each.
pub(crate) async fn table(fixture: &Fixture) -> String {
    let Fixture { parts, many, owner, org, .. } = fixture;
    let now = parts.clock.now();
    let value = HeaderValue::from_str(&format!("Bearer {owner}")).unwrap();
    let presented = present(&value);
    let known = authenticate(&parts.access, &presented).await.ok().flatten().expect("an owner").known;
    parts.access.org(org).await.unwrap();
    let (few, many) = (parts.policy.snapshot(), many.snapshot());
    // A session holds what was prepared for one snapshot; the other snapshot has a session of its own here.
    let other = Known {
        session: known.session.clone(),
        as_of: known.as_of,
        cancellation: known.cancellation.clone(),
        prepared: PreparedSlot::about(known.session.clone()),
        assertion: AssertionSlot::default(),
        account: std::sync::OnceLock::new(),
    };
    let tokens = Tokens::new(parts.keys.clone(), parts.access.issuer());

    let whole = |snapshot: &Snapshot| {
        // The header is looked at, hashed and recalled, then the request is decided and its passport made.
        let presented = present(&value);
        let known = authenticate(&parts.access, &presented).now_or_never();
        let Some(Ok(Some(known))) = known else { panic!("not from memory") };
        black_box(decide(fixture, snapshot, &known.known, now));
    };
    let steps: Vec<Step<'_>> = vec![
        ("authenticate to forward".into(), REPEAT, Box::new(|| whole(&few))),
        (
            "of it: authenticate".into(),
            REPEAT,
            Box::new(|| drop(black_box(authenticate(&parts.access, &presented).now_or_never()))),
        ),
        (
            format!("of it: authorize, {} policies", fixture.counts.0),
            REPEAT,
            Box::new(|| drop(black_box(decide(fixture, &few, &known, now)))),
        ),
        (
            format!("of it: authorize, {} policies", fixture.counts.1),
            REPEAT,
            Box::new(|| drop(black_box(decide(fixture, &many, &other, now)))),
        ),
        (
            "first request: prove the token".into(),
            REPEAT_SLOW,
            Box::new(|| drop(black_box(tokens.prove(owner)))),
        ),
        (
            format!("first request: authorize, {} policies", fixture.counts.0),
            REPEAT_SLOW,
            Box::new(|| first(fixture, &few, &known, now)),
        ),
        (
            format!("first request: authorize, {} policies", fixture.counts.1),
            REPEAT_SLOW,
            Box::new(|| first(fixture, &many, &known, now)),
        ),
        (
            "once a second: sign the assertion".into(),
            REPEAT_SLOW,
            Box::new(|| {
                let what = AssertionFor {
                    session: &known.session,
                    org: Some(org),
                    request: None,
                    now,
                    trusted_for: None,
                };
                drop(black_box(parts.assertions.sign(&what)));
            }),
        ),
    ];
    let mut took = vec![Vec::new(); steps.len()];
    for _ in 0..BATCHES {
        for (at, (_, repeat, step)) in steps.iter().enumerate() {
            let begun = Instant::now();
            for _ in 0..*repeat {
                step();
            }
            took[at].push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(*repeat));
        }
    }
    told(&steps, &took)
}

fn told(steps: &[Step<'_>], took: &[Vec<f64>]) -> String {
    let mut text = format!("\n{:<44} {:>10} {:>20}\n", "in process, warm session, µs", "median", "spread");
    let mut medians = Vec::new();
    for ((name, ..), figures) in steps.iter().zip(took) {
        let mut sorted = figures.clone();
        sorted.sort_by(f64::total_cmp);
        medians.push(sorted[sorted.len() / 2]);
        writeln!(
            text,
            "{name:<44} {:>10.2} {:>20}",
            sorted[sorted.len() / 2],
            format!("{:.2}–{:.2}", sorted[0], sorted[sorted.len() - 1])
        )
        .unwrap();
    }
    let ratios: Vec<f64> = took[2].iter().zip(&took[3]).map(|(few, many)| many / few).collect();
    let mut ratios = ratios;
    ratios.sort_by(f64::total_cmp);
    writeln!(text, "many policies ÷ few: {:.2}", ratios[ratios.len() / 2]).unwrap();
    writeln!(text, "first request of a session, in all: {:.0} µs", medians[4] + medians[5] + medians[7])
        .unwrap();
    text
}

/// A request with this `Authorization`.
pub(crate) fn present(value: &HeaderValue) -> Presented {
    let authorization = Once { value: Some(value), repeated: false, differs: false };
    Presented::from_headers(authorization, Once::default()).unwrap_or_else(|_| panic!("one credential"))
}

fn decide(fixture: &Fixture, snapshot: &Snapshot, known: &Known, now: i64) -> Passport {
    ask(fixture, snapshot, known, now).expect("permitted")
}

fn first(fixture: &Fixture, snapshot: &Snapshot, known: &Known, now: i64) {
    let fresh = Known {
        session: known.session.clone(),
        as_of: known.as_of,
        cancellation: known.cancellation.clone(),
        prepared: PreparedSlot::about(known.session.clone()),
        assertion: AssertionSlot::default(),
        account: std::sync::OnceLock::new(),
    };
    black_box(ask(fixture, snapshot, &fresh, now));
}

/// Decides `GET /api/v1/cameras`; `None` if it may not.
pub(crate) fn ask(fixture: &Fixture, snapshot: &Snapshot, known: &Known, now: i64) -> Option<Passport> {
    let asking = Asking {
        method: "GET",
        path: "/api/v1/cameras",
        known: Some(known),
        org_header: None,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now,
        over: false,
        by_cookie: false,
        fault: None,
    };
    let find = |id: &OrgId| fixture.parts.access.recall_org(id);
    match authorize(snapshot, &asking, find).verdict {
        Verdict::Forward(permit) => Some(forward(permit, Some(known))),
        Verdict::NeedsOrg(_) | Verdict::Serve(_) | Verdict::Refuse(_) => None,
    }
}
