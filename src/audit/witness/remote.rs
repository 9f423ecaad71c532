//! A witness elsewhere, asked over HTTP.

use super::WitnessError;
use super::key::{CosignerKey, cosignatures};
use super::request::{Request, size};
use super::rule::Refusal;
use parking_lot::Mutex;
use reqwest::{Client, StatusCode, Url};
use std::collections::HashMap;
use std::time::Duration;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(2);
/// For the whole of a request: the log waits for it.
const WHOLE: Duration = Duration::from_secs(5);
/// More than any answer has.
const MAX_ANSWER: usize = 64 * 1024;

/// A witness at a URL.
pub struct Remote {
    add: Url,
    pub(super) key: CosignerKey,
    client: Client,
    /// Sizes that it has cosigned, by origin, as far as this process knows: saves asking twice.
    sizes: Mutex<HashMap<String, u64>>,
}

/// Why there is no signature.
pub(super) enum Failure {
    /// It says no.
    Refused(Refusal),
    /// It wasn't reached, or its answer can't be used.
    Error(WitnessError),
}

impl Remote {
    pub(super) fn new(url: &str, key: CosignerKey) -> Result<Self, WitnessError> {
        let add = Url::parse(&format!("{}/add-checkpoint", url.trim_end_matches('/')))
            .map_err(|e| WitnessError::Url(e.to_string()))?;
        // An answer from elsewhere than the configured address is no answer.
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(WitnessError::Unreachable)?;
        Ok(Self { add, key, client, sizes: Mutex::default() })
    }

    /// The size that it has cosigned of the log `origin`, as far as is known.
    pub(super) fn known(&self, origin: &str) -> u64 {
        self.sizes.lock().get(origin).copied().unwrap_or_default()
    }

    pub(super) fn remember(&self, origin: &str, size: u64) {
        self.sizes.lock().insert(origin.to_owned(), size);
    }

    /// Asks once. The signature lines, verified.
    pub(super) async fn submit(&self, request: &Request) -> Result<String, Failure> {
        let unreachable = |e| Failure::Error(WitnessError::Unreachable(e));
        let body = request.to_text();
        let mut answer = self.client.post(self.add.clone()).body(body).send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(odd(status, "more than a witness answers"));
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let refused = |refusal| Err(Failure::Refused(refusal));
        match status {
            StatusCode::OK => cosignatures(&request.note, &text, &self.key)
                .map_err(|e| Failure::Error(WitnessError::Signature(e))),
            StatusCode::CONFLICT => match size(text.trim_end_matches('\n')) {
                Some(known) => refused(Refusal::Conflict { known }),
                None => Err(odd(status, "no size in it")),
            },
            StatusCode::UNPROCESSABLE_ENTITY => {
                refused(Refusal::Inconsistent("the log doesn't continue what was cosigned"))
            }
            _ => Err(odd(status, text.lines().next().unwrap_or_default())),
        }
    }
}

fn odd(status: StatusCode, text: &str) -> Failure {
    let text = text.chars().filter(|c| !c.is_control()).take(200).collect();
    Failure::Error(WitnessError::Answer { status: status.as_u16(), text })
}
