//! Identifiers. Each kind has a prefix of its own, so that an identifier alone says what it names
//! and one kind can't be taken for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An identifier that isn't one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an identifier of the form `{prefix}…`")]
pub struct InvalidId {
    given: String,
    prefix: &'static str,
}

/// Anything that cached facts can be about: a session, a person, an org, a token. The text of the
/// identifier, whose prefix tells the kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(Arc<str>);

impl Subject {
    /// The identifier's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A subject read back from our own store.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// At most this many characters after the prefix.
const MAX_TAIL: usize = 64;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// What every identifier of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new one: time-ordered and unguessable (UUIDv7, RFC 9562 §5.7).
            #[must_use]
            #[expect(clippy::disallowed_methods, reason = "identifiers are the one thing drawn from ambient chance")]
            pub fn random() -> Self {
                const LENGTH: usize = $prefix.len() + 32;
                let mut text = [0_u8; LENGTH];
                let (prefix, tail) = text.split_at_mut($prefix.len());
                prefix.copy_from_slice($prefix.as_bytes());
                uuid::Uuid::now_v7().simple().encode_lower(tail);
                Self(String::from_utf8_lossy(&text).into())
            }

            /// Reads one: the prefix, then 1 to 64 of `a-z 0-9 - _`.
            ///
            /// # Errors
            /// [`InvalidId`] for anything else.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let ok = text.strip_prefix($prefix).is_some_and(|tail| {
                    !tail.is_empty() && tail.len() <= MAX_TAIL
                        && tail.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
                });
                if ok { Ok(Self(text.into())) } else { Err(InvalidId { given: text.chars().take(80).collect(), prefix: $prefix }) }
            }

            /// The identifier's text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }

            /// This identifier as the subject of cached facts.
            #[must_use]
            pub fn subject(&self) -> Subject { Subject(self.0.clone()) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> { Self::parse(&text) }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String { id.0.as_ref().to_owned() }
        }
    )*};
}

id! {
    /// A customer tenant.
    OrgId = "org_";
    /// A member of the vendor's staff.
    PlatformUserId = "pu_";
    /// A person of a customer.
    OrgUserId = "usr_";
    /// A service identity of a customer.
    BotId = "bot_";
    /// A signed-in session of a platform user or an org user (`sid` of its access tokens).
    SessionId = "ses_";
    /// An API token of a bot or a person.
    TokenId = "tok_";
    /// One scoped impersonation; also `jti` and `sub` of its token.
    ImpersonationId = "imp_";
    /// One request through the gateway.
    RequestId = "req_";
    /// One gateway process, from its start to its end.
    BootId = "boot_";
}
