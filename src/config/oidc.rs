//! `[oidc]`: the OpenID Connect providers that the customers' people sign in with.

use super::check::fault;
use super::document::{Document, Setting};
use super::fault::Fault;
use super::oidc_provider::RawProvider;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sign-in of the customers' people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// How long a browser's session lives.
    pub session: Duration,
    /// Providers, in the order of the sign-in page.
    pub providers: Vec<OidcProvider>,
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcProvider {
    /// Its name in URLs and entries.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// As it calls itself (OpenID Connect Discovery §3), byte for byte.
    pub issuer: String,
    /// The sign-in page names it to everybody; otherwise one has to know its id.
    pub listed: bool,
    /// What it knows this gateway as.
    pub client_id: String,
    /// Holds the secret that it gave this gateway; `None`: a public client.
    pub client_secret_file: Option<PathBuf>,
    /// Slugs or ids of the orgs that it is bound to.
    pub orgs: Vec<String>,
    /// Whoever signs in first with one of these addresses, verified, is an active site admin.
    pub admin_emails: Vec<String>,
    /// A session lives no longer than the provider's own token.
    pub session_ends_with_provider: bool,
}

pub(super) struct RawOidc {
    session_days: Setting<u64>,
    providers: Vec<RawProvider>,
}

impl RawOidc {
    pub(super) fn read(document: &mut Document<'_>) -> Self {
        let session_days = document.section("oidc").whole("session_days", 7, 1..=90);
        let ids = document.children("oidc.providers.*");
        let providers = ids.into_iter().map(|id| RawProvider::read(document, id)).collect();
        Self { session_days, providers }
    }

    pub(super) fn check(&self, base: &Path, faults: &mut Vec<Fault>) {
        for (number, provider) in self.providers.iter().enumerate() {
            provider.check(base, faults);
            let issuer = &provider.issuer;
            let same = self.providers.iter().take(number).any(|other| other.issuer.value == issuer.value);
            if let Some(span) = issuer.span().filter(|_| same && issuer.is_sound()) {
                faults.push(fault(
                    format!("two providers have the issuer `{}`", issuer.value),
                    "the second one",
                    "a person is who the issuer says: name it once, with all its orgs",
                    span,
                ));
            }
        }
    }

    pub(super) fn checked(self, base: &Path) -> Oidc {
        let providers = self.providers.into_iter().map(|provider| provider.checked(base));
        let providers = providers.collect();
        Oidc { session: Duration::from_secs(self.session_days.value * 24 * 3_600), providers }
    }
}
