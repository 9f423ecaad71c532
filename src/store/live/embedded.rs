//! The live store of a single gateway, in its own memory.

use super::{Live, LiveError, LiveHealth, Stamped};
use crate::domain::ids::{ImpersonationId, PlatformUserId, Subject};
use crate::domain::{Millis, Principal};
use crate::telemetry::LiveCounts;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Shards, so that workers rarely meet at one lock.
const SHARDS: usize = 16;
/// Sessions and tombstones kept in all, by default.
const CAPACITY: usize = 65_536;
/// How long a tombstone refuses older facts. Longer than any look-up in SQL can have been under way.
const TOMBSTONE: Duration = Duration::from_secs(60);

/// The live store of a single gateway, in its own memory: bounded, sharded, each shard under a short lock.
pub struct Embedded {
    shards: Vec<Mutex<HashMap<Subject, Slot>>>,
    hasher: RandomState,
    /// Live impersonations of each platform user. Locked after a shard, never before one.
    by_user: Mutex<HashMap<PlatformUserId, BTreeSet<(ImpersonationId, Millis)>>>,
    /// The latest `now` that a caller gave: what has expired by then may go.
    latest: AtomicI64,
    hint: watch::Sender<u64>,
    per_shard: usize,
    tombstone: Duration,
}

/// What is known of one session.
struct Slot {
    /// Facts stamped before this are refused…
    floor: u64,
    /// …until then.
    floor_until: Option<Instant>,
    facts: Option<Stamped>,
}

impl Default for Embedded {
    fn default() -> Self {
        Self::bounded(CAPACITY, TOMBSTONE)
    }
}

impl Embedded {
    /// Keeps at most about `capacity` sessions, tombstones for `tombstone`.
    #[must_use]
    pub fn bounded(capacity: usize, tombstone: Duration) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            by_user: Mutex::default(),
            latest: AtomicI64::new(Millis::MIN),
            hint: watch::Sender::new(0),
            per_shard: capacity.div_ceil(SHARDS).max(1),
            tombstone,
        }
    }

    /// How many sessions and tombstones are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| s.lock().len()).sum()
    }

    /// Whether nothing is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &Subject) -> Result<&Mutex<HashMap<Subject, Slot>>, LiveError> {
        let i = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards.get(i).ok_or_else(|| LiveError(format!("no shard {i}")))
    }

    fn enlist(&self, facts: &Stamped) {
        if let Principal::Impersonation(i) = &facts.session.principal
            && facts.session.ended.is_none()
        {
            let entry = (i.id.clone(), facts.session.expires_at);
            self.by_user.lock().entry(i.operator.id.clone()).or_default().insert(entry);
        }
    }

    fn strike(&self, facts: Option<&Stamped>) {
        let Some(facts) = facts else { return };
        if let Principal::Impersonation(i) = &facts.session.principal {
            let mut by_user = self.by_user.lock();
            if let Some(set) = by_user.get_mut(&i.operator.id) {
                set.remove(&(i.id.clone(), facts.session.expires_at));
                if set.is_empty() {
                    by_user.remove(&i.operator.id);
                }
            }
        }
    }

    /// Makes room for one: first what has expired, then an eighth of the rest, as it comes.
    fn make_room(&self, shard: &mut HashMap<Subject, Slot>) {
        if shard.len() < self.per_shard {
            return;
        }
        let (latest, now) = (self.latest.load(Ordering::Relaxed), Instant::now());
        shard.retain(|_, slot| {
            let expired = slot.facts.as_ref().is_none_or(|f| f.session.expires_at <= latest)
                && slot.floor_until.is_none_or(|until| until <= now);
            if expired {
                self.strike(slot.facts.as_ref());
            }
            !expired
        });
        let mut surplus = (shard.len() + 1).saturating_sub(self.per_shard);
        if surplus > 0 {
            surplus = surplus.max(self.per_shard / 8);
            shard.retain(|_, slot| {
                let evict = surplus > 0;
                surplus = surplus.saturating_sub(1);
                if evict {
                    self.strike(slot.facts.as_ref());
                }
                !evict
            });
        }
    }
}

#[async_trait::async_trait]
impl Live for Embedded {
    fn is_shared(&self) -> bool {
        false
    }

    async fn get(&self, key: &Subject, now: Millis) -> Result<Option<Stamped>, LiveError> {
        self.latest.fetch_max(now, Ordering::Relaxed);
        let shard = self.shard(key)?.lock();
        let facts = shard.get(key).and_then(|slot| slot.facts.clone());
        Ok(facts.filter(|f| f.session.expires_at > now))
    }

    async fn put(&self, facts: Stamped) -> Result<(), LiveError> {
        let key = facts.session.key.clone();
        let mut shard = self.shard(&key)?.lock();
        if !shard.contains_key(&key) {
            self.make_room(&mut shard);
        }
        let slot = shard.entry(key).or_insert(Slot { floor: 0, floor_until: None, facts: None });
        let forbidden =
            slot.floor_until.is_some_and(|until| Instant::now() < until) && facts.as_of < slot.floor;
        let older = slot.facts.as_ref().is_some_and(|held| facts.as_of < held.as_of);
        if !forbidden && !older {
            self.strike(slot.facts.as_ref());
            self.enlist(&facts);
            slot.facts = Some(facts);
        }
        Ok(())
    }

    async fn forget(&self, key: &Subject, as_of: u64) -> Result<(), LiveError> {
        let mut shard = self.shard(key)?.lock();
        if !shard.contains_key(key) {
            self.make_room(&mut shard);
        }
        let slot = shard.entry(key.clone()).or_insert(Slot { floor: 0, floor_until: None, facts: None });
        slot.floor = slot.floor.max(as_of);
        slot.floor_until = Some(Instant::now() + self.tombstone);
        // What was read after the change stays.
        if slot.facts.as_ref().is_some_and(|held| held.as_of < as_of) {
            self.strike(slot.facts.take().as_ref());
        }
        Ok(())
    }

    async fn impersonations(&self, user: &PlatformUserId) -> Result<Vec<ImpersonationId>, LiveError> {
        let latest = self.latest.load(Ordering::Relaxed);
        let by_user = self.by_user.lock();
        let live = by_user.get(user).into_iter().flatten().filter(|(_, expires_at)| *expires_at > latest);
        Ok(live.map(|(id, _)| id.clone()).collect())
    }

    async fn hint(&self, n: u64) -> Result<(), LiveError> {
        self.hint.send_if_modified(|held| {
            let newer = n > *held;
            *held = n.max(*held);
            newer
        });
        Ok(())
    }

    fn hints(&self) -> watch::Receiver<u64> {
        self.hint.subscribe()
    }

    fn reached(&self, _: u64) {}

    fn health(&self) -> LiveHealth {
        let counts = LiveCounts::default();
        LiveHealth { store: "memory", connected: true, hearing_hints: true, last_error: None, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::live::contract;

    #[tokio::test]
    async fn keeps_the_contract() {
        contract::run(&Embedded::default()).await;
    }

    #[tokio::test]
    async fn is_bounded() {
        let live = Embedded::bounded(160, TOMBSTONE);
        for n in 0..2_000 {
            live.put(contract::impersonation(&format!("imp_{n}"), "pu_a", 1_000, 1)).await.unwrap();
            live.forget(&Subject::from_stored(&format!("imp_gone{n}")), 1).await.unwrap();
        }
        assert!(live.len() <= 160, "{}", live.len());
        let listed = live.impersonations(&PlatformUserId::parse("pu_a").unwrap()).await.unwrap();
        assert!(listed.len() <= live.len(), "what was put out is not listed");
    }

    #[tokio::test]
    async fn a_tombstone_is_only_for_a_while() {
        let live = Embedded::bounded(160, Duration::ZERO);
        let facts = contract::impersonation("imp_a", "pu_a", 1_000, 4);
        live.forget(&facts.session.key, 5).await.unwrap();
        live.put(facts.clone()).await.unwrap();
        assert_eq!(live.get(&facts.session.key, 0).await.unwrap(), Some(facts));
    }
}
