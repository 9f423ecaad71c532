//! Secrets that the records keep: made once, sealed, the same in every gateway that shares them.

use super::keys::KeyError;
use super::seal::{SealError, Sealer};
use crate::store::Db;

/// The secret of 32 random bytes with this name; made and kept the first time that it is asked for.
///
/// # Errors
/// [`KeyError`].
pub async fn kept_secret(db: &Db, sealer: &Sealer, name: &str) -> Result<[u8; 32], KeyError> {
    if let Some(secret) = load(db, sealer, name).await? {
        return Ok(secret);
    }
    let mut made = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut made).map_err(|_| SealError::Entropy)?;
    let sealed = sealer.seal(name, &made)?;
    let mut tx = db.write().await?;
    // Of gateways that start at once, one makes it and all of them have that one.
    tx.execute(
        "INSERT INTO setting (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &[name.into(), sealed.into()],
    )
    .await?;
    tx.commit().await?;
    load(db, sealer, name).await?.ok_or_else(|| KeyError::Invalid { kid: name.to_owned() })
}

/// The secret `name`, if there is one; makes none.
///
/// # Errors
/// As [`kept_secret`].
pub async fn known_secret(db: &Db, sealer: &Sealer, name: &str) -> Result<Option<[u8; 32]>, KeyError> {
    load(db, sealer, name).await
}

async fn load(db: &Db, sealer: &Sealer, name: &str) -> Result<Option<[u8; 32]>, KeyError> {
    let mut tx = db.read().await?;
    let Some(row) = tx.row("SELECT value FROM setting WHERE key = $1", &[name.into()]).await? else {
        return Ok(None);
    };
    let opened = sealer.open(name, row.text(0)?)?;
    let secret = opened.try_into().map_err(|_| KeyError::Invalid { kid: name.to_owned() })?;
    Ok(Some(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DbOptions;

    #[tokio::test]
    async fn the_same_is_given_again_and_only_to_whoever_has_the_master_key() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(DbOptions::new(folder.path())).await.unwrap();
        let sealer = Sealer::open_or_create(&folder.path().join("a")).unwrap();
        let first = kept_secret(&db, &sealer, "one").await.unwrap();
        assert_eq!(kept_secret(&db, &sealer, "one").await.unwrap(), first);
        assert_ne!(kept_secret(&db, &sealer, "two").await.unwrap(), first);
        let other = Sealer::open_or_create(&folder.path().join("b")).unwrap();
        assert!(kept_secret(&db, &other, "one").await.is_err());
    }
}
