//! Slices against the yardstick: whatever is asked, [`Snapshot::decide`] and evaluating every policy give
//! the same decision, the same deciding policies and the same errors.

use drawbridge::domain::ids::{BotId, ImpersonationId, OrgId, OrgUserId, PlatformUserId, SessionId, TokenId};
use drawbridge::domain::{
    Bot, Impersonation, Membership, Org, OrgRole, OrgStatus, OrgUser, PlatformUser, Principal, RevokeReason,
    Session,
};
use drawbridge::policy::{
    Context, Decision, PolicyEngine, PolicyFolders, PreparedSlot, Question, Snapshot, defaults,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

/// SplitMix64: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name}={v}")))
}

/// Policies over every kind of scope and condition; some err on some requests (overflow).
///
/// `named`: some scopes name a camera. Without them only conditions look at which camera it is.
fn random_policies(random: &mut Random, count: usize, named: bool) -> String {
    let principals = [
        "principal",
        "principal",
        "principal is OrgUser",
        "principal is Bot",
        "principal is Impersonation",
        "principal is PlatformUser",
        "principal is OrgUser in OrgRole::\"operator\"",
        "principal is Impersonation in OrgRole::\"admin\"",
        "principal in OrgRole::\"viewer\"",
        "principal == OrgUser::\"usr_1\"",
        "principal == Bot::\"bot_2\"",
        "principal is PlatformUser in PlatformRole::\"sre\"",
    ];
    let actions = [
        "action",
        "action in Action::\"customerApi\"",
        "action in [Action::\"read\", Action::\"owner\"]",
        "action == Action::\"getCamera\"",
        "action == Action::\"listCameras\"",
        "action in Action::\"orgApi\"",
        "action in [Action::\"platformApi\", Action::\"undeclared\"]",
    ];
    let resources = [
        "resource",
        "resource",
        "resource is Org",
        "resource is Camera",
        "resource is Platform",
        "resource in Org::\"org_a\"",
        "resource == Org::\"org_b\"",
        "resource is Camera in Org::\"org_c\"",
        "resource == Camera::\"c1\"",
        "resource in Camera::\"c2\"",
        "resource in Org::\"org_nobody\"",
    ];
    let conditions = [
        "true",
        "context.session_age > 50",
        "context.method == \"GET\" || context.path like \"*/x\"",
        "context.source_address.isInRange(ip(\"10.0.0.0/8\"))",
        "9223372036854775807 + context.session_age > 0",
        "principal has expires_at && principal.expires_at + 1 > context.now",
        "principal has slot && principal.slot * 4611686018427387904 > 0",
        "principal has orgs && principal.orgs.contains(Org::\"org_c\")",
        "resource has org && resource.org == Org::\"org_a\"",
        "resource has org && resource.org.allow_platform_impersonation",
        "resource has org && resource.org.status != \"active\"",
        "action in Action::\"write\"",
        "action in [Action::\"read\", Action::\"orgApi\"] && context.session_age > 10",
        "principal in OrgRole::\"owner\"",
        "principal has operator && principal.operator.disabled",
        "context has reason_length && context.reason_length > 3",
        "[resource].contains(resource)",
    ];
    let mut text = String::new();
    for n in 0..count {
        // Most are narrow, or every request would end in the same error.
        let mut scope = [random.pick(&principals), random.pick(&actions), random.pick(&resources)];
        if scope[0] == "principal" && scope[2] == "resource" {
            scope[0] = "principal == OrgUser::\"usr_3\"";
        }
        let mut condition = random.pick(&conditions).to_owned();
        if scope[2].contains("Camera") && random.one_in(2) {
            condition = "resource == Camera::\"c1\"".to_owned();
            scope[2] = "resource is Camera";
        }
        if scope[2].contains("Camera::") && !named {
            scope[2] = "resource is Camera";
        }
        let scope = scope.join(", ");
        let _ = if random.one_in(2) {
            writeln!(text, "@id(\"random-{n}\") @audit(\"use\")\npermit ({scope}) when {{ {condition} }};")
        } else {
            let (priority, clause) = (random.below(1000), random.pick(&["when", "unless"]));
            writeln!(
                text,
                "@id(\"random-{n}\") @code(\"RANDOM_{n}\") @status(\"4{:02}\") @priority(\"{priority}\")\nforbid ({scope}) {clause} {{ {condition} }};",
                n % 100
            )
        };
    }
    text
}

fn engine(extra: &str) -> PolicyEngine {
    let folder = tempfile::tempdir().unwrap();
    let folders = PolicyFolders { policies: folder.path().join("p"), schemas: folder.path().join("s") };
    std::fs::create_dir(&folders.policies).unwrap();
    std::fs::create_dir(&folders.schemas).unwrap();
    for (name, text) in defaults::POLICIES {
        std::fs::write(folders.policies.join(name), text).unwrap();
    }
    for (name, text) in [defaults::PLATFORM_SCHEMA, defaults::DEMO_SCHEMA] {
        std::fs::write(folders.schemas.join(name), text).unwrap();
    }
    std::fs::write(folders.policies.join("random.cedar"), extra).unwrap();
    PolicyEngine::load(folders).unwrap_or_else(|report| panic!("{}\n{extra}", report.rendered))
}

fn org(random: &mut Random) -> OrgId {
    OrgId::parse(random.pick(&["org_a", "org_b", "org_c"])).unwrap()
}

fn session(random: &mut Random) -> Session {
    let staff = |random: &mut Random| PlatformUser {
        id: PlatformUserId::parse(&format!("pu_{}", random.below(3))).unwrap(),
        email: String::new(),
        display_name: String::new(),
        roles: ["sre", "platform-admin"]
            .iter()
            .filter(|_| random.one_in(2))
            .map(|r| (*r).to_owned())
            .collect(),
        disabled: random.one_in(8),
        password_change_required: random.one_in(8),
        enrolment_required: random.one_in(8),
    };
    let memberships = |random: &mut Random| -> Vec<Membership> {
        (0..random.below(3))
            .map(|_| Membership { org: org(random), role: random.pick(&OrgRole::ALL) })
            .collect()
    };
    let principal = match random.below(4) {
        0 => Principal::PlatformUser(staff(random)),
        1 => Principal::Impersonation(Box::new(Impersonation {
            id: ImpersonationId::parse(&format!("imp_{}", random.below(9))).unwrap(),
            operator: staff(random),
            org: org(random),
            role: random.pick(&OrgRole::ALL),
            slot: i64::try_from(random.below(7)).unwrap(),
            reason: "x".repeat(random.below(20)),
            ticket_ref: None,
        })),
        2 => Principal::OrgUser(OrgUser {
            id: OrgUserId::parse(&format!("usr_{}", random.below(4))).unwrap(),
            email: String::new(),
            display_name: String::new(),
            active: !random.one_in(8),
            site_admin: random.one_in(8),
            memberships: memberships(random),
        }),
        _ => Principal::Bot(Bot {
            id: BotId::parse(&format!("bot_{}", random.below(4))).unwrap(),
            token: TokenId::parse("tok_1").unwrap(),
            name: String::new(),
            active: !random.one_in(8),
            memberships: memberships(random),
        }),
    };
    let key = if random.one_in(3) {
        TokenId::parse("tok_1").unwrap().subject()
    } else {
        SessionId::parse("ses_1").unwrap().subject()
    };
    Session {
        key,
        principal,
        started_at: 0,
        expires_at: random.pick(&[1_200, 2_000, 3_000, i64::MAX]),
        ended: random.one_in(8).then(|| random.pick(RevokeReason::ALL)),
    }
}

fn orgs(random: &mut Random) -> Vec<Org> {
    ["org_a", "org_b", "org_c", "org_unknown"]
        .map(|id| {
            let mut org = Org::unknown(OrgId::parse(id).unwrap());
            org.allow_platform_impersonation = !random.one_in(4);
            org.status = random.pick(&[OrgStatus::Active, OrgStatus::Active, OrgStatus::Suspended]);
            org
        })
        .into()
}

fn ask(
    snapshot: &Snapshot,
    random: &mut Random,
    known: &mut [(Option<Session>, PreparedSlot)],
    orgs: &[Org],
) -> String {
    // Few actions and orgs most of the time, so that what is prepared is used again and again.
    let action = if random.one_in(3) {
        &snapshot.actions()[random.below(snapshot.actions().len())]
    } else {
        let often = ["getCamera", "updateCamera", "listCameras", "createCamera", "getMe", "listOrgs"];
        snapshot.action(random.pick(&often)).unwrap()
    };
    let context = Context {
        now: i64::try_from(random.below(1_500)).unwrap(),
        source_address: random.pick(
            &["10.1.2.3", "192.0.2.1", "::ffff:10.0.0.1", "2001:db8::1"]
                .map(|a| a.parse::<IpAddr>().unwrap()),
        ),
        method: random.pick(&["GET", "POST"]),
        path: random.pick(&["/x", "/y"]),
        session_age: i64::try_from(random.below(100)).unwrap() - 20,
        live_impersonations: i64::try_from(random.below(8)).unwrap(),
        reason_length: i64::try_from(random.below(20)).unwrap(),
        has_ticket: random.one_in(2),
        cause: random.pick(&["", "compromise"]),
        acknowledged: random.one_in(2),
        target_is_self: random.one_in(2),
        target_is_admin: random.one_in(2),
        active_admins: i64::try_from(random.below(3)).unwrap(),
    };
    let fresh = random.one_in(60).then(|| session(random));
    let which = random.below(known.len());
    let (session, slot) = &mut known[which];
    if let Some(fresh) = fresh {
        // Now and then the slot stays: it must notice by itself.
        if !random.one_in(4) {
            *slot = PreparedSlot::about(fresh.clone().shared());
        }
        *session = Some(fresh);
    }
    let question = Question {
        session: session.as_ref(),
        action,
        org: (!random.one_in(50)).then(|| &orgs[random.below(orgs.len())]),
        resource_id: (!random.one_in(5)).then(|| random.pick(&["c1", "c2", "c3", "org_a"])),
        context: &context,
        prepared: (!random.one_in(10)).then_some(&*slot),
    };
    let sliced = snapshot.decide(&question);
    let full = snapshot.decide_with_every_policy(&question);
    assert_eq!(
        format!("{sliced:#?}"),
        format!("{full:#?}"),
        "sliced and full differ\naction: {}\nsession: {:#?}\norg: {:#?}\nresource: {:?}\ncontext: {context:#?}",
        action.name,
        question.session,
        question.org,
        question.resource_id,
    );
    match sliced {
        Decision::Permit(_) => "permit".to_owned(),
        Decision::Denied(denial) if denial.code.starts_with("RANDOM") => "RANDOM".to_owned(),
        Decision::Denied(denial) => denial.code.to_string(),
    }
}

/// How many policy sets the requests are spread over.
const SETS: u64 = 8;

/// `DRAWBRIDGE_SLICE_REQUESTS` sets how many; `DRAWBRIDGE_SEED` replays a run.
#[test]
#[expect(clippy::print_stdout, reason = "a failure shows its seed and what was asked")]
fn slices_and_the_full_set_agree() {
    let count = number("DRAWBRIDGE_SLICE_REQUESTS", 100_000);
    let seed = number("DRAWBRIDGE_SEED", u64::from(std::process::id()));
    println!("DRAWBRIDGE_SEED={seed}");
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..SETS)
            .map(|set| {
                scope.spawn(move || {
                    let mut random = Random(seed.wrapping_add(set));
                    let engine = engine(&random_policies(&mut random, 40, set % 2 == 0));
                    let snapshot = engine.snapshot();
                    let mut known: Vec<_> = (0..30)
                        .map(|_| session(&mut random))
                        .map(|facts| (Some(facts.clone()), PreparedSlot::about(facts.shared())))
                        .collect();
                    known.push((None, PreparedSlot::about(session(&mut random).shared())));
                    let mut orgs = self::orgs(&mut random);
                    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
                    for n in 0..count / SETS {
                        if n % 400 == 0 {
                            orgs = self::orgs(&mut random);
                        }
                        *seen.entry(ask(&snapshot, &mut random, &mut known, &orgs)).or_default() += 1;
                    }
                    seen
                })
            })
            .collect();
        for run in runs {
            for (answer, n) in run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                *seen.entry(answer).or_default() += n;
            }
        }
    });
    println!("{seen:#?}");
    if count >= 10_000 {
        for answer in
            ["permit", "POLICY_ERROR", "POLICY_DENIED", "RANDOM", "PLATFORM_ACCESS_DENIED", "ORG_MISMATCH"]
        {
            assert!(seen.get(answer).is_some_and(|n| *n * 1_000 >= count), "too few {answer}: {seen:#?}");
        }
    }
}
