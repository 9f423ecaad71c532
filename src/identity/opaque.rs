//! Opaque tokens: random values that mean nothing by themselves and are looked up by their hash.
//!
//! What clients and browsers hold of this kind (API tokens, cookies, authorization codes) is alike but for its prefix,
//! which tells people and scanners for leaked secrets what they have found. A kind is a type of its own, so that none
//! is taken for another.

use crate::domain::Secret;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use std::marker::PhantomData;

/// The raw token of a bot or a person: `dbt_…`. Shown once.
pub type ApiToken = OpaqueToken<kind::ApiToken>;

/// The value of a console cookie: `dbs_…`. Of no use as a bearer token.
pub type SessionSecret = OpaqueToken<kind::SessionSecret>;

/// An authorization code (RFC 6749 §4.1.2): `dbc_…`. Redeemed once.
pub type AuthorizationCode = OpaqueToken<kind::AuthorizationCode>;

/// 32 bytes in base64url without padding.
const TAIL: usize = 43;

/// A prefix and 256 random bits in base64url. In the records stands its [hash](Self::hash) only.
#[derive(Debug, Clone)]
pub struct OpaqueToken<K> {
    value: Secret,
    kind: PhantomData<K>,
}

/// 256 random bits in base64url: 43 unreserved characters, fit for a nonce or a code verifier. `None` when the system
/// gives no random bytes.
#[must_use]
pub fn random_text() -> Option<String> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(BASE64URL.encode(bytes))
}

/// What tells one kind from another.
pub trait Kind {
    /// What every token of this kind begins with.
    const PREFIX: &'static str;
}

impl<K: Kind> OpaqueToken<K> {
    /// A new one; `None` when the system gives no random bytes.
    #[must_use]
    pub fn generate() -> Option<Self> {
        Some(Self::of(format!("{}{}", K::PREFIX, random_text()?)))
    }

    /// Reads a presented one; `None` when it can't be ours.
    #[must_use]
    pub fn parse(presented: &str) -> Option<Self> {
        let tail = presented.strip_prefix(K::PREFIX)?;
        let ok =
            tail.len() == TAIL && tail.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        ok.then(|| Self::of(presented))
    }

    fn of(value: impl Into<String>) -> Self {
        Self { value: Secret::new(value), kind: PhantomData }
    }

    /// What is stored: SHA-256 of the whole in hexadecimal. (256 random bits need no slow hash: ASVS 6.5.2.)
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(digest(&SHA256, self.value.expose().as_bytes()))
    }

    /// The value, to hand it out.
    #[must_use]
    pub fn into_secret(self) -> Secret {
        self.value
    }
}

/// The kinds; none of them has values.
mod kind {
    use super::Kind;

    /// See [`super::ApiToken`].
    #[derive(Debug, Clone)]
    pub enum ApiToken {}

    /// See [`super::SessionSecret`].
    #[derive(Debug, Clone)]
    pub enum SessionSecret {}

    /// See [`super::AuthorizationCode`].
    #[derive(Debug, Clone)]
    pub enum AuthorizationCode {}

    impl Kind for ApiToken {
        const PREFIX: &'static str = "dbt_";
    }

    impl Kind for SessionSecret {
        const PREFIX: &'static str = "dbs_";
    }

    impl Kind for AuthorizationCode {
        const PREFIX: &'static str = "dbc_";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip_and_refusals<K: Kind>(prefix: &str) {
        let one = OpaqueToken::<K>::generate().unwrap();
        let hash = one.hash();
        let value = one.into_secret();
        let tail = value.expose().strip_prefix(prefix).unwrap();
        assert_eq!(BASE64URL.decode(tail).unwrap().len(), 32);
        assert_eq!(OpaqueToken::<K>::parse(value.expose()).unwrap().hash(), hash);
        assert_ne!(OpaqueToken::<K>::generate().unwrap().hash(), hash);
        let other = if prefix == "dbt_" { "dbs_" } else { "dbt_" };
        for bad in [
            prefix,
            &format!("{prefix}short"),
            tail,
            &format!("{other}{tail}"),
            &format!("{prefix}={tail}"),
            &format!("{prefix}{}", "=".repeat(TAIL)),
            &format!("{} ", value.expose()),
        ] {
            assert!(OpaqueToken::<K>::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn s_17_each_kind_reads_its_own_only() {
        round_trip_and_refusals::<kind::ApiToken>("dbt_");
        round_trip_and_refusals::<kind::SessionSecret>("dbs_");
        round_trip_and_refusals::<kind::AuthorizationCode>("dbc_");
    }

    /// What earlier versions handed out and kept goes on working: computed by `printf dbt_AAA… | sha256sum`.
    #[test]
    fn the_hash_is_that_of_the_records() {
        let hash = |token: &str| ApiToken::parse(token).unwrap().hash();
        assert_eq!(
            hash(&format!("dbt_{}", "A".repeat(43))),
            "a94370b86511e1dd22272c7a130334b45ad419649f0471c71b7208d8df2c97e7"
        );
    }
}
