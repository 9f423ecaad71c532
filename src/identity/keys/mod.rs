//! Signing keys, sealed in SQL, published as a JWK set (RFC 7517): one of each algorithm signs, those before it
//! verify as long as their tokens may live, and the next one is published before it signs.
//!
//! [`Keys`] is one process' view of them, read anew every few seconds. [`rotate`] makes the next ones.

mod key;
mod rotate;
#[cfg(test)]
mod tests;

pub use key::Algorithm;
pub(super) use key::SigningKey;
pub use rotate::{PUBLISHED_BEFORE, Rotated, Rotation, rotate};

use super::jws::VerifyingKeys;
use super::seal::{SealError, Sealer};
use crate::domain::{Clock, Millis};
use crate::store::{Db, Row, StoreError, Value};
use arc_swap::ArcSwap;
#[cfg(test)]
use key::generate;
use key::jwk;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// How often, at most, keys are read again for the sake of a token whose key isn't known: once a second.
const ASKED_AT_MOST: Millis = 1_000;

/// Why keys can't be loaded or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The records can't be read or written.
    #[error("the signing keys can't be read")]
    Store(#[from] StoreError),
    /// The sealed half doesn't open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A key record that isn't one.
    #[error("the signing key `{kid}` can't be used")]
    Invalid {
        /// Which.
        kid: String,
    },
}

/// All keys in use.
pub struct Keys {
    /// Read on every request, replaced as a whole.
    set: ArcSwap<KeySet>,
    /// Where they come from; `None`: keys that live only in this process, for tests.
    source: Option<Source>,
    clock: Arc<dyn Clock>,
    /// When a token of an unknown key last made us look.
    asked_at: AtomicI64,
}

struct Source {
    db: Db,
    sealer: Arc<Sealer>,
}

/// One state of the keys.
struct KeySet {
    /// Those that sign or will, the newest first.
    signing: Vec<Signing>,
    /// All that are served.
    verifying: Arc<VerifyingKeys>,
    kids: Vec<String>,
    jwks: serde_json::Value,
}

struct Signing {
    key: Arc<SigningKey>,
    /// From when on it signs.
    from: Millis,
    /// From when on it isn't served: it must sign nothing that lives longer.
    until: Millis,
}

/// What a look at the records showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reread {
    /// A key isn't served any more: what it proved has to be proved anew.
    pub lost: bool,
}

impl Keys {
    /// Reads the keys; makes and keeps the first one of an algorithm that has none.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn load_or_create(
        db: &Db,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        let mut set = load(db, &sealer, None).await?;
        let missing = Algorithm::ALL.into_iter().filter(|a| set.newest(*a).is_none());
        for algorithm in missing.collect::<Vec<_>>() {
            create(db, &sealer, algorithm).await?;
            set = load(db, &sealer, Some(&set)).await?;
        }
        if let Some(algorithm) = Algorithm::ALL.into_iter().find(|a| set.newest(*a).is_none()) {
            return Err(KeyError::Invalid { kid: format!("of {}", algorithm.as_str()) });
        }
        let source = Some(Source { db: db.clone(), sealer });
        Ok(Self { set: ArcSwap::from_pointee(set), source, clock, asked_at: AtomicI64::new(Millis::MIN) })
    }

    /// Reads them again.
    ///
    /// # Errors
    /// [`KeyError`]; what was read before stays in force.
    pub async fn reread(&self) -> Result<Reread, KeyError> {
        let Some(source) = &self.source else { return Ok(Reread { lost: false }) };
        let before = self.set.load_full();
        let set = load(&source.db, &source.sealer, Some(&before)).await?;
        let lost = before.kids.iter().any(|kid| !set.kids.contains(kid));
        self.set.store(Arc::new(set));
        Ok(Reread { lost })
    }

    /// Whether to read them again because a token names a key that isn't known: at most once a second, however
    /// many strangers make up key ids.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        let (now, last) = (self.clock.now(), self.asked_at.load(Ordering::Relaxed));
        // A clock that was put back counts as a second gone by.
        let due = last > now || now.saturating_sub(last) >= ASKED_AT_MOST;
        due && self.asked_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The public halves as a JWK set (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.set.load().jwks.clone()
    }

    /// Now, by the clock that keys begin to sign by.
    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// The keys that verify.
    pub(super) fn verifying(&self) -> Arc<VerifyingKeys> {
        self.set.load().verifying.clone()
    }

    /// The key that signs what lives until `expires_at`: the newest that has begun to; one that hasn't, if what is
    /// signed would outlive the others.
    pub(super) fn signing(&self, algorithm: Algorithm, expires_at: Millis) -> Option<Arc<SigningKey>> {
        let (set, now) = (self.set.load(), self.clock.now());
        let of = || set.signing.iter().filter(|s| s.key.algorithm() == algorithm);
        let begun = of().find(|s| s.from <= now && s.until >= expires_at);
        begun.or_else(|| of().next()).map(|s| s.key.clone())
    }

    /// Keys that live only in this process, for tests.
    #[cfg(test)]
    pub(crate) fn ephemeral() -> Self {
        let made = Algorithm::ALL.map(|algorithm| (algorithm, generate(algorithm).unwrap()));
        let signing = |(algorithm, made): &(Algorithm, key::Made)| Signing {
            key: Arc::new(SigningKey::read(*algorithm, &made.kid, &made.pkcs8).unwrap()),
            from: Millis::MIN,
            until: Millis::MAX,
        };
        let jwks: Vec<_> = made.iter().map(|(algorithm, m)| jwk(*algorithm, &m.kid, &m.public)).collect();
        let set = KeySet::new(made.iter().map(signing).collect(), jwks).unwrap();
        let clock = Arc::new(crate::domain::SystemClock);
        Self { set: ArcSwap::from_pointee(set), source: None, clock, asked_at: AtomicI64::new(0) }
    }
}

impl KeySet {
    fn new(signing: Vec<Signing>, jwks: Vec<serde_json::Value>) -> Result<Self, KeyError> {
        let jwks = serde_json::json!({ "keys": jwks });
        let kids: Vec<String> = signing.iter().map(|s| s.key.kid.clone()).collect();
        let invalid = |_| KeyError::Invalid { kid: kids.join(", ") };
        let verifying = Arc::new(VerifyingKeys::from_jwks(&jwks).map_err(invalid)?);
        Ok(Self { signing, verifying, kids, jwks })
    }

    fn newest(&self, algorithm: Algorithm) -> Option<&Signing> {
        self.signing.iter().find(|s| s.key.algorithm() == algorithm)
    }
}

/// Reads the keys that are served. A private half that `before` has open isn't opened again.
async fn load(db: &Db, sealer: &Sealer, before: Option<&KeySet>) -> Result<KeySet, KeyError> {
    let mut tx = db.read().await?;
    let rows = tx
        .rows(
            "SELECT kid, algorithm, secret, public_key, signs_from, retired_at FROM signing_key
             WHERE retired_at IS NULL OR retired_at > {now} ORDER BY signs_from DESC, created_at DESC, kid",
            &[],
        )
        .await?;
    drop(tx);
    let (mut signing, mut jwks) = (Vec::new(), Vec::new());
    for row in &rows {
        let (one, public) = read(row, sealer, before)?;
        signing.push(one);
        jwks.push(public);
    }
    KeySet::new(signing, jwks)
}

fn read(
    row: &Row,
    sealer: &Sealer,
    before: Option<&KeySet>,
) -> Result<(Signing, serde_json::Value), KeyError> {
    let (kid, name, sealed, public) = (row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?);
    let algorithm = Algorithm::from_name(name).ok_or_else(|| KeyError::Invalid { kid: kid.to_owned() })?;
    let open = before.and_then(|set| set.signing.iter().find(|s| s.key.kid == kid));
    let key = match open {
        Some(open) => open.key.clone(),
        None => Arc::new(SigningKey::read(algorithm, kid, &sealer.open(kid, sealed)?)?),
    };
    let until = row.opt_int(5)?.unwrap_or(Millis::MAX);
    Ok((Signing { key, from: row.int(4)?, until }, jwk(algorithm, kid, public)))
}

/// Makes the first key of an algorithm.
async fn create(db: &Db, sealer: &Sealer, algorithm: Algorithm) -> Result<(), KeyError> {
    let made = rotate::made(algorithm).await?;
    let sealed = sealer.seal(&made.kid, &made.pkcs8)?;
    let mut tx = db.write().await?;
    // Gateways that start at once on empty records make one key: a lock, and then, in a statement that sees
    // what the one before has committed, the look.
    tx.row("SELECT n FROM change_head WHERE id = 1 {for_update}", &[]).await?;
    tx.execute(
        "INSERT INTO signing_key (kid, algorithm, secret, public_key, created_at, signs_from, retired_at)
         SELECT $1, $2, $3, $4, {now}, {now}, NULL WHERE NOT EXISTS (
             SELECT 1 FROM signing_key WHERE algorithm = $2 AND (retired_at IS NULL OR retired_at > {now}))",
        &[made.kid.into(), algorithm.as_str().into(), Value::from(sealed), made.public.into()],
    )
    .await?;
    tx.commit().await?;
    Ok(())
}
