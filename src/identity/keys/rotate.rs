//! The next keys: made, published, and only then signing, so that nobody meets a token whose key they couldn't
//! have fetched.

use super::key::{Made, generate};
use super::{Algorithm, KeyError, Millis, Sealer};
use crate::identity::seal::SealError;
use crate::store::{StoreError, Tx};

/// How long a new key is published before it signs, in milliseconds: the JWK set may be cached for 300 s, and
/// gateways read the keys every 5 s.
pub const PUBLISHED_BEFORE: Millis = 310_000;
/// How long after its last signature a key is served at least: no sign-in lasts longer than 12 h. And a minute, for
/// clocks that differ.
const SERVED_AFTER: Millis = 12 * 3_600_000 + 60_000;

/// How keys are rotated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// The new keys sign at once. Who caches the JWK set meets unknown keys until they fetch it again.
    pub now: bool,
    /// The old keys are served no more, because somebody else has them: every token that they signed is void.
    /// Implies `now`.
    pub forget_old: bool,
}

/// New keys, one of each algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Their ids, with the algorithm.
    pub keys: Vec<(Algorithm, String)>,
    /// From when on they sign.
    pub signs_from: Millis,
    /// Until when those before them are served.
    pub old_until: Millis,
}

/// A key that was made on a thread of its own.
pub(super) async fn made(algorithm: Algorithm) -> Result<Made, KeyError> {
    let made = tokio::task::spawn_blocking(move || generate(algorithm)).await;
    made.map_err(|_| KeyError::Seal(SealError::Entropy))?
}

/// Makes the next keys in `tx`. Two rotations at once come one after the other.
///
/// # Errors
/// [`KeyError`].
pub async fn rotate(tx: &mut Tx, sealer: &Sealer, how: Rotation) -> Result<Rotated, KeyError> {
    tx.row("SELECT n FROM change_head WHERE id = 1 {for_update}", &[]).await?;
    let now = tx.now().await?;
    let at_once = how.now || how.forget_old;
    let signs_from = if at_once { now } else { now + PUBLISHED_BEFORE };
    let old_until = if how.forget_old { now } else { longest(tx).await?.max(signs_from + SERVED_AFTER) };
    tx.execute(
        "UPDATE signing_key SET retired_at = $1 WHERE retired_at IS NULL OR retired_at > $1",
        &[old_until.into()],
    )
    .await?;
    let mut keys = Vec::new();
    for algorithm in Algorithm::ALL {
        let made = made(algorithm).await?;
        let sealed = sealer.seal(&made.kid, &made.pkcs8)?;
        tx.execute(
            "INSERT INTO signing_key (kid, algorithm, secret, public_key, created_at, signs_from, retired_at)
             VALUES ($1, $2, $3, $4, {now}, $5, NULL)",
            &[
                made.kid.as_str().into(),
                algorithm.as_str().into(),
                sealed.into(),
                made.public.into(),
                signs_from.into(),
            ],
        )
        .await?;
        keys.push((algorithm, made.kid));
    }
    Ok(Rotated { keys, signs_from, old_until })
}

/// When the last token that is out expires: an operator's may live for long.
async fn longest(tx: &mut Tx) -> Result<Millis, StoreError> {
    let row = tx.row("SELECT MAX(expires_at) FROM session WHERE ended_at IS NULL", &[]).await?;
    row.map_or(Ok(0), |row| Ok(row.opt_int(0)?.unwrap_or(0)))
}
