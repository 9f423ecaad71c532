//! Signing keys: Ed25519 (RFC 8037), sealed in SQL, published as a JWK set (RFC 7517).

use super::seal::{SealError, Sealer};
use crate::domain::Clock;
use crate::store::{Db, StoreError, Value};
use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::{DecodingKey, EncodingKey};
use std::collections::HashMap;
use std::sync::Arc;

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

/// All keys in use: one signs, all of them verify.
pub struct Keys {
    set: ArcSwap<KeySet>,
}

/// One state of the keys.
pub(super) struct KeySet {
    /// Identifier of the signing key: its RFC 7638 thumbprint.
    pub(super) kid: String,
    /// Signs.
    pub(super) signing: EncodingKey,
    /// Verifies, by `kid`.
    pub(super) verifying: HashMap<String, DecodingKey>,
    jwks: serde_json::Value,
}

impl Keys {
    /// Reads the keys; makes and keeps the first one where there is none.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn load_or_create(db: &Db, sealer: &Sealer, clock: &dyn Clock) -> Result<Self, KeyError> {
        if let Some(set) = Self::load(db, sealer).await? {
            return Ok(Self { set: ArcSwap::from_pointee(set) });
        }
        let (kid, public, pkcs8) = generate()?;
        let sealed = sealer.seal(&kid, &pkcs8)?;
        let mut tx = db.write().await?;
        // Gateways that start at once on empty records make one key: a lock, and then, in a statement that sees
        // what the one before has committed, the look.
        tx.row("SELECT n FROM change_head WHERE id = 1 {for_update}", &[]).await?;
        tx.execute(
            "INSERT INTO signing_key (kid, algorithm, secret, public_key, created_at, retired_at)
             SELECT $1, 'EdDSA', $2, $3, $4, NULL WHERE NOT EXISTS (SELECT 1 FROM signing_key)",
            &[kid.into(), sealed.into(), public.into(), Value::Int(clock.now())],
        )
        .await?;
        tx.commit().await?;
        let set = Self::load(db, sealer).await?.ok_or(KeyError::Invalid { kid: String::new() })?;
        Ok(Self { set: ArcSwap::from_pointee(set) })
    }

    async fn load(db: &Db, sealer: &Sealer) -> Result<Option<KeySet>, KeyError> {
        let mut tx = db.read().await?;
        let rows = tx
            .rows(
                "SELECT kid, secret, public_key FROM signing_key WHERE retired_at IS NULL ORDER BY created_at DESC, kid",
                &[],
            )
            .await?;
        let mut signing = None;
        let mut verifying = HashMap::new();
        let mut published = Vec::new();
        for row in &rows {
            let (kid, sealed, public) = (row.text(0)?, row.text(1)?, row.text(2)?);
            let invalid = || KeyError::Invalid { kid: kid.to_owned() };
            if signing.is_none() {
                let pkcs8 = sealer.open(kid, sealed)?;
                Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| invalid())?;
                signing = Some((kid.to_owned(), EncodingKey::from_ed_der(&pkcs8)));
            }
            let key = DecodingKey::from_ed_components(public).map_err(|_| invalid())?;
            verifying.insert(kid.to_owned(), key);
            published.push(serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": public,
            }));
        }
        Ok(signing.map(|(kid, signing)| KeySet {
            kid,
            signing,
            verifying,
            jwks: serde_json::json!({ "keys": published }),
        }))
    }

    /// The public halves as a JWK set (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.set.load().jwks.clone()
    }

    pub(super) fn current(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.set.load()
    }

    /// Keys that live only in this process, for tests.
    #[cfg(test)]
    pub(crate) fn ephemeral() -> Self {
        let (kid, public, pkcs8) = generate().unwrap();
        let verifying = HashMap::from([(kid.clone(), DecodingKey::from_ed_components(&public).unwrap())]);
        let jwks = serde_json::json!({ "keys": [] });
        let signing = EncodingKey::from_ed_der(&pkcs8);
        Self { set: ArcSwap::from_pointee(KeySet { kid, signing, verifying, jwks }) }
    }
}

/// A new key: its thumbprint, public half (base64url) and private half (PKCS #8).
fn generate() -> Result<(String, String, Vec<u8>), KeyError> {
    let failed = || KeyError::Seal(SealError::Entropy);
    let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|_| failed())?;
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| failed())?;
    let public = BASE64URL.encode(pair.public_key().as_ref());
    // RFC 7638 §3.2: required members only, in lexicographic order; RFC 8037 §2 names them for OKP.
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
    let kid = BASE64URL.encode(digest(&SHA256, canonical.as_bytes()).as_ref());
    Ok((kid, public, pkcs8.as_ref().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemClock;
    use crate::store::db::testing::{Engine, Store, on_both_engines};

    on_both_engines!(gateways_that_start_at_once_share_one_key);

    async fn gateways_that_start_at_once_share_one_key(engine: Engine) {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::open_or_create(&folder.path().join("master.key")).unwrap();
        let store = Store::open(engine).await;
        let starts = (0..6).map(|_| Keys::load_or_create(&store.db, &sealer, &SystemClock));
        for keys in futures_util::future::join_all(starts).await {
            assert_eq!(keys.unwrap().jwks()["keys"].as_array().unwrap().len(), 1);
        }
    }
}
