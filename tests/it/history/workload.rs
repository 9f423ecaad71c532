//! Who does what in a run: clients that ask without end, actors that take access away, streams that stand open.

use super::fleet::{GATEWAYS, LONG};
use super::record::{Answer, Kind, Outcome, Revocation, Span, Stream, Target, now};
use super::world::{Held, STAFF, World};
use crate::support::{Chance, Open};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Set when a run ends.
pub(crate) type Stop = Arc<AtomicBool>;

fn stopped(stop: &Stop) -> bool {
    stop.load(Ordering::Relaxed)
}

/// Asks one gateway again and again, with sessions of every kind.
pub(crate) async fn client(world: Arc<World>, gateway: usize, mut chance: Chance, stop: Stop) {
    while !stopped(&stop) {
        match world.any(&mut chance) {
            Some(held) => {
                if world.ask(&held, gateway).await == Outcome::Broken {
                    // Nobody listens, perhaps.
                    pause(20).await;
                }
            }
            None => pause(5).await,
        }
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// One request of each of these through every gateway, at once: the sharpest moment is the one after the answer.
pub(crate) async fn try_everywhere(world: &Arc<World>, gone: &[Held]) {
    let mut asked = tokio::task::JoinSet::new();
    for held in gone.iter().take(4) {
        for gateway in 0..GATEWAYS {
            let (world, held) = (world.clone(), held.clone());
            asked.spawn(async move { world.ask(&held, gateway).await });
        }
    }
    asked.join_all().await;
}

/// Takes access away through gateways at random, and gives it again.
pub(crate) async fn actor(world: Arc<World>, mut chance: Chance, stop: Stop) {
    while !stopped(&stop) {
        pause(chance.below(30)).await;
        let gateway = usize::try_from(chance.below(GATEWAYS as u64)).unwrap_or_default();
        match chance.below(20) {
            0..=9 => mint(&world, &mut chance, gateway).await,
            10..=13 => end(&world, &mut chance, gateway).await,
            14 => switch(&world, &mut chance, gateway).await,
            15..=16 => logout(&world, &mut chance, gateway).await,
            17 => disable(&world, &mut chance, gateway).await,
            18 => expire(&world, &mut chance).await,
            _ => end_customer(&world, &mut chance).await,
        }
    }
}

async fn mint(world: &Arc<World>, chance: &mut Chance, gateway: usize) {
    let Some(staff) = world.live(chance, |held| held.kind == Kind::Staff) else { return };
    let org = usize::from(chance.below(2) == 1);
    if let Some(grant) = world.mint(&staff, org, gateway).await {
        // Known to all gateways, so that an end has something to reach.
        try_everywhere(world, &[grant]).await;
    }
}

async fn end(world: &Arc<World>, chance: &mut Chance, gateway: usize) {
    let Some(grant) = world.live(chance, |held| held.kind == Kind::Impersonation) else { return };
    let answer = world.end(&grant, chance.below(2), gateway).await;
    if answer == Answer::Done {
        let gone = world.bury(|held| held.number == grant.number);
        try_everywhere(world, &gone).await;
    }
}

async fn switch(world: &Arc<World>, chance: &mut Chance, gateway: usize) {
    let org = usize::from(chance.below(2) == 1);
    if world.switch(org, false, gateway).await == Answer::Done {
        // As at the beginning of the call: what was minted meanwhile is tried, too, and may be live.
        let gone = world.bury(|held| held.kind == Kind::Impersonation && held.org == org);
        try_everywhere(world, &gone).await;
    }
    for attempt in 0..50 {
        if world.switch(org, true, attempt % GATEWAYS).await == Answer::Done {
            return;
        }
        pause(50).await;
    }
}

async fn logout(world: &Arc<World>, chance: &mut Chance, gateway: usize) {
    let Some(staff) = world.live(chance, |held| held.kind == Kind::Staff) else { return };
    if world.logout(&staff, gateway).await == Answer::Done {
        let gone = world.bury(|held| {
            held.number == staff.number || (held.kind == Kind::Impersonation && held.user == staff.user)
        });
        try_everywhere(world, &gone).await;
        world.sign_in(staff.user, LONG).await;
    }
}

async fn disable(world: &Arc<World>, chance: &mut Chance, gateway: usize) {
    let user = usize::try_from(chance.below(STAFF as u64)).unwrap_or_default();
    if world.disable(user, true, gateway).await == Answer::Refused {
        return;
    }
    let gone = world.bury(|held| held.user == user && matches!(held.kind, Kind::Staff | Kind::Impersonation));
    try_everywhere(world, &gone).await;
    for attempt in 0..50 {
        if world.disable(user, false, attempt % GATEWAYS).await == Answer::Done {
            world.sign_in(user, LONG).await;
            return;
        }
        pause(50).await;
    }
}

/// A session whose time is over soon.
async fn expire(world: &Arc<World>, chance: &mut Chance) {
    let ttl = 300 + i64::try_from(chance.below(1_500)).unwrap_or_default();
    match chance.below(3) {
        0 => world.sign_in(usize::try_from(chance.below(STAFF as u64)).unwrap_or_default(), ttl).await,
        1 => world.customer(Kind::Person, usize::from(chance.below(2) == 1), ttl).await,
        _ => world.customer(Kind::Bot, usize::from(chance.below(2) == 1), ttl).await,
    }
}

/// A person's or a bot's session ends by a record alone; whoever does that has to wait for the leases.
async fn end_customer(world: &Arc<World>, chance: &mut Chance) {
    let customer = |held: &Held| matches!(held.kind, Kind::Person | Kind::Bot);
    let Some(held) = world.live(chance, customer) else { return };
    let begun = now();
    if !world.fleet.end_in_records(&held.token).await {
        let span = Span { begun, ended: now() };
        let target = Target::One(held.number);
        let unsure = Revocation { kind: "by_record", target, span, answer: Answer::Unsure };
        world.record.note(|h| h.revocations.push(unsure));
        return;
    }
    pause(1_100).await;
    let span = Span { begun, ended: now() };
    let target = Target::One(held.number);
    let done = Revocation { kind: "by_record", target, span, answer: Answer::Done };
    world.record.note(|h| h.revocations.push(done));
    let gone = world.bury(|other| other.number == held.number);
    try_everywhere(world, &gone).await;
    world.customer(held.kind, held.org, LONG).await;
}

/// Keeps an event stream open through one gateway, one after the other.
pub(crate) async fn listener(world: Arc<World>, gateway: usize, mut chance: Chance, stop: Stop) {
    while !stopped(&stop) {
        let Some(held) = world.live(&mut chance, |held| held.kind != Kind::Staff) else {
            pause(20).await;
            continue;
        };
        let node = world.fleet.node(gateway);
        let target = crate::support::Target {
            authority: node.address.to_string(),
            host: super::node::PUBLIC.to_owned(),
        };
        let opened = now();
        let opening = Open::try_begin(
            &target,
            "GET",
            "/api/v1/events/stream",
            &held.token,
            "Accept: text/event-stream\r\n",
        );
        let Ok(Ok(mut stream)) = tokio::time::timeout(Duration::from_secs(2), opening).await else {
            pause(50).await;
            continue;
        };
        let mut noted = Stream { session: held.number, gateway, opened, last_byte: opened, closed: None };
        let open = Duration::from_millis(1_500 + chance.below(2_500));
        let reading = async {
            while stream.read().await > 0 {
                noted.last_byte = now();
                if stream.got.starts_with(b"HTTP/1.1 4") || stream.got.starts_with(b"HTTP/1.1 5") {
                    return false;
                }
            }
            noted.closed = Some(now());
            !stream.got.is_empty()
        };
        if tokio::time::timeout(open, reading).await != Ok(false) {
            world.record.note(|h| h.streams.push(noted));
        } else {
            pause(50).await;
        }
    }
}
