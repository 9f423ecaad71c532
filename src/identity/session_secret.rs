//! The value of a console cookie: random, kept as a hash, of no use as a bearer token.

use crate::domain::Secret;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

/// `dbs_` and 256 random bits in base64url.
#[derive(Debug, Clone)]
pub struct SessionSecret(Secret);

/// What every one begins with.
const PREFIX: &str = "dbs_";
/// 32 bytes in base64url without padding.
const TAIL: usize = 43;

impl SessionSecret {
    /// A new one; `None` when the system gives no random bytes.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let mut bytes = [0_u8; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Some(Self(Secret::new(format!("{PREFIX}{}", BASE64URL.encode(bytes)))))
    }

    /// Reads a presented one; `None` when it can't be ours.
    #[must_use]
    pub fn parse(presented: &str) -> Option<Self> {
        let tail = presented.strip_prefix(PREFIX)?;
        let ok =
            tail.len() == TAIL && tail.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        ok.then(|| Self(Secret::new(presented)))
    }

    /// What is stored: SHA-256 in hexadecimal. (256 random bits need no slow hash: ASVS 6.5.2.)
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(digest(&SHA256, self.0.expose().as_bytes()))
    }

    /// The value, for `Set-Cookie`.
    #[must_use]
    pub fn into_secret(self) -> Secret {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::SessionSecret;

    #[test]
    fn s_17_round_trip_and_refusals() {
        let one = SessionSecret::generate().unwrap();
        let hash = one.hash();
        let value = one.into_secret();
        assert_eq!(SessionSecret::parse(value.expose()).unwrap().hash(), hash);
        assert_ne!(SessionSecret::generate().unwrap().hash(), hash);
        for bad in
            ["dbs_short", "dbt_", &value.expose().replace("dbs_", "dbt_"), &format!("{} ", value.expose())]
        {
            assert!(SessionSecret::parse(bad).is_none(), "{bad}");
        }
    }
}
