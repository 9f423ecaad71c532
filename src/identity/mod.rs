//! Proofs of identity: signing keys, tokens, API tokens, passwords and second factors, the assertion for the upstream.
//!
//! Nothing here knows what is allowed, or whether a session is still live: that is `access`.
//! Start with [`token`]; keys are in [`keys`], sealed at rest by [`seal`].

mod assertion;
mod backup_code;
mod base32;
mod jws;
mod kept;
mod keys;
pub mod oidc;
mod opaque;
mod password;
mod pkce;
mod seal;
mod token;
mod totp;

pub use assertion::{AssertionError, AssertionFor, AssertionSlot, Assertions};
pub use backup_code::{BACKUP_CODES, BackupCode};
pub use jws::{JwksError, JwsError, Verified, VerifyingKeys};
pub use kept::{kept_secret, known_secret};
pub use keys::{Algorithm, KeyError, Keys, PUBLISHED_BEFORE, Reread, Rotated, Rotation, rotate};
pub use opaque::{ApiToken, AuthorizationCode, OpaqueToken, SessionSecret, random_text};
pub use password::{
    HashError, Hasher, PasswordFault, PasswordRules, Place, Verdict, Whose, initial_password,
};
pub use pkce::{challenge as pkce_challenge, is_challenge, is_verifier, proves as pkce_proves};
pub use seal::{SealError, Sealer};
pub use token::{AccessGrant, AccessSubject, ImpersonationGrant, ProvedToken, TokenError, Tokens};
pub use totp::{STEP_SECONDS, TotpSecret, qr_svg, step_at};
