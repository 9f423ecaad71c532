//! Authorization requests (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 9207).

use super::OAuth;
use crate::access::Access;
use crate::access::accounts::{PasswordProved, PasswordProvedClaims};
use crate::domain::Millis;
use crate::identity::is_challenge;
use serde::{Deserialize, Serialize};

/// The one scope that a client can ask for: to act as the person at the platform API.
pub const SCOPE: &str = "platform";
/// How long somebody may take to sign in, milliseconds.
const REQUEST_TTL: Millis = 10 * 60_000;
/// How long between password and code.
const PROVED_TTL: Millis = 5 * 60_000;
/// The longest `state`, in bytes.
const MAX_STATE: usize = 2_048;

const REQUEST: &str = "authorization request";
const PROVED: &str = "password proved";

/// Parameters of a query or a form: each at most once (RFC 6749 §3.1).
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn read(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The value of `name`; without one, or with an empty one, as if it weren't there (RFC 6749 §3.1).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }

    /// Whether `name` stands more than once.
    #[must_use]
    pub fn repeats(&self, name: &str) -> bool {
        self.0.iter().filter(|(key, _)| key == name).count() > 1
    }

    /// Whether anything stands more than once.
    #[must_use]
    pub fn repeats_any(&self) -> bool {
        self.0.iter().any(|(key, _)| self.repeats(key))
    }
}

/// A request that is in order: who asks, for what, and where the answer goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRequest {
    /// Client.
    pub client_id: String,
    /// As the client gave it.
    pub redirect_uri: String,
    /// Given back with the answer.
    pub state: Option<String>,
    /// S256.
    pub code_challenge: String,
}

/// Why there is no sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorizeError {
    /// Who asks, or where the answer would go, isn't known: told to the person, never sent on (RFC 6749 §4.1.2.1).
    Page(&'static str),
    /// Told to the client: this is where the browser goes.
    Redirect(String),
}

impl AuthorizationRequest {
    /// Where the browser goes with an answer: the redirect URI with these parameters, `state` and `iss` (RFC 9207).
    #[must_use]
    pub fn answer(&self, issuer: &str, parameters: &[(&str, &str)]) -> String {
        redirect(&self.redirect_uri, self.state.as_deref(), issuer, parameters)
    }

    /// Scheme, host and port of the redirect URI; of an application's own scheme, the scheme.
    #[must_use]
    pub fn redirect_origin(&self) -> String {
        match url::Url::parse(&self.redirect_uri) {
            Ok(url) if url.has_host() => url.origin().ascii_serialization(),
            Ok(url) => format!("{}:", url.scheme()),
            Err(_) => String::new(),
        }
    }
}

fn redirect(uri: &str, state: Option<&str>, issuer: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", issuer);
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{}", query.finish())
}

impl OAuth {
    /// Reads an authorization request.
    fn read(&self, asked: &Parameters, issuer: &str) -> Result<AuthorizationRequest, AuthorizeError> {
        if asked.repeats("client_id") || asked.repeats("redirect_uri") {
            return Err(AuthorizeError::Page("the application's request names itself twice"));
        }
        let client = asked.get("client_id").and_then(|id| self.client(id));
        let client = client.ok_or(AuthorizeError::Page(
            "the application that asks for this sign-in isn't known here: `client_id` names no client of the configuration",
        ))?;
        let uri = asked.get("redirect_uri").filter(|uri| client.redirects_to(uri));
        let uri = uri.ok_or(AuthorizeError::Page(
            "the application's `redirect_uri` is not one that is configured for it, so nothing is sent there",
        ))?;
        let state = asked.get("state").filter(|_| !asked.repeats("state"));
        if state.is_some_and(|state| state.len() > MAX_STATE) {
            return Err(AuthorizeError::Page("the application's `state` is longer than 2048 bytes"));
        }
        let refused = |error, description| {
            let told = [("error", error), ("error_description", description)];
            Err(AuthorizeError::Redirect(redirect(uri, state, issuer, &told)))
        };
        if asked.repeats_any() {
            return refused("invalid_request", "a parameter is given twice");
        }
        // RFC 9101 §6.1: what isn't read must not be ignored, for it may say something else.
        for (parameter, error) in
            [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")]
        {
            if asked.get(parameter).is_some() {
                return refused(error, "send the parameters themselves");
            }
        }
        match asked.get("response_type") {
            Some("code") => {}
            None => return refused("invalid_request", "response_type is missing; use code"),
            Some(_) => return refused("unsupported_response_type", "only code is supported"),
        }
        if asked.get("response_mode").is_some_and(|mode| mode != "query") {
            return refused("invalid_request", "only response_mode query is supported");
        }
        if asked.get("scope").is_some_and(|scope| scope != SCOPE) {
            return refused("invalid_scope", "the only scope is platform");
        }
        // RFC 8707.
        if asked.get("resource").is_some_and(|resource| resource.trim_end_matches('/') != issuer) {
            return refused("invalid_target", "tokens are for this server only");
        }
        match asked.get("code_challenge_method") {
            Some("S256") => {}
            // Without one, it would be `plain` (RFC 7636 §4.3).
            _ => return refused("invalid_request", "code_challenge_method must be S256"),
        }
        match asked.get("code_challenge").filter(|challenge| is_challenge(challenge)) {
            Some(challenge) => Ok(AuthorizationRequest {
                client_id: client.id.clone(),
                redirect_uri: uri.to_owned(),
                state: state.map(str::to_owned),
                code_challenge: challenge.to_owned(),
            }),
            None => refused("invalid_request", "code_challenge is missing or no S256 challenge"),
        }
    }
}

impl Access {
    /// Takes an authorization request; gives it sealed, for the sign-in page.
    ///
    /// # Errors
    /// [`AuthorizeError`].
    pub fn authorize(&self, asked: &Parameters) -> Result<String, AuthorizeError> {
        let request = self.oauth.read(asked, self.issuer())?;
        let until = self.clock.now() + REQUEST_TTL;
        self.oauth.browser.seal(REQUEST, until, &request).ok_or_else(|| {
            let told = [("error", "server_error")];
            AuthorizeError::Redirect(request.answer(self.issuer(), &told))
        })
    }

    /// Opens what [`Access::authorize`] gave; `None` once its time is over, or when the configuration doesn't have
    /// the client like that any more.
    #[must_use]
    pub fn open_authorization(&self, sealed: &str) -> Option<AuthorizationRequest> {
        let request: AuthorizationRequest = self.oauth.browser.open(REQUEST, self.clock.now(), sealed)?;
        let known = self.oauth.client(&request.client_id);
        known.is_some_and(|client| client.redirects_to(&request.redirect_uri)).then_some(request)
    }

    /// That somebody knew the password, for the page that asks for the code.
    #[must_use]
    pub fn seal_proved(&self, proved: &PasswordProved) -> Option<String> {
        // From when it was proved: a wrong code doesn't prolong it.
        self.oauth.browser.seal(PROVED, proved.at() + PROVED_TTL, &proved.to_claims())
    }

    /// Opens what [`Access::seal_proved`] gave; `None` once its time is over.
    #[must_use]
    pub fn open_proved(&self, sealed: &str) -> Option<PasswordProved> {
        let claims: PasswordProvedClaims = self.oauth.browser.open(PROVED, self.clock.now(), sealed)?;
        Some(PasswordProved::from_claims(claims))
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
