//! JSON from a provider: bounded in time and size, from the address that was asked and no other.

use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use std::error::Error as _;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(3);
/// From the request to the last byte of the answer.
const WHOLE: Duration = Duration::from_secs(8);
/// The largest answer, in bytes. Key sets of large providers have some kilobytes.
const MAX_ANSWER: usize = 512 * 1024;

/// Why there is no answer. For the log; nobody else is told more than that there is none.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, no TLS, too late.
    #[error("{what} can't be reached: {why}")]
    Unreachable {
        /// What was asked.
        what: &'static str,
        /// All causes.
        why: String,
    },
    /// A status that is no success.
    #[error("{what} answered {status}{}", .error.as_ref().map(|e| format!(" ({e})")).unwrap_or_default())]
    Status {
        /// What was asked.
        what: &'static str,
        /// HTTP status.
        status: u16,
        /// `error` of RFC 6749 §5.2, if it is one of its characters.
        error: Option<String>,
    },
    /// Not JSON, not of the shape that it should have, or too large.
    #[error("the answer of {what} can't be used: {why}")]
    Unusable {
        /// What was asked.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// A client for one provider.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        // An answer from elsewhere than the configured address is no answer.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(WHOLE)
        .user_agent(concat!("drawbridge/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Sends a request and reads JSON. `what`: a word for messages.
pub(super) async fn json<T: DeserializeOwned>(
    what: &'static str,
    request: RequestBuilder,
) -> Result<T, FetchError> {
    let unreachable = |error: reqwest::Error| {
        let (mut why, mut cause) = (Vec::new(), error.source());
        while let Some(error) = cause {
            why.push(error.to_string());
            cause = error.source();
        }
        FetchError::Unreachable { what, why: why.join(": ") }
    };
    let mut answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            return Err(FetchError::Unusable { what, why: format!("more than {MAX_ANSWER} bytes") });
        }
    }
    if !status.is_success() {
        return Err(FetchError::Status { what, status: status.as_u16(), error: error_code(&bytes) });
    }
    // Not the message itself, which quotes what stands there: it may be a token.
    let why =
        |e: serde_json::Error| format!("{:?} at line {}, column {}", e.classify(), e.line(), e.column());
    serde_json::from_slice(&bytes).map_err(|e| FetchError::Unusable { what, why: why(e) })
}

/// `error` of an OAuth answer, if it looks like one: whatever else stands there may be anything.
fn error_code(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        error: String,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
    (answer.error.len() <= 64 && answer.error.bytes().all(plain)).then_some(answer.error)
}
