//! Proofs of identity: signing keys, tokens, API tokens, the assertion for the upstream.
//!
//! Nothing here knows what is allowed, or whether a session is still live: that is `access`.
//! Start with [`token`]; keys are in [`keys`], sealed at rest by [`seal`].

mod api_token;
mod assertion;
mod kept;
mod keys;
mod seal;
mod token;

pub use api_token::ApiToken;
pub use assertion::{AssertionError, AssertionFor, AssertionSlot, Assertions};
pub use kept::{kept_secret, known_secret};
pub use keys::{KeyError, Keys};
pub use seal::{SealError, Sealer};
pub use token::{AccessGrant, AccessSubject, ImpersonationGrant, ProvedToken, TokenError, Tokens};
