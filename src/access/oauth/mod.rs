//! The authorization server: OAuth 2.0 with the code grant and PKCE for clients of the configuration (RFC 6749,
//! RFC 7636, RFC 9700), RFC 9068 access tokens, revocation (RFC 7009) and introspection (RFC 7662).
//!
//! An authorization request is kept nowhere: it goes through the browser, sealed ([`sealed`]). What is kept is the
//! code, as a hash, from the sign-in until it is redeemed ([`code`]). Which client asks, and where its answers may go,
//! is [`client`]; what it asks for, [`request`].

mod client;
mod code;
mod error;
mod introspect;
mod request;
mod revoke;
mod sealed;

pub use client::{ClientAuthentication, OAuthClient, PresentedClient};
pub use code::{CodeGrant, TokenAnswer};
pub use error::OAuthError;
pub use introspect::Introspection;
pub use request::{AuthorizationRequest, AuthorizeError, Parameters, SCOPE};

use crate::domain::Millis;
use crate::identity::{SealError, Sealer};

/// What is configured.
#[derive(Debug, Clone, Default)]
pub struct OAuthSettings {
    /// How long an access token lives, milliseconds; never beyond the session.
    pub access_token_ttl: Millis,
    /// Clients.
    pub clients: Vec<OAuthClient>,
}

/// What the acts here share.
pub struct OAuth {
    pub(super) settings: OAuthSettings,
    /// A key of its own: strangers make it seal as often as they like, which must not wear out the master key.
    sealer: Sealer,
}

impl OAuth {
    /// `sealer` holds the master key.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn new(settings: OAuthSettings, sealer: &Sealer) -> Result<Self, SealError> {
        Ok(Self { settings, sealer: sealer.for_purpose("oauth")? })
    }

    /// The client of this id.
    #[must_use]
    pub fn client(&self, id: &str) -> Option<&OAuthClient> {
        self.settings.clients.iter().find(|client| client.id == id)
    }
}
