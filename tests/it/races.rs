//! Rivals: mints against the cap, against an opt-out and against a disable; admins against each other;
//! repeats under one `Idempotency-Key`. On the library's parts with the shipped policies, and once over HTTP.
//!
//! `DRAWBRIDGE_ROUNDS` sets the rounds of every race (1,000 for the full count; without it 300 and 60, on PostgreSQL 75 and 15),
//! `DRAWBRIDGE_SEED` plays a run's interleaving again as far as the scheduler lets it.

use crate::support::{Chance, Engine, Gateway, House, Staff, code, number, on_both_engines};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

on_both_engines!(
    the_cap_is_five_slots_and_an_end_frees_one,
    no_grant_survives_an_opt_out,
    no_grant_survives_a_disable,
    admins_who_disable_each_other_leave_one,
    repeats_under_one_key_give_one_grant,
    ends_and_mints_neither_exceed_nor_leak_a_slot,
);

/// Fewer on a server that tests share: each step is a round trip.
fn rounds(engine: Engine, full: usize) -> usize {
    if engine == Engine::Postgres { full / 4 } else { full }
}

/// Runs two rivals at once, each begun a moment (of up to a few hundred microseconds) late.
async fn race<A, B>(
    chance: &mut Chance,
    a: impl Future<Output = A> + Send + 'static,
    b: impl Future<Output = B> + Send + 'static,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let a = tokio::spawn(after(chance.below(MOMENT), a));
    let b = tokio::spawn(after(chance.below(MOMENT), b));
    (a.await.unwrap(), b.await.unwrap())
}

/// Turns of a spinning loop: longer than one rival leads by itself, so that either may be the first.
const MOMENT: u64 = 20_000;

async fn after<T>(turns: u64, work: impl Future<Output = T>) -> T {
    for _ in 0..turns {
        std::hint::spin_loop();
    }
    work.await
}

/// Both orders must have happened, or nothing was raced.
fn both_orders(what: &str, rounds: usize, first: usize) {
    eprintln!("{what}: {rounds} rounds, the mint was first in {first}");
    assert!(rounds < 50 || (first > 0 && first < rounds), "{what}: {first} of {rounds}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_parallel_mints_over_http_give_five() {
    let gateway = Arc::new(Gateway::demo());
    let mut asked = JoinSet::new();
    for _ in 0..100 {
        let gateway = gateway.clone();
        asked.spawn(async move { gateway.try_mint("staff", "acme").await });
    }
    let mut minted = Vec::new();
    let (mut beyond, mut too_often) = (0, 0);
    while let Some(answer) = asked.join_next().await {
        let answer = answer.unwrap();
        match answer.status {
            201 => minted.push(answer),
            409 => beyond += usize::from(answer.problem(409, "IMPERSONATION_LIMIT").status == 409),
            _ => too_often += usize::from(answer.problem(429, "RATE_LIMITED").status == 429),
        }
    }
    eprintln!("100 parallel mints: {} x 201, {beyond} x 409, {too_often} x 429", minted.len());
    assert_eq!((minted.len(), beyond + too_often), (5, 95));
    for one in &minted {
        gateway.get("/api/v1/cameras", one.text("/token")).await.expect(200);
    }
    let denied = gateway.platform_log("&event=platform.impersonation_denied").await;
    let counted: u64 = denied.iter().map(|e| e["count"].as_u64().unwrap()).sum();
    assert!(denied.len() >= beyond && counted <= 95, "{} entries for {counted} refusals", denied.len());
}

async fn the_cap_is_five_slots_and_an_end_frees_one(engine: Engine) {
    let house = Arc::new(House::on(engine).await);
    let staff = house.staff("one@vendor.example").await;
    let mut minted = parallel_mints(&house, &staff, 100).await;
    assert_eq!(slots(&house, &minted).await, BTreeSet::from([1, 2, 3, 4, 5]));

    let gone = minted.remove(2);
    let (slot, _) = house.slot(&gone).await;
    house.end(&staff.token, &gone.id).await.unwrap();
    let more = parallel_mints(&house, &staff, 20).await;
    assert_eq!(more.len(), 1, "one end frees one place");
    assert_eq!(house.slot(&more[0]).await, (slot, true), "the place that was freed");
    house.end(&staff.token, &gone.id).await.unwrap();
    assert_eq!(code(&house.mint(&staff.token).await), "IMPERSONATION_LIMIT", "a repeated end frees nothing");

    // The cap is each member of staff's own.
    let other = house.staff("two@vendor.example").await;
    assert_eq!(parallel_mints(&house, &other, 20).await.len(), 5);
    assert_eq!(house.live().await, 10);
}

type Minted = drawbridge::access::Minted;

async fn parallel_mints(house: &Arc<House>, staff: &Staff, n: usize) -> Vec<Minted> {
    let mut asked = JoinSet::new();
    for _ in 0..n {
        let (house, token) = (house.clone(), staff.token.clone());
        asked.spawn(async move { house.mint(&token).await });
    }
    let results = asked.join_all().await;
    for result in results.iter().filter(|r| r.is_err()) {
        assert_eq!(code(result), "IMPERSONATION_LIMIT");
    }
    results.into_iter().flatten().collect()
}

/// The places of those that are live; no two share one.
async fn slots(house: &House, minted: &[Minted]) -> BTreeSet<i64> {
    let mut slots = BTreeSet::new();
    for one in minted {
        if let (slot, true) = house.slot(one).await {
            assert!(slots.insert(slot), "slot {slot} is taken twice");
        }
    }
    slots
}

async fn no_grant_survives_an_opt_out(engine: Engine) {
    let rounds = number("DRAWBRIDGE_ROUNDS", rounds(engine, 300));
    let mut chance = Chance::new("no_grant_survives_an_opt_out");
    let house = Arc::new(House::on(engine).await);
    let staff = house.staff("one@vendor.example").await;
    let mut first = 0;
    for round in 0..rounds {
        let (h, token) = (house.clone(), staff.token.clone());
        let mint = async move { h.mint(&token).await };
        let h = house.clone();
        let switch = async move { h.switch(false).await };
        let (minted, switched) = race(&mut chance, mint, switch).await;
        let ended = switched.unwrap().ended;
        match &minted {
            Ok(minted) => {
                assert_eq!(ended, 1, "round {round}");
                let known = house.known(minted.token.expose()).await;
                let reason = known.session.ended.expect("no live grant under an opted-out org");
                assert_eq!(reason.as_str(), "support_access_disabled");
                let refused = house.permit(&known, "listCameras", true).await;
                assert_eq!(code(&refused), "IMPERSONATION_REVOKED");
                first += 1;
            }
            refused => assert_eq!((code(refused), ended), ("IMPERSONATION_BLOCKED", 0), "round {round}"),
        }
        assert_eq!(house.live().await, 0, "round {round}");
        house.switch(true).await.unwrap();
    }
    both_orders("mint against opt-out", rounds, first);
    assert_eq!(house.all_ended_once("support_access_disabled").await, first);
}

async fn no_grant_survives_a_disable(engine: Engine) {
    let rounds = number("DRAWBRIDGE_ROUNDS", rounds(engine, 300));
    let mut chance = Chance::new("no_grant_survives_a_disable");
    let house = Arc::new(House::on(engine).await);
    let admin = house.staff("admin@vendor.example").await;
    let mut first = 0;
    for round in 0..rounds {
        let staff = house.staff("one@vendor.example").await;
        let (h, token) = (house.clone(), staff.token.clone());
        let mint = async move { h.mint(&token).await };
        let (h, admin_token, target) = (house.clone(), admin.token.clone(), staff.id.clone());
        let disable = async move { h.disable(&admin_token, &target).await };
        let (minted, disabled) = race(&mut chance, mint, disable).await;
        let ended = disabled.unwrap().ended;
        match &minted {
            Ok(minted) => {
                assert_eq!(ended, 1, "round {round}");
                let known = house.known(minted.token.expose()).await;
                let reason = known.session.ended.expect("no live grant of a disabled account");
                assert_eq!(reason.as_str(), "platform_user_disabled");
                first += 1;
            }
            refused => assert_eq!((code(refused), ended), ("ACCOUNT_DISABLED", 0), "round {round}"),
        }
        assert_eq!(house.live().await, 0, "round {round}");
        assert_eq!(code(&house.mint(&staff.token).await), "ACCOUNT_DISABLED");
        house.enable(&admin.token, &staff.id).await;
        assert_eq!(code(&house.mint(&staff.token).await), "SESSION_ENDED", "enabled, but signed out");
    }
    both_orders("mint against disable", rounds, first);
    assert_eq!(house.all_ended_once("platform_user_disabled").await, first);
}

/// Everyone in the ring disables the next one, all at once; somebody enables the others again.
async fn ring(house: &Arc<House>, staff: &[Staff], chance: &mut Chance) -> usize {
    let mut rivals = JoinSet::new();
    for (n, one) in staff.iter().enumerate() {
        let (house, token) = (house.clone(), one.token.clone());
        let (target, turns) = (staff[(n + 1) % staff.len()].id.clone(), chance.below(MOMENT));
        rivals.spawn(after(turns, async move { house.disable(&token, &target).await }));
    }
    let results = rivals.join_all().await;
    for refused in results.iter().filter(|r| r.is_err()) {
        // Whoever came second was disabled already, or aims at the last one.
        assert!(["ACCOUNT_DISABLED", "SESSION_ENDED", "LAST_ADMIN"].contains(&code(refused)));
    }
    let mut active = Vec::new();
    for one in staff {
        let known = house.known(&one.token).await;
        if house.permit(&known, "listPlatformUsers", false).await.is_ok() {
            active.push(one);
        }
    }
    let listed = house.access().platform_users(10, None).await.unwrap();
    let by_records = listed.items.iter().filter(|user| user.disabled_at.is_none()).count();
    assert_eq!(active.len(), by_records);
    assert!(!active.is_empty(), "nobody is left: {results:?}");
    for one in staff {
        house.enable(&active[0].token, &one.id).await;
    }
    active.len()
}

async fn admins_who_disable_each_other_leave_one(engine: Engine) {
    let rounds = number("DRAWBRIDGE_ROUNDS", rounds(engine, 60));
    let mut chance = Chance::new("admins_who_disable_each_other_leave_one");
    let house = Arc::new(House::on(engine).await);
    for round in 0..rounds {
        let two = [house.staff("one@vendor.example").await, house.staff("two@vendor.example").await];
        assert_eq!(ring(&house, &two, &mut chance).await, 1, "round {round}");
    }
    let mut left = [0; 4];
    for _ in 0..rounds {
        let three = [
            house.staff("one@vendor.example").await,
            house.staff("two@vendor.example").await,
            house.staff("three@vendor.example").await,
        ];
        left[ring(&house, &three, &mut chance).await] += 1;
    }
    eprintln!("rings of three, {rounds} rounds: {} left one, {} left two", left[1], left[2]);
    assert_eq!(left[1] + left[2], rounds);
}

async fn repeats_under_one_key_give_one_grant(engine: Engine) {
    let house = Arc::new(House::on(engine).await);
    let staff = house.staff("one@vendor.example").await;
    let mut asked = JoinSet::new();
    for _ in 0..20 {
        let (house, token) = (house.clone(), staff.token.clone());
        asked.spawn(async move { house.mint_with(&token, "cameras offline", Some("key-1")).await.unwrap() });
    }
    let minted = asked.join_all().await;
    let distinct: BTreeSet<_> = minted.iter().map(|m| (m.id.as_str(), m.token.expose())).collect();
    assert_eq!(distinct.len(), 1, "one grant, one token");
    assert_eq!(house.live().await, 1);
    for log in house.both_logs("platform.impersonation_started").await {
        assert_eq!(log.len(), 1);
    }
    let other = house.mint_with(&staff.token, "something else entirely", Some("key-1")).await;
    assert_eq!(code(&other), "Idempotency-Key");
    assert_eq!(house.live().await, 1);
    // A key is its user's own.
    let colleague = house.staff("two@vendor.example").await;
    let theirs = house.mint_with(&colleague.token, "cameras offline", Some("key-1")).await.unwrap();
    assert_ne!(theirs.id, minted[0].id);
}

async fn ends_and_mints_neither_exceed_nor_leak_a_slot(engine: Engine) {
    let rounds = number("DRAWBRIDGE_ROUNDS", rounds(engine, 300));
    let mut chance = Chance::new("ends_and_mints_neither_exceed_nor_leak_a_slot");
    let house = Arc::new(House::on(engine).await);
    let staff = house.staff("one@vendor.example").await;
    let mut held = parallel_mints(&house, &staff, 5).await;
    let mut first = 0;
    for round in 0..rounds {
        let gone = held.swap_remove(usize::try_from(chance.below(5)).unwrap());
        let (h, token) = (house.clone(), staff.token.clone());
        let mint = async move { h.mint(&token).await };
        let (h, token, id) = (house.clone(), staff.token.clone(), gone.id.clone());
        let end = async move { h.end(&token, &id).await };
        let (minted, ended) = race(&mut chance, mint, end).await;
        ended.unwrap();
        if minted.is_err() {
            assert_eq!(code(&minted), "IMPERSONATION_LIMIT");
            first += 1;
        }
        held.push(match minted {
            Ok(minted) => minted,
            Err(_) => house.mint(&staff.token).await.unwrap_or_else(|e| panic!("round {round}: a leak: {e}")),
        });
        assert_eq!(house.live().await, 5, "round {round}");
        assert_eq!(slots(&house, &held).await, BTreeSet::from([1, 2, 3, 4, 5]), "round {round}");
    }
    both_orders("mint against end", rounds, first);
    assert_eq!(code(&house.mint(&staff.token).await), "IMPERSONATION_LIMIT");
}

/// Three gateways on the same records: the cap is decided in the transaction, wherever it runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_parallel_mints_over_three_gateways_give_five() {
    let first = Arc::new(House::on(Engine::Postgres).await);
    let gateways = [first.clone(), Arc::new(first.beside().await), Arc::new(first.beside().await)];
    let staff = first.staff("one@vendor.example").await;
    for round in 0..3 {
        let mut asked = JoinSet::new();
        for n in 0..100 {
            let (gateway, token) = (gateways[n % 3].clone(), staff.token.clone());
            asked.spawn(async move { gateway.mint(&token).await });
        }
        let mut minted = Vec::new();
        for answer in asked.join_all().await {
            match answer {
                Ok(one) => minted.push(one),
                refused => assert_eq!(code(&refused), "IMPERSONATION_LIMIT", "round {round}"),
            }
        }
        assert_eq!(minted.len(), 5, "round {round}");
        assert_eq!(slots(&first, &minted).await, BTreeSet::from([1, 2, 3, 4, 5]), "round {round}");
        for (n, one) in minted.iter().enumerate() {
            gateways[n % 3].end(&staff.token, &one.id).await.unwrap();
        }
        assert_eq!(first.live().await, 0);
    }
}
