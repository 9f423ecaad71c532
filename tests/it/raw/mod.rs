//! Real bytes over TCP against the gate. Whatever is sent, it ends in one of two ways: a 4xx with nothing
//! forwarded, or exactly one request at the upstream, whose bytes are those that Cedar judged.
//!
//! A case is tried with the token of an org's admin and under an impersonation.

mod answers;
mod body;
mod credentials;
mod framing;
mod headers;
mod hosts;
mod orgs;
mod paths;

use crate::support::{Answer, Gateway, GatewayBuilder, Wire};

/// A gateway, and the two callers that every case is tried with.
struct Probe {
    gateway: Gateway,
    callers: [(&'static str, String); 2],
}

/// What became of what was sent on one connection.
struct Seen {
    /// The first answer; nothing if the connection was closed instead.
    answer: Option<Answer>,
    /// Further answers, until the connection was closed or answered a request that was sent afterwards.
    more: Vec<Answer>,
    /// It did answer that one.
    goes_on: bool,
    /// Ids of the requests that the upstream saw meanwhile.
    hits: Vec<String>,
}

/// What a case must end in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// A problem, and the upstream saw nothing.
    Refused(u16, &'static str),
    /// The upstream saw exactly this request.
    Forwarded,
    /// One of the two, as one answer.
    Either,
}

impl Probe {
    async fn start() -> Self {
        Self::of(GatewayBuilder::new()).await
    }

    async fn of(builder: GatewayBuilder) -> Self {
        let gateway = builder.start();
        let (impersonation, _) = gateway.mint("staff", "acme").await;
        let callers = [("an admin", gateway.token("admin").to_owned()), ("an impersonation", impersonation)];
        Self { gateway, callers }
    }

    fn admin(&self) -> &str {
        &self.callers[0].1
    }

    fn impersonation(&self) -> &str {
        &self.callers[1].1
    }

    /// A text with `{host}` and `{token}` filled in.
    fn fill(&self, text: impl AsRef<[u8]>, token: &str) -> Vec<u8> {
        let mut bytes = text.as_ref().to_vec();
        for (mark, value) in [("{host}", self.gateway.authority()), ("{token}", token)] {
            while let Some(at) = bytes.windows(mark.len()).position(|w| w == mark.as_bytes()) {
                bytes.splice(at..at + mark.len(), value.bytes());
            }
        }
        bytes
    }

    /// Sends `bytes` on a new connection, then asks for something that no upstream sees.
    async fn send(&self, method: &str, bytes: &[u8]) -> Seen {
        let before = self.gateway.hits().await.len();
        let mut wire = Wire::open(self.gateway.authority()).await;
        wire.send(bytes).await;
        let answer = wire.answer(method).await;
        wire.send(self.fill("GET /.well-known/jwks.json HTTP/1.1\r\nHost: {host}\r\n\r\n", "")).await;
        let (mut more, mut goes_on) = (Vec::new(), false);
        while let Some(next) = wire.answer("GET").await {
            goes_on = next.json["keys"].is_array();
            if goes_on {
                break;
            }
            more.push(next);
        }
        let hits = self.gateway.hits().await.split_off(before);
        Seen { answer, more, goes_on, hits }
    }

    /// Tries one case with each caller; what is wrong with it. `text` has `{host}` and `{token}`.
    async fn faults(&self, what: &str, text: impl AsRef<[u8]>, end: End) -> Vec<String> {
        let mut faults = Vec::new();
        for (who, token) in &self.callers {
            let bytes = self.fill(&text, token);
            let method = String::from_utf8_lossy(bytes.split(|b| *b == b' ').next().unwrap()).into_owned();
            let seen = self.send(&method, &bytes).await;
            if let Some(fault) = seen.fault(end, &bytes) {
                faults.push(format!("{what}, as {who}: {fault}"));
            }
        }
        faults
    }

    /// Tries a list of cases and fails with all that is wrong.
    async fn all<'a, T: AsRef<[u8]>>(&self, cases: impl IntoIterator<Item = (&'a str, T, End)>) {
        let mut faults = Vec::new();
        for (what, text, end) in cases {
            faults.extend(self.faults(what, text, end).await);
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }
}

impl Seen {
    fn fault(&self, end: End, sent: &[u8]) -> Option<String> {
        let refused = |status: Option<u16>, code: Option<&str>| {
            let answer = self.answer.as_ref().ok_or("closed without an answer")?;
            if !(400..500).contains(&answer.status) || status.is_some_and(|s| s != answer.status) {
                return Err(format!("answered {answer}"));
            }
            if answer.header("content-type") != "application/problem+json"
                || code.is_some_and(|c| answer.json["code"] != c)
            {
                return Err(format!("not that problem: {answer}"));
            }
            if answer.json["request_id"] != answer.header("x-request-id") {
                return Err(format!("the ids differ: {answer}"));
            }
            if self.hits.is_empty() { Ok(()) } else { Err(format!("the upstream saw {:?}", self.hits)) }
        };
        let forwarded = || {
            let answer = self.answer.as_ref().ok_or("closed without an answer")?;
            if answer.status >= 400 || self.hits != [answer.header("x-request-id")] {
                return Err(format!("the upstream saw {:?}, answer {answer}", self.hits));
            }
            let target = sent.split(|b| *b == b' ').nth(1).unwrap_or_default();
            if answer.json["target"].as_str().is_none_or(|t| t.as_bytes() != target) {
                return Err(format!("it was judged as another target: {answer}"));
            }
            Ok(())
        };
        let fault = match end {
            End::Refused(status, code) => refused(Some(status), Some(code)).err(),
            End::Forwarded => forwarded().err(),
            End::Either => refused(None, None).or_else(|_| forwarded()).err(),
        };
        let more: Vec<_> = self.more.iter().map(ToString::to_string).collect();
        fault.or_else(|| (!more.is_empty()).then(|| format!("more than one answer: {more:#?}")))
    }
}

impl Probe {
    /// Whether an impersonation's refusal stands once in both logs; what is wrong with it.
    async fn unrecorded(&self, refused: &Answer) -> Option<String> {
        let filter = format!("&request_id={}", refused.header("x-request-id"));
        let org = self.gateway.org_log("acme", "owner", &filter).await;
        let platform = self.gateway.platform_log(&filter).await;
        let right = |log: &[serde_json::Value]| {
            log.len() == 1
                && log[0]["decision"] == "deny"
                && log[0]["code"] == refused.json["code"]
                && log[0]["status"] == refused.status
                && log[0]["impersonation_id"].is_string()
        };
        let fine = right(&org) && right(&platform);
        (!fine).then(|| format!("{refused}\nis recorded as {org:#?}\nand {platform:#?}"))
    }
}

/// All values of a header that the echo tells of.
fn values(echoed: &Answer, name: &str) -> Vec<String> {
    let pairs = echoed.json["headers"].as_array().unwrap_or_else(|| panic!("no echo: {echoed}"));
    pairs.iter().filter(|p| p[0] == name).map(|p| p[1].as_str().unwrap().to_owned()).collect()
}
