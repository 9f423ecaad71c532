//! Clients, how they prove who they are, and where their answers may go.

use super::{OAuth, OAuthError};
use crate::config::loopback;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A client of the configuration.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    /// `client_id`.
    pub id: String,
    /// Where the answers of authorization requests may go.
    pub redirect_uris: Vec<String>,
    /// How it proves who it is at our endpoints.
    pub authentication: ClientAuthentication,
}

/// `token_endpoint_auth_method` (RFC 7591 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `none`: a public client, which has no secret. PKCE binds its codes.
    Public,
    /// `client_secret_basic`: SHA-256 of the secret (which has enough chance in it to need no slow hash; that is
    /// checked where it is read).
    SecretBasic([u8; 32]),
}

impl ClientAuthentication {
    /// That of a client with this secret.
    #[must_use]
    pub fn secret(secret: &str) -> Self {
        Self::SecretBasic(sha256(secret))
    }
}

/// How a client presents itself: `Authorization`, and `client_id` and `client_secret` of the form.
#[derive(Debug, Clone, Copy, Default)]
pub struct PresentedClient<'a> {
    /// The header, if there is one.
    pub authorization: Option<&'a str>,
    /// `client_id`.
    pub id: Option<&'a str>,
    /// Whether there is a `client_secret`: not taken there (RFC 6749 §2.3.1 advises against it).
    pub has_secret: bool,
}

fn sha256(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

impl OAuthClient {
    /// Whether it has no secret to prove itself by.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.authentication == ClientAuthentication::Public
    }

    /// Whether answers may go to `uri`.
    #[must_use]
    pub fn redirects_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| matches(registered, uri))
    }
}

impl OAuth {
    /// Which client presents itself, proved as the configuration asks for (RFC 6749 §2.3, §3.2.1).
    ///
    /// # Errors
    /// [`OAuthError::Client`].
    pub fn authenticate(&self, presented: PresentedClient<'_>) -> Result<&OAuthClient, OAuthError> {
        if presented.has_secret {
            return Err(OAuthError::client("a secret is taken by HTTP Basic only, not in the body"));
        }
        let Some(header) = presented.authorization else {
            let client = presented.id.and_then(|id| self.client(id));
            let client = client.ok_or(OAuthError::client("`client_id` names no client of this server"))?;
            return match client.authentication {
                ClientAuthentication::Public => Ok(client),
                ClientAuthentication::SecretBasic(_) => {
                    Err(OAuthError::client("this client proves itself by HTTP Basic"))
                }
            };
        };
        let wrong = || OAuthError::client("the client's id or secret is wrong");
        let (id, secret) = basic(header).ok_or_else(wrong)?;
        let known = self.client(&id);
        let expected = match known.map(|client| &client.authentication) {
            Some(ClientAuthentication::SecretBasic(hash)) => *hash,
            // The comparison takes place all the same.
            Some(ClientAuthentication::Public) | None => [0; 32],
        };
        let same = verify_slices_are_equal(&sha256(&secret), &expected).is_ok();
        let client = known.filter(|_| same).ok_or_else(wrong)?;
        // RFC 6749 §3.2.1 has it there for clients without a secret; where it stands too it says the same.
        if presented.id.is_some_and(|id| id != client.id) {
            return Err(OAuthError::invalid("invalid_request", "`client_id` is not that of `Authorization`"));
        }
        Ok(client)
    }
}

/// Id and secret of `Authorization: Basic`, each form-encoded within (RFC 6749 §2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Byte for byte; of the addresses of this machine the port may be another (RFC 8252 §7.3, RFC 9700 §4.1.3).
fn matches(registered: &str, presented: &str) -> bool {
    registered == presented
        || matches!((loopback(registered), loopback(presented)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
