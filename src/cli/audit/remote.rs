//! A log behind a gateway's address.

use super::{Credential, Trouble, Which};
use crate::audit::tree::LogName;
use crate::audit::verify::Growth;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;
use std::time::Duration;

/// Asks a gateway.
pub(super) struct Remote {
    client: Client,
    token: String,
    /// Of the gateway, or of a log.
    url: Url,
}

const LOG: &str = "/audit-log";

impl Remote {
    pub(super) fn new(url: &str, credential: &Credential) -> Result<Self, Trouble> {
        let wrong =
            || Trouble::Usage(format!("`{url}` isn't the address of a gateway: give http(s)://host[:port]"));
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(|url| url.query().is_none() && url.username().is_empty()).ok_or_else(wrong)?;
        let token = match &credential.token_file {
            Some(path) => std::fs::read_to_string(path).map_err(Trouble::file(path))?,
            None => std::env::var("DRAWBRIDGE_TOKEN").map_err(|_| {
                Trouble::Usage(
                    "a token is needed: in the environment's `DRAWBRIDGE_TOKEN`, or in a --token-file"
                        .to_owned(),
                )
            })?,
        };
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .build()
            .map_err(|e| Trouble::Failed(format!("no HTTP client: {}", crate::domain::with_causes(&e))))?;
        Ok(Self { client, token: token.trim().to_owned(), url })
    }

    /// The address of a log: the one that was given, or the one that the token's holder may read.
    pub(super) async fn log(&self, which: &Which) -> Result<(Option<LogName>, String), Trouble> {
        let path = self.url.path().trim_end_matches('/');
        let path = path.strip_suffix("/export").unwrap_or(path);
        if path.ends_with(LOG) {
            let name = path
                .strip_suffix(LOG)
                .and_then(|path| path.rsplit_once('/'))
                .and_then(|(_, name)| LogName::parse(name));
            if which.log().is_some_and(|asked| Some(asked) != name) {
                return Err(Trouble::Usage(
                    "--url is the address of another log; leave --org and --platform out".to_owned(),
                ));
            }
            return Ok((name, path.to_owned()));
        }
        let log = match which.log() {
            Some(log) => log,
            None => self.found(path).await?,
        };
        let place = match &log {
            LogName::Platform => "platform".to_owned(),
            LogName::Org(org) => format!("orgs/{org}"),
        };
        Ok((Some(log), format!("{path}/api/v1/{place}{LOG}")))
    }

    /// The log of whoever holds the token.
    async fn found(&self, base: &str) -> Result<LogName, Trouble> {
        let me = self.get(&format!("{base}/api/v1/me"), &[]).await?;
        if me.status() == StatusCode::FORBIDDEN {
            let staff = self.get(&format!("{base}/api/v1/platform/me"), &[]).await?;
            return good(staff).await.map(|_| LogName::Platform);
        }
        let text = good(me).await?.text().await.map_err(|e| failed(&e))?;
        let me: Value = serde_json::from_str(&text).unwrap_or_default();
        let orgs = me.get("orgs").and_then(Value::as_array).into_iter().flatten();
        let orgs: Vec<&str> = orgs.filter_map(|org| org.get("org_id")?.as_str()).collect();
        match orgs.as_slice() {
            [org] => LogName::parse(org).ok_or_else(|| Trouble::Failed(format!("`{org}` isn't an org"))),
            [] => Err(Trouble::Usage(
                "the token's holder is of no org; say which log with --org ID or --platform".to_owned(),
            )),
            several => Err(Trouble::Usage(format!("say which log with --org ID: {}", several.join(", ")))),
        }
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Response, Trouble> {
        let mut url = self.url.clone();
        url.set_path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.client.get(url).bearer_auth(&self.token).send().await.map_err(|e| failed(&e))
    }

    /// The export of the log at `path`, or its continuation; in a `format` of the gateway's.
    pub(super) async fn export(
        &self,
        path: &str,
        after: Option<u64>,
        format: &str,
    ) -> Result<Response, Trouble> {
        let mut query = vec![("format", format.to_owned())];
        query.extend(after.map(|after| ("after", after.to_string())));
        good(self.get(&format!("{path}/export"), &query).await?).await
    }
}

impl Remote {
    /// The proof that the log at `path` continues its first `from` entries.
    pub(super) async fn consistency(&self, path: &str, from: u64) -> Result<Growth, Trouble> {
        let query = [("from", from.to_string())];
        let answer = good(self.get(&format!("{path}/consistency"), &query).await?).await?;
        let text = answer.text().await.map_err(|e| failed(&e))?;
        serde_json::from_str(&text)
            .map_err(|e| Trouble::Failed(format!("the gateway's answer isn't a consistency proof: {e}")))
    }
}

pub(super) fn failed(error: &reqwest::Error) -> Trouble {
    Trouble::Failed(format!("the gateway can't be asked: {}", crate::domain::with_causes(error)))
}

/// An answer that isn't a refusal.
async fn good(answer: Response) -> Result<Response, Trouble> {
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer);
    }
    let text = answer.text().await.unwrap_or_default();
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let part = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Err(Trouble::Failed(format!("the gateway answers {status}: {} {}", part("code"), part("detail"))))
}
