//! Two gateways, one Redis.

use super::servers::{Server, until};
use super::{later, options, started, store};
use crate::domain::Millis;
use crate::store::Live as _;
use crate::store::live::contract;
use crate::store::live::redis::RedisOptions;

#[tokio::test]
async fn what_one_puts_the_other_gets_once_it_has_come_that_far() {
    let server = Server::start(&[]).await;
    let (a, b) = (store(&server.url()).await, store(&server.url()).await);
    let facts = contract::session("ses_a", "pu_a", later(60_000), 9);
    a.put(facts.clone()).await.unwrap();
    let key = &facts.session.key;
    b.reached(8);
    assert_eq!(b.get(key, later(0)).await.unwrap(), None, "from a history that isn't known here");
    assert_eq!(b.health().counts.rejected, 1);
    b.reached(9);
    assert_eq!(b.get(key, later(0)).await.unwrap(), Some(facts.clone()), "and it was left there");
    b.forget(key, 10).await.unwrap();
    assert_eq!(a.get(key, later(0)).await.unwrap(), None);
    a.put(facts.clone()).await.unwrap();
    b.reached(10);
    assert_eq!(b.get(key, later(0)).await.unwrap(), None, "the tombstone holds for all");
}

#[tokio::test]
async fn hints_are_heard_by_all_and_only_from_gateways() {
    let server = Server::start(&[]).await;
    let (a, b) = (store(&server.url()).await, store(&server.url()).await);
    let mut heard = b.hints();
    a.hint(7).await.unwrap();
    heard.changed().await.unwrap();
    assert_eq!(*heard.borrow_and_update(), 7);
    // A hint that is too large would make all that follow look old.
    for forged in ["18446744073709551615", "18446744073709551615.AAAA", "", "\u{0}", "99999999999999999999.x"]
    {
        server.command::<i64>(&["PUBLISH", "drawbridge:hints", forged]);
    }
    until("the forged ones have come", async || b.metrics.counts().hints == 1 && rejected_hints(&b) == 5)
        .await;
    let stranger = started(RedisOptions { mac_key: [8; 32], ..options(&server.url()) }).await;
    stranger.hint(u64::MAX).await.unwrap();
    a.hint(8).await.unwrap();
    heard.changed().await.unwrap();
    assert_eq!(*heard.borrow_and_update(), 8);
}

fn rejected_hints(redis: &super::Redis) -> u64 {
    redis.metrics.rejected_count("hint")
}

#[tokio::test]
async fn keys_expire_with_the_session_within_bounds() {
    let server = Server::start(&[]).await;
    let redis = store(&server.url()).await;
    let ttl = |key: &str| server.command::<Millis>(&["PTTL", &format!("drawbridge:{key}")]);
    let (soon, day, till) = (1_000, 24 * 3_600_000, later(600_000));
    redis.put(contract::impersonation("imp_a", "pu_a", till, 1)).await.unwrap();
    let at = server.command::<Millis>(&["PEXPIRETIME", "drawbridge:live:imp_a"]);
    assert_eq!(at, till, "at the session's end");
    assert_eq!(server.command::<Millis>(&["PEXPIRETIME", "drawbridge:impersonations:pu_a"]), till);
    redis.put(contract::session("ses_ever", "pu_a", Millis::MAX, 1)).await.unwrap();
    assert!((day - 60_000..=day).contains(&ttl("live:ses_ever")), "without end: for a day");
    redis.put(contract::session("ses_over", "pu_a", later(soon), 1)).await.unwrap();
    assert!((50_000..=60_000).contains(&ttl("live:ses_over")), "a while longer: it refuses older facts");
    redis.forget(&contract::session("ses_ever", "pu_a", 0, 0).session.key, 2).await.unwrap();
    assert!((50_000..=60_000).contains(&ttl("live:ses_ever")), "a tombstone is for a while");
    let keys: Vec<String> = server.command(&["KEYS", "*"]);
    assert!(keys.iter().all(|key| key.starts_with("drawbridge:")), "{keys:?}");
    assert!(keys.iter().all(|key| server.command::<Millis>(&["PTTL", key]) > 0), "nothing stays for ever");
}
