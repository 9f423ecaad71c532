//! The checker itself, with histories made by hand: good ones pass, each kind of bad one is found.

use super::check::{STREAM_BOUND, Violation, check};
use super::record::{
    Answer, History, Kind, Micros, Outcome, Request, Revocation, Session, Span, Stream, Stretch, Target,
};
use proptest::prelude::*;

fn span(begun: Micros, ended: Micros) -> Span {
    Span { begun, ended }
}

fn session(kind: Kind, user: usize, made: Span) -> Session {
    Session { kind, user, org: 0, made, lives: (Micros::MAX, Micros::MAX) }
}

fn request(n: u64, session: usize, span: Span, outcome: Outcome) -> Request {
    Request { n, session, gateway: 0, span, outcome }
}

fn over() -> Outcome {
    Outcome::Refused { status: 401, code: "SESSION_ENDED".to_owned() }
}

fn stale() -> Outcome {
    Outcome::Refused { status: 503, code: "VIEW_STALE".to_owned() }
}

fn revocation(target: Target, span: Span, answer: Answer) -> Revocation {
    Revocation { kind: "test", target, span, answer }
}

/// One staff session (0) and one impersonation of the same user (1), both made by 10; ended by a call from 100 to 200.
fn ended(target: Target, answer: Answer) -> History {
    History {
        sessions: vec![session(Kind::Staff, 0, span(0, 10)), session(Kind::Impersonation, 0, span(0, 10))],
        revocations: vec![revocation(target, span(100, 200), answer)],
        ..History::default()
    }
}

#[test]
fn what_overlaps_the_call_may_go_either_way() {
    let mut history = ended(Target::One(0), Answer::Done);
    history.requests = vec![
        request(1, 0, span(50, 99), Outcome::Admitted),
        request(2, 0, span(150, 300), Outcome::Admitted),
        request(3, 0, span(200, 300), Outcome::Admitted),
        request(4, 0, span(201, 300), over()),
        request(5, 0, span(201, 300), stale()),
        request(6, 0, span(201, 300), Outcome::Broken),
        request(7, 1, span(900, 901), Outcome::Admitted),
    ];
    history.hits = [1, 2, 3, 7].into();
    assert_eq!(check(&history), []);
}

#[test]
fn what_began_after_the_answer_may_not_be_let_in() {
    let mut history = ended(Target::Logout(0), Answer::Done);
    history.requests = vec![
        request(1, 0, span(201, 300), Outcome::Admitted),
        // Answered with nothing, but the upstream saw it.
        request(2, 1, span(250, 300), Outcome::Broken),
        request(3, 1, span(251, 300), stale()),
    ];
    history.hits = [2].into();
    let found = check(&history);
    assert_eq!(
        found,
        [
            Violation::AfterRevoked { request: 1, session: 0, late: 1, forwarded: false },
            Violation::AfterRevoked { request: 2, session: 1, late: 50, forwarded: true },
        ]
    );
}

#[test]
fn a_call_without_an_answer_binds_nobody() {
    for answer in [Answer::Unsure, Answer::Refused] {
        let mut history = ended(Target::Staff(0), answer);
        history.requests = vec![request(1, 0, span(201, 300), Outcome::Admitted)];
        assert_eq!(check(&history), [], "{answer:?}");
    }
    // In force on one gateway, not on the other.
    let mut history = ended(Target::Staff(0), Answer::Unsure);
    history.requests =
        vec![request(1, 0, span(201, 300), over()), request(2, 0, span(301, 400), Outcome::Admitted)];
    assert_eq!(check(&history), []);
}

#[test]
fn what_is_over_stays_over() {
    let mut history = ended(Target::One(1), Answer::Done);
    history.requests =
        vec![request(1, 0, span(20, 30), over()), request(2, 0, span(31, 40), Outcome::Admitted)];
    assert_eq!(check(&history), [Violation::CameBack { request: 2, session: 0, late: 1 }]);
    history.requests[1].span.begun = 30;
    assert_eq!(check(&history), [], "begun no later than the refusal was read");
    // While the call is under way, gateways may differ; not about an impersonation.
    for (session, found) in [(0, 0), (1, 1)] {
        let mut history = ended(Target::Logout(0), Answer::Done);
        history.requests = vec![
            request(1, session, span(110, 120), over()),
            request(2, session, span(130, 140), Outcome::Admitted),
        ];
        assert_eq!(check(&history).len(), found, "session {session}");
    }
}

#[test]
fn time_ends_a_session_by_itself() {
    let mut history = ended(Target::One(1), Answer::Refused);
    history.sessions[0].lives = (400, 500);
    history.requests = vec![
        request(1, 0, span(500, 600), Outcome::Admitted),
        request(2, 0, span(501, 600), Outcome::Admitted),
    ];
    assert_eq!(check(&history), [Violation::AfterExpiry { request: 2, session: 0, late: 1 }]);
}

#[test]
fn an_org_and_a_member_of_staff_stand_for_their_impersonations() {
    let mut history = ended(Target::Org(0), Answer::Done);
    history.sessions.push(Session { org: 1, ..session(Kind::Impersonation, 0, span(0, 10)) });
    history.sessions.push(session(Kind::Impersonation, 0, span(90, 101)));
    history.requests = (0..4).map(|n| request(n as u64, n, span(300, 400), Outcome::Admitted)).collect();
    let sessions = |history: &History| -> Vec<usize> {
        let of = |v| match v {
            Violation::AfterRevoked { session, .. } => session,
            other => panic!("{other:?}"),
        };
        check(history).into_iter().map(of).collect()
    };
    // Not the staff session, not another org's, not the one that was made meanwhile.
    assert_eq!(sessions(&history), [1]);
    history.revocations[0].target = Target::Staff(0);
    assert_eq!(sessions(&history), [0, 1, 2]);
    history.revocations[0].target = Target::Staff(1);
    assert_eq!(sessions(&history), [0_usize; 0]);
}

#[test]
fn a_stream_ends_within_its_bound() {
    let mut history = ended(Target::One(1), Answer::Done);
    let stream = |last_byte| Stream { session: 1, gateway: 2, opened: 20, last_byte, closed: None };
    history.streams = vec![stream(200 + STREAM_BOUND)];
    assert_eq!(check(&history), []);
    history.streams = vec![stream(201 + STREAM_BOUND)];
    assert_eq!(check(&history), [Violation::StreamGoesOn { session: 1, late: 1 + STREAM_BOUND }]);
    // The process stood still from before the bound to after it.
    history.pauses = vec![(2, Stretch { from: 150, to: 1_000 })];
    assert_eq!(check(&history), []);
    history.pauses = vec![(1, Stretch { from: 150, to: 1_000 })];
    assert_eq!(check(&history).len(), 1, "another process");
}

#[test]
fn five_at_once_and_not_six() {
    let made = |n: u64| session(Kind::Impersonation, 0, span(n * 10, n * 10 + 5));
    let mut history = History { sessions: (0..6).map(made).collect(), ..History::default() };
    assert_eq!(check(&history), [Violation::TooMany { user: 0, at: 55, live: 6 }]);
    // A call that may have ended one of them had begun.
    history.revocations = vec![revocation(Target::One(2), span(54, 90), Answer::Unsure)];
    assert_eq!(check(&history), []);
    history.revocations[0].answer = Answer::Refused;
    assert_eq!(check(&history).len(), 1);
    history.revocations.clear();
    history.sessions[0].lives.0 = 55;
    assert_eq!(check(&history), [], "one may have expired");
    history.sessions[0].lives.0 = Micros::MAX;
    history.sessions[5].user = 1;
    assert_eq!(check(&history), [], "of two people");
}

/// A register that is read and written by the book at one instant inside each call.
fn run(calls: &[(u8, u16, u16, u16)]) -> History {
    let mut history = ended(Target::One(0), Answer::Done);
    // The write takes place somewhere in the call.
    let written = 100 + Micros::from(calls.first().map_or(0, |c| c.1)) % 101;
    for (n, (_, begun, before, after)) in calls.iter().enumerate() {
        let (begun, at) = (Micros::from(*begun), Micros::from(*begun) + Micros::from(*before));
        let outcome = if at < written { Outcome::Admitted } else { over() };
        if outcome == Outcome::Admitted {
            history.hits.insert(n as u64);
        }
        history.requests.push(request(n as u64, 0, span(begun, at + Micros::from(*after)), outcome));
    }
    history
}

proptest! {
    #[test]
    fn a_correct_register_is_never_accused(
        calls in proptest::collection::vec((0..4_u8, 20..400_u16, 0..200_u16, 0..200_u16), 1..60)
    ) {
        prop_assert_eq!(check(&run(&calls)), []);
    }

    /// The same with one read turned over, after the answer: always found.
    #[test]
    fn one_stale_read_is_always_found(
        calls in proptest::collection::vec((0..4_u8, 20..400_u16, 0..200_u16, 0..200_u16), 1..60),
        begun in 201..1_000_u64, forwarded: bool,
    ) {
        let mut history = run(&calls);
        let outcome = if forwarded { stale() } else { Outcome::Admitted };
        history.requests.push(request(1_000, 0, span(begun, begun + 5), outcome));
        if forwarded {
            history.hits.insert(1_000);
        }
        let found = check(&history);
        let late = begun - 200;
        let stale_read = Violation::AfterRevoked { request: 1_000, session: 0, late, forwarded };
        prop_assert!(found.contains(&stale_read), "{:?}", found);
    }
}
