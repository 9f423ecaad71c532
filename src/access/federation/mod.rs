//! The customers' people sign in with their own OpenID Connect provider (requirements §6).
//!
//! What a sign-in is begun with is kept nowhere: it waits in a cookie of the browser that began it, sealed, so that the
//! answer counts in that browser only, for the provider that was asked, and for a while. [`begin`] sends somebody to
//! their provider, [`finish`] takes the answer, [`person`] finds or makes the person it proves, [`bind`] writes
//! down which orgs a provider speaks for; that the provider proves
//! anybody is [`crate::identity::oidc`]'s.

mod begin;
mod bind;
mod finish;
mod person;
mod sign_out;

pub use begin::Begun;
pub use finish::{FederationError, PersonSignedIn};

use super::sealed::BrowserSeal;
use crate::domain::Millis;
use crate::identity::oidc::Provider;
use crate::identity::{SealError, Sealer};
use serde::{Deserialize, Serialize};

/// How long somebody may take to sign in at the provider, milliseconds.
const SIGN_IN_TTL: Millis = 10 * 60_000;

const SIGN_IN: &str = "sign-in with a provider";

/// A provider, and what it may say about whom.
#[derive(Debug)]
pub struct FederatedProvider {
    /// Its name in URLs and entries.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The sign-in page names it to everybody.
    pub listed: bool,
    /// The way to it.
    pub provider: Provider,
    /// Slugs or ids of the orgs whose people it speaks for.
    pub orgs: Vec<String>,
    /// Addresses, in lower case, whose first sign-in makes an active site admin.
    pub admin_emails: Vec<String>,
    /// A session ends no later than the provider's own token.
    pub session_ends_with_provider: bool,
}

/// What the acts here share.
pub struct Federation {
    /// How long a session lives, milliseconds.
    session: Millis,
    providers: Vec<FederatedProvider>,
    browser: BrowserSeal,
}

/// A sign-in that is under way, in its browser's cookie.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnderWay {
    provider: String,
    state: String,
    nonce: String,
    code_verifier: String,
    return_to: Option<String>,
}

impl Federation {
    /// `session`: how long one lives, milliseconds. `sealer` holds the master key.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn new(
        session: Millis,
        providers: Vec<FederatedProvider>,
        sealer: &Sealer,
    ) -> Result<Self, SealError> {
        Ok(Self { session, providers, browser: BrowserSeal::new(sealer, "federation")? })
    }

    fn provider(&self, id: &str) -> Option<&FederatedProvider> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    /// Whether one of the providers speaks for the people of all these orgs, by slug or id.
    pub(super) fn speaks_for_all(&self, orgs: &[(String, String)]) -> bool {
        self.providers.iter().any(|p| orgs.iter().all(|org| p.speaks_for(org)))
    }

    /// Whether any of the providers speaks for the people of one of these orgs.
    pub(super) fn speaks_for_any(&self, orgs: &[(String, String)]) -> bool {
        self.providers.iter().any(|p| orgs.iter().any(|org| p.speaks_for(org)))
    }

    /// Whether the provider of this issuer speaks for the people of an org. One that is configured no longer speaks for
    /// none.
    pub(super) fn speaks_for(&self, issuer: &str, org: &(String, String)) -> bool {
        self.providers.iter().any(|p| p.provider.issuer() == issuer && p.speaks_for(org))
    }
}

impl FederatedProvider {
    /// Whether a first sign-in with this verified address makes a site admin.
    fn makes_site_admin(&self, verified: Option<&str>) -> bool {
        verified.is_some_and(|email| self.admin_emails.iter().any(|admin| admin == email))
    }

    /// `org`: its slug and its id.
    fn speaks_for(&self, (slug, id): &(String, String)) -> bool {
        self.orgs.iter().any(|org| org == slug || org == id)
    }
}
