//! API tokens of bots and people: random, shown once, kept as a hash.

use crate::domain::Secret;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

/// A raw API token: `dbt_` and 256 random bits in base64url.
#[derive(Debug, Clone)]
pub struct ApiToken(Secret);

/// What every API token begins with.
const PREFIX: &str = "dbt_";
/// 32 bytes in base64url without padding.
const TAIL: usize = 43;

impl ApiToken {
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

    /// The token itself, to show it once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::ApiToken;

    #[test]
    fn round_trip_and_refusals() {
        let token = ApiToken::generate().unwrap();
        assert_eq!(ApiToken::parse(token.expose()).unwrap().hash(), token.hash());
        assert!(ApiToken::parse("dbt_short").is_none());
        assert!(ApiToken::parse(&token.expose().replace("dbt_", "xyz_")).is_none());
        assert!(ApiToken::parse(&token.expose().replacen("dbt_", "dbt_=", 1)).is_none());
    }
}
