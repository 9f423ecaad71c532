//! Values that Redis resurrects or is fed.

use super::servers::Server;
use super::{bounded, later, options, started, store};
use crate::domain::ids::PlatformUserId;
use crate::store::Live as _;
use crate::store::live::contract;
use crate::store::live::redis::RedisOptions;

#[tokio::test]
async fn a_value_that_no_gateway_wrote_for_this_key_is_a_miss_and_makes_room() {
    let server = Server::start(&[]).await;
    let redis = store(&server.url()).await;
    let facts = contract::impersonation("imp_a", "pu_a", later(60_000), 7);
    let key = "drawbridge:live:imp_a";
    redis.put(facts.clone()).await.unwrap();
    let good: String = server.command(&["GET", key]);
    // The same facts by somebody with another master key, and a true value of another session.
    let stranger = started(RedisOptions { mac_key: [8; 32], ..options(&server.url()) }).await;
    stranger.put(contract::impersonation("imp_b", "pu_a", later(60_000), 7)).await.unwrap();
    let foreign: String = server.command(&["GET", "drawbridge:live:imp_b"]);
    redis.put(contract::impersonation("imp_c", "pu_a", later(60_000), 7)).await.unwrap();
    let moved: String = server.command(&["GET", "drawbridge:live:imp_c"]);
    let (stamp, rest) = good.split_once('.').unwrap();
    let (mac, body) = rest.split_once('.').unwrap();
    for (what, value) in [
        ("garbage", "\u{0}\u{1}garbage".to_owned()),
        ("facts alone", body.to_owned()),
        ("no proof", format!("{stamp}..{body}")),
        ("newer stamp", format!("00000000000000000009.{mac}.{body}")),
        ("largest stamp", format!("99999999999999999999.{mac}.{body}")),
        ("another role", good.replace("\"admin\"", "\"owner\"")),
        ("another proof", format!("{stamp}.{}.{body}", "A".repeat(43))),
        ("truncated", good.chars().take(good.len() - 9).collect()),
        ("a tombstone", format!("99999999999999999999.{mac}.")),
        ("another master key", foreign),
        ("another session", moved),
        ("endless", "0".repeat(400_000)),
    ] {
        assert_ne!(value, good, "{what}");
        server.command::<()>(&["SET", key, &value]);
        let before = redis.health().counts.rejected;
        let found = bounded(redis.get(&facts.session.key, later(0))).await;
        assert_eq!(found.unwrap(), None, "{what}");
        assert_eq!(redis.health().counts.rejected, before + 1, "{what}");
        redis.put(facts.clone()).await.unwrap();
        let found = bounded(redis.get(&facts.session.key, later(0))).await;
        assert_eq!(found.unwrap(), Some(facts.clone()), "{what}: what was forged keeps nothing out");
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_a_miss_and_makes_room() {
    let server = Server::start(&[]).await;
    let redis = store(&server.url()).await;
    let facts = contract::impersonation("imp_a", "pu_a", later(60_000), 7);
    let owner = PlatformUserId::parse("pu_a").unwrap();
    for words in [
        ["LPUSH", "KEY", "a", "b"].as_slice(),
        &["HSET", "KEY", "a", "b"],
        &["SADD", "KEY", "a"],
        &["ZADD", "KEY", "1", "a"],
        &["XADD", "KEY", "*", "a", "b"],
    ] {
        for key in ["drawbridge:live:imp_a", "drawbridge:impersonations:pu_a"] {
            server.command::<i64>(&["DEL", key]);
            let words: Vec<_> = words.iter().map(|word| if *word == "KEY" { key } else { word }).collect();
            server.command::<redis::Value>(&words);
        }
        assert_eq!(bounded(redis.get(&facts.session.key, later(0))).await.unwrap(), None, "{words:?}");
        assert_eq!(bounded(redis.impersonations(&owner)).await.unwrap(), [], "{words:?}");
        redis.put(facts.clone()).await.unwrap();
        assert_eq!(redis.get(&facts.session.key, later(0)).await.unwrap(), Some(facts.clone()));
        assert_eq!(redis.impersonations(&owner).await.unwrap().len(), 1, "{words:?}");
        // A tombstone makes room too.
        server.command::<i64>(&["DEL", "drawbridge:live:imp_a"]);
        server.command::<i64>(&["LPUSH", "drawbridge:live:imp_a", "a"]);
        redis.forget(&facts.session.key, 7).await.unwrap();
        assert_eq!(redis.get(&facts.session.key, later(0)).await.unwrap(), None);
    }
    assert!(redis.health().connected, "no reason to give the connection up");
}

#[tokio::test]
async fn an_old_copy_can_not_pass_for_a_new_one() {
    let server = Server::start(&[]).await;
    let redis = store(&server.url()).await;
    let old = contract::impersonation("imp_a", "pu_a", later(60_000), 7);
    let key = "drawbridge:live:imp_a";
    redis.put(old.clone()).await.unwrap();
    let copy: Vec<u8> = server.command(&["DUMP", key]);
    redis.forget(&old.session.key, 8).await.unwrap();
    assert_eq!(redis.get(&old.session.key, later(0)).await.unwrap(), None);
    let mut restore = redis::cmd("RESTORE");
    restore.arg(key).arg(0).arg(copy).arg("REPLACE");
    restore.query::<()>(&mut server.connect()).unwrap();
    // It is what a gateway wrote for this key, so it comes back; its stamp says how old it is, which can't be
    // changed, and who knows of change 8 doesn't take it (see `access::view`).
    let found = redis.get(&old.session.key, later(0)).await.unwrap();
    assert_eq!(found.map(|found| found.as_of), Some(7));
    let new = contract::impersonation("imp_a", "pu_a", later(60_000), 8);
    redis.put(new.clone()).await.unwrap();
    assert_eq!(redis.get(&old.session.key, later(0)).await.unwrap(), Some(new));
}

#[tokio::test]
async fn a_list_that_was_tampered_with_lists_only_what_is_live() {
    let server = Server::start(&[]).await;
    let redis = store(&server.url()).await;
    let owner = PlatformUserId::parse("pu_a").unwrap();
    redis.put(contract::impersonation("imp_a", "pu_a", later(60_000), 7)).await.unwrap();
    redis.put(contract::impersonation("imp_b", "pu_b", later(60_000), 7)).await.unwrap();
    for id in ["imp_b", "imp_nowhere", "garbage", ""] {
        server.command::<i64>(&["ZADD", "drawbridge:impersonations:pu_a", "9e15", id]);
    }
    let ids: Vec<_> = redis.impersonations(&owner).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["imp_a"]);
}
