//! OpenID Connect providers: one that nobody here wrote, and one that says what a test tells it to.

mod forger;
mod id_token;
mod real;

pub(crate) use forger::Forger;
pub(crate) use id_token::{By, IdToken, Signer};
pub(crate) use real::RealProvider;

/// What the gateway is known as.
pub(crate) const CLIENT: &str = "drawbridge";

/// Its secret. Both sides have to encode it (RFC 6749 §2.3.1).
pub(crate) const SECRET: &str = "a secret/with+all:of%it";
