//! The OpenID Connect providers that the customers' people sign in with, as their relying party (OpenID Connect Core
//! §3.1): where a sign-in is sent, and who came back, proved.
//!
//! A provider is looked at when somebody signs in, and again after an hour or when it signs by a key that isn't known:
//! one that can't be reached keeps nobody but its own people out, and no gateway from starting. Start with
//! [`Provider`]; what an ID token must say is `id_token`'s.

mod discovery;
mod fetch;
mod id_token;

pub use fetch::FetchError;
pub use id_token::IdTokenFault;

use crate::domain::{Millis, Secret, is_email};
use discovery::Discovered;
use id_token::{Expected, Person, Proved};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use url::Url;

/// After this long a provider is asked anew what it publishes.
const KEPT: Duration = Duration::from_secs(3_600);
/// For this long a provider that couldn't be reached isn't asked again.
const LEFT_ALONE: Duration = Duration::from_secs(1);
/// All that is asked of a provider for one sign-in takes no longer: the browser's request has an end too.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is asked for (requirements §6).
const SCOPE: &str = "openid profile email";
/// The longest name of a person, in characters.
const MAX_NAME: usize = 200;

/// What is configured about a provider.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// As it calls itself, byte for byte.
    pub issuer: String,
    /// What it knows this gateway as.
    pub client_id: String,
    /// What this gateway proves itself by; `None`: a public client.
    pub client_secret: Option<Secret>,
    /// Where it sends people back to.
    pub redirect_uri: String,
}

/// What a sign-in is begun with: all of them random, and kept until it ends.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Given back with the answer.
    pub state: &'a str,
    /// Stands in the ID token.
    pub nonce: &'a str,
    /// S256 of the verifier.
    pub code_challenge: &'a str,
}

/// What the provider answered, and what it was asked with.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The code.
    pub code: &'a str,
    /// `iss` beside it (RFC 9207).
    pub issuer: Option<&'a str>,
    /// See [`Asking`].
    pub nonce: &'a str,
    /// What the challenge was made of.
    pub code_verifier: &'a str,
}

/// Somebody, as a provider proved them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who said so.
    pub issuer: String,
    /// Who it is for good, at that issuer.
    pub subject: String,
    /// Their address, if it can be one.
    pub email: Option<String>,
    /// The provider has verified the address: exactly `true`.
    pub email_verified: bool,
    /// Their name, if they have one.
    pub name: Option<String>,
    /// When the provider's own token expires.
    pub expires_at: Millis,
}

/// Why a provider proves nobody.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It can't be reached, or says what can't be used.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Discovery names another issuer than is configured (OpenID Connect Discovery §4.3).
    #[error(
        "the provider calls itself `{told}`, configured is `{configured}`; make `issuer` in [oidc.providers] the same"
    )]
    OtherIssuer {
        /// In the configuration.
        configured: String,
        /// In the document.
        told: String,
    },
    /// An endpoint that can't be used.
    #[error("`{0}` of the provider's discovery document is no https URL")]
    Endpoint(&'static str),
    /// It couldn't be reached a moment ago.
    #[error("the provider couldn't be reached a moment ago")]
    LeftAlone,
    /// It takes too long.
    #[error("the provider takes too long")]
    TooLate,
    /// It doesn't know this gateway, or not by this secret (RFC 6749 §5.2).
    #[error("the provider doesn't take this gateway's secret: {0}")]
    Client(#[source] FetchError),
    /// There is no ID token, or one that doesn't count.
    #[error("the provider's answer proves nobody: {0}")]
    IdToken(#[from] IdTokenFault),
    /// The answer is another provider's (RFC 9207 §2.4).
    #[error("the answer is another provider's")]
    MixUp,
    /// It doesn't take the code.
    #[error("the provider doesn't take the code: {0}")]
    Code(#[source] FetchError),
    /// The userinfo endpoint speaks of somebody else (OpenID Connect Core §5.3.2).
    #[error("the userinfo endpoint speaks of somebody else")]
    OtherSubject,
}

/// One provider. See the module.
#[derive(Debug)]
pub struct Provider {
    settings: ProviderSettings,
    client: Client,
    seen: Mutex<Seen>,
}

/// What was seen of a provider last. Held while it is asked, so that one asks and the others wait for its answer.
#[derive(Debug, Default)]
struct Seen {
    discovered: Option<(Arc<Discovered>, Instant)>,
    failed: Option<Instant>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    access_token: Option<String>,
}

impl Provider {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(settings: ProviderSettings) -> Result<Self, reqwest::Error> {
        Ok(Self { settings, client: fetch::client()?, seen: Mutex::default() })
    }

    /// As it calls itself.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Where the browser goes to sign in.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn authorization_url(&self, asking: &Asking<'_>) -> Result<Url, ProviderError> {
        let mut url = self.discovered().await?.authorization.clone();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("scope", SCOPE),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.settings.redirect_uri),
            ("state", asking.state),
            ("nonce", asking.nonce),
            ("code_challenge", asking.code_challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(url)
    }

    /// Whether an answer with this `iss` may be this provider's (RFC 9207 §2.4). Asked before the code goes anywhere.
    ///
    /// # Errors
    /// [`ProviderError`]: [`ProviderError::MixUp`] if it may not.
    pub async fn is_of(&self, issuer: Option<&str>) -> Result<(), ProviderError> {
        let named = self.discovered().await?.answers_name_issuer;
        match issuer {
            Some(issuer) if issuer == self.settings.issuer => Ok(()),
            None if !named => Ok(()),
            Some(_) | None => Err(ProviderError::MixUp),
        }
    }

    /// Who came back with an answer.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn redeem(&self, answered: &Answered<'_>, now: Millis) -> Result<Identity, ProviderError> {
        let redeemed = tokio::time::timeout(PATIENCE, self.redeemed(answered, now));
        redeemed.await.unwrap_or(Err(ProviderError::TooLate))
    }

    async fn redeemed(&self, answered: &Answered<'_>, now: Millis) -> Result<Identity, ProviderError> {
        self.is_of(answered.issuer).await?;
        let discovered = self.discovered().await?;
        let tokens = self.tokens(&discovered, answered).await?;
        let id_token = tokens.id_token.ok_or(IdTokenFault::Malformed)?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: answered.nonce,
            access_token: tokens.access_token.as_deref(),
            now,
        };
        let proved = match id_token::prove(&id_token, &discovered.keys, &expected) {
            // Perhaps a key that it has had for less than an hour, under a new name or an old one.
            Err(IdTokenFault::UnknownKey | IdTokenFault::Signature) => {
                let renewed = self.anew(&discovered).await?;
                id_token::prove(&id_token, &renewed.keys, &expected)?
            }
            proved => proved?,
        };
        self.identity(proved, &discovered, tokens.access_token.as_deref()).await
    }

    /// The code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5).
    async fn tokens(
        &self,
        discovered: &Discovered,
        answered: &Answered<'_>,
    ) -> Result<Tokens, ProviderError> {
        let request = self.token_request(discovered, answered);
        fetch::json("the provider's token endpoint", request).await.map_err(|error| match error {
            FetchError::Status { error: Some(ref code), .. } if code == "invalid_client" => {
                ProviderError::Client(error)
            }
            FetchError::Status { status: 400..=403, .. } => ProviderError::Code(error),
            error => ProviderError::Fetch(error),
        })
    }

    fn token_request(&self, discovered: &Discovered, answered: &Answered<'_>) -> RequestBuilder {
        let settings = &self.settings;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "authorization_code"),
            ("code", answered.code),
            ("redirect_uri", &settings.redirect_uri),
            ("code_verifier", answered.code_verifier),
        ]);
        let mut request = self.client.post(discovered.token.clone());
        match &settings.client_secret {
            // RFC 6749 §2.3.1: both parts are form-encoded first.
            Some(secret) if !discovered.secret_in_body => {
                let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
                request = request.basic_auth(encoded(&settings.client_id), Some(encoded(secret.expose())));
            }
            secret => {
                form.append_pair("client_id", &settings.client_id);
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret.expose());
                }
            }
        }
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.finish())
    }

    /// What the token leaves out, the userinfo endpoint may tell: providers needn't say the same in both.
    async fn identity(
        &self,
        proved: Proved,
        discovered: &Discovered,
        access_token: Option<&str>,
    ) -> Result<Identity, ProviderError> {
        let Proved { mut person, expires_at } = proved;
        let subject = person.sub.take().unwrap_or_default();
        if let (None, Some(at), Some(token)) = (&person.email, &discovered.userinfo, access_token) {
            let request = self.client.get(at.clone()).bearer_auth(token);
            let told: Person = fetch::json("the provider's userinfo endpoint", request).await?;
            if told.sub.as_deref() != Some(&subject) {
                return Err(ProviderError::OtherSubject);
            }
            person = told;
        }
        let name = [person.name, person.preferred_username].into_iter().flatten();
        let name = name.map(|n| n.trim().chars().take(MAX_NAME).collect::<String>()).find(|n| !n.is_empty());
        Ok(Identity {
            issuer: self.settings.issuer.clone(),
            subject,
            email_verified: person.email_verified == Some(serde_json::Value::Bool(true)),
            email: person.email.filter(|email| is_email(email)),
            name,
            expires_at,
        })
    }

    async fn discovered(&self) -> Result<Arc<Discovered>, ProviderError> {
        let mut seen = self.seen.lock().await;
        if let Some((discovered, at)) = &seen.discovered
            && at.elapsed() < KEPT
        {
            return Ok(discovered.clone());
        }
        if seen.failed.is_some_and(|at| at.elapsed() < LEFT_ALONE) {
            return Err(ProviderError::LeftAlone);
        }
        match discovery::discover(&self.client, &self.settings.issuer).await {
            Ok(discovered) => Ok(seen.keep(discovered)),
            Err(error) => {
                seen.failed = Some(Instant::now());
                Err(error)
            }
        }
    }

    /// What the provider publishes now, unless that was asked since `before` was.
    async fn anew(&self, before: &Arc<Discovered>) -> Result<Arc<Discovered>, ProviderError> {
        let mut seen = self.seen.lock().await;
        match &seen.discovered {
            Some((kept, _)) if !Arc::ptr_eq(kept, before) => Ok(kept.clone()),
            _ => Ok(seen.keep(discovery::discover(&self.client, &self.settings.issuer).await?)),
        }
    }
}

impl Seen {
    fn keep(&mut self, discovered: Discovered) -> Arc<Discovered> {
        let discovered = Arc::new(discovered);
        *self = Self { discovered: Some((discovered.clone(), Instant::now())), failed: None };
        discovered
    }
}
