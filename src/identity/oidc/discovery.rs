//! What a provider publishes about itself (OpenID Connect Discovery §3, §4).

use super::ProviderError;
use super::fetch::{FetchError, json};
use jsonwebtoken::jwk::JwkSet;
use reqwest::Client;
use serde::Deserialize;
use url::Url;

/// The document, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A provider's endpoints and keys.
#[derive(Debug)]
pub(super) struct Discovered {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) userinfo: Option<Url>,
    /// The secret goes into the body instead of `Authorization`: the provider takes it nowhere else.
    pub(super) secret_in_body: bool,
    /// Every answer carries `iss` (RFC 9207 §3).
    pub(super) answers_name_issuer: bool,
    pub(super) keys: JwkSet,
}

/// Reads both documents of `issuer`.
pub(super) async fn discover(client: &Client, issuer: &str) -> Result<Discovered, ProviderError> {
    let at = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document: Document = json("the provider's discovery document", client.get(at)).await?;
    if document.issuer != issuer {
        return Err(ProviderError::OtherIssuer { configured: issuer.to_owned(), told: document.issuer });
    }
    let endpoint = |name: &'static str, text: &str| endpoint(issuer, name, text);
    let methods = &document.token_endpoint_auth_methods_supported;
    let takes = |method: &str| methods.iter().any(|m| m == method);
    let jwks = endpoint("jwks_uri", &document.jwks_uri)?;
    Ok(Discovered {
        authorization: endpoint("authorization_endpoint", &document.authorization_endpoint)?,
        token: endpoint("token_endpoint", &document.token_endpoint)?,
        userinfo: document.userinfo_endpoint.map(|u| endpoint("userinfo_endpoint", &u)).transpose()?,
        secret_in_body: takes("client_secret_post") && !takes("client_secret_basic"),
        answers_name_issuer: document.authorization_response_iss_parameter_supported,
        keys: keys(client, &jwks).await?,
    })
}

async fn keys(client: &Client, at: &Url) -> Result<JwkSet, FetchError> {
    json("the provider's key set", client.get(at.clone())).await
}

/// An endpoint is no less protected on its way than the issuer: https, unless that is this machine itself.
fn endpoint(issuer: &str, name: &'static str, text: &str) -> Result<Url, ProviderError> {
    let clear = issuer.starts_with("http://");
    let url = Url::parse(text).ok().filter(|u| u.scheme() == "https" || (clear && u.scheme() == "http"));
    url.filter(|u| u.has_host() && u.fragment().is_none()).ok_or(ProviderError::Endpoint(name))
}
