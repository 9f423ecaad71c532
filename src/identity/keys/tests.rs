use super::*;
use crate::domain::SystemClock;
use crate::store::db::testing::{Engine, Store, on_both_engines};

on_both_engines!(
    gateways_that_start_at_once_share_one_key_of_each_algorithm,
    a_new_key_is_published_before_it_signs,
    a_key_that_somebody_else_has_is_forgotten,
);

struct Fixture {
    store: Store,
    sealer: Arc<Sealer>,
    _folder: tempfile::TempDir,
}

/// A clock that a test moves.
#[derive(Default)]
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Millis {
        SystemClock.now() + self.0.load(Ordering::Relaxed)
    }
}

impl Fixture {
    async fn on(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Arc::new(Sealer::open_or_create(&folder.path().join("master.key")).unwrap());
        Self { store: Store::open(engine).await, sealer, _folder: folder }
    }

    async fn keys(&self, clock: Arc<Moved>) -> Keys {
        Keys::load_or_create(&self.store.db, self.sealer.clone(), clock).await.unwrap()
    }

    async fn rotate(&self, how: Rotation) -> Rotated {
        let mut tx = self.store.db.write().await.unwrap();
        let rotated = rotate(&mut tx, &self.sealer, how).await.unwrap();
        tx.commit().await.unwrap();
        rotated
    }
}

fn kid(keys: &Keys, algorithm: Algorithm) -> String {
    keys.signing(algorithm, keys.now() + 1_000).unwrap().kid.clone()
}

async fn gateways_that_start_at_once_share_one_key_of_each_algorithm(engine: Engine) {
    let fixture = Fixture::on(engine).await;
    let starts = (0..6).map(|_| fixture.keys(Arc::default()));
    for keys in futures_util::future::join_all(starts).await {
        let jwks = keys.jwks();
        let algorithms: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|k| k["alg"].clone()).collect();
        assert_eq!(algorithms.len(), 2, "{jwks}");
        assert!(algorithms.contains(&"RS256".into()) && algorithms.contains(&"EdDSA".into()));
        // Public halves only (S-30).
        assert!(
            ["d", "p", "q", "k"].iter().all(|m| jwks["keys"]
                .as_array()
                .unwrap()
                .iter()
                .all(|k| k[m].is_null()))
        );
    }
}

async fn a_new_key_is_published_before_it_signs(engine: Engine) {
    let fixture = Fixture::on(engine).await;
    let clock = Arc::new(Moved::default());
    let keys = fixture.keys(clock.clone()).await;
    let before = kid(&keys, Algorithm::Rs256);
    let rotated = fixture.rotate(Rotation::default()).await;
    assert!(rotated.signs_from - SystemClock.now() >= 300_000, "{rotated:?}");
    assert!(!keys.reread().await.unwrap().lost);
    let all = keys.verifying();
    assert!(rotated.keys.iter().all(|(_, kid)| all.contains(kid)) && all.contains(&before));
    assert_eq!(kid(&keys, Algorithm::Rs256), before, "signs before it was published long enough");
    // What would outlive the old key is signed by the new one.
    let long = keys.signing(Algorithm::Rs256, rotated.old_until + 1).unwrap();
    assert!(rotated.keys.iter().any(|(_, kid)| *kid == long.kid));
    clock.0.store(PUBLISHED_BEFORE + 1_000, Ordering::Relaxed);
    for (algorithm, new) in &rotated.keys {
        assert_eq!(kid(&keys, *algorithm), *new, "the switch needs no look at the records");
    }
    assert!(all.contains(&before) && rotated.old_until - rotated.signs_from >= 12 * 3_600_000);
}

async fn a_key_that_somebody_else_has_is_forgotten(engine: Engine) {
    let fixture = Fixture::on(engine).await;
    let keys = fixture.keys(Arc::default()).await;
    let before = kid(&keys, Algorithm::EdDsa);
    fixture.rotate(Rotation { now: true, forget_old: true }).await;
    assert!(keys.reread().await.unwrap().lost);
    assert!(!keys.verifying().contains(&before));
    assert_ne!(kid(&keys, Algorithm::EdDsa), before);
    assert_eq!(keys.jwks()["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn unknown_keys_make_us_look_once_a_second() {
    struct Still(AtomicI64);
    impl Clock for Still {
        fn now(&self) -> Millis {
            self.0.load(Ordering::Relaxed)
        }
    }
    let clock = Arc::new(Still(AtomicI64::new(10_000)));
    let keys = Keys { clock: clock.clone(), ..Keys::ephemeral() };
    let asked = |at| {
        clock.0.store(at, Ordering::Relaxed);
        (0..100).filter(|_| keys.may_ask()).count()
    };
    assert_eq!([asked(10_000), asked(10_999), asked(11_000), asked(5_000), asked(5_999)], [1, 0, 1, 1, 0]);
}
