//! The authorization server: OAuth 2.0 with the code grant and PKCE for clients of the configuration (RFC 6749,
//! RFC 7636, RFC 9700), RFC 9068 access tokens, revocation (RFC 7009) and introspection (RFC 7662).
//!
//! An authorization request is kept nowhere: it goes through the browser, sealed ([`BrowserSeal`]). What is kept is the
//! code, as a hash, from the sign-in until it is redeemed ([`code`]). Which client asks, and where its answers may go,
//! is [`client`]; what it asks for, [`request`].

mod client;
mod code;
mod error;
mod introspect;
mod request;
mod revoke;

pub use client::{ClientAuthentication, OAuthClient, PresentedClient};
pub use code::{CodeGrant, TokenAnswer};
pub use error::OAuthError;
pub use introspect::Introspection;
pub use request::{AuthorizationRequest, AuthorizeError, Parameters, SCOPE};

use super::sealed::BrowserSeal;
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
    browser: BrowserSeal,
}

impl OAuth {
    /// `sealer` holds the master key.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn new(settings: OAuthSettings, sealer: &Sealer) -> Result<Self, SealError> {
        Ok(Self { settings, browser: BrowserSeal::new(sealer, "oauth")? })
    }

    /// The client of this id.
    #[must_use]
    pub fn client(&self, id: &str) -> Option<&OAuthClient> {
        self.settings.clients.iter().find(|client| client.id == id)
    }
}
