//! Signed requests, as Standard Webhooks has them (github.com/standard-webhooks/standard-webhooks).

use super::send::SendError;
use crate::audit::json;
use crate::audit::message::Message;
use crate::config::{WebhookUrl, webhook_secrets};
use crate::domain::{Millis, Secret};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::time::Duration;

/// The way to one receiver.
pub(super) struct Webhook {
    client: reqwest::Client,
    url: reqwest::Url,
    /// Each signs, so that a receiver may know an old one or a new one.
    keys: Vec<hmac::Key>,
}

/// What a request carries.
#[derive(Serialize)]
struct Body<'a> {
    log: &'a str,
    entries: Vec<&'a serde_json::Value>,
}

/// Why a receiver can't even be tried.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Its secrets can't be used.
    #[error("{0}")]
    Secret(String),
    /// TLS can't be set up.
    #[error("no client: {0}")]
    Client(#[source] reqwest::Error),
}

impl Webhook {
    /// A way to `url`. A try takes at most `timeout`.
    pub(super) fn new(url: &WebhookUrl, secrets: &str, timeout: Duration) -> Result<Self, WebhookError> {
        let secrets = webhook_secrets(secrets).map_err(WebhookError::Secret)?;
        let client = reqwest::Client::builder()
            // Somebody else's address, and maybe clear text.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .user_agent(concat!("drawbridge/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(WebhookError::Client)?;
        let keys = secrets.iter().filter_map(key).collect();
        Ok(Self { client, url: url.expose().clone(), keys })
    }

    /// Sends `message`; `within` is how long the answer may take.
    pub(super) async fn send(
        &self,
        message: &Message,
        id: &str,
        now: Millis,
        within: Duration,
    ) -> Result<(), SendError> {
        let entries = message.items.iter().map(|item| &item.value).collect();
        let body = json::line(&Body { log: &message.log, entries })?;
        let timestamp = now.div_euclid(1000).to_string();
        let answer = self
            .client
            .post(self.url.clone())
            .timeout(within)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signatures(&self.keys, id, &timestamp, &body))
            .body(body)
            .send()
            .await
            .map_err(|error| SendError::Request(error.without_url()))?;
        // The status says it all: what else the receiver says is neither read nor logged.
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(SendError::Status(status.as_u16())) }
    }
}

fn key(secret: &Secret) -> Option<hmac::Key> {
    let bytes = STANDARD.decode(secret.expose().strip_prefix("whsec_")?).ok()?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn signatures(keys: &[hmac::Key], id: &str, timestamp: &str, body: &str) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    let each = keys.iter().map(|key| format!("v1,{}", STANDARD.encode(hmac::sign(key, signed.as_bytes()))));
    each.collect::<Vec<_>>().join(" ")
}

/// The id of a message: the same again when it is sent again, so that a receiver can tell.
pub(super) fn id(origin: &str, sink: &str, from: u64, to: u64) -> String {
    let name = format!("{origin}\n{sink}\n{from}\n{to}");
    let hash = digest::digest(&digest::SHA256, name.as_bytes());
    format!("msg_{}", hex::encode(hash.as_ref().get(..16).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::{id, key, signatures};
    use crate::domain::Secret;

    /// The example of the Standard Webhooks specification's own test suite.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let key = key(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signed = signatures(&[key.clone(), key], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed, format!("{one} {one}"));
    }

    #[test]
    fn ids_are_of_a_log_a_receiver_and_a_range() {
        let one = id("a/platform", "siem", 0, 100);
        assert_eq!(one, id("a/platform", "siem", 0, 100));
        for other in [
            id("a/org_acme", "siem", 0, 100),
            id("a/platform", "other", 0, 100),
            id("a/platform", "siem", 0, 99),
            id("a/platform", "siem", 1, 100),
        ] {
            assert_ne!(one, other);
        }
    }
}
