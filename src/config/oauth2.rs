//! `[oauth2]`: the authorization server, and the clients that people sign in with.

use super::document::{Document, Setting};
use super::fault::Fault;
use super::oauth2_client::{RawClient, client};
use super::raw::file;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2 {
    /// How long an access token lives.
    pub access_token_ttl: Duration,
    /// Clients.
    pub clients: Vec<OAuth2Client>,
}

/// One client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Client {
    /// `client_id`.
    pub id: String,
    /// Where answers may go.
    pub redirect_uris: Vec<String>,
    /// Holds its secret; `None`: a public client.
    pub secret_file: Option<PathBuf>,
}

pub(super) struct RawOAuth2 {
    access_token_ttl_seconds: Setting<u64>,
    clients: Vec<RawClient>,
}

impl RawOAuth2 {
    pub(super) fn read(document: &mut Document<'_>) -> Self {
        let mut section = document.section("oauth2");
        // A session lasts 12 hours at most.
        let access_token_ttl_seconds = section.whole("access_token_ttl_seconds", 3_600, 1..=43_200);
        let ids = document.children("oauth2.clients.*");
        let clients = ids.into_iter().map(|id| client(document, id)).collect();
        Self { access_token_ttl_seconds, clients }
    }

    pub(super) fn check(&self, base: &Path, faults: &mut Vec<Fault>) {
        for client in &self.clients {
            client.check(base, faults);
        }
    }

    pub(super) fn checked(self, base: &Path) -> OAuth2 {
        let clients = self.clients.into_iter().map(|client| OAuth2Client {
            secret_file: file(base, &client.secret_file).filter(|_| client.has_secret()),
            id: client.id,
            redirect_uris: client.redirect_uris.into_iter().map(|uri| uri.value).collect(),
        });
        OAuth2 {
            access_token_ttl: Duration::from_secs(self.access_token_ttl_seconds.value),
            clients: clients.collect(),
        }
    }
}
