//! What stands in the log that is made: mostly impersonated requests, some of customers' own, a few acts and refusals,
//! and three entries near its beginning whose event, action, actor and ticket nothing else has.
//!
//! Which entry comes when depends on its number alone, so a log that is found again is known.

use drawbridge::audit::{ActorType, Entry, Logs, Stage};
use drawbridge::domain::ids::{ImpersonationId, OrgId, PlatformUserId, RequestId};
use drawbridge::domain::{Event, Millis};

/// The orgs, and how many of a hundred entries are of each.
pub(crate) const ORGS: [(&str, u64); 3] =
    [("org_bench-great", 70), ("org_bench-middle", 25), ("org_bench-small", 5)];
/// Grants; each is in use for a while, one after the other.
pub(crate) const GRANTS: u64 = 200;
/// Grants in use at a time.
pub(crate) const AT_A_TIME: u64 = 8;
/// Members of staff.
pub(crate) const STAFF: u64 = 20;
/// People of the customers.
const PEOPLE: u64 = 50;
/// What the log spans.
pub(crate) const SPAN: Millis = 80 * 86_400_000;
/// Event, action, actor, ticket and request of the three.
pub(crate) const RARE_EVENT: Event = Event::SupportAccessChanged;
pub(crate) const RARE_ACTION: &str = "rebootCamera";
pub(crate) const RARE_ACTOR: &str = "usr_bench-rare";
pub(crate) const RARE_TICKET: &str = "INC-RARE";
pub(crate) const RARE_REQUEST: &str = "req_bench-rare-0";
/// How many such there are.
const RARE: u64 = 3;
/// Of the middle org's first so many steps some are refused; later none.
const REFUSED_FIRST: u64 = 400;

/// What is written at one step.
pub(crate) enum Step {
    /// A request under a grant, to be closed: two lines in each log.
    Request(Entry),
    /// One entry.
    Other(Entry),
}

impl Step {
    /// Lines in all logs.
    pub(crate) fn lines(&self) -> u64 {
        let of = |entry: &Entry| if entry.logs == Logs::Both { 2 } else { 1 };
        match self {
            Self::Request(entry) => 2 * of(entry),
            Self::Other(entry) => of(entry),
        }
    }
}

/// Steps that make about so many lines.
pub(crate) const fn steps(lines: u64) -> u64 {
    lines * 100 / 346
}

/// A grant by its number.
pub(crate) fn grant(n: u64) -> ImpersonationId {
    ImpersonationId::parse(&format!("imp_bench-{n:03}")).unwrap()
}

/// Whose a grant is, and for which org.
pub(crate) fn of_grant(n: u64) -> (PlatformUserId, OrgId) {
    (PlatformUserId::parse(&format!("pu_bench-{:02}", n % STAFF)).unwrap(), org(n * 37 % 100))
}

fn org(percent: u64) -> OrgId {
    let (mut below, mut found) = (0, ORGS[0].0);
    for (name, share) in ORGS {
        if (below..below + share).contains(&percent) {
            found = name;
        }
        below += share;
    }
    OrgId::parse(found).unwrap()
}

/// Chance that depends on a number alone (splitmix64).
fn chance(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Step `n` of `of`, in a log that ends at `end`.
pub(crate) fn step(n: u64, of: u64, end: Millis) -> Step {
    let time = end - SPAN + Millis::try_from(u128::from(n) * SPAN as u128 / u128::from(of)).unwrap();
    let (chance, twentieth) = (chance(n), of / 20);
    if (twentieth..twentieth + RARE).contains(&n) {
        return Step::Other(rare(n - twentieth, time));
    }
    // The grants that are in use about now.
    let in_use = n * (GRANTS - AT_A_TIME + 1) / of + chance / 1_000 % AT_A_TIME;
    match chance % 100 {
        0..80 => Step::Request(under(in_use, time, chance)),
        80..95 => Step::Other(own(time, chance)),
        95..99 => {
            let entry = under(in_use, time, chance);
            let middle = entry.org_id.as_ref().is_some_and(|org| org.as_str() == ORGS[1].0);
            if middle && n > REFUSED_FIRST { Step::Request(entry) } else { Step::Other(refused(entry)) }
        }
        _ => Step::Other(Entry {
            event: Event::TokenCreated,
            stage: Stage::Act,
            logs: Logs::Both,
            action: None,
            ..own(time, chance)
        }),
    }
}

/// A request under a grant.
fn under(grant_number: u64, time: Millis, chance: u64) -> Entry {
    let (person, org) = of_grant(grant_number);
    let actions = ["listCameras", "viewCamera", "listEvents", "viewRecording", "listSites"];
    Entry {
        event: Event::ImpersonatedRequest,
        stage: Stage::Intent,
        time,
        request_id: RequestId::random(),
        actor_type: ActorType::PlatformAdminImpersonating,
        actor: person.as_str().to_owned(),
        actor_name: "Staff Member".to_owned(),
        platform_user: Some((person, "Staff Member".to_owned())),
        acting_user_id: None,
        acting_bot_id: None,
        token_id: None,
        org_id: Some(org),
        logs: Logs::Both,
        impersonation_id: Some(grant(grant_number)),
        impersonation_seq: None,
        action: Some(actions[usize::try_from(chance / 100 % 5).unwrap()].into()),
        resource: Some(format!("Camera::\"cam-{}\"", chance % 977)),
        method: Some("GET".to_owned()),
        path: Some(format!("/api/v1/cameras/cam-{}", chance % 977)),
        query_keys: vec!["limit".to_owned()],
        decision: Some("permit"),
        code: None,
        policies: vec!["impersonation-scope".into(), "impersonation-live".into()].into(),
        policy_hash: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into()),
        source_address: Some("203.0.113.7".to_owned()),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned()),
        reason: Some("cameras offline since 03:00".to_owned()),
        ticket_ref: Some(format!("INC-{grant_number}")),
        revoke_reason: None,
        status: None,
        count: 1,
        details: serde_json::Map::new(),
    }
}

fn refused(entry: Entry) -> Entry {
    Entry {
        stage: Stage::Refused,
        decision: Some("deny"),
        code: Some("FORBIDDEN".to_owned()),
        status: Some(403),
        ..entry
    }
}

/// Attribution of requests of a person of a customer's.
fn own(time: Millis, chance: u64) -> Entry {
    let person = format!("usr_bench-{:02}", chance / 100 % PEOPLE);
    Entry {
        event: Event::OrgRequest,
        stage: Stage::Use,
        actor_type: ActorType::OrgUser,
        actor: person.clone(),
        actor_name: "A Person".to_owned(),
        acting_user_id: Some(person),
        platform_user: None,
        logs: Logs::Org,
        org_id: Some(org(chance / 10_000 % 100)),
        impersonation_id: None,
        reason: None,
        ticket_ref: None,
        count: 17,
        ..under(0, time, chance)
    }
}

/// What there is three times only, in the great org.
fn rare(n: u64, time: Millis) -> Entry {
    Entry {
        event: RARE_EVENT,
        stage: Stage::Act,
        actor: RARE_ACTOR.to_owned(),
        logs: Logs::Both,
        org_id: Some(org(0)),
        action: Some(RARE_ACTION.into()),
        ticket_ref: Some(RARE_TICKET.to_owned()),
        request_id: RequestId::parse(&format!("req_bench-rare-{n}")).unwrap(),
        ..own(time, 0)
    }
}
