//! Five impersonations for one member of staff, whichever gateways are asked. `DRAWBRIDGE_HISTORY_ROUNDS` (50)
//! sets the rounds; 1,000 for the full count.

use super::fleet::{Fleet, GATEWAYS, Options};
use super::record::{Answer, Kind, Outcome};
use super::world::{Held, World};
use crate::support::{Chance, number};
use std::sync::Arc;
use tokio::task::JoinSet;

/// What the records say is live, and in which places.
fn slots(world: &World) -> String {
    world
        .fleet
        .sql("SELECT string_agg(slot::text, ',' ORDER BY slot) FROM impersonation WHERE ended_at IS NULL")
}

fn staff(world: &World) -> Held {
    world.live(&mut Chance::of(1), |h| h.kind == Kind::Staff && h.user == 0).expect("a session")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_mints_over_three_gateways_give_five_and_rounds_leak_none() {
    let world = World::make(Fleet::start(Options::default()).await).await;
    let staff = staff(&world);
    let mut asked = JoinSet::new();
    for n in 0..100 {
        let (world, staff) = (world.clone(), staff.clone());
        asked.spawn(async move { world.mint(&staff, n % 2, n % GATEWAYS).await });
    }
    let held: Vec<Held> = asked.join_all().await.into_iter().flatten().collect();
    eprintln!("100 parallel mints over three gateways: {} granted", held.len());
    assert_eq!((held.len(), slots(&world).as_str()), (5, "1,2,3,4,5"));
    for grant in &held {
        for gateway in 0..GATEWAYS {
            assert_eq!(world.ask(grant, gateway).await, Outcome::Admitted);
        }
    }
    rounds(&world, &staff, held).await;
}

/// One end and one mint at once, through different gateways, again and again.
async fn rounds(world: &Arc<World>, staff: &Held, mut held: Vec<Held>) {
    let rounds = number("DRAWBRIDGE_HISTORY_ROUNDS", 50);
    let mut chance = Chance::new("rounds of end and mint");
    let mut late = 0;
    for round in 0..rounds {
        let gone = held.swap_remove(usize::try_from(chance.below(5)).unwrap_or_default());
        let at = usize::try_from(chance.below(GATEWAYS as u64)).unwrap_or_default();
        let other = (at + 1 + usize::from(chance.below(2) == 1)) % GATEWAYS;
        let end = {
            let world = world.clone();
            tokio::spawn(async move { world.end(&gone, 1, at).await })
        };
        let mint = {
            let (world, staff) = (world.clone(), staff.clone());
            tokio::spawn(async move { world.mint(&staff, 0, other).await })
        };
        assert_eq!(end.await.expect("a call"), Answer::Done, "round {round}");
        let minted = match mint.await.expect("a call") {
            Some(minted) => minted,
            None => {
                late += 1;
                world
                    .mint(staff, 1, other)
                    .await
                    .unwrap_or_else(|| panic!("round {round}: a place has leaked"))
            }
        };
        held.push(minted);
        if round % 10 == 9 || round + 1 == rounds {
            assert_eq!(slots(world), "1,2,3,4,5", "round {round}");
        }
    }
    assert!(world.mint(staff, 0, 0).await.is_none(), "a sixth");
    eprintln!("{rounds} rounds of end and mint on different gateways: the mint came too early in {late}");
    let history = world.history();
    super::report::print("rounds", &history);
    assert_eq!(super::check::check(&history), []);
}
